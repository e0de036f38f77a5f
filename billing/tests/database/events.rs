//! What a business counts itself: from events over readings to statements and the audit.

use crate::support::{at, client, database, migrated_database, tenant};
use billing::{
    TenantId,
    audit::{Rule, audit},
    catalogue::NewVersion,
    clock::Clock,
    db::Db,
    event::{self, EventRefused},
    jobs,
    meter::NewMeter,
    store::{self, Start},
    subscription::Patch,
};
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const OCTOBER: &str = "2026-10-01T00:00:00Z";
const DECEMBER: &str = "2026-12-20T00:00:00Z";
const AGGREGATIONS: [&str; 5] = ["sum", "maximum", "latest", "unique_count", "time_weighted_sum"];

/// A meter of each aggregation, called like it and listening to a type of that name.
async fn meters(db: &Db, tenant: TenantId) {
    let tx = db.tenant(tenant).await.expect("begins");
    for aggregation in AGGREGATIONS {
        let terms = json!({
            "name": aggregation, "unit": "thing", "event_type": aggregation, "aggregation": aggregation,
            "value_property": "value", "dimensions": ["of"], "filters": [{ "property": "counts", "in": ["yes"] }],
        });
        let terms: NewMeter = serde_json::from_value(terms).expect("a meter");
        store::insert_meter(&tx, tenant, terms, at(OCTOBER)).await.expect("writes").expect("makes sense");
    }
    tx.commit().await.expect("commits");
}

/// Subscribes the business to a plan of its own with a price on each of its meters.
async fn subscribed(db: &Db, tenant: TenantId, from: &str) {
    let per_unit = |meter: &str| {
        json!({ "description": meter, "model": "per_unit", "meter": meter, "unit": "thing", "unit_size": 1,
                "amount_micros": 10_000 })
    };
    let mut prices: Vec<Value> = AGGREGATIONS.iter().map(|meter| per_unit(meter)).collect();
    prices[0] = json!({
        "description": "sum", "model": "graduated", "meter": "sum", "unit": "thing", "unit_size": 10,
        "tiers": [{ "up_to": 1_000, "amount_micros": 300_000 }, { "amount_micros": 100_001 }],
    });
    prices[1]["model"] = json!("volume");
    prices[1]["tiers"] = json!([{ "up_to": 50, "amount_micros": 20_000 }, { "amount_micros": 7_000 }]);
    prices[1].as_object_mut().expect("a price").remove("amount_micros");
    prices[2]["minimum_micros"] = json!(100_000);
    let version: NewVersion =
        serde_json::from_value(json!({ "currency": "USD", "prices": prices })).expect("a version");
    let tx = db.tenant(tenant).await.expect("begins");
    let now = at(from);
    let vendor =
        store::insert_vendor(&tx, tenant, "Shop", now).await.expect("writes").expect("room").vendor_id;
    let plan =
        store::insert_plan(&tx, tenant, vendor, "Plan", false, now).await.expect("writes").expect("own");
    let made = store::insert_version(&tx, tenant, plan.plan_id, &version, now).await.expect("writes");
    let plan_version_id = made.expect("sound").expect("own").plan_version_id;
    let start = Start { plan_version_id, account_id: None, sponsor_id: None, quantities: Patch::default() };
    let considered = store::consider_start(&tx, tenant, start, now).await.expect("may begin");
    store::keep(&tx, tenant, &considered, now).await.expect("begins");
    tx.commit().await.expect("commits");
}

fn event(kind: &str, id: &str, time: &str, value: Value) -> Value {
    json!({
        "specversion": "1.0", "id": id, "source": "test", "type": kind, "time": time,
        "data": { "value": value, "counts": "yes", "of": "a" },
    })
}

async fn record(db: &Db, tenant: TenantId, events: &[Value], now: &str) -> Vec<Result<(), EventRefused>> {
    let body = Value::Array(events.to_vec()).to_string();
    let events = event::read_batch(body.as_bytes()).expect("a list");
    store::record_events(db, tenant, None, events, at(now)).await.expect("the database is there")
}

