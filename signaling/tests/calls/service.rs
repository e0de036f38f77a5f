//! A hub to call, and rooms to meet in.

use crate::media::FakeMedia;
use crate::page::Page;
use crate::support;
use billing::TenantId;
use billing::clock::Clock;
use billing::db::Db;
use jiff::Timestamp;
use sfu::control::{self, RoomId, Source};
use signaling::api::id_at;
use signaling::hub::{Hub, HubConfig};
use signaling::tokens::{CallRole, NewToken};
use std::time::Duration;
use uuid::Uuid;

pub(crate) const RESUME_WITHIN: Duration = Duration::from_millis(1500);
pub(crate) const HEARTBEAT: Duration = Duration::from_millis(400);

/// A running hub.
pub(crate) struct Service {
    pub(crate) address: String,
    pub(crate) hub: Hub,
    pub(crate) db: Db,
    pub(crate) media: FakeMedia,
    pub(crate) tenant: TenantId,
    pub(crate) room: Uuid,
}

impl Service {
    pub(crate) async fn start() -> Self {
        Self::on(support::database().await).await
    }

    /// Another process of the same service, with a tenant and a room for two.
    pub(crate) async fn on(db: Db) -> Self {
        let (tenant, room) =
            (support::tenant(&db, true, "2026-11-01T00:00:00Z").await, id_at(Timestamp::UNIX_EPOCH));
        let tx = db.tenant(tenant).await.expect("begins");
        let sql = "insert into room (tenant_id, room_id, title, participants_max, created_at)
                   values ($1, $2, 'Front desk', 2, now())";
        tx.run(sql, &[&tenant.0, &room]).await.expect("a room");
        tx.commit().await.expect("commits");
        Self::with(db, tenant, room).await
    }

    pub(crate) async fn with(db: Db, tenant: TenantId, room: Uuid) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let (media, plane) = FakeMedia::new();
        let url = format!("http://{address}");
        let config = HubConfig {
            heartbeat: HEARTBEAT,
            resume_within: RESUME_WITHIN,
            ..HubConfig::new(&url, db.clone(), Clock::system(), plane)
        };
        let hub = Hub::start(config).await.expect("starts");
        let router = signaling::router(hub.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, hub, db, media, tenant, room }
    }

    pub(crate) fn new_token(&self, identity: &str) -> NewToken {
        NewToken {
            tenant: control::TenantId(self.tenant.0),
            room: RoomId(self.room),
            identity: identity.into(),
            name: None,
            role: CallRole::Participant,
            may_publish: vec![Source::Microphone, Source::Camera],
            origin: None,
            token_id: Uuid::nil(),
            ttl_s: 600,
        }
    }

    pub(crate) fn sign(&self, token: NewToken) -> String {
        self.hub.token_keys().issue(token, self.hub.clock().now()).token
    }

    pub(crate) fn token(&self, identity: &str) -> String {
        self.sign(self.new_token(identity))
    }

    /// A page in the lobby.
    pub(crate) async fn lobby(&self, identity: &str) -> Page {
        let mut page = Page::open(self).await;
        page.join(&self.token(identity), identity).await;
        page
    }

    /// A page in the call.
    pub(crate) async fn call(&self, identity: &str) -> Page {
        let mut page = self.lobby(identity).await;
        page.say(serde_json::json!({"type": "enter", "muted": []})).await;
        page.hear("entered").await;
        page
    }

    /// One value of the tenant's rows, as text.
    pub(crate) async fn value(&self, sql: &str, id: Uuid) -> Option<String> {
        let tx = self.db.tenant(self.tenant).await.expect("begins");
        tx.optional(sql, &[&id]).await.expect(sql).and_then(|row| row.get(0))
    }

    /// Waits until a row has a value.
    pub(crate) async fn row_says(&self, sql: &str, id: Uuid, expected: &str) {
        let mut value = None;
        for _ in 0..500 {
            value = self.value(sql, id).await;
            if value.as_deref() == Some(expected) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{sql}: {value:?} and not {expected:?}");
    }
}
