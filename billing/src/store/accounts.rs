//! Payers and what they subscribed to.

use super::row::{currency, new_id};
use crate::{
    currency::Currency,
    db::{DbError, Transaction},
    ids::{AccountId, PlanVersionId, TenantId},
    period::Hour,
};
use jiff::Timestamp;
use tokio_postgres::Row;
use uuid::{Uuid, uuid};

/// A payer as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenedAccount {
    /// Names it.
    pub account_id: AccountId,
    /// The business itself, not one of its people?
    pub is_tenant: bool,
    /// What it is called.
    pub name: String,
    /// Of everything it pays.
    pub currency: Currency,
    /// When it was opened.
    pub created_at: Timestamp,
}

/// Opens an account for one of a business's people.
pub async fn open_person(
    tx: &Transaction,
    tenant: TenantId,
    name: &str,
    currency: Currency,
    now: Timestamp,
) -> Result<OpenedAccount, DbError> {
    let account_id = AccountId(new_id(now));
    let sql = include_str!("insert_person.sql");
    tx.run(sql, &[&tenant.0, &account_id.0, &name, &currency.code(), &now]).await?;
    Ok(OpenedAccount { account_id, is_tenant: false, name: name.to_owned(), currency, created_at: now })
}

/// A tenant's accounts before a cursor, newest first.
pub async fn accounts(
    tx: &Transaction,
    tenant: TenantId,
    cursor: Option<Uuid>,
    limit: i64,
) -> Result<Vec<OpenedAccount>, DbError> {
    let rows = tx.all(include_str!("list_accounts.sql"), &[&tenant.0, &cursor, &limit]).await?;
    rows.iter().map(read).collect()
}

/// One account of a tenant; its own if none is named.
pub async fn account_of_tenant(
    tx: &Transaction,
    tenant: TenantId,
    account: Option<AccountId>,
) -> Result<Option<OpenedAccount>, DbError> {
    let account = account.map(|account| account.0);
    let row = tx.optional(include_str!("account_by_id.sql"), &[&tenant.0, &account]).await?;
    row.as_ref().map(read).transpose()
}

fn read(row: &Row) -> Result<OpenedAccount, DbError> {
    Ok(OpenedAccount {
        account_id: AccountId(row.get("account_id")),
        is_tenant: row.get("is_tenant"),
        name: row.get("name"),
        currency: currency(row)?,
        created_at: row.get("created_at"),
    })
}

/// The plan of every business: 25 ¢ a month, 1,000 participant-minutes and 10 GB included.
pub const BUSINESS: PlanVersionId = PlanVersionId(uuid!("0199c000-0000-7000-8000-000000000021"));
/// The plan of the demo tenant, whose allowances are so small that a short call costs something.
pub const DEMO: PlanVersionId = PlanVersionId(uuid!("0199c000-0000-7000-8000-000000000022"));

/// Gives a tenant its account and a subscription to the business plan, from this hour on. Once: a second call answers
/// with the account that is there.
pub async fn open_account(
    tx: &Transaction,
    tenant: TenantId,
    name: &str,
    now: Timestamp,
) -> Result<AccountId, DbError> {
    open_account_on(tx, tenant, name, BUSINESS, now).await
}

/// The same on another plan.
pub async fn open_account_on(
    tx: &Transaction,
    tenant: TenantId,
    name: &str,
    plan: PlanVersionId,
    now: Timestamp,
) -> Result<AccountId, DbError> {
    let account = new_id(now);
    let opened =
        tx.run(include_str!("insert_account.sql"), &[&tenant.0, &account, &name, &plan.0, &now]).await?;
    if opened == 0 {
        let existing = tx.one(include_str!("account.sql"), &[&tenant.0]).await?;
        return Ok(AccountId(existing.get("account_id")));
    }
    let starts = Hour::of(now).start();
    tx.run(
        include_str!("insert_subscription.sql"),
        &[&tenant.0, &account, &new_id(now), &plan.0, &starts, &now],
    )
    .await?;
    Ok(AccountId(account))
}
