//! A PostgreSQL to throw away, and a database of its own for every test.

use crate::cluster;
use billing::{
    TenantId,
    db::Db,
    ids::LegId,
    period::Hour,
    usage::{Fact, FactKey, Meter},
};
use jiff::Timestamp;
use std::{
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};
use tokio::sync::OnceCell;
use tokio_postgres::{NoTls, error::SqlState};
use uuid::Uuid;

/// The server's address without a database; `TEST_DATABASE_URL` (a role that may create databases) replaces it.
fn server() -> &'static str {
    static SERVER: OnceLock<String> = OnceLock::new();
    SERVER.get_or_init(|| match std::env::var("TEST_DATABASE_URL") {
        Ok(url) => url,
        Err(_) => cluster::start(&["fsync=off", "full_page_writes=off"]).expect("a PostgreSQL to throw away"),
    })
}

/// A migrated database that nobody else uses.
pub(crate) async fn database() -> Db {
    Db::connect(&migrated_database().await).await.expect("connects")
}

/// The address of a migrated database: a copy of one that was migrated once.
pub(crate) async fn migrated_database() -> String {
    static TEMPLATE: OnceCell<String> = OnceCell::const_new();
    let template = TEMPLATE.get_or_init(async || {
        let name = new_name();
        let url = create(&name, "template1").await;
        Db::connect(&url).await.expect("connects").migrate().await.expect("the migrations apply");
        name
    });
    create(&new_name(), template.await).await
}

/// The address of a database that holds nothing yet.
pub(crate) async fn empty_database() -> String {
    create(&new_name(), "template1").await
}

fn new_name() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("billing_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Copies a database. The server refuses while the last connection to the template is still being closed.
async fn create(name: &str, template: &str) -> String {
    let admin = client(server()).await;
    admin.batch_execute(&format!("drop database if exists {name}")).await.expect("drops an older one");
    let sql = format!("create database {name} template {template}");
    for _ in 0..100 {
        match admin.batch_execute(&sql).await {
            Err(error) if error.code() == Some(&SqlState::OBJECT_IN_USE) => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            created => {
                created.expect("creates a database");
                return named(server(), name);
            }
        }
    }
    panic!("{template} stays in use")
}

/// A connection as the owner, outside of the pool.
pub(crate) async fn client(url: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("connects");
    tokio::spawn(connection);
    client
}

/// The same server as another role, if its address is ours to change.
pub(crate) fn as_role(url: &str, role: &str) -> Option<String> {
    (!url.contains("://")).then(|| format!("{url} user={role}"))
}

/// The same server, another database.
fn named(url: &str, name: &str) -> String {
    match url.split_once("://") {
        None => format!("{url} dbname={name}"),
        Some((scheme, rest)) => {
            let (host, query) =
                rest.split_once('?').map_or((rest, String::new()), |(h, q)| (h, format!("?{q}")));
            let host = host.split_once('/').map_or(host, |(host, _)| host);
            format!("{scheme}://{host}/{name}{query}")
        }
    }
}

/// A tenant that exists.
pub(crate) async fn tenant(db: &Db, sandbox: bool, now: &str) -> TenantId {
    static COUNT: AtomicU32 = AtomicU32::new(1);
    let tenant = TenantId(Uuid::from_u128(COUNT.fetch_add(1, Ordering::Relaxed).into()));
    let now = at(now);
    let tx = db.tenant(tenant).await.expect("begins");
    let sql = "insert into tenant (tenant_id, name, sandbox, created_at) values ($1, 'Bakery', $2, $3)";
    tx.run(sql, &[&tenant.0, &sandbox, &now]).await.expect("a tenant");
    billing::store::open_account(&tx, tenant, "Bakery", now).await.expect("an account");
    tx.commit().await.expect("commits");
    tenant
}

/// A call of some people, each with one leg; the legs in their order.
pub(crate) async fn call(
    db: &Db,
    tenant: TenantId,
    title: &str,
    names: &[&str],
    clock_offset_hours: i32,
) -> Vec<LegId> {
    let id = || {
        static COUNT: AtomicU32 = AtomicU32::new(1);
        Uuid::from_u128(0xca11_0000 + u128::from(COUNT.fetch_add(1, Ordering::Relaxed)))
    };
    let (room, call, mut legs) = (id(), id(), Vec::new());
    let tx = db.tenant(tenant).await.expect("begins");
    let sql = "insert into room (tenant_id, room_id, title, created_at) values ($1, $2, $3, now())";
    tx.run(sql, &[&tenant.0, &room, &title]).await.expect("a room");
    let sql = "insert into call (tenant_id, call_id, room_id, started_at) values ($1, $2, $3, now())";
    tx.run(sql, &[&tenant.0, &call, &room]).await.expect("a call");
    for name in names {
        let (participant, leg) = (id(), id());
        let sql = "insert into participant (tenant_id, participant_id, call_id, identity, name, role)
                   values ($1, $2, $3, $4, $4, 'participant')";
        tx.run(sql, &[&tenant.0, &participant, &call, name]).await.expect("a participant");
        let sql = "insert into leg (tenant_id, leg_id, participant_id, call_id, node, clock_offset_hours, created_at)
                   values ($1, $2, $3, $4, 'here', $5, now())";
        tx.run(sql, &[&tenant.0, &leg, &participant, &call, &clock_offset_hours]).await.expect("a leg");
        legs.push(LegId(leg));
    }
    tx.commit().await.expect("commits");
    legs
}

/// A time.
pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().expect(text)
}

/// A report of a counter.
pub(crate) fn fact(leg: LegId, meter: Meter, hour: &str, quantity: u64) -> Fact {
    Fact { key: FactKey { leg, meter, hour: Hour::of(at(hour)) }, quantity }
}
