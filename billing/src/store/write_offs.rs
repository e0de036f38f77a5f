//! Tabs that are given up: proposed by one, approved by another.

use super::{
    StoreError, Who,
    finalise::lock,
    ledger::balance,
    row::{money, new_id, stored},
    settlements::write_off as settle_write_off,
};
use crate::{
    db::{DbError, Transaction},
    ids::{AccountId, TenantId},
    ledger::LedgerAccount,
    money::Money,
    payment::{WriteOff, WriteOffState},
};
use jiff::Timestamp;
use tokio_postgres::Row;
use uuid::Uuid;

/// Why a tab is not given up.
#[derive(Debug, thiserror::Error)]
pub enum WriteOffError {
    /// There is nothing to give up, or less than was proposed.
    #[error("{0} stands on the tab")]
    NotOwed(Money),
    /// It might come in after all.
    #[error("a payment is on its way")]
    UnderWay,
    /// One proposal at a time.
    #[error("a write-off of this account waits for approval")]
    Waiting,
    /// It has been approved or rejected.
    #[error("it was decided already")]
    Decided,
    /// Nobody approves what they proposed.
    #[error("whoever proposed it may not approve it")]
    SamePerson,
    /// There is none of that name.
    #[error("there is no such write-off")]
    NotFound,
    /// Something failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<DbError> for WriteOffError {
    fn from(error: DbError) -> Self {
        WriteOffError::Store(error.into())
    }
}

/// Proposes to give a whole tab up. Nothing happens to it before somebody else approves.
pub async fn propose_write_off(
    tx: &Transaction,
    who: Who,
    nothing: Money,
    (reason, by): (&str, &str),
    (now, at): (Timestamp, Timestamp),
) -> Result<WriteOff, WriteOffError> {
    lock(tx, who.tenant).await?;
    let amount = owed(tx, who, nothing).await?;
    if amount.micros <= 0 {
        return Err(WriteOffError::NotOwed(amount));
    }
    let id = new_id(now);
    let sql = include_str!("insert_write_off.sql");
    let (tenant, account, code) = (who.tenant.0, who.account.0, amount.currency.to_string());
    let written = tx.run(sql, &[&tenant, &account, &id, &code, &amount.micros, &reason, &by, &at]).await?;
    match written {
        0 => Err(WriteOffError::Waiting),
        _ => write_off(tx, who.tenant, id).await?.ok_or(WriteOffError::NotFound),
    }
}

/// Approves or rejects a proposal.
pub async fn decide_write_off(
    tx: &Transaction,
    tenant: TenantId,
    id: Uuid,
    (approve, by): (bool, &str),
    at: Timestamp,
) -> Result<WriteOff, WriteOffError> {
    lock(tx, tenant).await?;
    let proposed = write_off(tx, tenant, id).await?.ok_or(WriteOffError::NotFound)?;
    if proposed.state != WriteOffState::Proposed {
        return Err(WriteOffError::Decided);
    }
    let state = if approve { "approved" } else { "rejected" };
    if approve {
        may_be_approved(tx, tenant, &proposed, by).await?;
    }
    let decided = tx.run(include_str!("decide_write_off.sql"), &[&tenant.0, &id, &state, &by, &at]).await?;
    if decided == 0 {
        return Err(WriteOffError::Decided);
    }
    if approve {
        let who = Who { tenant, account: proposed.account_id };
        settle_write_off(tx, who, id, proposed.amount, at).await?;
    }
    write_off(tx, tenant, id).await?.ok_or(WriteOffError::NotFound)
}

async fn may_be_approved(
    tx: &Transaction,
    tenant: TenantId,
    proposed: &WriteOff,
    by: &str,
) -> Result<(), WriteOffError> {
    if proposed.proposed_by == by {
        return Err(WriteOffError::SamePerson);
    }
    let who = Who { tenant, account: proposed.account_id };
    let owed = owed(tx, who, proposed.amount).await?;
    if owed.micros < proposed.amount.micros {
        return Err(WriteOffError::NotOwed(owed));
    }
    let sql = "select exists (select from payment p
                where p.tenant_id = $1 and p.account_id = $2 and p.state = 'attempted')";
    match tx.one(sql, &[&tenant.0, &proposed.account_id.0]).await?.get(0) {
        true => Err(WriteOffError::UnderWay),
        false => Ok(()),
    }
}

async fn owed(tx: &Transaction, who: Who, in_what: Money) -> Result<Money, DbError> {
    balance(tx, who.tenant, LedgerAccount::Receivable(who.account), in_what.currency).await
}

/// One write-off.
pub(super) async fn write_off(
    tx: &Transaction,
    tenant: TenantId,
    id: Uuid,
) -> Result<Option<WriteOff>, DbError> {
    let sql = include_str!("write_offs.sql");
    let row = tx.optional(sql, &[&tenant.0, &Some(id), &None::<Uuid>, &1_i64]).await?;
    row.as_ref().map(read).transpose()
}

/// A tenant's write-offs before a cursor, newest first.
pub async fn write_offs(
    tx: &Transaction,
    tenant: TenantId,
    cursor: Option<Uuid>,
    limit: i64,
) -> Result<Vec<WriteOff>, DbError> {
    let sql = include_str!("write_offs.sql");
    let rows = tx.all(sql, &[&tenant.0, &None::<Uuid>, &cursor, &limit]).await?;
    rows.iter().map(read).collect()
}

fn read(row: &Row) -> Result<WriteOff, DbError> {
    Ok(WriteOff {
        write_off_id: row.get("write_off_id"),
        account_id: AccountId(row.get("account_id")),
        amount: money(row, "amount_micros")?,
        reason: row.get("reason"),
        state: row.get::<_, &str>("state").parse().map_err(stored)?,
        proposed_by: row.get("proposed_by"),
        decided_by: row.get("decided_by"),
        proposed_at: row.get("proposed_at"),
        decided_at: row.get("decided_at"),
    })
}
