//! Tenants are kept apart by the database.

use crate::support::{as_role, at, call, client, database, empty_database, fact, migrated_database, tenant};
use billing::{
    TenantId,
    clock::Clock,
    db::{Db, DbError},
    store,
    usage::Meter::ParticipantMs,
};
use std::collections::BTreeSet;
use uuid::Uuid;

/// Tables without forced row-level security or without a policy, and tables that anyone may delete from.
const HOLES: &str = "
    select c.relname
      from pg_class c
     where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
       and (c.relname <> 'refinery_schema_history' or has_table_privilege('tuppence_app', c.oid, 'select'))
       and (not c.relrowsecurity or not c.relforcerowsecurity
            or not exists (select from pg_policy p where p.polrelid = c.oid)
            or exists (select from pg_policy p where p.polrelid = c.oid and p.polcmd in ('*', 'w', 'a')
                                                   and p.polqual is not null and p.polwithcheck is null
                                                   and has_table_privilege('tuppence_app', c.oid, 'insert'))
            or has_table_privilege('tuppence_app', c.oid, 'truncate'))
     order by c.relname";

#[tokio::test]
async fn every_table_is_behind_a_forced_policy() {
    let url = migrated_database().await;
    let owner = client(&url).await;
    let holes = async || -> Vec<String> {
        let rows = owner.query(HOLES, &[]).await.expect("the catalogue");
        rows.iter().map(|row| row.get(0)).collect()
    };
    assert_eq!(holes().await, Vec::<String>::new());
    owner.batch_execute("create table open_door (tenant_id uuid)").await.expect("a table");
    assert_eq!(holes().await, ["open_door"], "the test sees a table without security");
    owner.batch_execute("alter table open_door enable row level security").await.expect("enables");
    assert_eq!(holes().await, ["open_door"], "and one that does not bind its owner");
    owner.batch_execute("alter table open_door force row level security").await.expect("forces");
    assert_eq!(holes().await, ["open_door"], "and one without a policy");
    owner
        .batch_execute("create policy shut on open_door using (false) with check (false)")
        .await
        .expect("a policy");
    assert_eq!(holes().await, Vec::<String>::new());
}

#[tokio::test]
async fn without_a_tenant_nothing_is_seen() {
    let url = migrated_database().await;
    let db = Db::connect(&url).await.expect("connects");
    tenant(&db, false, "2026-10-01T00:00:00Z").await;
    let app = client(&url).await;
    app.batch_execute("set role tuppence_app").await.expect("becomes the application");
    for table in readable_tables(&client(&url).await).await {
        let count: i64 =
            app.query_one(&format!("select count(*) from {table}"), &[]).await.expect("reads").get(0);
        assert_eq!(count, 0, "{table}");
    }
}

#[tokio::test]
async fn another_tenant_sees_and_writes_nothing() {
    let url = migrated_database().await;
    let db = Db::connect(&url).await.expect("connects");
    let (ours, theirs) =
        (tenant(&db, false, "2026-10-01T00:00:00Z").await, tenant(&db, false, "2026-10-01T00:00:00Z").await);
    let owner = client(&url).await;
    let tx = db.tenant(theirs).await.expect("begins");
    for table in readable_tables(&owner).await {
        let has_tenant = format!(
            "select count(*) from pg_attribute where attrelid = '{table}'::regclass and attname = 'tenant_id'"
        );
        let has_tenant: i64 = owner.query_one(&has_tenant, &[]).await.expect("the catalogue").get(0);
        if has_tenant == 1 {
            let sql = format!("select count(*) from {table} where tenant_id = $1");
            let count: i64 = tx.one(&sql, &[&ours.0]).await.expect("reads").get(0);
            assert_eq!(count, 0, "{table}");
        }
    }
    let renamed = tx.run("update tenant set name = 'Mine' where tenant_id = $1", &[&ours.0]).await;
    assert_eq!(renamed.expect("finds nothing"), 0);
    let sql = "insert into account (tenant_id, account_id, kind, name, currency, created_at)
               values ($1, $2, 'person', 'Eve', 'USD', now())";
    let error = tx.run(sql, &[&ours.0, &Uuid::nil()]).await.expect_err("a foreign row");
    assert!(error.to_string().contains("database refused"), "{error}");
}

#[tokio::test]
async fn the_service_sees_tenants_but_nothing_of_theirs() {
    let db = database().await;
    let known = tenant(&db, false, "2026-10-01T00:00:00Z").await;
    let service = db.service().await.expect("begins");
    let listed = store::tenants_after(&service, TenantId(Uuid::nil()), 10).await.expect("lists");
    assert_eq!(listed, [known]);
    let accounts: i64 = service.one("select count(*) from account", &[]).await.expect("reads").get(0);
    assert_eq!(accounts, 0);
    let renamed = service.run("update tenant set name = 'Mine'", &[]).await.expect("finds nothing");
    assert_eq!(renamed, 0);
}

