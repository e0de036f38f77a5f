//! Plans that a business makes, subscriptions to them and their changes, from the request's words to the statement and the
//! audit.

use crate::support::{at, call, client, database, fact, migrated_database, tenant};
use billing::{
    TenantId,
    audit::audit,
    catalogue::NewVersion,
    clock::Clock,
    db::{Db, Transaction},
    entitlement::Entitlements,
    ids::{AccountId, PlanVersionId, SubscriptionId},
    jobs,
    store::{self, Start, SubscribeError},
    subscription::{Change, ChangeRefused, Patch, State, When},
    usage::Meter::ParticipantMs,
};
use serde_json::{Value, json};

const NOVEMBER: &str = "2026-11-01T00:10:00Z";

fn seats(micros: i64) -> Value {
    json!({ "description": "Seats", "model": "per_unit", "every": "month", "per": "seat", "amount_micros": micros })
}

pub(crate) fn monthly(micros: i64) -> Value {
    json!({ "description": "Plan", "model": "flat", "every": "month", "amount_micros": micros })
}

fn minutes() -> Value {
    json!({
        "description": "Minutes", "model": "graduated", "meter": "participant_ms", "unit": "minute", "unit_size": 60_000,
        "tiers": [{ "up_to": 600_000, "amount_micros": 100_000 }, { "amount_micros": 50_000 }],
        "minimum_micros": 1_000_000,
    })
}

pub(crate) fn version(more: Value, prices: Vec<Value>) -> NewVersion {
    let mut version = json!({ "currency": "USD", "prices": prices });
    for (field, value) in more.as_object().expect("an object") {
        version[field] = value.clone();
    }
    serde_json::from_value(version).expect("fields that there are")
}

/// A plan of a new vendor with one version.
pub(crate) async fn sold(
    tx: &Transaction,
    tenant: TenantId,
    add_on: bool,
    new: &NewVersion,
) -> PlanVersionId {
    let now = at("2026-10-01T00:00:00Z");
    let vendors = store::vendors(tx).await.expect("reads");
    let vendor = match vendors.iter().find(|vendor| !vendor.is_operator) {
        Some(vendor) => vendor.vendor_id,
        None => store::insert_vendor(tx, tenant, "Shop", now).await.expect("writes").expect("room").vendor_id,
    };
    let plan =
        store::insert_plan(tx, tenant, vendor, "Plan", add_on, now).await.expect("writes").expect("its own");
    let made = store::insert_version(tx, tenant, plan.plan_id, new, now).await.expect("writes");
    made.expect("sound").expect("its own").plan_version_id
}

pub(crate) fn start(plan_version_id: PlanVersionId, seats: Option<u32>) -> Start {
    let quantities = Patch { seats, ..Patch::default() };
    Start { plan_version_id, account_id: None, sponsor_id: None, quantities }
}

pub(crate) async fn begin(
    tx: &Transaction,
    tenant: TenantId,
    start: Start,
    now: &str,
) -> Result<SubscriptionId, SubscribeError> {
    let considered = store::consider_start(tx, tenant, start, at(now)).await?;
    store::keep(tx, tenant, &considered, at(now)).await?;
    Ok(considered.then.subscription_id)
}

pub(crate) async fn change(
    tx: &Transaction,
    tenant: TenantId,
    id: SubscriptionId,
    change: Change,
    now: &str,
) -> Result<store::Considered, SubscribeError> {
    let considered = store::consider_change(tx, tenant, id, change, at(now)).await?;
    store::keep(tx, tenant, &considered, at(now)).await?;
    let kept = store::subscription(tx, tenant, id).await?.expect("it is there");
    assert_eq!(kept.history.timeline(), considered.then.history.timeline(), "it is read as it was kept");
    Ok(considered)
}

fn to_seats(seats: u32) -> Change {
    let quantities = Patch { seats: Some(seats), ..Patch::default() };
    Change::Change { plan_version_id: None, quantities, when: When::Now }
}

fn to_plan(plan: PlanVersionId, when: When) -> Change {
    Change::Change { plan_version_id: Some(plan), quantities: Patch::default(), when }
}

/// What the statement of November says about a subscription.
async fn billed(db: &Db, tenant: TenantId, id: SubscriptionId) -> i64 {
    let tx = db.tenant(tenant).await.expect("begins");
    let summaries = store::statements(&tx, tenant, None).await.expect("reads");
    let last = summaries.iter().find(|it| it.period.start == at("2026-11-01T00:00:00Z")).expect("final");
    let last = store::statement(&tx, tenant, last.statement_id).await.expect("reads").expect("is there");
    last.lines.iter().filter(|line| line.subscription_id == id).map(|line| line.amount.micros).sum()
}

