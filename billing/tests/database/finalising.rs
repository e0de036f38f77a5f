//! Months become final: once, in order, with numbers that have no gaps, whoever runs and however often.

use crate::support::{at, call, client, database, fact, migrated_database, tenant};
use billing::{
    TenantId,
    clock::Clock,
    db::{Db, DbError},
    jobs::{self, Round},
    statement::{LineKind, Summary},
    store::{self, AdvanceError, FinaliseError},
    usage::Meter::ParticipantMs,
};
use jiff::Timestamp;
use std::collections::BTreeSet;

async fn finalise(db: &Db, tenant: TenantId, month: &str, now: &str) -> Result<Summary, FinaliseError> {
    let tx = db.tenant(tenant).await.expect("begins");
    let summary = store::finalise(&tx, tenant, month.parse().expect(month), at(now)).await?;
    tx.commit().await.expect("commits");
    Ok(summary)
}

/// A round of the job, and what it made final.
async fn round(db: &Db, now: Timestamp) -> (Round, Vec<Summary>) {
    let mut finalised = Vec::new();
    let told = |_, summary: &Summary| finalised.push(summary.clone());
    let round = jobs::round(db, &Clock::fixed(now), told).await.expect("a round");
    assert_eq!(round.finalised, finalised.len() as u64);
    (round, finalised)
}

#[tokio::test]
async fn two_runners_make_one_statement_and_numbers_have_no_gaps() {
    let url = migrated_database().await;
    let db = Db::connect(&url).await.expect("connects");
    let mut tenants = Vec::new();
    for _ in 0..6 {
        tenants.push(tenant(&db, false, "2026-09-20T10:30:00Z").await);
    }
    let now = at("2026-12-01T01:00:00Z");
    let (one, two, three) = tokio::join!(round(&db, now), round(&db, now), round(&db, now));
    let mut numbers = BTreeSet::new();
    for (round, finalised) in [one, two, three] {
        assert_eq!(round.failed, []);
        numbers.extend(finalised.into_iter().map(|summary| summary.number));
    }
    let expected: BTreeSet<String> = (1..=18).map(|number| format!("TUP-{number:06}")).collect();
    assert_eq!(numbers, expected, "three months of six tenants, each by one runner");
    for tenant in tenants {
        let tx = db.tenant(tenant).await.expect("begins");
        let months: Vec<_> = store::statements(&tx, tenant, None).await.expect("lists");
        let months: Vec<_> = months.iter().map(|summary| summary.period.start).collect();
        assert_eq!(months, ["2026-11-01T00:00:00Z", "2026-10-01T00:00:00Z", "2026-09-01T00:00:00Z"].map(at));
    }
    let owner = client(&url).await;
    let sum = "select count(*) from (select 1 from ledger_entry group by currency having sum(amount_micros) <> 0) off";
    let off: i64 = owner.query_one(sum, &[]).await.expect("sums").get(0);
    assert_eq!(off, 0);
}

#[tokio::test]
async fn a_run_that_fails_gives_its_number_back() {
    let db = database().await;
    let tenant = tenant(&db, false, "2026-10-01T00:00:00Z").await;
    let tx = db.tenant(tenant).await.expect("begins");
    let month = "2026-10".parse().expect("a month");
    let lost = store::finalise(&tx, tenant, month, at("2026-11-01T00:00:00Z")).await.expect("final, almost");
    assert_eq!(lost.number, "TUP-000001");
    drop(tx);
    let kept = finalise(&db, tenant, "2026-10", "2026-11-01T00:00:00Z").await.expect("final");
    assert_eq!(kept.number, "TUP-000001");
    let again = finalise(&db, tenant, "2026-10", "2026-12-01T00:00:00Z").await.expect("answered");
    assert_eq!(again, kept);
}

#[tokio::test]
async fn a_number_grows_wider_when_six_digits_are_used_up() {
    let url = migrated_database().await;
    let db = Db::connect(&url).await.expect("connects");
    let owner = client(&url).await;
    owner.batch_execute("update number_series set last_number = 999998").await.expect("nearly used up");
    for number in ["TUP-999999", "TUP-1000000"] {
        let tenant = tenant(&db, false, "2026-09-20T10:30:00Z").await;
        let summary = finalise(&db, tenant, "2026-09", "2026-10-02T00:00:00Z").await.expect("final");
        assert_eq!(summary.number, number);
        let tx = db.tenant(tenant).await.expect("begins");
        assert_eq!(store::statements(&tx, tenant, None).await.expect("lists")[0].number, number);
    }
}