#[tokio::test]
async fn the_auditor_sees_the_books_of_all_and_writes_nothing() {
    let db = database().await;
    let mut known = Vec::new();
    for _ in 0..2 {
        known.push(tenant(&db, false, "2026-10-01T00:00:00Z").await);
    }
    let auditor = db.auditing().await.expect("begins");
    let rows = auditor.all("select distinct tenant_id from account", &[]).await.expect("reads");
    let seen: BTreeSet<TenantId> = rows.iter().map(|row| TenantId(row.get(0))).collect();
    assert_eq!(seen, known.into_iter().collect());
    let renamed = auditor.run("update tenant set name = 'Mine'", &[]).await.expect("finds nothing");
    assert_eq!(renamed, 0);
    for kept in ["api_key", "console_session", "room", "participant", "sandbox_order"] {
        let rows = auditor.one(&format!("select count(*) from {kept}"), &[]).await.expect("reads");
        assert_eq!(rows.get::<_, i64>(0), 0, "{kept} is none of its business");
    }
}

#[tokio::test]
async fn the_application_role_cannot_go_around_it() {
    let db = database().await;
    let tx = db.service().await.expect("begins");
    for sql in [
        "alter table tenant disable row level security",
        "drop policy tenant_itself on tenant",
        "delete from tenant",
        "truncate ledger_entry",
        "select * from refinery_schema_history",
        "select * from usage_fact_default",
        "select tuppence_close_partition('tenant')",
    ] {
        tx.batch_execute("savepoint before").await.expect("a savepoint");
        assert!(tx.batch_execute(sql).await.is_err(), "{sql}");
        tx.batch_execute("rollback to before").await.expect("goes on");
    }
}

/// A hosted PostgreSQL gives no superuser: the owner is bound by the policies, too, and all of it works.
#[tokio::test]
async fn an_owner_without_superpowers_is_enough() {
    let url = empty_database().await;
    let role = format!("plain_{}", std::process::id());
    let Some(plain) = as_role(&url, &role) else { return };
    let owner = client(&url).await;
    let name: String = owner.query_one("select current_database()", &[]).await.expect("a name").get(0);
    let grant = format!(
        "create role {role} login createrole; alter database {name} owner to {role}; grant all on schema public to {role}"
    );
    owner.batch_execute(&grant).await.expect("a plain owner");
    let db = Db::connect(&plain).await.expect("connects");
    db.migrate().await.expect("migrates");
    let tenant = tenant(&db, true, "2026-10-01T00:00:00Z").await;
    let leg = call(&db, tenant, "Tea", &["Ada"], 0).await[0];
    let now = at("2026-10-10T12:00:00Z");
    billing::jobs::round(&db, &Clock::fixed(now), |_, _| ()).await.expect("a round");
    let minutes = fact(leg, ParticipantMs, "2026-10-10T09:00:00Z", 1_010 * 60_000);
    store::record_batch(&db, &[(tenant, minutes)], now).await.expect("records");
    let tx = db.tenant(tenant).await.expect("begins");
    let advanced =
        store::advance_clock(&tx, tenant, at("2026-12-01T00:00:00Z"), now).await.expect("advances");
    tx.commit().await.expect("commits");
    let totals: Vec<_> = advanced.finalized.iter().map(|summary| summary.total.amount()).collect();
    assert_eq!(totals, ["0.26", "0.24"], "25.5 ¢ and 25 ¢: half to even, and the half comes back");
    let partitions = "select count(*) from pg_inherits where inhparent = 'usage_fact'::regclass";
    let partitions: i64 = client(&url).await.query_one(partitions, &[]).await.expect("counts").get(0);
    assert_eq!(partitions, 4, "this month, two ahead and the rest");
}

async fn readable_tables(owner: &tokio_postgres::Client) -> Vec<String> {
    let sql =
        "select relname from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p')
               and has_table_privilege('tuppence_app', oid, 'select') order by relname";
    owner.query(sql, &[]).await.expect("the catalogue").iter().map(|row| row.get(0)).collect()
}

/// Two who lock the same rows the other way round. Whoever is chosen to give way hears so from every query that was sent
/// with the one that lost.
#[tokio::test]
async fn the_victim_of_a_deadlock_is_told_to_try_again_by_each_of_its_queries() {
    let db = database().await;
    let one = tenant(&db, true, "2026-11-01T00:00:00Z").await;
    let (a, b) = (db.tenant(one).await.expect("begins"), db.tenant(one).await.expect("begins"));
    let lock = "select pg_advisory_xact_lock($1)";
    a.one(lock, &[&1i64]).await.expect("the first lock");
    b.one(lock, &[&2i64]).await.expect("the second lock");
    // Prepared beforehand, so that both queries of a pair travel together.
    let (for_a, for_b) =
        tokio::join!(async { tokio::join!(a.one(lock, &[&2i64]), a.one(lock, &[&3i64])) }, async {
            tokio::join!(b.one(lock, &[&1i64]), b.one(lock, &[&4i64]))
        },);
    let answers = [for_a.0, for_a.1, for_b.0, for_b.1];
    let refusals: Vec<_> = answers.iter().filter_map(|answer| answer.as_ref().err()).collect();
    assert_eq!(refusals.len(), 2, "one of the two gave way: {refusals:?}");
    assert!(refusals.iter().all(|refusal| matches!(refusal, DbError::Conflict(_))), "{refusals:?}");
}
