//! What is sold, in its tables.

use super::{
    StoreError, books,
    row::{currency, new_id, stored},
};
use crate::{
    catalogue::{NewVersion, Plan, PlanVersion, PriceTerms, PricedTerms, Refused, Vendor},
    db::{DbError, Transaction},
    entitlement::Features,
    ids::{PlanId, PlanVersionId, PriceId, TenantId, VendorId},
    money::Money,
    price::{Counted, Metered, Model, Price, Pricing},
    subscription::{Catalogue, Offer},
    tax::TaxTerms,
};
use jiff::Timestamp;
use std::collections::BTreeSet;
use tokio_postgres::{Row, types::ToSql};
use uuid::Uuid;

/// As many vendors as a tenant has.
pub(super) const VENDORS_MAX: i64 = 100;

/// The operator and a tenant's own vendors, oldest first.
pub async fn vendors(tx: &Transaction) -> Result<Vec<Vendor>, DbError> {
    let rows = tx.all(include_str!("vendors.sql"), &[&(VENDORS_MAX + 1)]).await?;
    let read = |row: &Row| Vendor {
        vendor_id: VendorId(row.get("vendor_id")),
        name: row.get("name"),
        is_operator: row.get("is_operator"),
        created_at: row.get("created_at"),
    };
    Ok(rows.iter().map(read).collect())
}

/// Makes a vendor of a tenant; `None` if it has as many as it may.
pub async fn insert_vendor(
    tx: &Transaction,
    tenant: TenantId,
    name: &str,
    now: Timestamp,
) -> Result<Option<Vendor>, DbError> {
    let count: i64 = tx.one(include_str!("count_vendors.sql"), &[&tenant.0]).await?.get("vendors");
    if count >= VENDORS_MAX {
        return Ok(None);
    }
    let vendor_id = VendorId(new_id(now));
    tx.run(include_str!("insert_vendor.sql"), &[&tenant.0, &vendor_id.0, &name, &now]).await?;
    Ok(Some(Vendor { vendor_id, name: name.to_owned(), is_operator: false, created_at: now }))
}

/// Makes a plan of one of a tenant's vendors; `None` if the vendor is not its own.
pub async fn insert_plan(
    tx: &Transaction,
    tenant: TenantId,
    vendor_id: VendorId,
    name: &str,
    add_on: bool,
    now: Timestamp,
) -> Result<Option<Plan>, DbError> {
    let plan_id = PlanId(new_id(now));
    let sql = include_str!("insert_plan.sql");
    let made = tx.run(sql, &[&tenant.0, &plan_id.0, &vendor_id.0, &name, &add_on, &now]).await?;
    let plan = Plan { plan_id, vendor_id, name: name.to_owned(), add_on, latest: None, created_at: now };
    Ok((made == 1).then_some(plan))
}

/// The operator's plans and a tenant's own, newest first, each with its newest version.
pub async fn plans(tx: &Transaction, cursor: Option<Uuid>, limit: i64) -> Result<Vec<Plan>, DbError> {
    read_plans(tx, cursor, limit, None).await
}

/// One of them.
pub async fn plan(tx: &Transaction, plan: PlanId) -> Result<Option<Plan>, DbError> {
    Ok(read_plans(tx, None, 1, Some(plan.0)).await?.pop())
}

async fn read_plans(
    tx: &Transaction,
    cursor: Option<Uuid>,
    limit: i64,
    plan: Option<Uuid>,
) -> Result<Vec<Plan>, DbError> {
    let rows = tx.all(include_str!("plans.sql"), &[&cursor, &limit, &plan]).await?;
    let latest: Vec<Uuid> = rows.iter().filter_map(|row| row.get("latest")).collect();
    let versions = versions(tx, None, Some(latest)).await?;
    let read = |row: &Row| {
        let plan_id = PlanId(row.get("plan_id"));
        Plan {
            plan_id,
            vendor_id: VendorId(row.get("vendor_id")),
            name: row.get("name"),
            add_on: row.get("add_on"),
            latest: versions.iter().map(|(version, _)| version).find(|it| it.plan_id == plan_id).cloned(),
            created_at: row.get("created_at"),
        }
    };
    Ok(rows.iter().map(read).collect())
}