async fn accepted(db: &Db, tenant: TenantId, events: &[Value], now: &str) {
    let answers = record(db, tenant, events, now).await;
    assert!(answers.len() == events.len() && answers.iter().all(Result::is_ok), "{answers:?}");
}

/// What the draft says of each meter: quantity and micros.
async fn drafted(db: &Db, tenant: TenantId, now: &str) -> BTreeMap<String, (i64, i64)> {
    let tx = db.tenant(tenant).await.expect("begins");
    let draft = store::draft(&tx, tenant, None, at(now)).await.expect("a draft");
    let of = |line: &billing::statement::Line| {
        let meter = line.meter.filter(|meter| meter.own().is_some())?.to_string();
        Some((meter, (line.quantity?, line.amount.micros)))
    };
    draft.lines.iter().filter_map(of).collect()
}

async fn differences(db: &Db, now: &str) -> Vec<billing::audit::Difference> {
    audit(db, at(now)).await.expect("an audit").differences
}

#[tokio::test]
async fn each_aggregation_is_billed_as_it_is_defined() {
    let db = database().await;
    let tenant = tenant(&db, false, OCTOBER).await;
    meters(&db, tenant).await;
    subscribed(&db, tenant, OCTOBER).await;
    let values = [
        ("1", "2026-10-05T10:00:00Z", 7),
        ("2", "2026-10-05T10:30:00Z", 9),
        ("3", "2026-10-07T10:00:00Z", 4),
    ];
    for kind in AGGREGATIONS {
        let id = |id: &str| format!("{kind}{id}");
        let events: Vec<Value> =
            values.iter().map(|(n, time, value)| event(kind, &id(n), time, json!(value))).collect();
        accepted(&db, tenant, &events, "2026-10-08T10:00:00Z").await;
        let mut elsewhere = event(kind, &id("4"), "2026-10-07T11:00:00Z", json!(1_000));
        elsewhere["data"]["counts"] = json!("no");
        accepted(&db, tenant, &[elsewhere], "2026-10-08T10:00:00Z").await;
    }
    let seen = drafted(&db, tenant, "2026-10-08T10:00:00Z").await;
    // Half an hour at 7, then 9 for 47.5 hours, then 4 for a day: 3.5 + 427.5 + 96.
    let expected =
        [("sum", 20), ("maximum", 9), ("latest", 4), ("unique_count", 3), ("time_weighted_sum", 527)];
    for (meter, quantity) in expected {
        assert_eq!(seen[meter].0, quantity, "{meter}: {seen:?}");
    }
    assert_eq!(seen["sum"].1, 600_000, "2 units of 10");
    assert_eq!(seen["maximum"].1, 180_000);
    assert_eq!(differences(&db, "2026-10-08T10:00:00Z").await, []);
    // A level lasts: all of November at 4, although nothing is reported.
    jobs::round(&db, &Clock::fixed(at("2026-11-01T02:00:00Z")), |_, _| ()).await.expect("a round");
    let seen = drafted(&db, tenant, "2026-11-30T23:59:59Z").await;
    assert_eq!((seen["time_weighted_sum"].0, seen["sum"].0, seen["latest"].0), (4 * 720, 0, 0));
    assert_eq!(differences(&db, "2026-11-30T23:59:59Z").await, []);
}

