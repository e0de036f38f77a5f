//! Usage facts: the greatest wins, in the database as in the core.

use crate::support::{at, call, client, database, fact, migrated_database, tenant};
use billing::{
    TenantId,
    clock::Clock,
    db::Db,
    ids::LegId,
    store,
    usage::Meter::{EgressBytes, MessageCount, ParticipantMs},
};
use uuid::Uuid;

const NOW: &str = "2026-10-10T12:00:00Z";

async fn totals(db: &Db, tenant: TenantId, now: &str) -> (i64, i64, i64) {
    let tx = db.tenant(tenant).await.expect("begins");
    let usage = store::usage_month(&tx, tenant, None, at(now)).await.expect("usage");
    let totals = usage.totals;
    (totals.participant_ms, totals.egress_bytes, totals.message_count)
}

#[tokio::test]
async fn the_greatest_wins_whatever_comes_when() {
    let db = database().await;
    let tenant = tenant(&db, false, "2026-10-01T00:00:00Z").await;
    let legs = call(&db, tenant, "Tea", &["Ada", "Bob"], 0).await;
    let hour = "2026-10-10T09:00:00Z";
    let report = async |facts: Vec<(TenantId, billing::usage::Fact)>| {
        store::record_batch(&db, &facts, at(NOW)).await.expect("records").grown
    };
    let second = vec![
        (tenant, fact(legs[0], ParticipantMs, hour, 5_000)),
        (tenant, fact(legs[1], EgressBytes, hour, 70)),
        (tenant, fact(legs[1], MessageCount, hour, 3)),
    ];
    assert_eq!(report(second.clone()).await, 3);
    assert_eq!(report(second.clone()).await, 0, "a repetition grows nothing");
    assert_eq!(
        report(vec![(tenant, fact(legs[0], ParticipantMs, hour, 1_000))]).await,
        0,
        "nor does an old report"
    );
    let twice = vec![
        (tenant, fact(legs[0], ParticipantMs, hour, 6_000)),
        (tenant, fact(legs[0], ParticipantMs, hour, 5_500)),
        (tenant, fact(legs[0], ParticipantMs, "2026-10-10T10:00:00Z", 1)),
    ];
    assert_eq!(report(twice).await, 2, "one counter twice in a batch is one counter");
    assert_eq!(report(Vec::new()).await, 0);
    assert_eq!(totals(&db, tenant, NOW).await, (6_001, 70, 3));
}

#[tokio::test]
async fn many_reporters_at_once_give_the_same_as_one() {
    let db = database().await;
    let tenant = tenant(&db, false, "2026-10-01T00:00:00Z").await;
    let legs = call(&db, tenant, "Tea", &["Ada", "Bob", "Cat"], 0).await;
    let mut reporters = Vec::new();
    for shift in 0..8_u64 {
        let (db, legs) = (db.clone(), legs.clone());
        reporters.push(tokio::spawn(async move {
            for step in 0..20_u64 {
                let quantity = (step * 7 + shift * 13) % 101 * 1_000;
                let batch: Vec<_> = legs
                    .iter()
                    .map(|leg| (tenant, fact(*leg, ParticipantMs, "2026-10-10T09:00:00Z", quantity)))
                    .collect();
                store::record_batch(&db, &batch, at(NOW)).await.expect("records");
            }
        }));
    }
    for reporter in reporters {
        reporter.await.expect("reports");
    }
    let greatest = (0..8_u64).flat_map(|shift| (0..20).map(move |step| (step * 7 + shift * 13) % 101)).max();
    let expected = i64::try_from(greatest.expect("some")).expect("small") * 1_000 * 3;
    assert_eq!(totals(&db, tenant, NOW).await, (expected, 0, 0));
}

#[tokio::test]
async fn a_fact_without_its_leg_is_kept() {
    let db = database().await;
    let tenant = tenant(&db, false, "2026-10-01T00:00:00Z").await;
    let lost = fact(LegId(Uuid::max()), ParticipantMs, "2026-10-10T09:00:00Z", 42);
    store::record_batch(&db, &[(tenant, lost)], at(NOW)).await.expect("records");
    assert_eq!(totals(&db, tenant, NOW).await, (42, 0, 0));
}

