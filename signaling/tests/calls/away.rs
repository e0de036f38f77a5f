//! What happens while the database is away.

use crate::page::{Page, join};
use crate::service::Service;
use crate::support;
use billing::db::Db;
use serde_json::json;
use sfu::control::{self, Command, Event, UsageFact};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;

/// A door in front of the database that can be shut.
struct Door {
    home: tempfile::TempDir,
    behind: PathBuf,
    open: JoinSet<()>,
}

impl Door {
    /// The door, and the address that leads through it.
    fn new(url: &str) -> (Self, String) {
        let host =
            url.split(' ').find_map(|word| word.strip_prefix("host=")).expect("a Unix socket's directory");
        let home = tempfile::tempdir().expect("a directory");
        let behind = Path::new(host).join(".s.PGSQL.5432");
        let through = url.replace(host, &home.path().display().to_string());
        let mut door = Self { home, behind, open: JoinSet::new() };
        door.open();
        (door, through)
    }

    fn open(&mut self) {
        let listener = UnixListener::bind(self.home.path().join(".s.PGSQL.5432")).expect("binds");
        let behind = self.behind.clone();
        self.open.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((mut near, _)) = listener.accept().await {
                let mut far = UnixStream::connect(&behind).await.expect("connects");
                connections
                    .spawn(async move { tokio::io::copy_bidirectional(&mut near, &mut far).await.ok() });
            }
        });
    }

    async fn shut(&mut self) {
        self.open.shutdown().await;
        std::fs::remove_file(self.home.path().join(".s.PGSQL.5432")).expect("removes");
    }
}

#[tokio::test]
async fn calls_go_on_new_ones_are_refused_quickly_and_nothing_is_forgotten() {
    let url = support::empty_database().await;
    if url.contains("://") {
        return; // Not our own cluster: there is no socket to stand in front of.
    }
    Db::connect(&url).await.expect("connects").migrate().await.expect("migrates");
    let (mut door, through) = Door::new(&url);
    let service = Service::on(Db::connect(&through).await.expect("connects")).await;
    let (mut ada, mut bob) = (service.call("ada").await, service.call("bob").await);

    door.shut().await;
    ada.say(json!({"type": "rename", "name": "Ada L."})).await;
    assert_eq!(bob.hear("participant_changed").await["participant"]["name"], "Ada L.");
    let mut late = Page::open(&service).await;
    late.frame(join(&service.token("ada"), "Ada")).await;
    let refusal = tokio::time::timeout(Duration::from_millis(2500), late.refusal());
    assert_eq!(refusal.await.expect("a quick answer"), "unavailable");
    let fact = UsageFact {
        tenant: control::TenantId(service.tenant.0),
        leg: control::LegId(ada.leg()),
        meter: control::Meter::ParticipantMs,
        hour: 498_000,
        quantity: 1234,
    };
    service.media.tell(Event::Usage { batch: 1, facts: vec![fact] });
    ada.say(json!({"type": "leave"})).await;
    bob.hear("participant_left").await;

    door.open();
    let name = "select name || (left_at is not null) from participant where participant_id = $1";
    service.row_says(name, ada.participant(), "Ada L.true").await;
    let stored = |command: &Command| matches!(command, Command::UsageStored { .. });
    assert!(!service.media.told().iter().any(stored), "what was not stored is not acknowledged");
    service.media.tell(Event::Usage { batch: 1, facts: vec![fact] });
    service.media.hears(stored).await;
    assert_eq!(service.lobby("cleo").await.joined["type"], "joined");
}
