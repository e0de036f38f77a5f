//! Spending caps in their tables, and what is spent of them.

use super::{
    StoreError, account_of_tenant, books,
    clock::tenant_clock,
    finalise::lock,
    own_usage::{self, Wanted},
    row::{money, new_id},
};
use crate::{
    cap::{Cap, spent},
    db::{DbError, Transaction},
    ids::TenantId,
    money::Money,
    period::Month,
    statement::Books,
    usage::Usage,
};
use jiff::{Timestamp, civil::Date};
use std::collections::BTreeMap;
use tokio_postgres::Row;
use uuid::Uuid;

/// As many warnings are listed.
const WARNINGS_MAX: i64 = 200;

/// A warning that a share of a cap is spent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CapWarning {
    /// Of which cap.
    pub cap_id: Uuid,
    /// Of which month.
    pub month: Month,
    /// Which share.
    pub percent: i16,
    /// What was spent when it was noticed.
    pub spent: Money,
    /// When that was, in the tenant's time.
    pub warned_at: Timestamp,
}

/// The caps of a tenant that are in force.
pub(super) async fn in_force(tx: &Transaction, tenant: TenantId) -> Result<Vec<Cap>, DbError> {
    tx.all(include_str!("caps.sql"), &[&tenant.0]).await?.iter().map(cap).collect()
}

fn cap(row: &Row) -> Result<Cap, DbError> {
    let (cap_id, key_id, created_at) = (row.get("cap_id"), row.get("key_id"), row.get("created_at"));
    Ok(Cap { cap_id, key_id, limit: money(row, "limit_micros")?, created_at })
}

/// The caps in force, with what is spent of each in the tenant's current month.
pub async fn caps(
    tx: &Transaction,
    tenant: TenantId,
    now: Timestamp,
) -> Result<Vec<(Cap, Money)>, StoreError> {
    let caps = in_force(tx, tenant).await?;
    let month = Month::of(tenant_clock(tx, tenant, now).await?.now);
    Ok(spending(tx, tenant, &caps, month).await?.into_iter().map(|(cap, spent)| (*cap, spent)).collect())
}

/// Sets a cap in place of the one before it, in the currency of the account; `None` if the tenant has no such key. No usage
/// comes in meanwhile.
pub async fn set_cap(
    tx: &Transaction,
    tenant: TenantId,
    key: Option<Uuid>,
    limit_micros: i64,
    now: Timestamp,
) -> Result<Option<Cap>, StoreError> {
    lock(tx, tenant).await?;
    let account = account_of_tenant(tx, tenant, None).await?.ok_or(StoreError::NoAccount)?;
    tx.run(include_str!("end_cap_of.sql"), &[&tenant.0, &account.account_id.0, &key, &now]).await?;
    let id = new_id(now);
    let made = tx
        .run(
            include_str!("insert_cap.sql"),
            &[&tenant.0, &id, &account.account_id.0, &key, &limit_micros, &account.currency.code(), &now],
        )
        .await?;
    let limit = Money::micros(limit_micros, account.currency);
    warn(tx, tenant, now).await?;
    Ok((made == 1).then_some(Cap { cap_id: id, key_id: key, limit, created_at: now }))
}

/// Ends a cap. Says whether there was one.
pub async fn end_cap(
    tx: &Transaction,
    tenant: TenantId,
    cap: Uuid,
    now: Timestamp,
) -> Result<bool, StoreError> {
    lock(tx, tenant).await?;
    Ok(tx.run(include_str!("end_cap.sql"), &[&tenant.0, &cap, &now]).await? == 1)
}

/// The last warnings, newest first.
pub async fn cap_warnings(tx: &Transaction, tenant: TenantId) -> Result<Vec<CapWarning>, DbError> {
    let read = |row: &Row| {
        Ok(CapWarning {
            cap_id: row.get("cap_id"),
            month: Month::of_day(row.get::<_, Date>("month")),
            percent: row.get("percent"),
            spent: money(row, "spent_micros")?,
            warned_at: row.get("warned_at"),
        })
    };
    tx.all(include_str!("cap_warnings.sql"), &[&tenant.0, &WARNINGS_MAX]).await?.iter().map(read).collect()
}

/// What is spent of some caps in a month.
pub(super) async fn spending<'a>(
    tx: &Transaction,
    tenant: TenantId,
    caps: &'a [Cap],
    month: Month,
) -> Result<Vec<(&'a Cap, Money)>, StoreError> {
    if caps.is_empty() {
        return Ok(Vec::new());
    }
    let books = books::open(tx, tenant, None).await?;
    let mut all = Vec::new();
    for cap in caps {
        let usage = usage(tx, tenant, &books, cap, month).await?;
        all.push((cap, spent(&books.subscriptions, &usage, books.account.currency, month)?));
    }
    Ok(all)
}

async fn usage(
    tx: &Transaction,
    tenant: TenantId,
    books: &Books,
    cap: &Cap,
    month: Month,
) -> Result<Usage, DbError> {
    let prices = books.subscriptions.iter().flat_map(|subscription| &subscription.prices);
    let account = books.account.account_id;
    let Some(key) = cap.key_id else { return books::usage(tx, tenant, account, prices, month).await };
    let of_meter = |meter| Wanted { tenant, account, meter, month };
    let wanted: Vec<Wanted> = own_usage::meters_of(prices).into_iter().map(of_meter).collect();
    let mut usage = BTreeMap::new();
    own_usage::add(tx, &wanted, Some(key), &mut usage).await?;
    Ok(usage.remove(&tenant).unwrap_or_default())
}

/// Writes down which shares of its caps a tenant has spent this month, each once.
pub(super) async fn warn(tx: &Transaction, tenant: TenantId, now: Timestamp) -> Result<(), StoreError> {
    let caps = in_force(tx, tenant).await?;
    if caps.is_empty() {
        return Ok(());
    }
    let at = tenant_clock(tx, tenant, now).await?.now;
    let month = Month::of(at);
    let spending = spending(tx, tenant, &caps, month).await?;
    for (cap, spent) in spending {
        for percent in cap.reached(spent) {
            let sql = include_str!("insert_cap_warning.sql");
            tx.run(sql, &[&tenant.0, &cap.cap_id, &month.first_day(), &percent, &spent.micros, &at]).await?;
        }
    }
    Ok(())
}

/// Is the cap on all usage of a tenant used up this month?
pub(super) async fn is_used_up(
    tx: &Transaction,
    tenant: TenantId,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let mut caps = in_force(tx, tenant).await?;
    caps.retain(|cap| cap.key_id.is_none());
    if caps.is_empty() {
        return Ok(false);
    }
    let month = Month::of(tenant_clock(tx, tenant, now).await?.now);
    Ok(spending(tx, tenant, &caps, month).await?.iter().any(|(cap, spent)| cap.is_used_up(*spent)))
}
