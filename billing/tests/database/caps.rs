//! Spending caps: enforced where usage is recorded, warned of once, felt at the door.

use crate::support::{at, call, database, fact, tenant};
use billing::{
    TenantId,
    audit::audit,
    cap::Cap,
    catalogue::NewVersion,
    db::Db,
    event::{self, EventRefused},
    meter::NewMeter,
    store::{self, Start},
    subscription::Patch,
    usage::Meter::ParticipantMs,
};
use serde_json::{Value, json};
use uuid::Uuid;

const NOW: &str = "2026-10-20T12:00:00Z";
/// What one token costs.
const TOKEN: i64 = 10_000;

/// A business that pays for tokens by the token.
async fn business(db: &Db) -> TenantId {
    let (tenant, now) = (tenant(db, false, "2026-10-01T00:00:00Z").await, at("2026-10-01T00:00:00Z"));
    let tx = db.tenant(tenant).await.expect("begins");
    let meter: NewMeter = serde_json::from_value(json!({
        "name": "tokens", "unit": "token", "event_type": "completion", "aggregation": "sum", "value_property": "tokens",
        "filters": [{ "property": "tier", "in": ["paid"] }],
    }))
    .expect("a meter");
    store::insert_meter(&tx, tenant, meter, now).await.expect("writes").expect("makes sense");
    let version: NewVersion = serde_json::from_value(json!({ "currency": "USD", "prices": [
        { "description": "Tokens", "model": "per_unit", "meter": "tokens", "unit": "token", "unit_size": 1, "amount_micros": TOKEN },
    ] }))
    .expect("a version");
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
    tenant
}

async fn key(db: &Db, tenant: TenantId) -> Uuid {
    let tx = db.tenant(tenant).await.expect("begins");
    let sql = "insert into api_key (tenant_id, key_id, kind, prefix, key_hash, created_at)
               values ($1, gen_random_uuid(), 'secret', 'sk_AAAAA', encode(sha256(gen_random_uuid()::text::bytea), 'hex'), now())
               returning key_id";
    let key = tx.one(sql, &[&tenant.0]).await.expect("a key").get(0);
    tx.commit().await.expect("commits");
    key
}

async fn cap(db: &Db, tenant: TenantId, key: Option<Uuid>, tokens: i64) -> Cap {
    let tx = db.tenant(tenant).await.expect("begins");
    let cap = store::set_cap(&tx, tenant, key, tokens * TOKEN, at(NOW))
        .await
        .expect("writes")
        .expect("a key of its own");
    tx.commit().await.expect("commits");
    cap
}

fn tokens(id: &str, tokens: i64) -> Value {
    json!({ "specversion": "1.0", "id": id, "source": "test", "type": "completion", "time": "2026-10-20T11:00:00Z",
            "data": { "tokens": tokens, "tier": "paid" } })
}

/// For each event whether it was taken; refusals are for the cap.
async fn record(db: &Db, tenant: TenantId, key: Option<Uuid>, events: &[Value]) -> Vec<bool> {
    let events = event::read_batch(json!(events).to_string().as_bytes()).expect("a list");
    let answers =
        store::record_events(db, tenant, key, events, at(NOW)).await.expect("the database is there");
    let taken = |answer: Result<(), EventRefused>| match answer {
        Ok(()) => true,
        Err(EventRefused::CapReached { .. }) => false,
        Err(other) => panic!("{other}"),
    };
    answers.into_iter().map(taken).collect()
}

/// What is spent of each cap, in tokens.
async fn spent(db: &Db, tenant: TenantId) -> Vec<i64> {
    let tx = db.tenant(tenant).await.expect("begins");
    let caps = store::caps(&tx, tenant, at(NOW)).await.expect("reads");
    caps.iter().map(|(_, spent)| spent.micros / TOKEN).collect()
}

/// Which shares were warned of, in the order of time.
async fn warnings(db: &Db, tenant: TenantId) -> Vec<(Uuid, i16)> {
    let tx = db.tenant(tenant).await.expect("begins");
    let warnings = store::cap_warnings(&tx, tenant).await.expect("reads");
    warnings.iter().rev().map(|it| (it.cap_id, it.percent)).collect()
}

