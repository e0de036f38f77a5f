//! One call, from its counters to the statement and back.

use crate::support::{at, call, database, fact, tenant};
use billing::{
    TenantId,
    db::Db,
    money::Money,
    statement::{LineKind, Status},
    store::{self, StatementRef},
    usage::Meter::{EgressBytes, ParticipantMs},
};

const NOW: &str = "2026-10-10T11:30:00Z";

/// Every line is the sum of its hours, every metered hour the sum of its calls.
async fn comes_apart(db: &Db, tenant: TenantId, of: StatementRef, now: &str) {
    let tx = db.tenant(tenant).await.expect("begins");
    let statement = match of {
        StatementRef::Draft => store::draft(&tx, tenant, None, at(now)).await.expect("drafts"),
        StatementRef::Final(id) => store::statement(&tx, tenant, id).await.expect("reads").expect("exists"),
    };
    let lines = Money::sum(statement.currency, statement.lines.iter().map(|line| line.amount)).expect("adds");
    assert_eq!(lines, statement.subtotal);
    for line in &statement.lines {
        let hours =
            store::line_hours(&tx, tenant, of, line.line_id, at(now)).await.expect("reads").expect("exists");
        let sum = Money::sum(statement.currency, hours.hours.iter().map(|hour| hour.amount)).expect("adds");
        assert_eq!(sum, line.amount, "{}", line.description);
        if line.kind == LineKind::Recurring {
            assert_eq!(Some(hours.hours.len() as i64), line.quantity);
            continue;
        }
        assert_eq!(
            hours.hours.iter().filter_map(|hour| hour.quantity).sum::<i64>(),
            line.quantity.expect("metered")
        );
        for hour in hours.hours {
            let calls = store::hour_calls(&tx, tenant, of, line.line_id, hour.hour, at(now)).await;
            let calls = calls.expect("reads").expect("exists").calls;
            assert_eq!(Some(calls.iter().map(|call| call.quantity).sum::<i64>()), hour.quantity);
            for call in calls {
                assert_eq!(call.participants.iter().map(|it| it.quantity).sum::<i64>(), call.quantity);
            }
        }
    }
}

#[tokio::test]
async fn a_statement_comes_apart_down_to_the_call() {
    let db = database().await;
    let tenant = tenant(&db, false, "2026-10-01T00:00:00Z").await;
    let tea = call(&db, tenant, "Tea", &["Ada", "Bob"], 0).await;
    let cake = call(&db, tenant, "Cake", &["Cat"], 0).await;
    let minutes = 60_000;
    let facts = [
        fact(tea[0], ParticipantMs, "2026-10-10T09:00:00Z", 600 * minutes),
        fact(tea[1], ParticipantMs, "2026-10-10T09:00:00Z", 300 * minutes),
        fact(cake[0], ParticipantMs, "2026-10-10T09:00:00Z", 50 * minutes),
        fact(tea[0], ParticipantMs, "2026-10-10T10:00:00Z", 150 * minutes),
        fact(cake[0], EgressBytes, "2026-10-10T10:00:00Z", 10_500_000_000),
    ];
    store::record_batch(&db, &facts.map(|fact| (tenant, fact)), at(NOW)).await.expect("records");

    let tx = db.tenant(tenant).await.expect("begins");
    let draft = store::draft(&tx, tenant, None, at(NOW)).await.expect("drafts");
    assert_eq!((draft.status, draft.account.name.as_str()), (Status::Draft, "Bakery"));
    let amounts: Vec<_> = draft.lines.iter().map(|line| (line.kind.as_str(), line.amount.micros)).collect();
    // 228 of 744 hours of 25 ¢; 100 minutes beyond 1,000 at 0.05 ¢; half a GB beyond 10 at 1 ¢.
    assert_eq!(amounts, [("recurring", 7_661_290), ("metered", 5_000_000), ("metered", 500_000)]);
    assert_eq!(draft.lines[1].rate.map(|rate| rate.micros), Some(50_000));
    assert_eq!(draft.lines[1].included, Some(60_000_000));
    assert_eq!((draft.total.micros, draft.carried_out.micros), (13_000_000, 161_290));

    let usage = store::usage_month(&tx, tenant, None, at(NOW)).await.expect("usage");
    let hours: Vec<_> =
        usage.hours.iter().map(|hour| (hour.participant_ms / minutes as i64, hour.amount.micros)).collect();
    assert_eq!(hours, [(950, 0), (150, 5_500_000)]);
    assert_eq!(usage.totals.amount.micros, 5_500_000);

    let at_nine = at("2026-10-10T09:00:00Z");
    let calls =
        store::hour_calls(&tx, tenant, StatementRef::Draft, draft.lines[1].line_id, at_nine, at(NOW)).await;
    let mut calls = calls.expect("reads").expect("exists").calls;
    calls.sort_by_key(|call| call.quantity);
    let titles: Vec<_> =
        calls.iter().map(|call| (call.room_title.as_str(), call.participants.len())).collect();
    assert_eq!(titles, [("Cake", 1), ("Tea", 2)]);
    drop(tx);
    comes_apart(&db, tenant, StatementRef::Draft, NOW).await;

    let tx = db.tenant(tenant).await.expect("begins");
    let month = "2026-10".parse().expect("a month");
    let last = store::finalise(&tx, tenant, month, at("2026-11-01T00:00:00Z")).await.expect("final");
    tx.commit().await.expect("commits");
    assert_eq!(last.total.amount(), "0.30", "25 ¢ and 5.5 ¢: half to even");
    comes_apart(&db, tenant, StatementRef::Final(last.statement_id), NOW).await;

    let tx = db.tenant(tenant).await.expect("begins");
    let statement = store::statement(&tx, tenant, last.statement_id).await.expect("reads").expect("exists");
    let names =
        |lines: &[billing::statement::Line]| lines.iter().map(|line| line.line_id).collect::<Vec<_>>();
    assert_eq!(names(&statement.lines), names(&draft.lines), "a line keeps its name");
    assert_eq!((statement.status, statement.number.as_deref()), (Status::Final, Some("TUP-000001")));
    assert_eq!(statement.carried_out.micros, 500_000);
    assert_eq!(statement.tab.after.amount(), "0.30");
    let unknown = store::line_hours(
        &tx,
        tenant,
        StatementRef::Draft,
        statement.lines[0].line_id,
        at("2026-11-02T00:00:00Z"),
    );
    assert_eq!(unknown.await.expect("reads"), None, "November's draft has lines of its own");
}

