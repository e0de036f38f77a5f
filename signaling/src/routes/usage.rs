//! Usage of a month, by the hour.

use crate::api::Api;
use crate::auth::{Caller, Right};
use crate::input::Ask;
use crate::problem::{Document, Problem};
use axum::Json;
use axum::extract::State;
use billing::drilldown::UsageMonth;
use billing::period::Month;
use serde::Deserialize;
use utoipa::IntoParams;

/// Which month.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct UsageQuery {
    /// `YYYY-MM`; the tenant's current month if left out.
    #[param(example = "2026-11")]
    month: Option<String>,
}

/// Read what was used in a month, hour by hour, and what it costs beyond the allowances.
#[utoipa::path(
    get, path = "/v1/usage", operation_id = "read_usage", tag = "money", params(UsageQuery),
    responses(
        (status = 200, body = UsageMonth),
        (status = "default", description = "A refusal", body = Document, content_type = "application/problem+json"),
    ),
    security(("secret_key" = []), ("session" = [])),
)]
pub(super) async fn read(
    State(api): State<Api>,
    caller: Caller,
    Ask(ask): Ask<UsageQuery>,
) -> Result<Json<UsageMonth>, Problem> {
    caller.must_have(Right::SeeMoney)?;
    let month = ask.month.as_deref().map(month).transpose()?;
    let tx = api.db().tenant(caller.tenant).await?;
    let usage = billing::store::usage_month(&tx, caller.tenant, month, api.now()).await?;
    tx.commit().await?;
    Ok(Json(usage))
}

fn month(text: &str) -> Result<Month, Problem> {
    text.parse().map_err(|_| Problem::input("month", "must be YYYY-MM, such as 2026-11"))
}