#[tokio::test]
async fn a_cap_is_never_exceeded_and_each_share_is_warned_of_once() {
    let db = database().await;
    let tenant = business(&db).await;
    let cap_id = cap(&db, tenant, None, 100).await.cap_id;
    assert_eq!(record(&db, tenant, None, &[tokens("1", 49)]).await, [true]);
    assert_eq!(warnings(&db, tenant).await, []);
    assert_eq!(record(&db, tenant, None, &[tokens("2", 1), tokens("1", 49)]).await, [true, true]);
    assert_eq!((spent(&db, tenant).await, warnings(&db, tenant).await), (vec![50], vec![(cap_id, 50)]));
    // Of a batch that crosses it, what comes first and fits is taken, and nothing after the first that does not.
    let batch = [tokens("3", 30), tokens("4", 15), tokens("5", 6), tokens("6", 5), tokens("7", 1)];
    assert_eq!(record(&db, tenant, None, &batch).await, [true, true, false, false, false]);
    assert_eq!(spent(&db, tenant).await, [95]);
    assert_eq!(warnings(&db, tenant).await, [(cap_id, 50), (cap_id, 80)]);
    assert_eq!(record(&db, tenant, None, &[tokens("5", 6)]).await, [false]);
    assert_eq!(record(&db, tenant, None, &[tokens("6", 5)]).await, [true], "exactly all of it");
    assert_eq!(warnings(&db, tenant).await, [(cap_id, 50), (cap_id, 80), (cap_id, 100)]);
    // What is recorded, and what costs nothing, is taken all the same.
    let mut free = tokens("8", 1_000);
    free["data"]["tier"] = json!("free");
    assert_eq!(
        record(&db, tenant, None, &[tokens("3", 30), tokens("9", 1), free]).await,
        [true, false, true]
    );
    // A correction makes room.
    let mut correction = tokens("3!", 10);
    correction["corrects"] = json!("3");
    assert_eq!(record(&db, tenant, None, &[correction]).await, [true]);
    assert_eq!(spent(&db, tenant).await, [80]);
    assert_eq!(record(&db, tenant, None, &[tokens("5", 6)]).await, [true]);
    assert_eq!(warnings(&db, tenant).await.len(), 3, "each once");
    // A higher cap is another one.
    let higher = cap(&db, tenant, None, 160).await.cap_id;
    let warned = warnings(&db, tenant).await;
    assert!(warned.len() == 4 && warned.contains(&(higher, 50)), "{warned:?}");
    assert_eq!(record(&db, tenant, None, &[tokens("10", 74)]).await, [true]);
    assert_eq!(spent(&db, tenant).await, [160]);
    assert_eq!(audit(&db, at(NOW)).await.expect("an audit").differences, []);
}

/// Another event in place of one.
fn correction(id: &str, of: &str, count: i64) -> Value {
    let mut correction = tokens(id, count);
    correction["corrects"] = json!(of);
    correction
}

#[tokio::test]
async fn a_correction_makes_room_or_needs_it() {
    let db = database().await;
    let tenant = business(&db).await;
    let cap_id = cap(&db, tenant, None, 100).await.cap_id;
    assert_eq!(record(&db, tenant, None, &[tokens("1", 40), tokens("2", 40)]).await, [true, true]);
    assert_eq!(record(&db, tenant, None, &[correction("1!", "1", 61)]).await, [false]);
    assert_eq!((spent(&db, tenant).await, warnings(&db, tenant).await.len()), (vec![80], 2));
    // What a refused one would have corrected is still there to be corrected.
    assert_eq!(record(&db, tenant, None, &[correction("1?", "1", 60)]).await, [true]);
    assert_eq!(spent(&db, tenant).await, [100]);
    // In their order each by itself: the third fits into what the second gives back, the first found no room.
    let batch = [correction("1+", "1?", 61), correction("2!", "2", 10), correction("1*", "1?", 90)];
    assert_eq!(record(&db, tenant, None, &batch).await, [false, true, true]);
    assert_eq!(spent(&db, tenant).await, [100]);
    // Again it is there, and so it is taken.
    assert_eq!(record(&db, tenant, None, &batch[1..]).await, [true, true]);
    // Less costs less, also beyond a cap that was set lower since.
    cap(&db, tenant, None, 50).await;
    assert_eq!(record(&db, tenant, None, &[correction("1#", "1*", 89)]).await, [true]);
    // What was used in another month needs room there, whatever it gives back here.
    let mut earlier = correction("2+", "2!", 51);
    earlier["time"] = json!("2026-09-20T11:00:00Z");
    assert_eq!(record(&db, tenant, None, &[earlier.clone()]).await, [true], "nothing was sold in September");
    assert_eq!(warnings(&db, tenant).await.iter().filter(|(id, _)| *id == cap_id).count(), 3);
    assert_eq!(audit(&db, at(NOW)).await.expect("an audit").differences, []);
}

