//! Payers and what they subscribed to.

use super::row::new_id;
use crate::{
    db::{DbError, Transaction},
    ids::{AccountId, PlanVersionId, TenantId},
    period::Hour,
};
use jiff::Timestamp;
use uuid::uuid;

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