#[tokio::test]
async fn the_draft_is_of_the_month_that_is_still_open() {
    let db = database().await;
    let tenant = tenant(&db, false, "2026-09-01T00:00:00Z").await;
    let tx = db.tenant(tenant).await.expect("begins");
    let late = store::draft(&tx, tenant, None, at("2026-10-01T00:30:00Z")).await.expect("drafts");
    assert_eq!(late.period.start, at("2026-09-01T00:00:00Z"), "nobody has made September final yet");
    assert_eq!(late.total.amount(), "0.25");
    store::finalise_ended(&tx, tenant, at("2026-10-01T00:30:00Z"), at("2026-10-01T00:30:00Z"))
        .await
        .expect("final");
    let next = store::draft(&tx, tenant, None, at("2026-10-01T00:30:00Z")).await.expect("drafts");
    assert_eq!(next.period.start, at("2026-10-01T00:00:00Z"));
    assert_eq!(next.tab.before.amount(), "0.25");
    assert!(next.tab.collect.why.contains("below the 0.50 USD"), "{}", next.tab.collect.why);
}

#[tokio::test]
async fn a_short_demo_call_costs_visible_micros() {
    let db = database().await;
    let tenant = billing::TenantId(uuid::Uuid::from_u128(0xde30));
    let now = at("2026-10-10T09:00:00Z");
    let tx = db.tenant(tenant).await.expect("begins");
    let sql = "insert into tenant (tenant_id, name, sandbox, created_at) values ($1, 'Demo', true, $2)";
    tx.run(sql, &[&tenant.0, &now]).await.expect("a tenant");
    let first = store::open_account_on(&tx, tenant, "Demo", store::DEMO, now).await.expect("an account");
    let second =
        store::open_account_on(&tx, tenant, "Demo", store::DEMO, now).await.expect("the same account");
    assert_eq!(first, second);
    tx.commit().await.expect("commits");
    let legs = call(&db, tenant, "Demo", &["Ada", "Bob"], 0).await;
    let facts = [0, 1].map(|i| (tenant, fact(legs[i], ParticipantMs, "2026-10-10T09:00:00Z", 40_000)));
    store::record_batch(&db, &facts, now).await.expect("records");
    let traffic = [(tenant, fact(legs[0], EgressBytes, "2026-10-10T09:00:00Z", 3_000_000))];
    store::record_batch(&db, &traffic, now).await.expect("records");
    let tx = db.tenant(tenant).await.expect("begins");
    let draft = store::draft(&tx, tenant, None, at("2026-10-10T09:02:00Z")).await.expect("drafts");
    let amounts: Vec<_> = draft.lines.iter().map(|line| line.amount.micros).collect();
    assert_eq!(amounts, [33_602, 41_667, 2_000]);
}