#[tokio::test]
async fn the_hours_of_every_aggregation_add_up_to_its_line() {
    let db = database().await;
    let tenant = tenant(&db, false, OCTOBER).await;
    meters(&db, tenant).await;
    // Before the subscription nothing counts.
    let early = |kind: &str| event(kind, &format!("{kind}0"), "2026-10-02T10:00:00Z", json!(100));
    accepted(&db, tenant, &AGGREGATIONS.map(early), "2026-10-03T00:00:00Z").await;
    subscribed(&db, tenant, "2026-10-04T00:00:00Z").await;
    for (n, value) in [30, 60, 10, 60, 0].into_iter().enumerate() {
        let time = format!("2026-10-0{}T0{n}:12:34Z", n + 4);
        let of = |kind: &str| event(kind, &format!("{kind}{}", n + 1), &time, json!(value));
        accepted(&db, tenant, &AGGREGATIONS.map(of), "2026-10-09T00:00:00Z").await;
    }
    let now = at("2026-10-20T00:00:00Z");
    let tx = db.tenant(tenant).await.expect("begins");
    let draft = store::draft(&tx, tenant, None, now).await.expect("a draft");
    let mut checked = 0;
    for line in draft.lines.iter().filter(|line| line.meter.is_some_and(|meter| meter.own().is_some())) {
        let hours = store::line_hours(&tx, tenant, store::StatementRef::Draft, line.line_id, now).await;
        let hours = hours.expect("reads").expect("the line").hours;
        assert_eq!(hours.iter().map(|hour| hour.amount.micros).sum::<i64>(), line.amount.micros, "{line:?}");
        assert_eq!(
            hours.iter().filter_map(|hour| hour.quantity).sum::<i64>(),
            line.quantity.expect("metered")
        );
        checked += 1;
    }
    assert_eq!(checked, 5);
    drop(tx);
    let seen = drafted(&db, tenant, "2026-10-20T00:00:00Z").await;
    assert_eq!((seen["sum"].0, seen["maximum"].0, seen["latest"].0, seen["unique_count"].0), (160, 60, 0, 4));
    assert_eq!(differences(&db, "2026-10-20T00:00:00Z").await, []);
}

#[tokio::test]
async fn the_same_again_is_accepted_and_something_else_is_not() {
    let db = database().await;
    let (ours, theirs) = (tenant(&db, false, OCTOBER).await, tenant(&db, false, OCTOBER).await);
    meters(&db, ours).await;
    meters(&db, theirs).await;
    subscribed(&db, ours, OCTOBER).await;
    let one = event("sum", "1", "2026-10-05T10:00:00Z", json!(7));
    let changed = |field: &str, value: Value| {
        let mut event = one.clone();
        event[field] = value;
        event
    };
    accepted(&db, ours, &[one.clone(), one.clone()], "2026-10-05T11:00:00Z").await;
    accepted(&db, ours, std::slice::from_ref(&one), "2026-11-05T11:00:00Z").await;
    accepted(&db, ours, &[changed("time", json!("2026-10-05T12:00:00+02:00"))], "2026-10-05T11:00:00Z").await;
    let reordered = json!({ "of": "a", "counts": "yes", "value": 7 });
    accepted(&db, ours, &[changed("data", reordered)], "2026-10-05T11:00:00Z").await;
    for other in [
        changed("time", json!("2026-10-05T10:00:01Z")),
        changed("type", json!("latest")),
        changed("data", json!({ "value": 8, "counts": "yes", "of": "a" })),
    ] {
        let answers = record(&db, ours, &[other.clone(), one.clone()], "2026-10-05T11:00:00Z").await;
        assert_eq!(answers, [Err(EventRefused::KeyReused), Ok(())], "{other}");
    }
    // Within one batch the first counts.
    let (two, other) = (event("sum", "2", OCTOBER, json!(5)), event("sum", "2", OCTOBER, json!(6)));
    let answers = record(&db, ours, &[two.clone(), other, two], "2026-10-05T11:00:00Z").await;
    assert_eq!(answers, [Ok(()), Err(EventRefused::KeyReused), Ok(())]);
    assert_eq!(drafted(&db, ours, "2026-10-06T00:00:00Z").await["sum"].0, 12);
    // Another source, another business: other events.
    accepted(&db, ours, &[changed("source", json!("elsewhere"))], "2026-10-05T11:00:00Z").await;
    accepted(&db, theirs, &[changed("data", json!({ "value": 1, "counts": "yes" }))], "2026-10-05T11:00:00Z")
        .await;
    assert_eq!(drafted(&db, ours, "2026-10-06T00:00:00Z").await["sum"].0, 19);
    assert_eq!(differences(&db, "2026-10-06T00:00:00Z").await, []);
}

