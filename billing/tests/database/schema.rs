//! The schema as a whole: it applies, and every query fits it.

use crate::support::{client, database, empty_database};
use billing::db::Db;
use std::{
    fs,
    path::{Path, PathBuf},
};

#[tokio::test]
async fn migrations_apply_once_however_many_start() {
    let url = empty_database().await;
    let db = Db::connect(&url).await.expect("connects");
    let (one, two, three) = tokio::join!(db.migrate(), db.migrate(), db.migrate());
    one.and(two).and(three).expect("each finds the schema it needs");
    let owner = client(&url).await;
    let row =
        owner.query_one("select count(*), count(distinct version) from refinery_schema_history", &[]).await;
    let (rows, versions): (i64, i64) = row.map(|row| (row.get(0), row.get(1))).expect("the history");
    assert_eq!(rows, versions);
    let files =
        fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrations")).expect("migrations");
    let numbered = files.flatten().filter(|file| file.file_name().to_string_lossy().starts_with('V')).count();
    assert_eq!(usize::try_from(versions).expect("a count"), numbered);
}

#[tokio::test]
async fn every_query_prepares() {
    let db = database().await;
    let service = db.service().await.expect("begins");
    let store = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store");
    let queries = queries_in(&store);
    for path in &queries {
        let sql = fs::read_to_string(path).expect("a query");
        service.prepare(&sql).await.unwrap_or_else(|error| panic!("{}: {error:?}", path.display()));
    }
    assert!(queries.len() > 25, "the queries have moved: {}", queries.len());
}

/// The queries in a folder and those within it.
fn queries_in(folder: &Path) -> Vec<PathBuf> {
    let mut queries = Vec::new();
    for path in fs::read_dir(folder).expect("a folder").flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            queries.extend(queries_in(&path));
        } else if path.extension().is_some_and(|extension| extension == "sql") {
            queries.push(path);
        }
    }
    queries
}

#[tokio::test]
async fn a_database_that_is_away_is_unavailable() {
    let refused = Db::connect("host=/nonexistent user=owner dbname=none").await;
    let error = refused.expect_err("nobody is there");
    assert!(error.is_transient(), "{error}");
    let nonsense = Db::connect("postgres://[").await.expect_err("no address");
    assert!(matches!(nonsense, billing::db::DbError::Url(_)), "{nonsense}");
}

#[tokio::test]
async fn a_database_that_is_too_busy_says_so_in_time() {
    let db = database().await;
    let mut held = Vec::new();
    for _ in 0..16 {
        held.push(db.service().await.expect("a connection"));
    }
    let waiting = tokio::time::timeout(std::time::Duration::from_secs(10), db.service());
    let error = waiting.await.expect("an answer in time").map(drop).expect_err("no connection is left");
    assert!(matches!(error, billing::db::DbError::Unavailable(_)), "{error}");
    drop(held);
    db.ping().await.expect("there again");
}

#[tokio::test]
async fn a_dropped_transaction_did_not_happen_and_frees_its_connection() {
    let db = database().await;
    for _ in 0..64 {
        let tx = db.service().await.expect("a connection");
        tx.batch_execute("insert into vendor values ('0199c000-0000-7000-8000-00000000ffff', 'X', now())")
            .await
            .expect("inserts");
        drop(tx);
    }
    let tx = db.service().await.expect("a connection");
    let vendors: i64 = tx.one("select count(*) from vendor", &[]).await.expect("counts").get(0);
    assert_eq!(vendors, 1);
}
