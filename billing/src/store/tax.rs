//! Tax, in its tables.

use super::{StoreError, Who, clock::tenant_clock, finalise::lock, payers::who, row::stored};
use crate::{
    db::{DbError, Transaction},
    ids::{AccountId, TenantId},
    tax::{Buyer, Class, Country, Rates, TaxBooks, VatId},
};
use jiff::{Timestamp, civil::Date};
use std::{collections::BTreeMap, sync::Arc};
use tokio_postgres::{Row, types::ToSql};
use uuid::Uuid;

/// How accounts are taxed; those that said nothing are left out.
pub(super) async fn books(
    tx: &Transaction,
    of_each: &[&(dyn ToSql + Sync)],
) -> Result<BTreeMap<Who, TaxBooks>, DbError> {
    let buyers = tx.all(include_str!("tax_buyers.sql"), of_each).await?;
    let mut all: BTreeMap<Who, TaxBooks> = BTreeMap::new();
    if buyers.is_empty() {
        return Ok(all);
    }
    let sellers = sellers(tx).await?.into_iter().map(|it| (it.valid_from, it.country)).collect();
    let mut rates = Rates::default();
    for it in tax_rates(tx).await? {
        rates.add(it.country, it.class, it.valid_from, it.rate_millionths);
    }
    let known = TaxBooks { sellers, buyers: Vec::new(), rates: Arc::new(rates) };
    for row in &buyers {
        let books = all.entry(who(row)).or_insert_with(|| known.clone());
        books.buyers.push((row.get("valid_from"), buyer(row)?));
    }
    Ok(all)
}

fn buyer(row: &Row) -> Result<Buyer, DbError> {
    let country = country(row)?;
    let vat_id = row.get::<_, Option<&str>>("vat_id").map(|number| VatId::parse(number, country));
    Ok(Buyer { country, vat_id: vat_id.transpose().map_err(stored)?, exemption: row.get("exemption") })
}

pub(super) fn country(row: &Row) -> Result<Country, DbError> {
    row.get::<_, &str>("country").parse().map_err(stored)
}

/// A rate with where it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRate {
    /// Whose.
    pub country: Country,
    /// Standard or reduced.
    pub class: Class,
    /// The first day.
    pub valid_from: Date,
    /// 190,000 are 19 %.
    pub rate_millionths: i64,
    /// Where it was read.
    pub source: String,
}

/// All rates.
pub async fn tax_rates(tx: &Transaction) -> Result<Vec<StoredRate>, DbError> {
    let read = |row: &Row| {
        Ok(StoredRate {
            country: country(row)?,
            class: row.get::<_, &str>("class").parse().map_err(stored)?,
            valid_from: row.get("valid_from"),
            rate_millionths: row.get("rate_millionths"),
            source: row.get("source"),
        })
    };
    tx.all(include_str!("tax_rates.sql"), &[]).await?.iter().map(read).collect()
}

/// Adds a rate, in service scope. Says whether the day was free. A day before this month is refused by the constraint
/// `tax_rate_is_not_of_the_past`.
pub async fn insert_tax_rate(tx: &Transaction, rate: &StoredRate, now: Timestamp) -> Result<bool, DbError> {
    let StoredRate { country, class, valid_from, rate_millionths, source } = rate;
    let params: [&(dyn ToSql + Sync); 6] =
        [&country.code(), &class.as_str(), valid_from, rate_millionths, source, &now];
    Ok(tx.run(include_str!("insert_tax_rate.sql"), &params).await? == 1)
}

/// Where the seller is at home.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seller {
    /// From when on.
    pub valid_from: Timestamp,
    /// Where.
    pub country: Country,
    /// Its number there.
    pub vat_id: Option<String>,
}

/// Where the operator was at home, oldest first.
pub async fn sellers(tx: &Transaction) -> Result<Vec<Seller>, DbError> {
    let read = |row: &Row| {
        let country = country(row)?;
        Ok(Seller { valid_from: row.get("valid_from"), country, vat_id: row.get("vat_id") })
    };
    tx.all(include_str!("tax_sellers.sql"), &[]).await?.iter().map(read).collect()
}

/// Says where the operator is at home from now on, in service scope.
pub async fn insert_seller(
    tx: &Transaction,
    country: Country,
    vat_id: Option<&VatId>,
    now: Timestamp,
) -> Result<(), DbError> {
    let vat_id = vat_id.map(VatId::as_str);
    tx.run(include_str!("insert_seller.sql"), &[&now, &country.code(), &vat_id]).await?;
    Ok(())
}

/// What an account says of itself for the tax office, and from when on that counts; `None` where it said nothing.
pub async fn account_tax(
    tx: &Transaction,
    tenant: TenantId,
    account: AccountId,
) -> Result<Option<(Timestamp, Buyer)>, DbError> {
    let of_each: [&(dyn ToSql + Sync); 2] = [&vec![tenant.0], &vec![account.0]];
    let rows = tx.all(include_str!("tax_buyers.sql"), &of_each).await?;
    rows.last().map(|row| Ok((row.get("valid_from"), buyer(row)?))).transpose()
}

/// Says something else of an account, from now on: it counts for the month that is going on and all later ones. The answer
/// is from when on.
pub async fn set_account_tax(
    tx: &Transaction,
    tenant: TenantId,
    account: AccountId,
    buyer: &Buyer,
    now: Timestamp,
) -> Result<Timestamp, StoreError> {
    // A month that becomes final meanwhile would be taxed by neither what was nor what is.
    lock(tx, tenant).await?;
    let there = tenant_clock(tx, tenant, now).await?.now;
    let vat_id = buyer.vat_id.as_ref().map(VatId::as_str);
    let params: [&(dyn ToSql + Sync); 7] =
        [&tenant.0, &account.0, &there, &buyer.country.code(), &vat_id, &buyer.exemption, &now];
    let row = tx.one(include_str!("insert_account_tax.sql"), &params).await?;
    mark(tx, tenant, account.0).await?;
    Ok(row.get("valid_from"))
}

/// A close looks at this account's terms from now on.
pub(super) async fn mark(tx: &Transaction, tenant: TenantId, account: Uuid) -> Result<(), DbError> {
    tx.run(include_str!("mark_account.sql"), &[&tenant.0, &account]).await?;
    Ok(())
}
