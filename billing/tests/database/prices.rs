//! Every kind of price goes from its row to a line, and the database keeps out rows that make no sense.

use crate::support::{at, call, client, fact, migrated_database, tenant};
use billing::{TenantId, db::Db, statement::Statement, store, usage::Meter::ParticipantMs};
use std::sync::atomic::{AtomicU32, Ordering};
use tokio_postgres::Client;
use uuid::Uuid;

const VENDOR: &str = "0199c000-0000-7000-8000-000000000001";

/// The columns of a price that differ between kinds, as SQL.
#[derive(Clone, Copy)]
struct Row {
    meter: &'static str,
    unit: &'static str,
    unit_size: i64,
    model: &'static str,
    up_to: &'static str,
    rates: &'static str,
    included: i64,
    minimum: &'static str,
    cap: &'static str,
}

const PER_MINUTE: Row = Row {
    meter: "'participant_ms'",
    unit: "minute",
    unit_size: 60_000,
    model: "per_unit",
    up_to: "{}",
    rates: "{400000}",
    included: 0,
    minimum: "null",
    cap: "null",
};
const MONTHLY: Row =
    Row { meter: "null", unit: "month", unit_size: 1, model: "graduated", rates: "{5000000}", ..PER_MINUTE };

fn new_id() -> Uuid {
    static COUNT: AtomicU32 = AtomicU32::new(1);
    Uuid::from_u128(0x9_1ce0_0000 + u128::from(COUNT.fetch_add(1, Ordering::Relaxed)))
}

/// A plan version with these prices; the first refusal, if there is one.
async fn plan(owner: &Client, rows: &[Row]) -> Result<Uuid, String> {
    let (plan, version) = (new_id(), new_id());
    let mut sql = format!(
        "begin; set local tuppence.scope = 'service';
         insert into plan values ('{plan}', '{VENDOR}', 'Test', now());
         insert into plan_version values ('{version}', '{plan}', 1, 'USD', now());"
    );
    for (position, row) in rows.iter().enumerate() {
        let Row { meter, unit, unit_size, model, up_to, rates, included, minimum, cap } = row;
        sql.push_str(&format!(
            "insert into price (price_id, plan_version_id, position, description, meter, unit, unit_size, model,
               tier_up_to, tier_rate_micros, included, minimum_micros, cap_micros, created_at)
             values ('{}', '{version}', {position}, '{model}', {meter}, '{unit}', {unit_size}, '{model}',
               '{up_to}', '{rates}', {included}, {minimum}, {cap}, now());",
            new_id()
        ));
    }
    let done = owner.batch_execute(&(sql + "commit;")).await;
    if let Err(error) = done {
        owner.batch_execute("rollback").await.expect("rolls back");
        let refusal = error.as_db_error().and_then(|error| error.constraint()).unwrap_or_default().to_owned();
        return Err(refusal);
    }
    Ok(version)
}

async fn subscribed(db: &Db, tenant: TenantId, version: Uuid, starts: &str) {
    let tx = db.tenant(tenant).await.expect("begins");
    let sql = "insert into subscription (tenant_id, account_id, subscription_id, plan_version_id, starts_at, created_at)
               select $1, account_id, gen_random_uuid(), $2, $3, $3 from account where tenant_id = $1";
    tx.run(sql, &[&tenant.0, &version, &at(starts)]).await.expect("a subscription");
    tx.commit().await.expect("commits");
}

async fn draft(db: &Db, tenant: TenantId, now: &str) -> Statement {
    let tx = db.tenant(tenant).await.expect("begins");
    store::draft(&tx, tenant, None, at(now)).await.expect("a draft")
}

