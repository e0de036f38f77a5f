//! Loads what a statement is a function of.

use super::{
    StoreError,
    ledger::balance,
    row::{currency, hour, meter, money, month, stored},
};
use crate::{
    db::{DbError, Transaction},
    ids::{AccountId, PriceId, SubscriptionId, TenantId, VendorId},
    ledger::LedgerAccount,
    money::Money,
    period::{Hour, Month},
    price::{Every, Metered, Model, Price, Pricing, Tier, Tiers},
    statement::{Account, BilledLine, Books, Final},
    subscription::Subscription,
    usage::{Meter, Usage},
};
use jiff::{Timestamp, civil::Date};
use std::collections::BTreeSet;
use tokio_postgres::Row;

/// Everything but usage and what was billed for it.
pub(super) async fn open(tx: &Transaction, tenant: TenantId) -> Result<Books, StoreError> {
    let account = account(tx, tenant).await?;
    let ids = (tenant, account.account_id);
    let receivable = LedgerAccount::Receivable(account.account_id);
    let (subscriptions, finals, late, owed) = tokio::try_join!(
        subscriptions(tx, ids),
        finals(tx, ids),
        late_months(tx, ids),
        balance(tx, tenant, receivable, account.currency),
    )?;
    let (usage, billed) = (Usage::default(), Vec::new());
    Ok(Books { account, subscriptions, usage, late, finals, billed, owed })
}

/// Adds the usage of a month and of the late ones, and what was billed for the late ones.
pub(super) async fn fill(
    tx: &Transaction,
    tenant: TenantId,
    books: &mut Books,
    month: Month,
) -> Result<(), StoreError> {
    let months: BTreeSet<Month> = books.late.iter().copied().chain([month]).collect();
    let ids = (tenant, books.account.account_id);
    (books.usage, books.billed) = tokio::try_join!(usage(tx, tenant, &months), billed(tx, ids, &books.late))?;
    Ok(())
}

/// What a tenant used in some months, by the hour.
pub(super) async fn usage(
    tx: &Transaction,
    tenant: TenantId,
    months: &BTreeSet<Month>,
) -> Result<Usage, DbError> {
    let starts: Vec<Timestamp> = months.iter().map(|month| month.start()).collect();
    let ends: Vec<Timestamp> = months.iter().map(|month| month.end()).collect();
    let mut usage = Usage::default();
    for row in tx.all(include_str!("usage_by_hour.sql"), &[&tenant.0, &starts, &ends]).await? {
        if let Some(meter) = meter(&row)? {
            usage.add(meter, hour(&row), row.get("quantity"));
        }
    }
    Ok(usage)
}

async fn account(tx: &Transaction, tenant: TenantId) -> Result<Account, StoreError> {
    let row = tx.optional(include_str!("account.sql"), &[&tenant.0]).await?.ok_or(StoreError::NoAccount)?;
    let (account_id, name) = (AccountId(row.get("account_id")), row.get("name"));
    Ok(Account { account_id, name, currency: currency(&row)? })
}

async fn subscriptions(
    tx: &Transaction,
    (tenant, account): (TenantId, AccountId),
) -> Result<Vec<Subscription>, DbError> {
    let mut subscriptions: Vec<Subscription> = Vec::new();
    for row in tx.all(include_str!("subscriptions.sql"), &[&tenant.0, &account.0]).await? {
        let subscription_id = SubscriptionId(row.get("subscription_id"));
        let price = price(&row)?;
        match subscriptions.last_mut().filter(|last| last.subscription_id == subscription_id) {
            Some(last) => last.prices.push(price),
            None => subscriptions.push(Subscription {
                subscription_id,
                vendor_id: VendorId(row.get("vendor_id")),
                plan: row.get("plan"),
                starts: Hour::of(row.get("starts_at")),
                ends: row.get::<_, Option<Timestamp>>("ends_at").map(Hour::of),
                prices: vec![price],
                terms: Vec::new(),
            }),
        }
    }
    Ok(subscriptions)
}