#[tokio::test]
async fn what_is_refused_changes_nothing_and_the_rest_is_taken() {
    let db = database().await;
    let (ours, theirs) = (tenant(&db, false, OCTOBER).await, tenant(&db, false, OCTOBER).await);
    meters(&db, ours).await;
    let tx = db.tenant(theirs).await.expect("begins");
    let foreign =
        store::account_of_tenant(&tx, theirs, None).await.expect("reads").expect("an account").account_id;
    drop(tx);
    let mut about_them = event("sum", "2", OCTOBER, json!(1));
    about_them["subject"] = json!(foreign);
    let mut corrects_nothing = event("sum", "4", OCTOBER, json!(1));
    corrects_nothing["corrects"] = json!("nobody");
    let batch = [
        event("sum", "1", OCTOBER, json!(1)),
        about_them,
        event("sum", "3", OCTOBER, json!(-1)),
        corrects_nothing,
        event("rain", "5", OCTOBER, json!(1)),
        event("sum", "6", "2026-10-02T00:05:01Z", json!(1)),
        json!({ "id": "7" }),
        event("sum", "8", OCTOBER, json!(1)),
    ];
    let answers = record(&db, ours, &batch, "2026-10-02T00:00:00Z").await;
    let words: Vec<String> = answers
        .iter()
        .map(|answer| answer.as_ref().err().map_or(String::new(), ToString::to_string))
        .collect();
    for (place, word) in [
        (0, ""),
        (1, "subject: is no account of this business"),
        (2, "data.value: is below zero"),
        (3, "corrects: this source has reported no event \"nobody\""),
        (4, "no meter listens"),
        (5, "time: is more than 5 minutes in the future"),
        (6, "missing field"),
        (7, ""),
    ] {
        assert!(words[place].starts_with(word) && words[place].is_empty() == word.is_empty(), "{words:?}");
    }
    let tx = db.tenant(ours).await.expect("begins");
    let rows = tx.all("select id from event order by id", &[]).await.expect("reads");
    assert_eq!(rows.iter().map(|row| row.get::<_, &str>(0)).collect::<Vec<_>>(), ["1", "8"]);
    let read: i64 = tx.one("select sum(quantity)::bigint from reading", &[]).await.expect("reads").get(0);
    assert_eq!(read, 2);
}

/// Late facts and corrections of a final month stand on the next statement, for every aggregation.
#[tokio::test]
async fn what_is_late_or_corrected_is_adjusted() {
    let db = database().await;
    let tenant = tenant(&db, false, OCTOBER).await;
    meters(&db, tenant).await;
    subscribed(&db, tenant, OCTOBER).await;
    for kind in AGGREGATIONS {
        let events = [
            event(kind, &format!("{kind}1"), "2026-10-05T10:00:00Z", json!(40)),
            event(kind, &format!("{kind}2"), "2026-10-06T10:00:00Z", json!(90)),
        ];
        accepted(&db, tenant, &events, "2026-10-08T10:00:00Z").await;
    }
    jobs::round(&db, &Clock::fixed(at("2026-11-01T02:00:00Z")), |_, _| ()).await.expect("a round");
    for kind in AGGREGATIONS {
        let mut correction = event(kind, &format!("{kind}3"), "2026-10-06T10:00:00Z", json!(50));
        correction["corrects"] = json!(format!("{kind}2"));
        let late = event(kind, &format!("{kind}4"), "2026-10-05T09:00:00Z", json!(45));
        accepted(&db, tenant, &[correction.clone(), late], "2026-11-02T00:00:00Z").await;
        accepted(&db, tenant, std::slice::from_ref(&correction), "2026-11-03T00:00:00Z").await;
        let mut second = event(kind, &format!("{kind}5"), "2026-10-06T10:00:00Z", json!(51));
        second["corrects"] = json!(format!("{kind}2"));
        let answers = record(&db, tenant, &[second], "2026-11-03T00:00:00Z").await;
        assert!(
            answers[0].as_ref().is_err_and(|why| why.to_string().contains("was corrected by another")),
            "{answers:?}"
        );
    }
    assert_eq!(differences(&db, "2026-11-10T00:00:00Z").await, []);
    jobs::round(&db, &Clock::fixed(at("2026-12-01T02:00:00Z")), |_, _| ()).await.expect("a round");
    let october = billed(&db, tenant).await;
    // 45 at 9, 40 at 10, then 50 from the next day on to the end of the month.
    let held = 45 + 24 * 40 + (25 * 24 + 14) * 50;
    let expected =
        [("sum", 135), ("maximum", 50), ("latest", 50), ("unique_count", 3), ("time_weighted_sum", held)];
    for (meter, quantity) in expected {
        assert_eq!(october[&(meter.to_owned(), "2026-10".to_owned())].0, quantity, "{meter}: {october:?}");
    }
    assert_eq!(differences(&db, "2026-12-02T00:00:00Z").await, []);
}

