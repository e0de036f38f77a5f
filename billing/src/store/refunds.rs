//! Money that goes back: refunds that we make, and disputes that payers open. Never more than a payment took.

use super::{
    StoreError,
    finalise::lock,
    ledger::{balance, post_as},
    payments::payment,
    row::{money, new_id, stored},
    settlements::once,
};
use crate::{
    collection::{Part, parts_back, posting},
    db::{DbError, Transaction},
    ids::{PaymentId, TenantId, derived},
    ledger::{self, LedgerAccount},
    money::{MICROS_PER_MINOR, Money},
    payment::{Payment, Purpose, Refund, State},
    processor::{Answer, Event, Order, What},
};
use jiff::Timestamp;
use tokio_postgres::Row;
use uuid::Uuid;

/// Why nothing goes back.
#[derive(Debug, thiserror::Error)]
pub enum RefundError {
    /// There is none of that name.
    #[error("there is no such payment")]
    NotFound,
    /// It took nothing.
    #[error("the payment took nothing")]
    NotPaid,
    /// Part of it has gone back already, or it never was so much.
    #[error("{0} can go back at most")]
    TooMuch(Money),
    /// It has been spent.
    #[error("the wallet holds {0}")]
    Spent(Money),
    /// Minor units are the smallest that a processor moves.
    #[error("must be whole minor units, more than none")]
    NotWhole,
    /// Something failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<DbError> for RefundError {
    fn from(error: DbError) -> Self {
        RefundError::Store(error.into())
    }
}

/// Writes down and posts that a part of a payment goes back. Nobody is asked before this is committed.
pub async fn begin_refund(
    tx: &Transaction,
    tenant: TenantId,
    (of, micros): (PaymentId, i64),
    reason: &str,
    (now, at): (Timestamp, Timestamp),
) -> Result<Refund, RefundError> {
    lock(tx, tenant).await?;
    let paid = payment(tx, tenant, of).await?.ok_or(RefundError::NotFound)?;
    let amount = Money { micros, ..paid.amount };
    if micros <= 0 || micros % MICROS_PER_MINOR != 0 {
        return Err(RefundError::NotWhole);
    }
    if paid.state != State::Succeeded {
        return Err(RefundError::NotPaid);
    }
    let gone = gone_back(tx, tenant, &paid).await?;
    let left = paid.amount.minus(gone).map_err(StoreError::from)?;
    if left.micros < micros {
        return Err(RefundError::TooMuch(left));
    }
    let wallet = wallet(tx, tenant, &paid).await?;
    if paid.purpose != Purpose::Collection && wallet.micros < micros {
        return Err(RefundError::Spent(wallet));
    }
    let refund_id = new_id(now);
    let posted = back(tx, tenant, &paid, refund_id, (gone, amount), wallet).await?;
    once(post_as(tx, tenant, "refund", &posted, at).await?, refund_id)?;
    let code = amount.currency.to_string();
    let sql = include_str!("insert_refund.sql");
    tx.run(sql, &[&tenant.0, &of.0, &refund_id, &code, &micros, &reason, &at]).await?;
    Ok(Refund {
        refund_id,
        payment_id: of,
        amount,
        reason: reason.to_owned(),
        state: State::Attempted,
        detail: None,
        attempted_at: at,
        ended_at: None,
    })
}

/// What goes back, from whoever got it.
async fn back(
    tx: &Transaction,
    tenant: TenantId,
    paid: &Payment,
    id: Uuid,
    (gone, amount): (Money, Money),
    wallet: Money,
) -> Result<ledger::Transaction, StoreError> {
    if paid.purpose != Purpose::Collection {
        return Ok(posting::back_from_wallet(id, paid.account_id, wallet, amount)?);
    }
    let parts = parts_of(tx, tenant, paid.payment_id.0).await?;
    let back = parts_back(&parts, paid.amount, gone, gone.plus(amount)?)?;
    Ok(posting::back(id, &back, amount)?)
}

