//! What lowers a tab: posted, laid against the oldest statements, and taken apart into whose it is, in one transaction.

use super::{
    StoreError,
    finalise::lock,
    ledger::{balance, post_as},
    payers::{Who, payers},
    payments::end_payment,
    row::{money, stored},
};
use crate::{
    collection::{
        Bill, Claim, Filled, Part, Policy, Standing, Stands, allocate, fee_of_draw, next, parts, posting,
        standings,
    },
    currency::Currency,
    db::{DbError, Transaction},
    ids::{PaymentId, StatementId, TenantId, derived},
    ledger::{LedgerAccount, Posted},
    money::Money,
    payment::Purpose,
    processor::{Answer, Processor},
    statement::Status,
};
use jiff::Timestamp;
use std::collections::BTreeMap;
use tokio_postgres::Row;
use uuid::Uuid;

/// What the platform keeps of what it passes on to vendors, in thousandths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlatformShare(pub u16);

/// What lowers a tab.
struct Settlement {
    id: Uuid,
    kind: &'static str,
    amount: Money,
    fee: Money,
}

/// Writes down what came of a payment and, if it succeeded, what follows from that: once, however often it is told.
pub async fn settle_payment(
    tx: &Transaction,
    who: Who,
    (payment, purpose, amount): (PaymentId, Purpose, Money),
    answer: &Answer,
    platform: PlatformShare,
    at: Timestamp,
) -> Result<bool, StoreError> {
    lock(tx, who.tenant).await?;
    if !end_payment(tx, who.tenant, payment, answer, at).await? {
        return Ok(false);
    }
    let Answer::Done { fee, .. } = answer else { return Ok(true) };
    match purpose {
        Purpose::Collection => {
            let transaction = posting::collection(payment.0, who.account, amount, *fee)?;
            let settlement = Settlement { id: payment.0, kind: "collection", amount, fee: *fee };
            settle(tx, who, settlement, &transaction, platform, at).await?;
        }
        Purpose::TopUp | Purpose::Refill => {
            let transaction = posting::top_up(payment.0, who.account, amount, *fee)?;
            once(post_as(tx, who.tenant, "top_up", &transaction, at).await?, payment.0)?;
        }
    }
    Ok(true)
}

/// Pays a part of the tab from the wallet. The tenant is locked, and the wallet holds as much.
pub async fn draw(
    tx: &Transaction,
    who: Who,
    id: Uuid,
    amount: Money,
    platform: PlatformShare,
    at: Timestamp,
) -> Result<(), StoreError> {
    let rows = tx.all(include_str!("wallet_history.sql"), &[&who.tenant.0, &who.account.0]).await?;
    let drawn = rows.first().map_or(0, |row| row.get("drawn_micros"));
    let filled = rows.iter().map(filled).collect::<Result<Vec<_>, _>>()?;
    let fee = fee_of_draw(&filled, Money { micros: drawn, ..amount }, amount)?;
    let transaction = posting::draw(id, who.account, amount)?;
    settle(tx, who, Settlement { id, kind: "wallet", amount, fee }, &transaction, platform, at).await
}

fn filled(row: &Row) -> Result<Filled, DbError> {
    Ok(Filled { amount: money(row, "amount_micros")?, fee: money(row, "fee_micros")? })
}

/// Gives the whole tab up. The tenant is locked.
pub(super) async fn write_off(
    tx: &Transaction,
    who: Who,
    id: Uuid,
    amount: Money,
    at: Timestamp,
) -> Result<(), StoreError> {
    let transaction = posting::write_off(id, who.account, amount)?;
    let nothing = Money::zero(amount.currency);
    let settlement = Settlement { id, kind: "write_off", amount, fee: nothing };
    settle(tx, who, settlement, &transaction, PlatformShare(0), at).await
}

async fn settle(
    tx: &Transaction,
    who: Who,
    settlement: Settlement,
    transaction: &crate::ledger::Transaction,
    platform: PlatformShare,
    at: Timestamp,
) -> Result<(), StoreError> {
    let Settlement { id, kind, amount, fee } = settlement;
    let bills = bills(tx, who).await?;
    let allocated = allocate(&bills, owed(tx, who, amount.currency).await?, amount)?;
    once(post_as(tx, who.tenant, kind, transaction, at).await?, id)?;
    tx.run(
        include_str!("insert_settlement.sql"),
        &[
            &who.tenant.0,
            &who.account.0,
            &id,
            &kind,
            &amount.currency.code(),
            &amount.micros,
            &fee.micros,
            &at,
        ],
    )
    .await?;
    insert_allocations(tx, who.tenant, id, &allocated, at).await?;
    if kind != "write_off" {
        let claimed = claimed(tx, who.tenant, &allocated).await?;
        let parts = parts(amount, fee, &claimed, platform.0.into())?;
        insert_parts(tx, who.tenant, id, &parts, platform, at).await?;
        let shares = posting::share(share_id(id), &parts)?;
        once(post_as(tx, who.tenant, "share", &shares, at).await?, shares.id)?;
    }
    Ok(())
}

/// The transaction that passes a settlement on.
pub(super) fn share_id(settlement: Uuid) -> Uuid {
    derived(&[b"share", settlement.as_bytes()])
}