/// Every kind of change, the preview of each, the statement that comes of it, and the audit that finds nothing.
#[tokio::test]
async fn previews_come_true_on_the_statement_and_the_audit_agrees() {
    let db = database().await;
    let tenant = tenant(&db, false, "2026-10-20T10:00:00Z").await;
    let leg = call(&db, tenant, "Tea", &["Ada"], 0).await[0];
    let tx = db.tenant(tenant).await.expect("begins");
    let used = fact(leg, ParticipantMs, "2026-11-02T10:00:00Z", 3_600_000);
    store::record_facts(&tx, tenant, [used], at("2026-11-02T11:00:00Z")).await.expect("records");
    let small =
        sold(&tx, tenant, false, &version(json!({}), vec![monthly(1_440_000), seats(720_000), minutes()]))
            .await;
    let large = sold(&tx, tenant, false, &version(json!({}), vec![seats(500_000)])).await;
    let id = begin(&tx, tenant, start(small, Some(3)), NOVEMBER).await.expect("begins");
    let mut last = None;
    for (now, wanted) in [
        ("2026-11-03T10:20:00Z", to_seats(5)),
        ("2026-11-03T10:40:00Z", to_seats(2)),
        ("2026-11-08T00:00:00Z", Change::Pause {}),
        ("2026-11-10T12:30:00Z", Change::Resume {}),
        ("2026-11-12T00:00:00Z", to_plan(large, When::PeriodEnd)),
        ("2026-11-13T17:00:00Z", to_plan(large, When::Now)),
        ("2026-11-15T00:00:00Z", to_plan(small, When::Now)),
        ("2026-11-20T07:07:07Z", Change::Cancel { when: When::PeriodEnd }),
    ] {
        last = Some(change(&tx, tenant, id, wanted, now).await.expect(now));
    }
    tx.commit().await.expect("commits");
    jobs::round(&db, &Clock::fixed(at("2026-12-02T00:00:00Z")), |_, _| {}).await.expect("a round");
    let preview = last.expect("changes").preview;
    assert_eq!(billed(&db, tenant, id).await, preview.this_month.after.micros);
    assert_eq!(preview.next_month.after.micros, 0, "it is over by then");
    let report = audit(&db, at("2026-12-02T00:00:00Z")).await.expect("an audit");
    assert_eq!(report.differences, []);
}

#[tokio::test]
async fn a_sponsor_pays_for_one_of_its_people() {
    let db = database().await;
    let tenant = tenant(&db, false, "2026-11-01T00:00:00Z").await;
    let tx = db.tenant(tenant).await.expect("begins");
    let plan = sold(&tx, tenant, false, &version(json!({}), vec![monthly(720_000)])).await;
    let ada = store::open_person(&tx, tenant, "Ada", billing::currency::Currency::USD, at(NOVEMBER)).await;
    let ada = ada.expect("opens").account_id;
    let business =
        store::account_of_tenant(&tx, tenant, None).await.expect("reads").expect("its own").account_id;
    let of_ada = Start { account_id: Some(ada), sponsor_id: Some(business), ..start(plan, None) };
    let id = begin(&tx, tenant, of_ada, NOVEMBER).await.expect("begins");
    let back = Change::Sponsor { account_id: ada };
    change(&tx, tenant, id, back, "2026-11-16T00:00:00Z").await.expect("Ada pays herself");
    tx.commit().await.expect("commits");
    jobs::round(&db, &Clock::fixed(at("2026-12-02T00:00:00Z")), |_, _| {}).await.expect("a round");
    assert_eq!(billed(&db, tenant, id).await, 361_000, "361 of 720 hours");
    let report = audit(&db, at("2026-12-02T00:00:00Z")).await.expect("an audit");
    assert_eq!(report.differences, []);
}