/// What all final statements say about each own meter in each month: quantity and micros.
async fn billed(db: &Db, tenant: TenantId) -> BTreeMap<(String, String), (i64, i64)> {
    let tx = db.tenant(tenant).await.expect("begins");
    let mut all: BTreeMap<_, (i64, i64)> = BTreeMap::new();
    for summary in store::statements(&tx, tenant, None).await.expect("reads") {
        let statement =
            store::statement(&tx, tenant, summary.statement_id).await.expect("reads").expect("is there");
        for line in statement.lines {
            let Some(meter) = line.meter.filter(|meter| meter.own().is_some()) else { continue };
            let month = line
                .for_month
                .map_or_else(|| summary.period.start.to_string()[..7].to_owned(), |it| it.to_string());
            let sum = all.entry((meter.to_string(), month)).or_default();
            *sum = (sum.0 + line.quantity.unwrap_or(0), sum.1 + line.amount.micros);
        }
    }
    all
}

/// Rows: what a hand with all rights does to what was reported, and whether the audit notices.
#[tokio::test]
async fn a_hand_in_the_events_is_noticed() {
    for (sql, rule) in [
        ("update reading set quantity = quantity + 1 where meter = 'sum'", Rule::DraftBillsUsage),
        ("update reading set item = account_id where meter = 'unique_count'", Rule::DraftBillsUsage),
        ("delete from reading where meter = 'latest'", Rule::DraftBillsUsage),
        ("update event set data = replace(data, '40', '41') where id = 'maximum2'", Rule::DraftBillsUsage),
        (
            "update event set occurred_at = occurred_at - interval '1 hour' where id = 'time_weighted_sum2'",
            Rule::DraftBillsUsage,
        ),
        ("delete from event where id = 'sum1'", Rule::DraftBillsUsage),
        ("update meter set filters = '[]' where name = 'sum'", Rule::DraftBillsUsage),
        ("update event set corrects = 'sum1' where id = 'sum2'", Rule::DraftBillsUsage),
        ("update event set meters_known = 0 where id = 'sum1'", Rule::DraftBillsUsage),
    ] {
        let url = migrated_database().await;
        let db = Db::connect(&url).await.expect("connects");
        let tenant = tenant(&db, false, OCTOBER).await;
        meters(&db, tenant).await;
        subscribed(&db, tenant, OCTOBER).await;
        for kind in AGGREGATIONS {
            let mut other = event(kind, &format!("{kind}3"), "2026-10-06T11:00:00Z", json!(7));
            other["data"]["counts"] = json!("no");
            let events = [
                event(kind, &format!("{kind}1"), "2026-10-05T10:00:00Z", json!(70)),
                event(kind, &format!("{kind}2"), "2026-10-06T10:00:00Z", json!(40)),
                other,
                event(kind, &format!("{kind}4"), "2026-10-06T12:00:00Z", json!(70)),
            ];
            accepted(&db, tenant, &events, "2026-10-08T10:00:00Z").await;
        }
        assert_eq!(differences(&db, "2026-10-09T00:00:00Z").await, []);
        let hand = client(&url).await;
        hand.batch_execute(&format!("set session_replication_role = replica; {sql}")).await.expect("done");
        let found = differences(&db, "2026-10-09T00:00:00Z").await;
        // What was changed at the maximum is hidden behind a greater one, as it is for the payer.
        let is_hidden = sql.contains("maximum2");
        assert_eq!(found.iter().any(|difference| difference.rule == rule), !is_hidden, "{sql}: {found:?}");
    }
}

