//! Spending caps, and the warnings on the way to them.

use crate::api::Api;
use crate::auth::{Caller, Right};
use crate::idempotency::{Attempt, KeyHeader, Stop};
use crate::input::{At, Input};
use crate::problem::{Document, Problem};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use billing::cap::Cap;
use billing::money::Money;
use billing::period::Month;
use billing::store::CapWarning;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// A cap to set.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewCap {
    /// So much a calendar month at most, in micros of the account's currency.
    #[schema(minimum = 1, example = 500_000_000)]
    limit_micros: i64,
    /// For the usage that one of the business's keys reports; left out for all usage.
    #[serde(default)]
    key_id: Option<Uuid>,
}

/// A cap, and how far it is spent.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CapSeen {
    /// What it is.
    #[serde(flatten)]
    cap: Cap,
    /// What this calendar month's usage has cost so far; recurring prices are not among it.
    spent: Money,
}

/// The caps of a business.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Caps {
    /// That on all usage first.
    caps: Vec<CapSeen>,
}

/// A share of a cap was spent.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Warning {
    /// Of which cap.
    cap_id: Uuid,
    /// In which month, as `YYYY-MM`.
    #[schema(value_type = String, example = "2026-11")]
    month: Month,
    /// Which share: 50, 80 or 100.
    percent: i16,
    /// What was spent when it was noticed.
    spent: Money,
    /// When that was.
    #[schema(value_type = String, format = DateTime)]
    warned_at: Timestamp,
}

/// The warnings of a business.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Warnings {
    /// Newest first, at most 200. Each comes once for a cap, a month and a share.
    warnings: Vec<Warning>,
}

impl From<CapWarning> for Warning {
    fn from(CapWarning { cap_id, month, percent, spent, warned_at }: CapWarning) -> Self {
        Self { cap_id, month, percent, spent, warned_at }
    }
}

/// Set a cap on what usage may cost in a calendar month, for all usage or for what one key reports. It takes the place of the one
/// before it.
#[utoipa::path(
    post, path = "/v1/caps", operation_id = "set_cap", tag = "metering", request_body = NewCap, params(KeyHeader),
    responses(
        (status = 201, body = Cap),
        (status = "default", description = "A refusal", body = Document, content_type = "application/problem+json"),
    ),
    security(("secret_key" = []), ("session" = [])),
)]
pub(super) async fn set(
    State(api): State<Api>,
    caller: Caller,
    Input(new, ticket): Input<NewCap>,
) -> Result<Response, Stop> {
    caller.must_have(Right::Subscribe)?;
    if new.limit_micros < 1 {
        return Err(Problem::input("limit_micros", "must be 1 at least").into());
    }
    let attempt = Attempt::begin(&api, &caller, ticket).await?;
    match billing::store::set_cap(&attempt, caller.tenant, new.key_id, new.limit_micros, api.now()).await? {
        Some(cap) => attempt.answer(StatusCode::CREATED, &cap).await,
        None => Err(attempt.refuse(Problem::input("key_id", "is no key of this business")).await),
    }
}

/// List the caps, with what is spent of them this month.
#[utoipa::path(
    get, path = "/v1/caps", operation_id = "list_caps", tag = "metering",
    responses(
        (status = 200, body = Caps),
        (status = "default", description = "A refusal", body = Document, content_type = "application/problem+json"),
    ),
    security(("secret_key" = []), ("session" = [])),
)]
pub(super) async fn list(State(api): State<Api>, caller: Caller) -> Result<Json<Caps>, Problem> {
    caller.must_have(Right::SeeMoney)?;
    let tx = api.db().tenant(caller.tenant).await?;
    let caps = billing::store::caps(&tx, caller.tenant, api.now()).await?;
    tx.commit().await?;
    Ok(Json(Caps { caps: caps.into_iter().map(|(cap, spent)| CapSeen { cap, spent }).collect() }))
}

/// End a cap.
#[utoipa::path(
    delete, path = "/v1/caps/{cap_id}", operation_id = "delete_cap", tag = "metering",
    params(("cap_id" = Uuid, Path, description = "The cap")),
    responses(
        (status = 204, description = "Ended"),
        (status = "default", description = "A refusal", body = Document, content_type = "application/problem+json"),
    ),
    security(("secret_key" = []), ("session" = [])),
)]
pub(super) async fn delete(
    State(api): State<Api>,
    caller: Caller,
    At(cap_id): At<Uuid>,
) -> Result<StatusCode, Problem> {
    caller.must_have(Right::Subscribe)?;
    let tx = api.db().tenant(caller.tenant).await?;
    let was_there = billing::store::end_cap(&tx, caller.tenant, cap_id, api.now()).await?;
    tx.commit().await?;
    if was_there { Ok(StatusCode::NO_CONTENT) } else { Err(Problem::not_found("cap")) }
}

/// List the warnings that a share of a cap is spent, newest first.
#[utoipa::path(
    get, path = "/v1/caps/warnings", operation_id = "list_cap_warnings", tag = "metering",
    responses(
        (status = 200, body = Warnings),
        (status = "default", description = "A refusal", body = Document, content_type = "application/problem+json"),
    ),
    security(("secret_key" = []), ("session" = [])),
)]
pub(super) async fn warnings(State(api): State<Api>, caller: Caller) -> Result<Json<Warnings>, Problem> {
    caller.must_have(Right::SeeMoney)?;
    let tx = api.db().tenant(caller.tenant).await?;
    let warnings = billing::store::cap_warnings(&tx, caller.tenant).await?;
    tx.commit().await?;
    Ok(Json(Warnings { warnings: warnings.into_iter().map(Warning::from).collect() }))
}
