//! Payouts: what vendors are owed, sent line by line.

use super::{
    StoreError,
    finalise::lock,
    ledger::post_as,
    refunds::end_outgoing,
    row::{currency, money, new_id, stored},
    settlements::once,
};
use crate::{
    collection::posting,
    currency::Currency,
    db::{DbError, Transaction},
    ids::{TenantId, VendorId},
    money::{MICROS_PER_MINOR, Money},
    payment::{Payout, PayoutLine},
    processor::{Answer, Order, What},
};
use jiff::Timestamp;
use tokio_postgres::Row;
use uuid::Uuid;

/// A vendor that is owed something and has said where it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payable {
    /// Of which business.
    pub tenant: TenantId,
    /// Which vendor.
    pub vendor: VendorId,
    /// What stands on its account.
    pub owed: Money,
    /// The place of where it goes in the vendor's list.
    destination: i32,
    /// The processor's name for that.
    token: String,
}

/// Where a vendor is paid from now on. False: it is no vendor of the tenant's own.
pub async fn name_destination(
    tx: &Transaction,
    (tenant, vendor): (TenantId, VendorId),
    processor: &str,
    (token, label): (&str, &str),
    at: Timestamp,
) -> Result<bool, StoreError> {
    lock(tx, tenant).await?;
    let sql = include_str!("insert_payout_destination.sql");
    Ok(tx.run(sql, &[&tenant.0, &vendor.0, &processor, &token, &label, &at]).await? == 1)
}

/// Vendors that are owed something, whoever's they are, in the order of tenant and vendor.
pub async fn payable_after(
    collecting: &Transaction,
    after: Option<&Payable>,
    limit: i64,
    processor: &str,
) -> Result<Vec<Payable>, DbError> {
    let sql = include_str!("payable.sql");
    // A vendor that is owed in two currencies may be on two pages.
    let tenant = after.map_or(Uuid::nil(), |it| it.tenant.0);
    let vendor = after.map_or(Uuid::nil(), |it| it.vendor.0);
    let currency = after.map_or("", |it| it.owed.currency.code());
    let rows = collecting.all(sql, &[&tenant, &vendor, &currency, &limit, &processor]).await?;
    let read = |row: &Row| {
        Ok(Payable {
            tenant: TenantId(row.get("tenant_id")),
            vendor: VendorId(row.get("vendor_id")),
            owed: money(row, "micros")?,
            destination: row.get("sequence"),
            token: row.get("token"),
        })
    };
    rows.iter().map(read).collect()
}

/// Writes down and posts that a vendor is paid what stands on its account, where that reaches the floor. Nobody is asked
/// before this is committed.
pub async fn begin_payout(
    tx: &Transaction,
    payable: &Payable,
    floor: Money,
    (now, at): (Timestamp, Timestamp),
) -> Result<Option<Order>, StoreError> {
    let Payable { tenant, vendor, owed, destination, token } = payable;
    lock(tx, *tenant).await?;
    let code = owed.currency.to_string();
    let of: [&(dyn tokio_postgres::types::ToSql + Sync); 3] = [&tenant.0, &vendor.0, &code];
    let last = tx.optional(include_str!("carried_to_payout.sql"), &of).await?;
    if last.as_ref().is_some_and(|last| last.get("under_way")) {
        return Ok(None);
    }
    let carried_in: i64 = last.map_or(0, |last| last.get("carried_out_micros"));
    let rows = tx.all(include_str!("unpaid_lines.sql"), &of).await?;
    let transactions: Vec<Uuid> = rows.iter().map(|row| row.get("transaction_id")).collect();
    let micros: Vec<i64> = rows.iter().map(|row| row.get("micros")).collect();
    let lines = micros.iter().map(|micros| Money { micros: *micros, ..*owed });
    let all = Money::sum(owed.currency, lines)?.plus(Money { micros: carried_in, ..*owed })?;
    let carried_out = all.micros.rem_euclid(MICROS_PER_MINOR);
    let amount = Money { micros: all.micros - carried_out, ..all };
    if amount.micros < floor.micros.max(MICROS_PER_MINOR) {
        return Ok(None);
    }
    let id = new_id(now);
    once(post_as(tx, *tenant, "payout", &posting::payout(id, *vendor, amount)?, at).await?, id)?;
    let sql = include_str!("insert_payout.sql");
    tx.run(
        sql,
        &[&tenant.0, &vendor.0, &id, destination, &code, &carried_in, &amount.micros, &carried_out, &at],
    )
    .await?;
    let sql = include_str!("insert_payout_lines.sql");
    tx.run(sql, &[&tenant.0, &vendor.0, &id, &code, &transactions, &micros, &at]).await?;
    let what = What::PayOut { destination: token.clone() };
    Ok(Some(Order { id, what, amount, tenant: *tenant, at }))
}

