//! What money moved: payments, what they settled, what went back, and what went out.

use super::{Of, Page, of};
use crate::{
    audit::{Back, Evidence, Part, Payment, Payout, Settlement},
    db::DbError,
    store::books::tenant_of,
};
use std::collections::BTreeMap;
use tokio_postgres::Row;
use uuid::Uuid;

/// What money moved.
pub(super) async fn add(page: &Page, all: &mut [Evidence]) -> Result<(), DbError> {
    let mut vendors = vendors(page).await?;
    let mut payments = payments(page).await?;
    let mut settlements = settlements(page).await?;
    let mut backs = backs(page).await?;
    let mut payouts = payouts(page).await?;
    let mut write_offs = write_offs(page).await?;
    for it in all {
        it.vendors = of(&mut vendors, it);
        it.payments = of(&mut payments, it);
        it.settlements = of(&mut settlements, it);
        it.backs = of(&mut backs, it);
        it.payouts = of(&mut payouts, it);
        it.write_offs = of(&mut write_offs, it);
    }
    Ok(())
}

async fn vendors(page: &Page) -> Result<Of<Uuid>, DbError> {
    page.each(include_str!("vendors.sql"), |row| row.get("vendor_id")).await
}

async fn payments(page: &Page) -> Result<Of<Payment>, DbError> {
    let read = |row: &Row| Payment {
        payment: row.get("payment_id"),
        number: row.get("number"),
        account: row.get("account_id"),
        purpose: row.get("purpose"),
        state: row.get("state"),
        currency: row.get("currency"),
        amount: row.get("amount_micros"),
        fee: row.get("fee_micros"),
    };
    page.each(include_str!("payments.sql"), read).await
}

async fn settlements(page: &Page) -> Result<Of<Settlement>, DbError> {
    let laid = |row: &Row| (row.get("statement_id"), row.get("amount_micros"));
    let mut allocated = page.parts(include_str!("allocations.sql"), "settlement_id", laid).await?;
    let mut parts = page.parts(include_str!("parts.sql"), "settlement_id", part).await?;
    let mut all: Of<Settlement> = BTreeMap::new();
    for row in page.rows(include_str!("settlements.sql")).await? {
        let (tenant, settlement) = (tenant_of(&row), row.get("settlement_id"));
        all.entry(tenant).or_default().push(Settlement {
            settlement,
            account: row.get("account_id"),
            kind: row.get("kind"),
            currency: row.get("currency"),
            amount: row.get("amount_micros"),
            fee: row.get("fee_micros"),
            allocated: allocated.remove(&(tenant, settlement)).unwrap_or_default().into_iter().collect(),
            parts: parts.remove(&(tenant, settlement)).unwrap_or_default(),
        });
    }
    Ok(all)
}

fn part(row: &Row) -> Part {
    Part {
        account: row.get("ledger_account"),
        passed_on: row.get("passed_on"),
        gross: row.get("gross_micros"),
        platform_per_mille: row.get("platform_per_mille"),
        platform: row.get("platform_micros"),
        fee: row.get("fee_micros"),
        net: row.get("net_micros"),
    }
}

async fn backs(page: &Page) -> Result<Of<Back>, DbError> {
    let read = |row: &Row| Back {
        back: row.get("back_id"),
        payment: row.get("payment_id"),
        currency: row.get("currency"),
        amount: row.get("amount_micros"),
        fee: row.get("fee_micros"),
        came_again: row.get("came_again"),
    };
    page.each(include_str!("backs.sql"), read).await
}

async fn write_offs(page: &Page) -> Result<Of<(Uuid, Uuid, i64, String)>, DbError> {
    let read = |row: &Row| {
        (row.get("write_off_id"), row.get("account_id"), row.get("amount_micros"), row.get("currency"))
    };
    page.each(include_str!("write_offs.sql"), read).await
}

async fn payouts(page: &Page) -> Result<Of<Payout>, DbError> {
    let line = |row: &Row| (row.get("transaction_id"), row.get("amount_micros"));
    let mut lines = page.parts(include_str!("payout_lines.sql"), "payout_id", line).await?;
    let mut all: Of<Payout> = BTreeMap::new();
    for row in page.rows(include_str!("payouts.sql")).await? {
        let (tenant, payout) = (tenant_of(&row), row.get("payout_id"));
        all.entry(tenant).or_default().push(Payout {
            payout,
            vendor: row.get("vendor_id"),
            currency: row.get("currency"),
            carried_in: row.get("carried_in_micros"),
            amount: row.get("amount_micros"),
            carried_out: row.get("carried_out_micros"),
            came_again: row.get("came_again"),
            lines: lines.remove(&(tenant, payout)).unwrap_or_default().into_iter().collect(),
        });
    }
    Ok(all)
}