/// What the database itself refuses, whoever asks.
#[tokio::test]
async fn the_database_keeps_its_own_rules() {
    let url = migrated_database().await;
    let db = Db::connect(&url).await.expect("connects");
    let tenant = tenant(&db, false, OCTOBER).await;
    meters(&db, tenant).await;
    accepted(&db, tenant, &[event("sum", "1", OCTOBER, json!(1))], DECEMBER).await;
    let copy =
        |columns: &str| format!("insert into event select tenant_id, {columns} from event where id = '1'");
    let rest = "type, occurred_at, data, corrects, meters_known, received_at";
    let reading = |changes: &str| {
        format!(
            "insert into reading (tenant_id, account_id, meter, hour, at, dimensions, quantity)
                 select tenant_id, account_id, meter, {changes} from reading"
        )
    };
    for (sql, constraint) in [
        (copy(&format!("source, id, account_id, {rest}")), "event_pkey"),
        (copy(&format!("source, '2', gen_random_uuid(), {rest}")), "event_has_an_account"),
        (copy("source, '2', account_id, type, occurred_at, data, '2', meters_known, received_at"), "event_corrects_another"),
        ("update event set data = '{}'".to_owned(), "event_is_append_only"),
        ("update meter set unit = 'x'".to_owned(), "meter_is_append_only"),
        (reading("hour, at + interval '1 hour', dimensions, 1"), "reading_is_of_its_hour"),
        (reading("hour, at, dimensions, -1"), "reading_is_not_negative"),
        ("insert into meter select tenant_id, 9, 'egress_bytes', unit, event_type, aggregation, value_property, filters,
                 dimensions, created_at from meter limit 1".to_owned(), "meter_name_is_plain"),
        ("insert into meter select tenant_id, 9, 'more', unit, event_type, 'latest', null, filters,
                 dimensions, created_at from meter limit 1".to_owned(), "meter_only_sums_count_events"),
    ] {
        let owner = client(&url).await;
        let refused = owner.batch_execute(&sql).await.expect_err(constraint);
        let found = refused.as_db_error().and_then(|error| error.constraint());
        assert_eq!(found, Some(constraint), "{sql}: {refused:?}");
    }
}

/// An event of a kind at an hour, with a value, of a series; and perhaps a correction of it.
type Plan = (usize, i64, i64, bool, Option<(i64, bool)>);

fn events_of(plans: &[Plan]) -> Vec<Value> {
    let mut events = Vec::new();
    for (n, (kind, minute, value, other, correction)) in plans.iter().enumerate() {
        let time = |minute: i64| {
            Timestamp::from_second(at(OCTOBER).as_second() + minute * 60 + 7).expect("a time").to_string()
        };
        let mut made = event(AGGREGATIONS[*kind], &n.to_string(), &time(*minute), json!(value));
        made["data"]["of"] = json!(if *other { "b" } else { "a" });
        if let Some((value, is_taken_back)) = correction {
            let mut correction =
                event(AGGREGATIONS[*kind], &format!("{n}!"), &time(*minute + 61), json!(value));
            correction["corrects"] = json!(n.to_string());
            if *is_taken_back {
                correction["data"] = Value::Null;
            }
            events.push(correction);
        }
        events.push(made);
    }
    events
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 20, ..ProptestConfig::with_cases(10) })]

    /// One business reports everything in order before its months end. Another one reports the same in any order, in pieces,
    /// twice, and after months have become final. In the end both have been billed the same for each month, and the audit
    /// agrees with both.
    #[test]
    fn order_pieces_repetition_and_lateness_change_nothing(
        (plans, shuffled) in prop::collection::vec(
            (0_usize..5, 0_i64..100_000, 0_i64..200, any::<bool>(), prop::option::of((0_i64..200, any::<bool>()))), 1..40,
        ).prop_flat_map(|plans| {
            let events = events_of(&plans);
            let twice: Vec<Value> = events.iter().chain(&events).cloned().collect();
            (Just(plans), Just(twice).prop_shuffle())
        }),
        piece in 1_usize..30,
        october_after in 0_usize..80, november_after in 0_usize..80,
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let db = database().await;
            let (orderly, other) = (tenant(&db, false, OCTOBER).await, tenant(&db, false, OCTOBER).await);
            for tenant in [orderly, other] {
                meters(&db, tenant).await;
                subscribed(&db, tenant, "2026-10-03T00:00:00Z").await;
            }
            let mut ordered = events_of(&plans);
            ordered.sort_by_key(|event| event["corrects"].is_string());
            accepted(&db, orderly, &ordered, DECEMBER).await;
            let mut waiting = shuffled;
            let (mut sent, mut months) = (0, vec![(november_after.max(october_after), "2026-11"), (october_after, "2026-10")]);
            while !waiting.is_empty() {
                while months.last().is_some_and(|(after, _)| *after <= sent) {
                    close(&db, other, months.pop().expect("a month").1).await;
                }
                let batch: Vec<Value> = waiting.drain(..piece.min(waiting.len())).collect();
                let answers = record(&db, other, &batch, DECEMBER).await;
                // What came before the event that it corrects is sent again later.
                let refused = batch.iter().zip(&answers).filter(|(_, answer)| answer.is_err());
                waiting.extend(refused.map(|(event, _)| event.clone()));
                sent += batch.len();
            }
            while let Some((_, month)) = months.pop() {
                close(&db, other, month).await;
            }
            for month in ["2026-10", "2026-11"] {
                close(&db, orderly, month).await;
            }
            assert_eq!(differences(&db, DECEMBER).await, []);
            for tenant in [orderly, other] {
                close(&db, tenant, "2026-12").await;
            }
            assert_eq!(drop_zero(billed(&db, other).await), drop_zero(billed(&db, orderly).await));
            assert_eq!(differences(&db, "2027-01-02T00:00:00Z").await, []);
        });
    }
}

