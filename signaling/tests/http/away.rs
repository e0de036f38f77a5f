//! While the database is away, requests are refused quickly and the process stays alive.

use crate::service::{Service, send};
use crate::support;
use billing::clock::Clock;
use billing::db::Db;
use reqwest::Method;
use serde_json::json;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;

/// The file of a cluster's Unix socket.
const SOCKET: &str = ".s.PGSQL.5432";

/// Passes connections on to the database until it is shut down.
async fn door(listener: UnixListener, behind: std::path::PathBuf) {
    let mut connections = JoinSet::new();
    while let Ok((mut near, _)) = listener.accept().await {
        let mut far = UnixStream::connect(&behind).await.expect("connects");
        connections.spawn(async move { tokio::io::copy_bidirectional(&mut near, &mut far).await.ok() });
    }
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "a refusal must be quick by the real clock")]
async fn a_database_that_is_away_is_said_to_be() {
    let url = support::empty_database().await;
    let Some(host) = url.split(' ').find_map(|word| word.strip_prefix("host=")) else { return };
    Db::connect(&url).await.expect("connects").migrate().await.expect("migrates");
    let home = tempfile::tempdir().expect("a directory");
    let listener = UnixListener::bind(home.path().join(SOCKET)).expect("binds");
    let open = tokio::spawn(door(listener, Path::new(host).join(SOCKET)));
    let through = url.replace(host, &home.path().display().to_string());
    let service = Service::on(Db::connect(&through).await.expect("connects"), Clock::system()).await;
    let business = service.business("Fern").await;
    assert_eq!(send(service.request(Method::GET, "/readyz")).await.status, 200);
    open.abort();
    open.await.expect_err("shut");
    std::fs::remove_file(home.path().join(SOCKET)).expect("removes");
    let since = Instant::now();
    for _ in 0..3 {
        let room = service.post(&business.secret_key, "/v1/rooms", &json!({})).await;
        assert_eq!(
            (room.status, room.problem().as_str(), room.header("retry-after")),
            (503, "unavailable", "1")
        );
    }
    assert_eq!(send(service.request(Method::GET, "/readyz")).await.problem(), "unavailable");
    assert_eq!(send(service.request(Method::GET, "/healthz")).await.status, 200, "a restart would not help");
    assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
}