/// Rows: a kind of price and what 100 minutes cost in all of October.
#[tokio::test]
async fn every_kind_of_price_goes_from_its_row_to_a_line() {
    let url = migrated_database().await;
    let (db, owner) = (Db::connect(&url).await.expect("connects"), client(&url).await);
    let yearly = Row { unit: "year", rates: "{12000000}", ..MONTHLY };
    let tiers = Row { up_to: "{3000000}", rates: "{50000,20000}", ..PER_MINUTE };
    let kinds = [
        (MONTHLY, 5_000_000, "graduated"),
        (yearly, 1_000_000, "graduated"),
        (PER_MINUTE, 40_000_000, "per_unit"),
        (Row { included: 5_400_000, ..PER_MINUTE }, 4_000_000, "per_unit"),
        (Row { model: "graduated", ..tiers }, 3_500_000, "graduated"),
        (Row { model: "volume", ..tiers }, 2_000_000, "volume"),
        (Row { model: "package", unit_size: 3_600_000, ..PER_MINUTE }, 800_000, "package"),
        (Row { model: "flat", ..PER_MINUTE }, 400_000, "flat"),
        (Row { model: "percentage", rates: "{25000}", ..PER_MINUTE }, 150_000, "percentage"),
        (Row { minimum: "99000000", ..PER_MINUTE }, 99_000_000, "per_unit, 0.99 USD a month at least"),
        (Row { cap: "9000000", ..PER_MINUTE }, 9_000_000, "per_unit, 0.09 USD a month at most"),
    ];
    let rows: Vec<Row> = kinds.iter().map(|(row, _, _)| *row).collect();
    let version = plan(&owner, &rows).await.expect("a plan version");
    let tenant = tenant(&db, true, "2026-10-01T00:00:00Z").await;
    subscribed(&db, tenant, version, "2026-10-01T00:00:00Z").await;
    let leg = call(&db, tenant, "Tea", &["Ada"], 0).await[0];
    let tx = db.tenant(tenant).await.expect("begins");
    let used = [
        fact(leg, ParticipantMs, "2026-10-05T10:00:00Z", 2_400_000),
        fact(leg, ParticipantMs, "2026-10-05T11:00:00Z", 3_600_000),
    ];
    store::record_facts(&tx, tenant, used, at("2026-10-05T12:00:00Z")).await.expect("recorded");
    tx.commit().await.expect("commits");
    let draft = draft(&db, tenant, "2026-10-31T23:59:59Z").await;
    let lines: Vec<(i64, &str)> = draft
        .lines
        .iter()
        .filter(|line| !line.description.contains("Tuppence") && !line.description.contains("included"))
        .map(|line| (line.amount.micros, line.description.as_str()))
        .collect();
    let expected: Vec<(i64, &str)> =
        kinds.iter().map(|(_, micros, description)| (*micros, *description)).collect();
    assert_eq!(lines, expected);
}

/// Rows: a price that makes no sense and the constraint that keeps it out.
#[tokio::test]
async fn the_database_keeps_out_prices_that_make_no_sense() {
    let owner = client(&migrated_database().await).await;
    for (row, constraint) in [
        (Row { model: "guess", ..PER_MINUTE }, "price_model_known"),
        (Row { included: -1, ..PER_MINUTE }, "price_includes_something_or_nothing"),
        (Row { minimum: "-1", ..PER_MINUTE }, "price_minimum_is_paid"),
        (Row { cap: "-1", ..PER_MINUTE }, "price_cap_is_paid"),
        (Row { minimum: "6", cap: "5", ..PER_MINUTE }, "price_cap_is_above_minimum"),
        (Row { up_to: "{5}", rates: "{1,2}", ..PER_MINUTE }, "price_only_tiers_have_bounds"),
        (Row { model: "percentage", rates: "{1000001}", ..PER_MINUTE }, "price_share_is_all_at_most"),
        (Row { unit: "week", ..MONTHLY }, "price_recurring_is_plain"),
        (Row { cap: "5", ..MONTHLY }, "price_recurring_is_plain"),
        (Row { rates: "{-1}", ..PER_MINUTE }, "price_never_falls"),
    ] {
        assert_eq!(plan(&owner, &[row]).await, Err(constraint.to_owned()), "{} {}", row.model, row.unit);
    }
}