/// Payouts whose outcome is not known, oldest first, whoever's they are, each with its place.
pub async fn open_payouts(
    collecting: &Transaction,
    after: i64,
    limit: i64,
) -> Result<Vec<(i64, Order)>, DbError> {
    let rows = collecting.all(include_str!("open_payouts.sql"), &[&after, &limit]).await?;
    let read = |row: &Row| {
        let order = Order {
            id: row.get("payout_id"),
            what: What::PayOut { destination: row.get("token") },
            amount: money(row, "amount_micros")?,
            tenant: TenantId(row.get("tenant_id")),
            at: row.get("attempted_at"),
        };
        Ok((row.get("number"), order))
    };
    rows.iter().map(read).collect()
}

/// Writes down what came of a payout; one that failed is posted back. False: somebody else has.
pub async fn end_payout(
    tx: &Transaction,
    tenant: TenantId,
    payout: Uuid,
    answer: &Answer,
    at: Timestamp,
) -> Result<bool, StoreError> {
    end_outgoing(tx, tenant, ("payout", include_str!("end_payout.sql")), (payout, at), answer).await
}

/// What a vendor of the tenant's own is owed, by currency; `None` if it is nobody's.
pub async fn vendor_owed(
    tx: &Transaction,
    tenant: TenantId,
    vendor: VendorId,
) -> Result<Option<Vec<Money>>, DbError> {
    let rows = tx.all(include_str!("vendor_owed.sql"), &[&tenant.0, &vendor.0]).await?;
    let has_any = |row: &&Row| row.get::<_, Option<&str>>("currency").is_some();
    let owed = rows.iter().filter(has_any).map(|row| money(row, "micros")).collect::<Result<Vec<_>, _>>()?;
    Ok((!rows.is_empty()).then_some(owed))
}

/// A vendor's payouts, newest first.
pub async fn payouts(
    tx: &Transaction,
    tenant: TenantId,
    vendor: VendorId,
    limit: i64,
) -> Result<Vec<Payout>, DbError> {
    let sql = include_str!("payouts.sql");
    let rows = tx.all(sql, &[&tenant.0, &Some(vendor.0), &None::<Uuid>, &limit]).await?;
    rows.iter().map(read).collect()
}

/// One payout with its lines, in the order of the ledger.
pub async fn payout(
    tx: &Transaction,
    tenant: TenantId,
    id: Uuid,
) -> Result<Option<(Payout, Vec<PayoutLine>)>, DbError> {
    let sql = include_str!("payouts.sql");
    let Some(row) = tx.optional(sql, &[&tenant.0, &None::<Uuid>, &Some(id), &1_i64]).await? else {
        return Ok(None);
    };
    let rows = tx.all(include_str!("payout_lines.sql"), &[&tenant.0, &id]).await?;
    let line = |row: &Row| {
        Ok(PayoutLine {
            transaction_id: row.get("transaction_id"),
            kind: row.get("kind"),
            amount: money(row, "amount_micros")?,
            posted_at: row.get("created_at"),
        })
    };
    Ok(Some((read(&row)?, rows.iter().map(line).collect::<Result<_, DbError>>()?)))
}

fn read(row: &Row) -> Result<Payout, DbError> {
    let currency: Currency = currency(row)?;
    let amount = |column| Money::micros(row.get(column), currency);
    Ok(Payout {
        payout_id: row.get("payout_id"),
        vendor_id: VendorId(row.get("vendor_id")),
        carried_in: amount("carried_in_micros"),
        amount: amount("amount_micros"),
        carried_out: amount("carried_out_micros"),
        destination: row.get("label"),
        state: row.get::<_, &str>("state").parse().map_err(stored)?,
        detail: row.get("detail"),
        attempted_at: row.get("attempted_at"),
        ended_at: row.get("ended_at"),
    })
}