/// All versions of a plan, newest first.
pub async fn plan_versions(tx: &Transaction, plan: PlanId) -> Result<Vec<PlanVersion>, DbError> {
    let versions = versions(tx, Some(plan.0), None).await?;
    Ok(versions.into_iter().map(|(version, _)| version).collect())
}

/// What some plan versions offer, as far as they are seen.
pub(super) async fn offers(tx: &Transaction, plans: BTreeSet<PlanVersionId>) -> Result<Catalogue, DbError> {
    let ids = plans.iter().map(|plan| plan.0).collect();
    let versions = versions(tx, None, Some(ids)).await?;
    Ok(versions.into_iter().map(|(version, offer)| (version.plan_version_id, offer)).collect())
}

/// What some plan versions allow.
pub(super) async fn features(
    tx: &Transaction,
    plans: BTreeSet<PlanVersionId>,
) -> Result<Vec<(PlanVersionId, Features, bool)>, DbError> {
    let ids = plans.iter().map(|plan| plan.0).collect();
    let versions = versions(tx, None, Some(ids)).await?;
    let of =
        |(version, offer): (PlanVersion, Offer)| (version.plan_version_id, version.features, offer.is_add_on);
    Ok(versions.into_iter().map(of).collect())
}

async fn versions(
    tx: &Transaction,
    plan: Option<Uuid>,
    versions: Option<Vec<Uuid>>,
) -> Result<Vec<(PlanVersion, Offer)>, DbError> {
    let mut all: Vec<(PlanVersion, Offer)> = Vec::new();
    for row in tx.all(include_str!("versions.sql"), &[&plan, &versions]).await? {
        let id = PlanVersionId(row.get("plan_version_id"));
        if all.last().is_none_or(|(last, _)| last.plan_version_id != id) {
            all.push(version(&row)?);
        }
        let price = books::price(&row)?;
        let terms = PricedTerms { price_id: price.price_id, terms: PriceTerms::of(&price) };
        if let Some((version, offer)) = all.last_mut() {
            version.prices.push(terms);
            offer.prices.push(price);
        }
    }
    Ok(all)
}

/// A version without its prices.
fn version(row: &Row) -> Result<(PlanVersion, Offer), DbError> {
    let features: Features = serde_json::from_str(row.get("features")).map_err(stored)?;
    let trial_days = row.get::<_, i32>("trial_days").unsigned_abs();
    let version = PlanVersion {
        plan_version_id: PlanVersionId(row.get("plan_version_id")),
        plan_id: PlanId(row.get("plan_id")),
        version: row.get("version"),
        currency: currency(row)?,
        tax: tax_terms(row)?,
        trial_days,
        features,
        prices: Vec::new(),
        created_at: row.get("created_at"),
    };
    let offer = Offer {
        vendor_id: VendorId(row.get("vendor_id")),
        plan_id: version.plan_id,
        plan: row.get("plan"),
        currency: version.currency,
        tax: version.tax,
        trial_days,
        is_add_on: row.get("add_on"),
        prices: Vec::new(),
    };
    Ok((version, offer))
}

/// How the row's prices stand to tax.
fn tax_terms(row: &Row) -> Result<TaxTerms, DbError> {
    let class = row.get::<_, &str>("tax_class").parse().map_err(stored)?;
    Ok(TaxTerms { class, prices_include_tax: row.get("prices_include_tax") })
}