fn price(row: &Row) -> Result<Price, DbError> {
    let price = Price {
        price_id: PriceId(row.get("price_id")),
        description: row.get("description"),
        pricing: match meter(row)? {
            None => Pricing::Recurring {
                amount: Money::micros(one_rate(row)?, currency(row)?),
                every: every(row)?,
            },
            Some(meter) => Pricing::Metered(metered(row, meter)?),
        },
    };
    // Whoever wrote it checked it; a price that makes no sense all the same must not be charged.
    price.check().map_err(stored)?;
    Ok(price)
}

fn every(row: &Row) -> Result<Every, DbError> {
    match row.get("unit") {
        "month" => Ok(Every::Month),
        "year" => Ok(Every::Year),
        other => Err(stored(format!("a recurring price is for a month or a year, not for a {other}"))),
    }
}

fn metered(row: &Row, meter: Meter) -> Result<Metered, DbError> {
    let currency = currency(row)?;
    let bound = |column| row.get::<_, Option<i64>>(column).map(|micros| Money::micros(micros, currency));
    Ok(Metered {
        meter,
        currency,
        unit: row.get("unit"),
        unit_size: row.get("unit_size"),
        included: row.get("included"),
        model: model(row)?,
        minimum: bound("minimum_micros"),
        cap: bound("cap_micros"),
    })
}

fn model(row: &Row) -> Result<Model, DbError> {
    Ok(match row.get("model") {
        "flat" => Model::Flat { micros: one_rate(row)? },
        "per_unit" => Model::PerUnit { micros: one_rate(row)? },
        "package" => Model::Package { micros: one_rate(row)? },
        "percentage" => Model::Percentage { millionths: one_rate(row)? },
        "graduated" => Model::Graduated(tiers(row)?),
        "volume" => Model::Volume(tiers(row)?),
        other => return Err(stored(format!("there is no price model {other}"))),
    })
}

/// The only rate of a price without tiers.
fn one_rate(row: &Row) -> Result<i64, DbError> {
    match row.get::<_, Vec<i64>>("tier_rate_micros")[..] {
        [rate] => Ok(rate),
        _ => Err(stored("a price without tiers has one rate")),
    }
}

fn tiers(row: &Row) -> Result<Tiers, DbError> {
    let bounds: Vec<i64> = row.get("tier_up_to");
    let rates: Vec<i64> = row.get("tier_rate_micros");
    let bounds = bounds.into_iter().map(Some).chain([None]);
    let tiers = bounds.zip(rates).map(|(up_to, rate_micros)| Tier { up_to, rate_micros });
    Tiers::new(tiers.collect()).map_err(stored)
}

async fn finals(tx: &Transaction, (tenant, account): (TenantId, AccountId)) -> Result<Vec<Final>, DbError> {
    let rows = tx.all(include_str!("finals.sql"), &[&tenant.0, &account.0]).await?;
    let read = |row: &Row| {
        let month = Month::of(row.get("period_start"));
        Ok(Final {
            month,
            total: money(row, "total_micros")?,
            carried_out: money(row, "carried_out_micros")?,
        })
    };
    rows.iter().map(read).collect()
}

async fn late_months(
    tx: &Transaction,
    (tenant, account): (TenantId, AccountId),
) -> Result<BTreeSet<Month>, DbError> {
    let rows = tx.all(include_str!("late_months.sql"), &[&tenant.0, &account.0]).await?;
    Ok(rows.iter().map(month).collect())
}

async fn billed(
    tx: &Transaction,
    (tenant, account): (TenantId, AccountId),
    months: &BTreeSet<Month>,
) -> Result<Vec<BilledLine>, DbError> {
    let days: Vec<Date> = months.iter().map(|month| month.first_day()).collect();
    let rows = tx.all(include_str!("billed_lines.sql"), &[&tenant.0, &account.0, &days]).await?;
    let read = |row: &Row| {
        Ok(BilledLine {
            subscription_id: SubscriptionId(row.get("subscription_id")),
            price_id: PriceId(row.get("price_id")),
            month: month(row),
            quantity: row.get("quantity"),
            amount: money(row, "amount_micros")?,
        })
    };
    rows.iter().map(read).collect()
}
