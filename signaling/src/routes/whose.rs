//! Whose account: the business's own, or that of one of its people.

use crate::problem::Problem;
use billing::TenantId;
use billing::db::Transaction;
use billing::ids::AccountId;
use billing::store;
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

/// Whose, after the question mark.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Whose {
    /// An account of one of the business's people; the business's own if none is named.
    account_id: Option<Uuid>,
}

impl Whose {
    /// The account that is named, if there is one of that name.
    pub(super) async fn account(
        &self,
        tx: &Transaction,
        tenant: TenantId,
    ) -> Result<Option<AccountId>, Problem> {
        named(tx, tenant, self.account_id).await
    }
}

/// The account that a request names, if there is one of that name.
pub(super) async fn named(
    tx: &Transaction,
    tenant: TenantId,
    account: Option<Uuid>,
) -> Result<Option<AccountId>, Problem> {
    let Some(account) = account.map(AccountId) else { return Ok(None) };
    match store::account_of_tenant(tx, tenant, Some(account)).await? {
        Some(known) => Ok(Some(known.account_id)),
        None => Err(Problem::not_found("account")),
    }
}