/// A posting that is there already is a mistake of ours here: what leads to it happens once.
pub(super) fn once(posted: Posted, id: Uuid) -> Result<(), DbError> {
    match posted {
        Posted::Created => Ok(()),
        Posted::Exists | Posted::ExistsWithDifferentAmount => {
            Err(stored(format!("transaction {id} was posted before")))
        }
    }
}

async fn insert_allocations(
    tx: &Transaction,
    tenant: TenantId,
    id: Uuid,
    allocated: &[(StatementId, Money)],
    at: Timestamp,
) -> Result<(), DbError> {
    let (statements, micros): (Vec<Uuid>, Vec<i64>) =
        allocated.iter().map(|(statement, amount)| (statement.0, amount.micros)).unzip();
    tx.run(include_str!("insert_allocations.sql"), &[&tenant.0, &id, &statements, &micros, &at]).await?;
    Ok(())
}

async fn insert_parts(
    tx: &Transaction,
    tenant: TenantId,
    id: Uuid,
    parts: &[Part],
    platform: PlatformShare,
    at: Timestamp,
) -> Result<(), DbError> {
    let Some(first) = parts.first() else { return Ok(()) };
    let column = |of: fn(&Part) -> Money| parts.iter().map(|part| of(part).micros).collect::<Vec<i64>>();
    let accounts: Vec<String> = parts.iter().map(|part| part.account.to_string()).collect();
    let passed_on: Vec<bool> = parts.iter().map(|part| part.passed_on).collect();
    tx.run(
        include_str!("insert_settlement_parts.sql"),
        &[
            &tenant.0,
            &id,
            &accounts,
            &passed_on,
            &column(|part| part.gross),
            &column(|part| part.platform),
            &column(|part| part.fee),
            &column(|part| part.net),
            &i32::from(platform.0),
            &first.gross.currency.code(),
            &at,
        ],
    )
    .await?;
    Ok(())
}

/// What is laid against each statement, with those who earned it.
async fn claimed(
    tx: &Transaction,
    tenant: TenantId,
    allocated: &[(StatementId, Money)],
) -> Result<Vec<(Money, Vec<Claim>)>, DbError> {
    let ids: Vec<Uuid> = allocated.iter().map(|(statement, _)| statement.0).collect();
    let mut claims: BTreeMap<Uuid, Vec<Claim>> = BTreeMap::new();
    for row in tx.all(include_str!("claims.sql"), &[&tenant.0, &ids]).await? {
        claims.entry(row.get("transaction_id")).or_default().push(Claim {
            account: row.get::<_, &str>("ledger_account").parse().map_err(stored)?,
            passed_on: row.get("passed_on"),
            weight: row.get("weight"),
        });
    }
    let of = |(statement, amount): &(StatementId, Money)| {
        (*amount, claims.remove(&statement.0).unwrap_or_default())
    };
    Ok(allocated.iter().map(of).collect())
}

async fn bills(tx: &Transaction, who: Who) -> Result<Vec<Bill>, DbError> {
    let rows = tx.all(include_str!("bills.sql"), &[&who.tenant.0, &who.account.0]).await?;
    let read = |row: &Row| {
        Ok(Bill {
            statement_id: StatementId(row.get("statement_id")),
            finalized_at: row.get("finalized_at"),
            billed: money(row, "billed_micros")?,
            total: money(row, "total_micros")?,
            taken_back: money(row, "taken_back_micros")?,
            paid: money(row, "paid_micros")?,
            written_off: money(row, "written_off_micros")?,
            asked: row.get("asked"),
        })
    };
    rows.iter().map(read).collect()
}

async fn owed(tx: &Transaction, who: Who, currency: Currency) -> Result<Money, DbError> {
    balance(tx, who.tenant, LedgerAccount::Receivable(who.account), currency).await
}

/// How an account's statements stand, oldest first, and what is owed in all.
pub async fn how_statements_stand(
    tx: &Transaction,
    who: Who,
    currency: Currency,
) -> Result<(Vec<Stands>, Money), StoreError> {
    let owed = owed(tx, who, currency).await?;
    Ok((standings(&bills(tx, who).await?, owed)?, owed))
}

/// How a statement stands, in a word and in plain words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// Where it is on its way.
    pub status: Status,
    /// What is paid, what is on the tab, and what happens to that next.
    pub standing: Standing,
}

/// How an account's statements stand, each with what happens to the tab next.
pub async fn standings_said(
    tx: &Transaction,
    processor: &impl Processor,
    policy: &Policy,
    who: Who,
    now: Timestamp,
) -> Result<BTreeMap<StatementId, Said>, StoreError> {
    let Some(payer) = payers(tx, processor, &[who], now).await?.pop() else { return Ok(BTreeMap::new()) };
    let why = next(&payer.situation, policy, payer.at)?.why();
    let (stands, owed) = how_statements_stand(tx, who, payer.currency()).await?;
    let said = |it: &Stands| Said { status: it.status, standing: it.said(owed, &why) };
    Ok(stands.iter().map(|it| (it.statement_id, said(it))).collect())
}