/// Rows: a line that somebody tries to write, and the rule that refuses.
#[tokio::test]
async fn the_database_holds_lines_to_statements_prices_and_vendors() {
    let url = migrated_database().await;
    let db = Db::connect(&url).await.expect("connects");
    let tenant = tenant(&db, false, "2026-09-20T10:30:00Z").await;
    finalise(&db, tenant, "2026-09", "2026-10-02T00:00:00Z").await.expect("final");
    for (changed, constraint) in [
        ("statement_id", "statement_line_has_a_statement"),
        ("price_id", "statement_line_has_a_price"),
        ("vendor_id", "statement_line_has_a_vendor"),
    ] {
        let owner = client(&url).await;
        let sql = format!(
            "set tuppence.tenant = '{tenant}';
             insert into statement_line select (r).* from (
               select jsonb_populate_record(l, jsonb_build_object(
                 'line_id', gen_random_uuid(), 'position', 9, '{changed}', gen_random_uuid())) as r
                 from statement_line l limit 1) x"
        );
        let error = DbError::from(owner.batch_execute(&sql).await.expect_err(changed));
        assert_eq!(error.constraint(), Some(constraint), "{error}");
    }
}

#[tokio::test]
async fn months_become_final_in_order_and_not_before_they_end() {
    let db = database().await;
    let tenant = tenant(&db, false, "2026-10-01T00:00:00Z").await;
    for (month, now, reason) in [
        ("2026-10", "2026-10-31T23:59:59Z", "ends at 2026-11-01"),
        ("2026-11", "2027-01-01T00:00:00Z", "the open month is"),
        ("2026-09", "2027-01-01T00:00:00Z", "the open month is"),
    ] {
        let error = finalise(&db, tenant, month, now).await.expect_err(month);
        assert!(error.to_string().contains(reason), "{error}");
    }
}

#[tokio::test]
async fn a_job_waits_until_a_month_has_settled() {
    let db = database().await;
    tenant(&db, false, "2026-10-01T00:00:00Z").await;
    let (_, early) = round(&db, at("2026-11-01T00:59:59Z")).await;
    assert_eq!(early, []);
    let (_, late) = round(&db, at("2026-11-01T01:00:00Z")).await;
    assert_eq!(late.len(), 1);
    assert_eq!(late[0].total.amount(), "0.25");
}

#[tokio::test]
async fn a_late_fact_becomes_an_adjustment_line() {
    let db = database().await;
    let tenant = tenant(&db, false, "2026-09-01T00:00:00Z").await;
    let leg = call(&db, tenant, "Tea", &["Ada"], 0).await[0];
    let minutes = |hour, minutes: u64| (tenant, fact(leg, ParticipantMs, hour, minutes * 60_000));
    let record = async |facts: &[_]| {
        store::record_batch(&db, facts, at("2026-10-02T00:00:00Z")).await.expect("records")
    };
    record(&[minutes("2026-09-10T09:00:00Z", 990), minutes("2026-09-20T09:00:00Z", 30)]).await;
    finalise(&db, tenant, "2026-09", "2026-10-01T00:00:00Z").await.expect("final");
    // Later in October the node that was offline tells of ten more minutes; the allowance was used up already.
    record(&[minutes("2026-09-15T09:00:00Z", 10), minutes("2026-09-20T09:00:00Z", 30)]).await;
    let last = finalise(&db, tenant, "2026-10", "2026-11-01T00:00:00Z").await.expect("final");

    let tx = db.tenant(tenant).await.expect("begins");
    let statement = store::statement(&tx, tenant, last.statement_id).await.expect("reads").expect("exists");
    let line = statement.lines.iter().find(|line| line.kind == LineKind::Adjustment).expect("an adjustment");
    assert_eq!(line.for_month, Some("2026-09".parse().expect("a month")));
    assert_eq!((line.quantity, line.amount.micros), (Some(600_000), 500_000));
    assert!(line.description.contains("September 2026"), "{}", line.description);
    let of = store::StatementRef::Final(last.statement_id);
    let hours = store::line_hours(&tx, tenant, of, line.line_id, at("2026-11-01T00:00:00Z")).await;
    let hours = hours.expect("reads").expect("exists").hours;
    // The late ten minutes were still free when they were used; they took what the later hour had been given.
    let seen: Vec<_> = hours.iter().map(|hour| (hour.hour, hour.quantity, hour.amount.micros)).collect();
    assert_eq!(
        seen,
        [(at("2026-09-15T09:00:00Z"), Some(600_000), 0), (at("2026-09-20T09:00:00Z"), Some(0), 500_000),]
    );
    let first = store::statements(&tx, tenant, None).await.expect("lists").pop().expect("September");
    let first = store::statement(&tx, tenant, first.statement_id).await.expect("reads").expect("exists");
    assert_eq!(first.lines[1].quantity, Some(1_020 * 60_000), "what is final stays as it was");
    drop(tx);
    let next = finalise(&db, tenant, "2026-11", "2026-12-01T00:00:00Z").await.expect("final");
    let tx = db.tenant(tenant).await.expect("begins");
    let next = store::statement(&tx, tenant, next.statement_id).await.expect("reads").expect("exists");
    assert!(next.lines.iter().all(|line| line.kind != LineKind::Adjustment), "it is billed once");
}