async fn gone_back(tx: &Transaction, tenant: TenantId, paid: &Payment) -> Result<Money, DbError> {
    let row = tx.one(include_str!("gone_back.sql"), &[&tenant.0, &paid.payment_id.0]).await?;
    Ok(Money { micros: row.get("micros"), ..paid.amount })
}

async fn wallet(tx: &Transaction, tenant: TenantId, paid: &Payment) -> Result<Money, StoreError> {
    let wallet = LedgerAccount::Wallet(paid.account_id);
    let debit = balance(tx, tenant, wallet, paid.amount.currency).await?;
    Ok(Money::zero(paid.amount.currency).minus(debit)?)
}

/// Whose a settlement is.
async fn parts_of(tx: &Transaction, tenant: TenantId, settlement: Uuid) -> Result<Vec<Part>, DbError> {
    let rows = tx.all(include_str!("parts.sql"), &[&tenant.0, &settlement]).await?;
    let read = |row: &Row| {
        Ok(Part {
            account: row.get::<_, &str>("ledger_account").parse().map_err(stored)?,
            passed_on: row.get("passed_on"),
            gross: money(row, "gross_micros")?,
            platform: money(row, "platform_micros")?,
            fee: money(row, "fee_micros")?,
            net: money(row, "net_micros")?,
        })
    };
    rows.iter().map(read).collect()
}

/// Writes down what came of a refund; one that failed is posted back. False: somebody else has.
pub async fn end_refund(
    tx: &Transaction,
    tenant: TenantId,
    refund: Uuid,
    answer: &Answer,
    at: Timestamp,
) -> Result<bool, StoreError> {
    end_outgoing(tx, tenant, ("refund", include_str!("end_refund.sql")), (refund, at), answer).await
}

/// Writes down, once, what came of something that sends money out: of which kind, and how it is written.
pub(super) async fn end_outgoing(
    tx: &Transaction,
    tenant: TenantId,
    (kind, sql): (&str, &str),
    (outgoing, at): (Uuid, Timestamp),
    answer: &Answer,
) -> Result<bool, StoreError> {
    lock(tx, tenant).await?;
    let (state, detail) = match answer {
        Answer::Done { .. } => (State::Succeeded, None),
        Answer::Failed { detail, .. } => (State::Failed, Some(detail.as_str())),
    };
    if tx.run(sql, &[&tenant.0, &outgoing, &state.as_str(), &detail, &at]).await? == 0 {
        return Ok(false);
    }
    if state == State::Failed {
        take_back(tx, tenant, kind, outgoing, at).await?;
    }
    Ok(true)
}

/// Posts the opposite of what was posted.
pub(super) async fn take_back(
    tx: &Transaction,
    tenant: TenantId,
    kind: &str,
    posted: Uuid,
    at: Timestamp,
) -> Result<(), StoreError> {
    let rows = tx.all(include_str!("ledger_entries.sql"), &[&tenant.0, &posted]).await?;
    let entry = |row: &Row| {
        Ok(ledger::Entry {
            account: row.get::<_, &str>("ledger_account").parse().map_err(stored)?,
            amount: money(row, "amount_micros")?,
        })
    };
    let entries = rows.iter().map(entry).collect::<Result<Vec<_>, DbError>>()?;
    let reversed = posting::reversed(taken_back_id(posted), &ledger::Transaction::new(posted, entries)?)?;
    Ok(once(post_as(tx, tenant, kind, &reversed, at).await?, reversed.id)?)
}

/// The transaction that takes a posting back.
fn taken_back_id(posted: Uuid) -> Uuid {
    derived(&[b"taken back", posted.as_bytes()])
}