#[tokio::test]
async fn a_fact_that_can_never_be_recorded_is_set_aside_and_holds_up_nobody() {
    let url = migrated_database().await;
    let db = Db::connect(&url).await.expect("connects");
    let tenant = tenant(&db, false, "2026-10-01T00:00:00Z").await;
    let known = fact(LegId(Uuid::max()), ParticipantMs, "2026-10-10T09:00:00Z", 42);
    let huge = fact(LegId(Uuid::nil()), ParticipantMs, "2026-10-10T09:00:00Z", u64::MAX);
    let batch =
        [(TenantId(Uuid::nil()), known), (tenant, known), (tenant, huge), (TenantId(Uuid::max()), known)];
    for again in 0..2 {
        let recorded = store::record_batch(&db, &batch, at(NOW)).await.expect("has an answer");
        assert_eq!(recorded, store::Recorded { grown: 1 - again, refused: 3 });
    }
    assert_eq!(totals(&db, tenant, NOW).await, (42, 0, 0));
    let owner = client(&url).await;
    let sql = "select tenant_id, quantity::text, reason from refused_fact order by 1";
    let aside = owner.query(sql, &[]).await.expect("reads");
    let quantities: Vec<String> = aside.iter().map(|row| row.get(1)).collect();
    assert_eq!(quantities, ["42", &u64::MAX.to_string(), "42"]);
    assert!(aside.iter().all(|row| !row.get::<_, String>(2).is_empty()), "each says why");
}

#[tokio::test]
async fn a_sandbox_leg_keeps_the_clock_it_began_with() {
    let db = database().await;
    let tenant = tenant(&db, true, "2026-10-01T00:00:00Z").await;
    let early = call(&db, tenant, "Before", &["Ada"], 0).await[0];
    let tx = db.tenant(tenant).await.expect("begins");
    store::advance_clock(&tx, tenant, at("2026-10-11T12:00:00Z"), at(NOW)).await.expect("a day ahead");
    tx.commit().await.expect("commits");
    let late = call(&db, tenant, "After", &["Ada"], 24).await[0];
    for quantity in [10, 20] {
        let hour = "2026-10-10T12:00:00Z";
        let facts = [early, late].map(|leg| (tenant, fact(leg, ParticipantMs, hour, quantity)));
        store::record_batch(&db, &facts, at(NOW)).await.expect("records");
    }
    let tx = db.tenant(tenant).await.expect("begins");
    let usage = store::usage_month(&tx, tenant, None, at(NOW)).await.expect("usage");
    let hours: Vec<_> = usage.hours.iter().map(|hour| (hour.hour, hour.participant_ms)).collect();
    assert_eq!(hours, [(at("2026-10-10T12:00:00Z"), 20), (at("2026-10-11T12:00:00Z"), 20)]);
}

#[tokio::test]
async fn months_get_their_partitions_and_need_none() {
    let url = migrated_database().await;
    let db = Db::connect(&url).await.expect("connects");
    let tenant = tenant(&db, false, "2026-10-01T00:00:00Z").await;
    let leg = call(&db, tenant, "Tea", &["Ada"], 0).await[0];
    let november = fact(leg, ParticipantMs, "2026-11-10T09:00:00Z", 1);
    store::record_batch(&db, &[(tenant, november)], at(NOW)).await.expect("records");
    billing::jobs::round(&db, &Clock::fixed(at(NOW)), |_, _| ()).await.expect("a round");
    billing::jobs::round(&db, &Clock::fixed(at(NOW)), |_, _| ()).await.expect("another one");
    let october = fact(leg, ParticipantMs, "2026-10-10T09:00:00Z", 2);
    store::record_batch(&db, &[(tenant, october)], at(NOW)).await.expect("records");
    let owner = client(&url).await;
    let sql = "select distinct tableoid::regclass::text from usage_fact order by 1";
    let rows = owner.query(sql, &[]).await.expect("reads");
    let partitions: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(partitions, ["usage_fact_2026_10", "usage_fact_default"]);
    assert_eq!(totals(&db, tenant, NOW).await, (2, 0, 0));
}
