//! A month of many accounts becomes final: all of them, once, whatever falls over on the way.

use crate::support::{at, call, client, database, fact, migrated_database, tenant};
use billing::{TenantId, audit, clock::Clock, db::Db, jobs, store, usage::Meter};
use std::{
    process::{Command, Stdio},
    time::Duration,
};
use uuid::Uuid;

/// More than two pages, so that several are on their way when somebody is killed.
const ACCOUNTS: i64 = 2_200;
const AFTER_OCTOBER: &str = "2026-11-01T02:00:00Z";
/// Where the process that is killed finds the books.
const URL: &str = "TUPPENCE_TEST_CLOSE";

/// The businesses of the bench.
async fn businesses(url: &str, accounts: i64) {
    let people = include_str!("../../benches/billing/people.sql")
        .replace("$ACCOUNTS", &accounts.to_string())
        .replace("$FACTS", "2");
    client(url).await.batch_execute(&people).await.expect("the population");
}

/// Not a test: the process that [`a_close_that_is_killed_goes_on_where_it_was`] kills.
#[tokio::test]
#[ignore = "is started by another test"]
async fn closes_until_it_is_killed() {
    let db = Db::connect(&std::env::var(URL).expect("an address")).await.expect("connects");
    let round = jobs::round(&db, &Clock::fixed(at(AFTER_OCTOBER)), |_, _| ()).await.expect("a round");
    assert_eq!(round.failed, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_close_that_is_killed_goes_on_where_it_was() {
    let url = migrated_database().await;
    businesses(&url, ACCOUNTS).await;
    let owner = client(&url).await;
    let count = async |what: &str| -> i64 { owner.query_one(what, &[]).await.expect("counts").get(0) };
    let mut partly = 0;
    for kill in 0.. {
        let mut runner = Command::new(std::env::current_exe().expect("this test"))
            .args(["--exact", "--ignored", "close::closes_until_it_is_killed"])
            .env(URL, &url)
            .stdout(Stdio::null())
            .spawn()
            .expect("another process");
        let lives = Duration::from_millis(40 + kill * 35);
        tokio::time::sleep(lives).await;
        if let Some(status) = runner.try_wait().expect("a process") {
            assert!(status.success(), "{status}");
            break;
        }
        // kill -9 on Unix.
        runner.kill().expect("kills");
        runner.wait().expect("it is dead");
        let done = count("select count(*) from statement").await;
        partly += i64::from(0 < done && done < ACCOUNTS);
        let off = "select count(*) from (
                     select from ledger_entry group by transaction_id, currency having sum(amount_micros) <> 0) off";
        assert_eq!(count(off).await, 0, "after {lives:?}");
        let numbers = "select coalesce(max(series_number), 0) - count(*) from statement";
        assert_eq!(count(numbers).await, 0, "no number is missing after {lives:?}");
    }
    assert!(partly > 0, "some were killed when a part was done");
    assert_eq!(count("select count(*) from statement").await, ACCOUNTS);
    assert_eq!(count("select max(series_number) from statement").await, ACCOUNTS);
    let db = Db::connect(&url).await.expect("connects");
    let report = audit::audit(&db, at(AFTER_OCTOBER)).await.expect("audits");
    assert_eq!(report.differences, []);
    assert_eq!(i64::try_from(report.statements).expect("a count"), ACCOUNTS);
}

#[tokio::test]
async fn operators_see_how_far_a_close_is() {
    let url = migrated_database().await;
    businesses(&url, 5).await;
    let db = Db::connect(&url).await.expect("connects");
    let round = jobs::round(&db, &Clock::fixed(at(AFTER_OCTOBER)), |_, _| ()).await.expect("a round");
    assert_eq!((round.finalised, round.failed.len()), (5, 0));
    let service = db.service().await.expect("begins");
    let sql = "select accounts, accounts_total, statements, failed, finished_at is not null from month_close";
    let row = service.one(sql, &[]).await.expect("one close");
    let counts: Vec<i64> = (0..4).map(|column| row.get(column)).collect();
    assert_eq!((counts, row.get::<_, bool>(4)), (vec![5, 5, 5, 0], true));
    jobs::round(&db, &Clock::fixed(at(AFTER_OCTOBER)), |_, _| ()).await.expect("a round with nothing to do");
    let closes: i64 = service.one("select count(*) from month_close", &[]).await.expect("counts").get(0);
    assert_eq!(closes, 1, "nothing was due, nothing is shown");
}

#[tokio::test]
async fn sums_that_do_not_work_out_keep_nobody_waiting() {
    let db = database().await;
    let (one, broken, other) = (
        tenant(&db, false, "2026-10-01T00:00:00Z").await,
        tenant(&db, false, "2026-10-01T00:00:00Z").await,
        tenant(&db, false, "2026-10-01T00:00:00Z").await,
    );
    let leg = call(&db, broken, "Tea", &["Ada"], 0).await[0];
    let endless = fact(leg, Meter::ParticipantMs, "2026-10-10T09:00:00Z", i64::MAX.unsigned_abs());
    store::record_batch(&db, &[(broken, endless)], at("2026-10-10T10:00:00Z")).await.expect("records");
    let tx = db.tenant(broken).await.expect("begins");
    let twice = "insert into subscription
                 select tenant_id, account_id, $1, plan_version_id, starts_at, ends_at, created_at from subscription";
    tx.run(twice, &[&Uuid::from_u128(2)]).await.expect("a second subscription");
    tx.commit().await.expect("commits");
    closes_all_but(&db, broken, &[one, other]).await;
}

#[tokio::test]
async fn a_row_that_the_database_refuses_keeps_nobody_waiting() {
    let url = migrated_database().await;
    let db = Db::connect(&url).await.expect("connects");
    let (one, broken, other) = (
        tenant(&db, false, "2026-10-01T00:00:00Z").await,
        tenant(&db, false, "2026-10-01T00:00:00Z").await,
        tenant(&db, false, "2026-10-01T00:00:00Z").await,
    );
    let refuse = format!(
        "create trigger refuse before insert on statement for each row
           when (new.tenant_id = '{broken}') execute function tuppence_refuse_change()"
    );
    client(&url).await.batch_execute(&refuse).await.expect("a trigger");
    closes_all_but(&db, broken, &[one, other]).await;
}

async fn closes_all_but(db: &Db, broken: TenantId, whole: &[TenantId]) {
    let mut numbers = Vec::new();
    let clock = Clock::fixed(at(AFTER_OCTOBER));
    let round =
        jobs::round(db, &clock, |who, summary| numbers.push((who.tenant, summary.number.clone()))).await;
    let failed: Vec<TenantId> = round.expect("a round").failed.iter().map(|who| who.tenant).collect();
    assert_eq!(failed, [broken]);
    numbers.sort();
    let mut closed: Vec<TenantId> = numbers.iter().map(|(tenant, _)| *tenant).collect();
    closed.dedup();
    assert_eq!(closed, whole);
    let mut numbers: Vec<&str> = numbers.iter().map(|(_, number)| number.as_str()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, ["TUP-000001", "TUP-000002"]);
}

#[tokio::test]
async fn the_scope_of_a_close_adds_statements_and_nothing_else() {
    let db = database().await;
    tenant(&db, false, "2026-10-01T00:00:00Z").await;
    let tx = db.closing().await.expect("begins");
    let seen: i64 = tx.one("select count(*) from subscription", &[]).await.expect("reads").get(0);
    assert_eq!(seen, 1, "it sees what statements are made of");
    for sql in [
        "insert into account select tenant_id, gen_random_uuid(), 'person', 'Eve', 'USD', now() from tenant",
        "insert into subscription select tenant_id, account_id, gen_random_uuid(), plan_version_id, starts_at, null, now()
           from subscription",
        "insert into usage_fact select tenant_id, gen_random_uuid(), 'egress_bytes', '2026-10-01Z', 1, now(), now() from tenant",
        "insert into late_month select tenant_id, account_id, '2026-10-01', now() from account",
        "delete from statement",
    ] {
        tx.batch_execute("savepoint before").await.expect("a savepoint");
        let error = billing::db::DbError::from(tx.batch_execute(sql).await.expect_err(sql));
        assert!(error.to_string().contains("refused"), "{sql}: {error}");
        tx.batch_execute("rollback to before").await.expect("goes on");
    }
    for sql in [
        "update tenant set name = 'Eve'",
        "update subscription set ends_at = null",
        "update account set name = 'Eve'",
    ] {
        assert_eq!(tx.run(sql, &[]).await.expect("finds nothing to change"), 0, "{sql}");
    }
    for (table, column) in
        [("api_key", "key_hash"), ("room", "title"), ("participant", "name"), ("leg", "node")]
    {
        let hidden = tx.one(&format!("select count({column}) from {table}"), &[]).await.expect("reads");
        assert_eq!(hidden.get::<_, i64>(0), 0, "{table}");
    }
}