#[tokio::test]
async fn a_key_has_a_cap_of_its_own() {
    let db = database().await;
    let tenant = business(&db).await;
    let (one, other) = (key(&db, tenant).await, key(&db, tenant).await);
    cap(&db, tenant, Some(one), 10).await;
    assert_eq!(record(&db, tenant, Some(other), &[tokens("1", 1_000)]).await, [true]);
    assert_eq!(record(&db, tenant, Some(one), &[tokens("2", 10), tokens("3", 1)]).await, [true, false]);
    assert_eq!(record(&db, tenant, Some(other), &[tokens("3", 1)]).await, [true]);
    assert_eq!(spent(&db, tenant).await, [10]);
    // Whoever corrects it: it is taken back from the key that reported it.
    let mut correction = tokens("2!", 0);
    (correction["corrects"], correction["data"]) = (json!("2"), Value::Null);
    assert_eq!(record(&db, tenant, Some(other), &[correction]).await, [true]);
    assert_eq!(spent(&db, tenant).await, [0]);
    cap(&db, tenant, None, 1_004).await;
    assert_eq!(record(&db, tenant, Some(one), &[tokens("4", 4)]).await, [false], "1,001 of 1,004 are spent");
    assert_eq!(record(&db, tenant, Some(one), &[tokens("5", 3)]).await, [true]);
    let tx = db.tenant(tenant).await.expect("begins");
    let strange = store::set_cap(&tx, tenant, Some(Uuid::nil()), 1, at(NOW)).await.expect("asks");
    assert_eq!(strange, None, "a key that is not there");
}

#[tokio::test]
async fn calls_go_on_and_no_other_begins_once_the_cap_is_used_up() {
    let db = database().await;
    let tenant = business(&db).await;
    let leg = call(&db, tenant, "Tea", &["Ada"], 0).await[0];
    let cap_id = cap(&db, tenant, None, 100).await.cap_id;
    let allowed = async || {
        let tx = db.tenant(tenant).await.expect("begins");
        store::entitlements(&tx, tenant, at(NOW)).await.expect("reads")
    };
    assert!(allowed().await.calls && !allowed().await.spending_cap_reached);
    // 1,000 minutes are included, each beyond costs 0.05 cents: 20 of them are the cap.
    for (minutes, percent) in [(1_009, 0), (1_010, 50), (1_016, 80), (1_030, 100)] {
        let counted = fact(leg, ParticipantMs, "2026-10-20T10:00:00Z", minutes * 60_000);
        let recorded = store::record_batch(&db, &[(tenant, counted)], at(NOW)).await.expect("records");
        assert_eq!(
            (recorded.grown, recorded.refused),
            (1, 0),
            "what a call uses is recorded whatever it costs"
        );
        assert_eq!(warnings(&db, tenant).await.last().map_or(0, |(_, percent)| *percent), percent);
    }
    assert!(!allowed().await.calls && allowed().await.spending_cap_reached);
    assert_eq!(record(&db, tenant, None, &[tokens("1", 1)]).await, [false]);
    assert_eq!(spent(&db, tenant).await, [150]);
    let tx = db.tenant(tenant).await.expect("begins");
    assert!(store::end_cap(&tx, tenant, cap_id, at(NOW)).await.expect("writes"));
    assert!(!store::end_cap(&tx, tenant, cap_id, at(NOW)).await.expect("writes"), "it has ended");
    tx.commit().await.expect("commits");
    assert!(allowed().await.calls);
    assert_eq!(record(&db, tenant, None, &[tokens("1", 1)]).await, [true]);
}

/// Many writers at once spend no more together than one would.
#[tokio::test]
async fn writers_at_once_do_not_exceed_a_cap() {
    let db = database().await;
    let tenant = business(&db).await;
    cap(&db, tenant, None, 50).await;
    let writers = (0..6).map(|writer| {
        let db = db.clone();
        tokio::spawn(async move {
            let events: Vec<Value> = (0..20).map(|n| tokens(&format!("{writer}-{n}"), 1)).collect();
            record(&db, tenant, None, &events).await.into_iter().filter(|is_taken| *is_taken).count()
        })
    });
    let mut taken = 0;
    for writer in writers.collect::<Vec<_>>() {
        taken += writer.await.expect("a writer");
    }
    assert_eq!((taken, spent(&db, tenant).await), (50, vec![50]));
}