/// Rows: what is asked for and why it is refused.
#[tokio::test]
async fn what_cannot_be_subscribed_to_is_refused() {
    let db = database().await;
    let (tenant, other) =
        (tenant(&db, false, "2026-11-01T00:00:00Z").await, tenant(&db, false, "2026-11-01T00:00:00Z").await);
    let tx = db.tenant(other).await.expect("begins");
    let foreign = sold(&tx, other, false, &version(json!({}), vec![monthly(1)])).await;
    tx.commit().await.expect("commits");
    let tx = db.tenant(tenant).await.expect("begins");
    let metered = sold(&tx, tenant, false, &version(json!({}), vec![minutes()])).await;
    let by_seats = sold(&tx, tenant, false, &version(json!({}), vec![seats(1)])).await;
    let euros = sold(&tx, tenant, false, &version(json!({ "currency": "EUR" }), vec![monthly(1)])).await;
    let extra = sold(&tx, tenant, true, &version(json!({}), vec![monthly(1)])).await;
    let dear =
        sold(&tx, tenant, false, &version(json!({}), vec![monthly(i64::MAX), monthly(i64::MAX)])).await;
    let ada = store::open_person(&tx, tenant, "Ada", billing::currency::Currency::USD, at(NOVEMBER)).await;
    let ada = ada.expect("opens").account_id;
    let nobody = AccountId(uuid::Uuid::from_u128(404));
    for (start, why) in [
        (start(foreign, None), "there is no plan version"),
        (start(euros, None), "the plan is in EUR, but the account pays in USD"),
        (start(by_seats, None), "seats: the plan is priced by them"),
        (start(by_seats, Some(1_000_001)), "seats: 1,000,000 at most"),
        (start(metered, Some(1)), "seats: the plan has no price for them"),
        (Start { account_id: Some(ada), ..start(metered, None) }, "usage is measured for the business only"),
        (Start { sponsor_id: Some(ada), ..start(metered, None) }, "usage is measured for the business only"),
        (Start { account_id: Some(nobody), ..start(by_seats, Some(1)) }, "there is no such account"),
        (Start { sponsor_id: Some(nobody), ..start(by_seats, Some(1)) }, "there is no such account"),
        (start(extra, None), "an add-on is for accounts with a subscription of the same vendor"),
        (start(dear, None), "more than can be billed"),
    ] {
        let refused =
            store::consider_start(&tx, tenant, start, at(NOVEMBER)).await.expect_err(why).to_string();
        assert!(refused.contains(why), "{why}: {refused}");
    }
    begin(&tx, tenant, start(by_seats, Some(1)), NOVEMBER).await.expect("a plan of the vendor");
    begin(&tx, tenant, start(extra, None), NOVEMBER).await.expect("and what adds to it");
}

/// Rows: a change, of the add-on or of the plan beside it, and when; and why it is refused.
#[tokio::test]
async fn an_add_on_is_not_paid_without_what_it_adds_to() {
    let db = database().await;
    let tenant = tenant(&db, false, "2026-11-01T00:00:00Z").await;
    let tx = db.tenant(tenant).await.expect("begins");
    let [plan, other, extra] =
        [(false, 10), (false, 20), (true, 1)].map(|(add_on, cents)| (add_on, monthly(cents)));
    let plan = sold(&tx, tenant, plan.0, &version(json!({}), vec![plan.1])).await;
    let elsewhere = sold(&tx, tenant, other.0, &version(json!({}), vec![other.1])).await;
    let extra = sold(&tx, tenant, extra.0, &version(json!({}), vec![extra.1])).await;
    let plan_of = begin(&tx, tenant, start(plan, None), NOVEMBER).await.expect("a plan");
    let extra_of = begin(&tx, tenant, start(extra, None), NOVEMBER).await.expect("an add-on");
    let (now, month) = (Change::Cancel { when: When::Now }, Change::Cancel { when: When::PeriodEnd });
    let left = format!("subscription {extra_of} is an add-on to it and would be left without it");
    let nothing = "an add-on is for accounts with a subscription of the same vendor";
    for (day, of, what, why) in [
        (1, plan_of, now, Some(left.as_str())),
        (1, plan_of, month, Some(&left)),
        (1, plan_of, Change::Pause {}, Some(&left)),
        (1, plan_of, to_plan(extra, When::Now), Some(nothing)),
        (1, plan_of, to_plan(elsewhere, When::PeriodEnd), None),
        (2, extra_of, Change::Pause {}, None),
        (2, plan_of, Change::Pause {}, None),
        (3, extra_of, Change::Resume {}, Some(nothing)),
        (3, plan_of, Change::Resume {}, None),
        (3, extra_of, Change::Resume {}, None),
        (4, extra_of, month, None),
        (4, plan_of, now, Some(&left)),
        (4, plan_of, month, None),
        (5, extra_of, Change::Resume {}, Some(nothing)),
        (5, plan_of, Change::Resume {}, None),
        (5, extra_of, Change::Resume {}, None),
        (6, extra_of, now, None),
        (6, plan_of, now, None),
    ] {
        let done = change(&tx, tenant, of, what, &format!("2026-11-0{day}T12:00:00Z")).await;
        let said = done.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(
            said.contains(why.unwrap_or_default()) && said.is_empty() == why.is_none(),
            "{what:?}: {said}"
        );
    }
}

