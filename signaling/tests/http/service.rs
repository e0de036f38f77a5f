//! A service to ask, tenants to ask for, and answers to look at.

use crate::media::FakeMedia;
use crate::support;
use billing::TenantId;
use billing::clock::Clock;
use billing::db::Db;
use jiff::Timestamp;
use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::Value;
use signaling::api::id_at;
use signaling::auth::{Member, Role};
use signaling::hub::{Hub, HubConfig};
use signaling::proxies::Proxies;
use signaling::secret::{Secret, SecretKind};
use signaling::store;
use std::net::SocketAddr;
use uuid::Uuid;

/// A running HTTP API.
pub(crate) struct Service {
    pub(crate) url: String,
    pub(crate) db: Db,
    pub(crate) clock: Clock,
    pub(crate) hub: Hub,
    _media: FakeMedia,
    http: Client,
}

/// A business with a key and a member of each role.
pub(crate) struct Business {
    pub(crate) tenant: TenantId,
    pub(crate) secret_key: String,
}

/// Status, headers and body.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) text: String,
}

impl Service {
    pub(crate) async fn start() -> Self {
        Self::on(support::database().await, Clock::system()).await
    }

    /// Behind proxies, each with its network.
    pub(crate) async fn behind(proxies: &[&str]) -> Self {
        let proxies = proxies.iter().map(|proxy| proxy.parse().expect("a network")).collect();
        Self::run(support::database().await, Clock::system(), Proxies::new(proxies)).await
    }

    /// Another process of the same service.
    pub(crate) async fn on(db: Db, clock: Clock) -> Self {
        Self::run(db, clock, Proxies::default()).await
    }

    async fn run(db: Db, clock: Clock, proxies: Proxies) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let (media, plane) = FakeMedia::new();
        let config = HubConfig { proxies, ..HubConfig::new(&url, db.clone(), clock.clone(), plane) };
        let hub = Hub::start(config).await.expect("starts");
        let service = signaling::router(hub.clone()).into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(async move { axum::serve(listener, service).await });
        Self { url, db, clock, hub, _media: media, http: Client::new() }
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url))
    }

    /// A request with a key.
    pub(crate) fn with_key(&self, key: &str, method: Method, path: &str) -> RequestBuilder {
        self.request(method, path).bearer_auth(key)
    }

    pub(crate) async fn get(&self, key: &str, path: &str) -> Answer {
        send(self.with_key(key, Method::GET, path)).await
    }

    pub(crate) async fn post(&self, key: &str, path: &str, body: &Value) -> Answer {
        send(self.with_key(key, Method::POST, path).json(body)).await
    }

    /// A sandbox with an account and a secret key.
    pub(crate) async fn business(&self, name: &str) -> Business {
        let now = self.clock.now();
        let tenant = TenantId(id_at(now));
        let secret = Secret::generate(SecretKind::SecretKey);
        let tx = self.db.tenant(tenant).await.expect("begins");
        store::tenants::insert_sandbox(&tx, name, now).await.expect("a tenant");
        let plan = billing::store::DEMO;
        billing::store::open_account_on(&tx, tenant, name, plan, now).await.expect("an account");
        store::keys::insert(&tx, id_at(now), SecretKind::SecretKey, &secret, &[], now).await.expect("a key");
        tx.commit().await.expect("commits");
        Business { tenant, secret_key: secret.reveal().into() }
    }

    /// The token of an operator.
    pub(crate) async fn operator(&self, name: &str) -> String {
        let token = Secret::generate(SecretKind::OperatorToken);
        let added = store::operators::add(&self.db, name, &token, self.clock.now()).await;
        assert!(added.expect("adds"), "the name is free");
        token.reveal().into()
    }

    /// A one-time link for a new member.
    pub(crate) async fn link(&self, business: &Business, role: Role) -> String {
        let now = self.clock.now();
        let member = Member { member_id: id_at(now), name: "Robin".into(), role };
        let link = Secret::generate(SecretKind::SignInLink);
        let tx = self.db.tenant(business.tenant).await.expect("begins");
        store::sessions::insert_member(&tx, &member, now).await.expect("a member");
        store::sessions::insert_link(&tx, &link, member.member_id, now).await.expect("a link");
        tx.commit().await.expect("commits");
        link.reveal().into()
    }

    pub(crate) fn sign_in(&self, link: &str) -> RequestBuilder {
        self.request(Method::POST, "/v1/sessions").json(&serde_json::json!({ "link": link }))
    }

    /// The cookie of a new member's session, as a browser sends it.
    pub(crate) async fn cookie(&self, business: &Business, role: Role) -> String {
        let link = self.link(business, role).await;
        let answer = send(self.sign_in(&link)).await;
        assert_eq!(answer.status, 204, "{}", answer.text);
        let set = answer.header("set-cookie");
        set.split_once(';').map_or(set, |(cookie, _)| cookie).to_owned()
    }

    /// How many rows each table has, to see that nothing was written.
    pub(crate) async fn row_counts(&self, business: &Business) -> Vec<i64> {
        let tx = self.db.tenant(business.tenant).await.expect("begins");
        let mut counts = Vec::new();
        for table in ["room", "api_key", "idempotency_key", "console_session", "statement", "call", "member"]
        {
            let sql = format!("select count(*) from {table}");
            counts.push(tx.one(&sql, &[]).await.expect(table).get(0));
        }
        let sql =
            "select clock_offset_hours::bigint + (select count(*) from api_key where revoked_at is null)
                   from tenant";
        counts.push(tx.one(sql, &[]).await.expect("the clock").get(0));
        counts
    }
}

