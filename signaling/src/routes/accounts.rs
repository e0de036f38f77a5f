//! Accounts: who pays. A business has one of its own, and one for each of its people who subscribe to something.

use super::page::{PageQuery, cut, limit};
use super::plans::name;
use crate::api::Api;
use crate::auth::{Caller, Right};
use crate::idempotency::{Attempt, KeyHeader, Stop};
use crate::input::{Ask, Input};
use crate::problem::{Document, Problem};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use billing::currency::Currency;
use billing::ids::AccountId;
use billing::store::OpenedAccount;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// An account to open.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewAccount {
    /// What it is called, 1 to 120 characters on one line.
    #[schema(min_length = 1, max_length = 120, example = "Ada")]
    name: String,
    /// ISO 4217, of everything it pays.
    #[schema(example = "EUR")]
    currency: String,
}

/// Who pays.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Account {
    /// Names it.
    account_id: AccountId,
    /// Is it the business's own?
    is_business: bool,
    /// What it is called.
    name: String,
    /// Of everything it pays.
    #[schema(value_type = String, example = "EUR")]
    currency: Currency,
    /// When it was opened, UTC.
    created_at: Timestamp,
}

impl From<OpenedAccount> for Account {
    fn from(account: OpenedAccount) -> Self {
        let OpenedAccount { account_id, is_tenant, name, currency, created_at } = account;
        Self { account_id, is_business: is_tenant, name, currency, created_at }
    }
}

/// A page of accounts.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Accounts {
    /// Newest first.
    accounts: Vec<Account>,
    /// Where the next page begins; null on the last.
    next_cursor: Option<Uuid>,
}

/// Open an account for one of the business's people.
#[utoipa::path(
    post, path = "/v1/accounts", operation_id = "create_account", tag = "subscriptions", request_body = NewAccount,
    params(KeyHeader),
    responses(
        (status = 201, body = Account),
        (status = "default", description = "A refusal", body = Document, content_type = "application/problem+json"),
    ),
    security(("secret_key" = []), ("session" = [])),
)]
pub(super) async fn create(
    State(api): State<Api>,
    caller: Caller,
    Input(new, ticket): Input<NewAccount>,
) -> Result<Response, Stop> {
    caller.must_have(Right::Subscribe)?;
    let name = name(&new.name)?;
    let currency = new.currency.parse().ok().filter(|currency: &Currency| currency.is_known());
    let currency = currency.ok_or_else(|| Problem::input("currency", "is no currency of ISO 4217"))?;
    let attempt = Attempt::begin(&api, &caller, ticket).await?;
    let opened = billing::store::open_person(&attempt, caller.tenant, &name, currency, api.now()).await?;
    attempt.answer(StatusCode::CREATED, &Account::from(opened)).await
}

/// List the accounts, newest first.
#[utoipa::path(
    get, path = "/v1/accounts", operation_id = "list_accounts", tag = "subscriptions", params(PageQuery),
    responses(
        (status = 200, body = Accounts),
        (status = "default", description = "A refusal", body = Document, content_type = "application/problem+json"),
    ),
    security(("secret_key" = []), ("session" = [])),
)]
pub(super) async fn list(
    State(api): State<Api>,
    caller: Caller,
    Ask(page): Ask<PageQuery>,
) -> Result<Json<Accounts>, Problem> {
    caller.must_have(Right::SeeMoney)?;
    let limit = limit(page.limit)?;
    let tx = api.db().tenant(caller.tenant).await?;
    let mut accounts = billing::store::accounts(&tx, caller.tenant, page.cursor, limit + 1).await?;
    tx.commit().await?;
    let next_cursor = cut(&mut accounts, limit, |account| account.account_id.0);
    Ok(Json(Accounts { accounts: accounts.into_iter().map(Account::from).collect(), next_cursor }))
}
