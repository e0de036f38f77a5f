//! Credits, in their tables.

use super::{
    StoreError, Who,
    clock::tenant_clock,
    finalise::lock,
    ledger::{CREDIT, post_as},
    payers::who,
    row::{currency, money, new_id},
    tax::mark,
};
use crate::{
    credit::{Credit, CreditPart},
    db::{DbError, Transaction},
    ids::{AccountId, CreditId, StatementId, TenantId},
    ledger::{Entry, LedgerAccount},
    money::{MICROS_PER_MINOR, Money},
};
use jiff::Timestamp;
use std::collections::BTreeMap;
use tokio_postgres::{Row, types::ToSql};

/// A credit to give.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCredit {
    /// To whom.
    pub account: AccountId,
    /// Whole minor units of the account's currency, in micros.
    pub micros: i64,
    /// For the payer to read.
    pub reason: String,
    /// When it runs out, if ever.
    pub expires_at: Option<Timestamp>,
}

/// A credit, and what has become of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Granted {
    /// Names it, and its transaction in the ledger.
    pub credit_id: CreditId,
    /// For the payer to read.
    pub reason: String,
    /// How much was given.
    pub amount: Money,
    /// How much of it paid statements.
    pub used: Money,
    /// How much ran out.
    pub expired: Money,
    /// When it runs out, if ever.
    pub expires_at: Option<Timestamp>,
    /// In the tenant's time.
    pub granted_at: Timestamp,
}

/// Why nothing was given.
#[derive(Debug, thiserror::Error)]
pub enum GrantError {
    /// There is no such account.
    #[error("there is no such account")]
    NoAccount,
    /// Nothing, less than nothing, or parts of a minor unit.
    #[error("must be whole minor units of {0}, at least one")]
    NotWhole(crate::currency::Currency),
    /// It would have run out before it is given.
    #[error("is in the past of the account, where it is {0}")]
    Over(Timestamp),
    /// Something failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<DbError> for GrantError {
    fn from(error: DbError) -> Self {
        Self::Store(error.into())
    }
}

/// Gives a credit and posts it. The request's idempotency is the caller's business.
pub async fn grant_credit(
    tx: &Transaction,
    tenant: TenantId,
    new: &NewCredit,
    now: Timestamp,
) -> Result<Granted, GrantError> {
    // The month that is closed meanwhile would use it or not, by chance.
    lock(tx, tenant).await?;
    let account =
        super::account_of_tenant(tx, tenant, Some(new.account)).await?.ok_or(GrantError::NoAccount)?;
    if new.micros <= 0 || new.micros % MICROS_PER_MINOR != 0 {
        return Err(GrantError::NotWhole(account.currency));
    }
    let there = tenant_clock(tx, tenant, now).await?.now;
    if new.expires_at.is_some_and(|expires_at| expires_at <= there) {
        return Err(GrantError::Over(there));
    }
    let (credit_id, amount) = (CreditId(new_id(there)), Money::micros(new.micros, account.currency));
    let params: [&(dyn ToSql + Sync); 9] = [
        &tenant.0,
        &account.account_id.0,
        &credit_id.0,
        &new.micros,
        &account.currency.code(),
        &new.reason,
        &new.expires_at,
        &there,
        &now,
    ];
    tx.run(include_str!("insert_credit.sql"), &params).await?;
    let nothing = Money::zero(account.currency);
    let entries = [
        Entry { account: LedgerAccount::Promotions, amount },
        Entry {
            account: LedgerAccount::Credits(account.account_id),
            amount: nothing.minus(amount).map_err(StoreError::from)?,
        },
    ];
    let posting = crate::ledger::Transaction::new(credit_id.0, entries).map_err(StoreError::from)?;
    post_as(tx, tenant, CREDIT, &posting, there).await?;
    mark(tx, tenant, account.account_id.0).await?;
    let (reason, expires_at) = (new.reason.clone(), new.expires_at);
    Ok(Granted { credit_id, reason, amount, used: nothing, expired: nothing, expires_at, granted_at: there })
}

/// An account's credits, newest first, at most 1,000.
pub async fn credits(
    tx: &Transaction,
    tenant: TenantId,
    account: AccountId,
) -> Result<Vec<Granted>, DbError> {
    let read = |row: &Row| {
        Ok(Granted {
            credit_id: CreditId(row.get("credit_id")),
            reason: row.get("reason"),
            amount: money(row, "amount_micros")?,
            used: money(row, "used_micros")?,
            expired: money(row, "expired_micros")?,
            expires_at: row.get("expires_at"),
            granted_at: row.get("granted_at"),
        })
    };
    tx.all(include_str!("credits.sql"), &[&tenant.0, &account.0]).await?.iter().map(read).collect()
}

/// What is left of the credits of accounts.
pub(super) async fn left(
    tx: &Transaction,
    of_each: &[&(dyn ToSql + Sync)],
) -> Result<BTreeMap<Who, Vec<Credit>>, DbError> {
    let mut all: BTreeMap<Who, Vec<Credit>> = BTreeMap::new();
    for row in tx.all(include_str!("credits_left.sql"), of_each).await? {
        all.entry(who(&row)).or_default().push(Credit {
            credit_id: CreditId(row.get("credit_id")),
            reason: row.get("reason"),
            expires_at: row.get("expires_at"),
            left: Money::micros(row.get("left_micros"), currency(&row)?),
        });
    }
    Ok(all)
}

/// What became of credits when a statement was made final: what paid it, and what ran out.
pub(super) async fn of_statement(
    tx: &Transaction,
    tenant: TenantId,
    statement: StatementId,
) -> Result<(Vec<CreditPart>, Vec<CreditPart>), DbError> {
    let (mut used, mut expired) = (Vec::new(), Vec::new());
    for row in tx.all(include_str!("statement_credits.sql"), &[&tenant.0, &statement.0]).await? {
        let part = CreditPart {
            credit_id: CreditId(row.get("credit_id")),
            reason: row.get("reason"),
            amount: money(&row, "amount_micros")?,
        };
        if row.get::<_, &str>("kind") == "used" { used.push(part) } else { expired.push(part) }
    }
    Ok((used, expired))
}