pub(crate) async fn send(request: RequestBuilder) -> Answer {
    Answer::of(request.send().await.expect("an answer")).await
}

impl Answer {
    async fn of(response: Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Self { status, headers, text: response.text().await.expect("a body") }
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("")
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or(Value::Null)
    }

    /// The body of a success.
    pub(crate) fn ok(&self) -> Value {
        assert!((200..300).contains(&self.status), "{} {}", self.status, self.text);
        self.json()
    }

    /// Checks that this is a whole problem document and answers with its code.
    pub(crate) fn problem(&self) -> String {
        assert!((400..600).contains(&self.status), "no refusal: {} {}", self.status, self.text);
        assert_eq!(self.header("content-type"), "application/problem+json", "{} {}", self.status, self.text);
        let problem = self.json();
        let code = problem["code"].as_str().expect("a code").to_owned();
        assert_eq!(problem["status"], self.status);
        assert_eq!(problem["type"], format!("/docs/problems#{code}"));
        assert!(
            problem["title"].is_string() && problem["detail"].is_string() && problem["advice"].is_string()
        );
        self.is_safe();
        code
    }

    /// What every answer carries.
    pub(crate) fn is_safe(&self) {
        assert_eq!(self.header("x-content-type-options"), "nosniff");
        assert_eq!(self.header("x-request-id").len(), 32);
    }
}

/// A call of two people who used something in this hour.
pub(crate) async fn call(service: &Service, business: &Business, room_id: Uuid) -> Uuid {
    let now: Timestamp = service.clock.now();
    let (call_id, tx) = (id_at(now), service.db.tenant(business.tenant).await.expect("begins"));
    let tenant = &business.tenant.0;
    tx.run(
        "insert into call (tenant_id, call_id, room_id, started_at, ended_at) values ($1, $2, $3, $4, $4)",
        &[tenant, &call_id, &room_id, &now],
    )
    .await
    .expect("a call");
    for name in ["Ada", "Grace"] {
        let (participant_id, leg_id) = (id_at(now), id_at(now));
        tx.run(
            "insert into participant (tenant_id, participant_id, call_id, identity, name, role, joined_at, left_at)
             values ($1, $2, $3, $4, $4, 'participant', $5, $5)",
            &[tenant, &participant_id, &call_id, &name, &now],
        )
        .await
        .expect("a participant");
        tx.run(
            "insert into leg (tenant_id, leg_id, participant_id, call_id, node, created_at, entered_at, ended_at, end_reason)
             values ($1, $2, $3, $4, 'local', $5, $5, $5, 'left')",
            &[tenant, &leg_id, &participant_id, &call_id, &now],
        )
        .await
        .expect("a leg");
        for (meter, quantity) in [("participant_ms", 120_000i64), ("egress_bytes", 3_000_000)] {
            tx.run(
                "insert into usage_fact (tenant_id, leg_id, meter, hour, quantity, first_seen_at, updated_at)
                 values ($1, $2, $3, date_trunc('hour', $5::timestamptz), $4, $5, $5)",
                &[tenant, &leg_id, &meter, &quantity, &now],
            )
            .await
            .expect("a fact");
        }
    }
    tx.commit().await.expect("commits");
    call_id
}