/// What each month of each meter was billed. A quantity that changes without costing anything makes no line.
fn drop_zero(billed: BTreeMap<(String, String), (i64, i64)>) -> BTreeMap<(String, String), i64> {
    billed.into_iter().map(|(key, (_, micros))| (key, micros)).collect()
}

async fn close(db: &Db, tenant: TenantId, month: &str) {
    let month = month.parse().expect("a month");
    let tx = db.tenant(tenant).await.expect("begins");
    store::finalise(&tx, tenant, month, at("2027-01-02T00:00:00Z")).await.expect("final");
    tx.commit().await.expect("commits");
}

/// The auditor holds the books of tenants with many events few at a time: it counts first, all that there are.
#[tokio::test]
async fn the_auditor_counts_events_and_accounts_before_it_reads_them() {
    let db = database().await;
    let (quiet, busy) = (tenant(&db, false, OCTOBER).await, tenant(&db, false, OCTOBER).await);
    meters(&db, busy).await;
    let mut events: Vec<Value> = (0..3).map(|id| event("sum", &id.to_string(), OCTOBER, json!(5))).collect();
    events[2]["corrects"] = json!("1");
    let answers = record(&db, busy, &events, OCTOBER).await;
    assert_eq!(answers, [Ok(()), Ok(()), Ok(())]);
    let counted = store::audit_weights(&db, &[busy, quiet]).await.expect("counts");
    assert_eq!(counted, [(busy, 53), (quiet, 50)], "and fifty for an account");
}