/// Makes the next version of one of a tenant's plans: checked, numbered and sealed. `None` if the plan is not its own.
pub async fn insert_version(
    tx: &Transaction,
    tenant: TenantId,
    plan: PlanId,
    new: &NewVersion,
    now: Timestamp,
) -> Result<Result<Option<PlanVersion>, Refused>, StoreError> {
    let own = super::meters(tx, tenant).await?.iter().map(|meter| meter.key).collect();
    let (currency, prices) = match new.check(&own) {
        Ok(checked) => checked,
        Err(refused) => return Ok(Err(refused)),
    };
    tx.all(include_str!("lock_plan.sql"), &[&plan.0.to_string()]).await?;
    let id = PlanVersionId(new_id(now));
    let features = serde_json::to_string(&new.features).expect("features are plain JSON");
    let (code, trial_days) = (currency.code(), new.trial_days.cast_signed());
    let sql = include_str!("insert_version.sql");
    let (class, includes) = (new.tax.class.as_str(), new.tax.prices_include_tax);
    let params: [&(dyn ToSql + Sync); 9] =
        [&tenant.0, &id.0, &plan.0, &code, &trial_days, &features, &now, &class, &includes];
    let row = tx.optional(sql, &params).await?;
    let Some(row) = row else { return Ok(Ok(None)) };
    let mut version = PlanVersion {
        plan_version_id: id,
        plan_id: plan,
        version: row.get("version"),
        currency,
        tax: new.tax,
        trial_days: new.trial_days,
        features: new.features,
        prices: Vec::new(),
        created_at: now,
    };
    for (position, (description, pricing)) in (1..).zip(prices) {
        let price = Price { price_id: PriceId(new_id(now)), description, pricing };
        insert_price(tx, tenant, id, position, &price, now).await?;
        version.prices.push(PricedTerms { price_id: price.price_id, terms: PriceTerms::of(&price) });
    }
    Ok(Ok(Some(version)))
}

/// The columns in which kinds of prices differ.
struct Columns<'a> {
    meter: Option<&'a str>,
    unit: &'a str,
    unit_size: i64,
    model: &'static str,
    bounds: Vec<i64>,
    rates: Vec<i64>,
    included: i64,
    minimum: Option<i64>,
    cap: Option<i64>,
    per: &'static str,
}

impl<'a> Columns<'a> {
    fn of(pricing: &'a Pricing) -> Self {
        match pricing {
            Pricing::Recurring { amount, every } => {
                let model = Model::Flat { micros: amount.micros };
                Self { unit: every.as_str(), ..Self::of_model(&model, 0, None, None) }
            }
            Pricing::Counted(Counted { item, every, included, model, minimum, cap, .. }) => Self {
                unit: every.as_str(),
                per: item.as_str(),
                ..Self::of_model(model, *included, *minimum, *cap)
            },
            Pricing::Metered(Metered { meter, unit, unit_size, included, model, minimum, cap, .. }) => Self {
                meter: Some(meter.as_str()),
                unit,
                unit_size: *unit_size,
                ..Self::of_model(model, *included, *minimum, *cap)
            },
        }
    }

    fn of_model(model: &Model, included: i64, minimum: Option<Money>, cap: Option<Money>) -> Self {
        let (model, rate, tiers) = match model {
            Model::Flat { micros } => ("flat", *micros, None),
            Model::PerUnit { micros } => ("per_unit", *micros, None),
            Model::Package { micros } => ("package", *micros, None),
            Model::Percentage { millionths } => ("percentage", *millionths, None),
            Model::Graduated(tiers) => ("graduated", 0, Some(tiers)),
            Model::Volume(tiers) => ("volume", 0, Some(tiers)),
        };
        let rates =
            tiers.map_or(vec![rate], |tiers| tiers.as_slice().iter().map(|tier| tier.rate_micros).collect());
        let bounds =
            tiers.map_or(Vec::new(), |tiers| tiers.as_slice().iter().filter_map(|tier| tier.up_to).collect());
        let (minimum, cap) = (minimum.map(|bound| bound.micros), cap.map(|bound| bound.micros));
        let (meter, unit, unit_size, per) = (None, "", 1, "subscription");
        Self { meter, unit, unit_size, model, bounds, rates, included, minimum, cap, per }
    }
}

async fn insert_price(
    tx: &Transaction,
    tenant: TenantId,
    version: PlanVersionId,
    position: i32,
    price: &Price,
    now: Timestamp,
) -> Result<(), DbError> {
    let it = Columns::of(&price.pricing);
    tx.run(
        include_str!("insert_price.sql"),
        &[
            &tenant.0,
            &price.price_id.0,
            &version.0,
            &position,
            &price.description,
            &it.meter,
            &it.unit,
            &it.unit_size,
            &it.bounds,
            &it.rates,
            &it.model,
            &it.included,
            &it.minimum,
            &it.cap,
            &it.per,
            &now,
        ],
    )
    .await?;
    Ok(())
}