/// The refunds of a payment, oldest first.
pub async fn refunds(tx: &Transaction, tenant: TenantId, payment: PaymentId) -> Result<Vec<Refund>, DbError> {
    let rows = tx.all(include_str!("refunds.sql"), &[&tenant.0, &payment.0]).await?;
    let read = |row: &Row| {
        Ok(Refund {
            refund_id: row.get("refund_id"),
            payment_id: PaymentId(row.get("payment_id")),
            amount: money(row, "amount_micros")?,
            reason: row.get("reason"),
            state: row.get::<_, &str>("state").parse().map_err(stored)?,
            detail: row.get("detail"),
            attempted_at: row.get("attempted_at"),
            ended_at: row.get("ended_at"),
        })
    };
    rows.iter().map(read).collect()
}

/// Refunds whose outcome is not known, oldest first, whoever's they are, each with its place.
pub async fn open_refunds(
    collecting: &Transaction,
    after: i64,
    limit: i64,
) -> Result<Vec<(i64, Order)>, DbError> {
    let rows = collecting.all(include_str!("open_refunds.sql"), &[&after, &limit]).await?;
    let read = |row: &Row| {
        let order = Order {
            id: row.get("refund_id"),
            what: What::Refund { charge: row.get("payment_id") },
            amount: money(row, "amount_micros")?,
            tenant: TenantId(row.get("tenant_id")),
            at: row.get("attempted_at"),
        };
        Ok((row.get("number"), order))
    };
    rows.iter().map(read).collect()
}

/// Whose a payment is.
pub async fn whose_payment(collecting: &Transaction, payment: Uuid) -> Result<Option<TenantId>, DbError> {
    let row = collecting.optional(include_str!("whose_payment.sql"), &[&payment]).await?;
    Ok(row.map(|row| TenantId(row.get("tenant_id"))))
}

/// Writes down what happened to a payment at the processor. Heard twice, it changes nothing.
pub async fn hear(
    tx: &Transaction,
    tenant: TenantId,
    of: PaymentId,
    event: Event,
    at: Timestamp,
) -> Result<(), StoreError> {
    lock(tx, tenant).await?;
    let Some(paid) = payment(tx, tenant, of).await? else { return Ok(()) };
    match event {
        Event::DisputeOpened { fee } => open_dispute(tx, tenant, &paid, fee, at).await,
        Event::DisputeWon => end_dispute(tx, tenant, of, "won", at).await,
        Event::DisputeLost => end_dispute(tx, tenant, of, "lost", at).await,
    }
}

/// The processor takes back what has not gone back already, and keeps a fee.
async fn open_dispute(
    tx: &Transaction,
    tenant: TenantId,
    paid: &Payment,
    fee: Money,
    at: Timestamp,
) -> Result<(), StoreError> {
    let gone = gone_back(tx, tenant, paid).await?;
    let amount = paid.amount.minus(gone)?;
    let id = derived(&[b"dispute", paid.payment_id.0.as_bytes()]);
    let (payment, code) = (paid.payment_id.0, amount.currency.to_string());
    let sql = include_str!("insert_dispute.sql");
    if tx.run(sql, &[&tenant.0, &payment, &id, &code, &amount.micros, &fee.micros, &at]).await? == 0 {
        return Ok(());
    }
    let wallet = wallet(tx, tenant, paid).await?;
    let posted = back(tx, tenant, paid, id, (gone, amount), wallet).await?;
    once(post_as(tx, tenant, "dispute", &posted, at).await?, id)?;
    let fee = posting::dispute_fee(derived(&[b"dispute fee", id.as_bytes()]), fee)?;
    Ok(once(post_as(tx, tenant, "dispute", &fee, at).await?, fee.id)?)
}

async fn end_dispute(
    tx: &Transaction,
    tenant: TenantId,
    payment: PaymentId,
    state: &str,
    at: Timestamp,
) -> Result<(), StoreError> {
    let sql = include_str!("end_dispute.sql");
    let ended = tx.optional(sql, &[&tenant.0, &payment.0, &state, &at]).await?;
    match ended.filter(|_| state == "won") {
        Some(row) => take_back(tx, tenant, "dispute", row.get("dispute_id"), at).await,
        None => Ok(()),
    }
}