#[tokio::test]
async fn a_trial_is_given_once() {
    let db = database().await;
    let tenant = tenant(&db, false, "2026-11-01T00:00:00Z").await;
    let tx = db.tenant(tenant).await.expect("begins");
    let plan = sold(&tx, tenant, false, &version(json!({ "trial_days": 14 }), vec![monthly(720)])).await;
    let first = begin(&tx, tenant, start(plan, None), NOVEMBER).await.expect("begins");
    change(&tx, tenant, first, Change::Cancel { when: When::Now }, NOVEMBER).await.expect("ends");
    let again = store::consider_start(&tx, tenant, start(plan, None), at("2026-11-02T00:00:00Z")).await;
    let states: Vec<State> =
        again.expect("thought through").then.history.timeline().iter().map(|phase| phase.state).collect();
    assert_eq!(states, [State::Active]);
    let over = change(&tx, tenant, first, Change::Resume {}, "2026-11-02T00:00:00Z").await;
    assert!(matches!(over, Err(SubscribeError::Refused(ChangeRefused::Ended))), "{over:?}");
}

/// A version and a history are what they were when they were made, whoever tries.
#[tokio::test]
async fn the_database_keeps_versions_and_histories_as_they_were_made() {
    let url = migrated_database().await;
    let (db, owner) = (Db::connect(&url).await.expect("connects"), client(&url).await);
    let tenant = tenant(&db, false, "2026-11-01T00:00:00Z").await;
    let tx = db.tenant(tenant).await.expect("begins");
    let plan = sold(&tx, tenant, false, &version(json!({}), vec![seats(1)])).await;
    begin(&tx, tenant, start(plan, Some(1)), NOVEMBER).await.expect("begins");
    tx.commit().await.expect("commits");
    let add = format!(
        "insert into price (tenant_id, price_id, plan_version_id, position, description, unit, unit_size, tier_rate_micros, created_at)
         values ('{tenant}', gen_random_uuid(), '{plan}', 9, 'More', 'month', 1, '{{1}}', now())"
    );
    for (sql, constraint) in [
        (add.as_str(), "plan_version_is_sealed"),
        ("update price set included = 1", "price_is_append_only"),
        ("update plan_version set trial_days = 1", "plan_version_is_append_only"),
        ("update subscription_change set seats = 9", "subscription_change_is_append_only"),
        ("delete from subscription_change", "subscription_change_is_append_only"),
        ("truncate subscription_change", "subscription_change_is_append_only"),
    ] {
        let begin = format!("begin; set local tuppence.tenant = '{tenant}'; {sql}; commit");
        let error = owner.batch_execute(&begin).await.expect_err(sql);
        owner.batch_execute("rollback").await.expect("rolls back");
        assert_eq!(error.as_db_error().and_then(|it| it.constraint()), Some(constraint), "{sql}");
    }
    let stranger = TenantId(uuid::Uuid::from_u128(99));
    let tx = db.tenant(stranger).await.expect("begins");
    let plans = store::plans(&tx, None, 50).await.expect("reads");
    assert!(
        plans.iter().all(|plan| plan.name.starts_with("Tuppence")),
        "a stranger sees the operator's: {plans:?}"
    );
}

#[tokio::test]
async fn what_may_be_done_follows_what_is_subscribed_to() {
    let db = database().await;
    let tenant = tenant(&db, false, "2026-11-01T00:00:00Z").await;
    let tx = db.tenant(tenant).await.expect("begins");
    let may = async |now: &str| store::entitlements(&tx, tenant, at(now)).await.expect("reads");
    let business = may(NOVEMBER).await;
    assert_eq!(
        business,
        Entitlements { recording: true, ..Entitlements::UNLIMITED },
        "the operator limits nothing"
    );
    let own = store::subscriptions(&tx, tenant, None, 10).await.expect("reads")[0].subscription_id;
    let features = json!({ "features": { "rooms_max": 2, "participants_max": 4, "recording": false } });
    let plan = sold(&tx, tenant, false, &version(features, vec![monthly(1)])).await;
    change(&tx, tenant, own, to_plan(plan, When::Now), NOVEMBER).await.expect("another plan");
    let limited = may(NOVEMBER).await;
    assert_eq!((limited.rooms_max, limited.participants_max, limited.recording), (Some(2), Some(4), false));
    let more = json!({ "features": { "rooms_max": 10, "recording": true } });
    let extra = sold(&tx, tenant, true, &version(more, vec![monthly(1)])).await;
    let extra = begin(&tx, tenant, start(extra, None), NOVEMBER).await.expect("an add-on");
    assert_eq!(may(NOVEMBER).await.rooms_max, Some(12));
    for subscription in [extra, own] {
        change(&tx, tenant, subscription, Change::Pause {}, NOVEMBER).await.expect("pauses");
    }
    assert!(may("2026-11-01T00:59:00Z").await.calls, "the hour is paid");
    assert_eq!(may("2026-11-01T01:00:00Z").await, Entitlements::NOTHING);
    change(&tx, tenant, own, Change::Resume {}, "2026-11-05T00:00:00Z").await.expect("resumes");
    assert!(may("2026-11-05T00:00:00Z").await.calls);
}
