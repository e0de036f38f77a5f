//! Credits: given by the operator, used up when months are closed.

use super::taxes::line;
use crate::api::Api;
use crate::auth::{Caller, Right, TenantHeader};
use crate::idempotency::{Attempt, KeyHeader, Stop};
use crate::input::{At, Input};
use crate::problem::{Document, Problem};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use billing::ids::{AccountId, CreditId};
use billing::money::Money;
use billing::store::{self, GrantError, Granted, NewCredit};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// A credit to give.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CreditRequest {
    /// In whole minor units of the account's currency.
    #[schema(minimum = 1_000_000, example = 500_000_000)]
    amount_micros: i64,
    /// For the payer to read, 1 to 200 characters on one line.
    #[schema(min_length = 1, max_length = 200)]
    reason: String,
    /// When it runs out; never if left out. It pays statements of months that end until then.
    expires_at: Option<Timestamp>,
}

/// A credit, and what has become of it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CreditView {
    /// Names it, and its transaction in the ledger.
    credit_id: CreditId,
    /// For the payer to read.
    reason: String,
    /// How much was given.
    amount: Money,
    /// How much of it paid statements.
    used: Money,
    /// How much of it ran out.
    expired: Money,
    /// The rest.
    left: Money,
    /// When it runs out, in the tenant's time, UTC; null for never.
    expires_at: Option<Timestamp>,
    /// When it was given, in the tenant's time, UTC.
    granted_at: Timestamp,
}

impl From<Granted> for CreditView {
    fn from(granted: Granted) -> Self {
        let Granted { credit_id, reason, amount, used, expired, expires_at, granted_at } = granted;
        // The database holds used and expired within the amount.
        let left = Money { micros: amount.micros - used.micros - expired.micros, ..amount };
        Self { credit_id, reason, amount, used, expired, left, expires_at, granted_at }
    }
}

/// An account's credits.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Credits {
    /// Newest first, at most 1,000.
    credits: Vec<CreditView>,
}

impl From<GrantError> for Problem {
    fn from(error: GrantError) -> Self {
        match error {
            GrantError::NoAccount => Problem::not_found("account"),
            GrantError::NotWhole(_) => Problem::input("amount_micros", error),
            GrantError::Over(_) => Problem::input("expires_at", error),
            GrantError::Store(error) => error.into(),
        }
    }
}

/// Give an account a credit. It pays what statements come to, tax included, the one that runs out first before the others.
#[utoipa::path(
    post, path = "/v1/accounts/{account_id}/credits", operation_id = "grant_credit", tag = "operator",
    request_body = CreditRequest,
    params(("account_id" = Uuid, Path, description = "The account"), KeyHeader, TenantHeader),
    responses(
        (status = 201, body = CreditView),
        (status = "default", description = "A refusal", body = Document, content_type = "application/problem+json"),
    ),
    security(("operator_token" = [])),
)]
pub(super) async fn grant(
    State(api): State<Api>,
    caller: Caller,
    At(account): At<Uuid>,
    Input(asked, ticket): Input<CreditRequest>,
) -> Result<Response, Stop> {
    caller.must_have(Right::DecideForSeller)?;
    let reason = line("reason", &asked.reason)?;
    let CreditRequest { amount_micros: micros, expires_at, .. } = asked;
    let new = NewCredit { account: AccountId(account), micros, reason, expires_at };
    let attempt = Attempt::begin(&api, &caller, ticket).await?;
    match store::grant_credit(&attempt, caller.tenant, &new, api.now()).await {
        Ok(granted) => attempt.answer(StatusCode::CREATED, &CreditView::from(granted)).await,
        Err(error) => Err(attempt.refuse(error.into()).await),
    }
}

/// List an account's credits, newest first, and what became of each.
#[utoipa::path(
    get, path = "/v1/accounts/{account_id}/credits", operation_id = "list_credits", tag = "money",
    params(("account_id" = Uuid, Path, description = "The account"), TenantHeader),
    responses(
        (status = 200, body = Credits),
        (status = "default", description = "A refusal", body = Document, content_type = "application/problem+json"),
    ),
    security(("secret_key" = []), ("session" = []), ("operator_token" = [])),
)]
pub(super) async fn list(
    State(api): State<Api>,
    caller: Caller,
    At(account): At<Uuid>,
) -> Result<Json<Credits>, Problem> {
    caller.must_have(Right::SeeMoney)?;
    let tx = api.db().tenant(caller.tenant).await?;
    let account = store::account_of_tenant(&tx, caller.tenant, Some(AccountId(account))).await?;
    let account = account.ok_or_else(|| Problem::not_found("account"))?;
    let credits = store::credits(&tx, caller.tenant, account.account_id).await?;
    tx.commit().await?;
    Ok(Json(Credits { credits: credits.into_iter().map(CreditView::from).collect() }))
}