/// While months become final, facts come in. Each is in its own month's statement or in an adjustment, never in both,
/// never in none.
#[tokio::test]
async fn facts_that_race_with_finalising_are_billed_once() {
    let db = database().await;
    let tenant = tenant(&db, true, "2026-09-01T00:00:00Z").await;
    let leg = call(&db, tenant, "Tea", &["Ada"], 0).await[0];
    let reporter = tokio::spawn({
        let db = db.clone();
        async move {
            for step in 1..=60_u64 {
                let quantity = step * 30 * 60_000;
                let facts = ["2026-09-10T09:00:00Z", "2026-10-10T09:00:00Z"]
                    .map(|hour| (tenant, fact(leg, ParticipantMs, hour, quantity)));
                store::record_batch(&db, &facts, at("2026-09-10T12:00:00Z")).await.expect("records");
            }
        }
    });
    for (month, now) in [("2026-09", "2026-10-01T00:00:00Z"), ("2026-10", "2026-11-01T00:00:00Z")] {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        finalise(&db, tenant, month, now).await.expect("final");
    }
    reporter.await.expect("reports");
    finalise(&db, tenant, "2026-11", "2026-12-01T00:00:00Z").await.expect("final");
    let tx = db.tenant(tenant).await.expect("begins");
    let (mut quantity, mut micros) = (0, 0);
    for summary in store::statements(&tx, tenant, None).await.expect("lists") {
        let statement =
            store::statement(&tx, tenant, summary.statement_id).await.expect("reads").expect("exists");
        for line in statement.lines.iter().filter(|line| line.meter == Some(ParticipantMs)) {
            quantity += line.quantity.expect("metered");
            micros += line.amount.micros;
        }
    }
    assert_eq!(quantity, 2 * 1_800 * 60_000);
    assert_eq!(micros, 2 * 800 * 50_000);
}

#[tokio::test]
async fn a_sandbox_clock_makes_every_month_final_that_it_passes() {
    let db = database().await;
    let tenant = tenant(&db, true, "2026-10-15T12:00:00Z").await;
    let now = at("2026-10-20T12:34:56Z");
    let advance = async |to: &str| {
        let tx = db.tenant(tenant).await.expect("begins");
        let advanced = store::advance_clock(&tx, tenant, at(to), now).await?;
        tx.commit().await.expect("commits");
        Ok::<_, AdvanceError>(advanced)
    };
    let advanced = advance("2027-01-01T00:00:00Z").await.expect("ahead");
    assert_eq!(advanced.clock.now, at("2027-01-01T00:34:56Z"), "in whole hours, rounded up");
    let numbers: Vec<_> = advanced.finalized.iter().map(|summary| summary.number.as_str()).collect();
    assert_eq!(numbers, ["TEST-000001", "TEST-000002", "TEST-000003"], "a rehearsal's own series");
    let starts: Vec<_> = advanced.finalized.iter().map(|summary| summary.period.start).collect();
    assert_eq!(starts, ["2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"].map(at));
    let same = advance("2027-01-01T00:34:56Z").await.expect("where it is");
    assert_eq!((same.clock, same.finalized), (advanced.clock, vec![]));
    assert!(matches!(advance("2026-12-31T00:00:00Z").await, Err(AdvanceError::Backwards(_))));
    assert!(matches!(advance("2030-01-02T00:00:00Z").await, Err(AdvanceError::TooFar(_))));
    assert_eq!(advance("2029-12-31T00:00:00Z").await.expect("36 months").finalized.len(), 35);
}

#[tokio::test]
async fn real_time_is_not_advanced() {
    let db = database().await;
    let tenant = tenant(&db, false, "2026-10-15T12:00:00Z").await;
    let tx = db.tenant(tenant).await.expect("begins");
    let refused =
        store::advance_clock(&tx, tenant, at("2027-01-01T00:00:00Z"), at("2026-10-20T12:00:00Z")).await;
    assert!(matches!(refused, Err(AdvanceError::NotSandbox)));
    tx.rollback().await.expect("goes on");
    let tx = db.tenant(tenant).await.expect("begins");
    let forced = tx.run("update tenant set clock_offset_hours = 5", &[]).await.expect_err("not even by hand");
    assert_eq!(forced.constraint(), Some("tenant_clock_offset_in_sandbox_only"));
}
