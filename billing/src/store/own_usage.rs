//! What accounts used of their businesses' own meters.

use super::row::stored;
use crate::{
    db::{DbError, Transaction},
    ids::{AccountId, TenantId},
    meter::Aggregation,
    period::{Hour, Month},
    price::Price,
    statement::Books,
    usage::{Meter, MeterName, Tally, Usage, hold},
};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use tokio_postgres::{Row, types::ToSql};
use uuid::Uuid;

/// A meter's month of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Wanted {
    pub(super) tenant: TenantId,
    pub(super) account: AccountId,
    pub(super) meter: MeterName,
    pub(super) month: Month,
}

/// The businesses' own meters that prices look at.
pub(super) fn meters_of<'a>(prices: impl IntoIterator<Item = &'a Price>) -> BTreeSet<MeterName> {
    prices.into_iter().filter_map(|price| price.meter()?.own()).collect()
}

/// What a statement of a month needs: of that month and of the late ones.
pub(super) fn wanted(tenant: TenantId, books: &Books, month: Month) -> Vec<Wanted> {
    let meters = meters_of(books.subscriptions.iter().flat_map(|subscription| &subscription.prices));
    let months: BTreeSet<Month> = books.late.iter().copied().chain([month]).collect();
    let account = books.account.account_id;
    let of_meter = |meter| months.iter().map(move |month| Wanted { tenant, account, meter, month: *month });
    meters.into_iter().flat_map(of_meter).collect()
}

/// Adds it to what is known of tenants, all of it or what one key reported; asks nothing where nothing is wanted.
pub(super) async fn add(
    tx: &Transaction,
    wanted: &[Wanted],
    key: Option<Uuid>,
    usage: &mut BTreeMap<TenantId, Usage>,
) -> Result<(), DbError> {
    if wanted.is_empty() {
        return Ok(());
    }
    let names: Vec<String> = wanted.iter().map(|it| it.meter.to_string()).collect();
    let tenants: Vec<Uuid> = wanted.iter().map(|it| it.tenant.0).collect();
    let accounts: Vec<Uuid> = wanted.iter().map(|it| it.account.0).collect();
    let starts: Vec<Timestamp> = wanted.iter().map(|it| it.month.start()).collect();
    let ends: Vec<Timestamp> = wanted.iter().map(|it| it.month.end()).collect();
    let params: [&(dyn ToSql + Sync); 6] = [&tenants, &accounts, &names, &starts, &ends, &key];
    for row in tx.all(include_str!("own_usage.sql"), &params).await? {
        let tenant = TenantId(row.get("tenant_id"));
        let (hour, tally) = (Hour::of(row.get("hour")), tally(&row)?);
        usage.entry(tenant).or_default().tally(Meter::Own(name(&row)?), hour, &tally);
    }
    for ((tenant, meter, month), series) in levels(tx, &params).await? {
        let mut tallies = BTreeMap::new();
        series.values().for_each(|changes| hold(changes, month.hours(), &mut tallies));
        let usage = usage.entry(tenant).or_default();
        tallies.iter().for_each(|(hour, tally)| usage.tally(Meter::Own(meter), *hour, tally));
    }
    Ok(())
}

fn name(row: &Row) -> Result<MeterName, DbError> {
    row.get::<_, &str>("meter").parse().map_err(stored)
}

fn tally(row: &Row) -> Result<Tally, DbError> {
    let aggregation: Aggregation = row.get::<_, &str>("aggregation").parse().map_err(stored)?;
    Ok(match row.get::<_, Option<Vec<Uuid>>>("items") {
        Some(items) => Tally::Unique(items.iter().map(Uuid::as_u128).collect()),
        None => aggregation.tally(row.get("quantity"), None),
    })
}

/// The changes of each combination of dimensions, in order.
pub(super) type Series = BTreeMap<Vec<String>, Vec<(Timestamp, i64)>>;

async fn levels(
    tx: &Transaction,
    params: &[&(dyn ToSql + Sync)],
) -> Result<BTreeMap<(TenantId, MeterName, Month), Series>, DbError> {
    let mut all: BTreeMap<_, Series> = BTreeMap::new();
    for row in tx.all(include_str!("levels.sql"), params).await? {
        let month = Month::of(row.get("month_start"));
        let series = all.entry((TenantId(row.get("tenant_id")), name(&row)?, month)).or_default();
        series.entry(row.get("dimensions")).or_default().push((row.get("at"), row.get("quantity")));
    }
    Ok(all)
}

/// The series of a meter of an account that are set in a time or came into it.
pub(super) async fn series(
    tx: &Transaction,
    tenant: TenantId,
    account: AccountId,
    meter: Meter,
    (from, to): (Timestamp, Timestamp),
) -> Result<Series, DbError> {
    let params: [&(dyn ToSql + Sync); 6] =
        [&vec![tenant.0], &vec![account.0], &vec![meter.as_str()], &vec![from], &vec![to], &None::<Uuid>];
    Ok(levels(tx, &params).await?.into_values().next().unwrap_or_default())
}
