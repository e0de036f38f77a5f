//! Usage of a month by the hour with what it costs, and of one meter by time and dimension.

use crate::api::Api;
use crate::auth::{Caller, Right};
use crate::base64url;
use crate::input::{Ask, At};
use crate::problem::{Document, Problem};
use axum::Json;
use axum::extract::State;
use billing::drilldown::{Bucket, UsageMonth, UsagePage};
use billing::ids::AccountId;
use billing::period::Month;
use billing::store::{USAGE_ROWS_MAX, UsageAsk, UsageAskError, UsageCursor};
use billing::usage::Meter;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
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

/// How a parameter begins that says what a dimension must be.
const DIMENSION: &str = "dimension.";
/// How many rows a page has unless it is said.
const ROWS: i64 = 100;

/// Read what one meter counted, by hour, day or month, grouped by its dimensions.
#[utoipa::path(
    get, path = "/v1/usage/{meter}", operation_id = "read_meter_usage", tag = "metering",
    params(
        ("meter" = String, Path, description = "One of the business's own meters, or `participant_ms`, `egress_bytes` or `message_count`"),
        ("by" = Option<Bucket>, Query, description = "In how long pieces; `day` if left out"),
        ("from" = Option<String>, Query, description = "RFC 3339; the start of the tenant's current month if left out. Rounded down to a whole piece"),
        ("to" = Option<String>, Query, description = "RFC 3339; the tenant's time now if left out. Rounded up, at most 2,400 pieces after `from`"),
        ("account_id" = Option<uuid::Uuid>, Query, description = "Of which account; the business's own if left out"),
        ("group_by" = Option<String>, Query, description = "Dimensions of the meter with commas between; of what calls use, `room_id` and `call_id`"),
        ("dimension.{name}" = Option<String>, Query, description = "What a dimension must be, such as `dimension.model=small`"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
        ("limit" = Option<i64>, Query, description = "Rows of a page, 1 to 1,000; 100 if left out"),
    ),
    responses(
        (status = 200, body = UsagePage),
        (status = "default", description = "A refusal", body = Document, content_type = "application/problem+json"),
    ),
    security(("secret_key" = []), ("session" = [])),
)]
pub(super) async fn read_meter(
    State(api): State<Api>,
    caller: Caller,
    At(meter): At<String>,
    Ask(asked): Ask<BTreeMap<String, String>>,
) -> Result<Json<UsagePage>, Problem> {
    caller.must_have(Right::SeeMoney)?;
    let meter = meter.parse().map_err(|_| Problem::not_found("meter"))?;
    let ask = ask(meter, asked)?;
    let tx = api.db().tenant(caller.tenant).await?;
    let (page, next) = billing::store::usage_rows(&tx, caller.tenant, &ask, api.now()).await?;
    tx.commit().await?;
    Ok(Json(UsagePage { next_cursor: next.as_ref().map(written), ..page }))
}

fn ask(meter: Meter, mut asked: BTreeMap<String, String>) -> Result<UsageAsk, Problem> {
    let limit = parsed(&mut asked, "limit")?.unwrap_or(ROWS);
    if !(1..=USAGE_ROWS_MAX).contains(&limit) {
        return Err(Problem::input("limit", format!("must be between 1 and {USAGE_ROWS_MAX}")));
    }
    let cursor = asked
        .remove("cursor")
        .map(|text| cursor(&text).ok_or_else(|| Problem::input("cursor", "is none of ours")));
    let group_by = asked.remove("group_by").unwrap_or_default();
    let ask = UsageAsk {
        meter,
        account: parsed(&mut asked, "account_id")?.map(AccountId),
        by: parsed(&mut asked, "by")?.unwrap_or(Bucket::Day),
        from: parsed(&mut asked, "from")?,
        to: parsed(&mut asked, "to")?,
        group_by: group_by.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect(),
        only: BTreeMap::new(),
        after: cursor.transpose()?,
        limit,
    };
    let mut only = BTreeMap::new();
    for (name, value) in asked {
        match name.strip_prefix(DIMENSION) {
            Some(dimension) => drop(only.insert(dimension.to_owned(), value)),
            None => return Err(Problem::input(&name, "is no parameter of this")),
        }
    }
    Ok(UsageAsk { only, ..ask })
}

/// A parameter as JSON would have it.
fn parsed<T: DeserializeOwned>(
    asked: &mut BTreeMap<String, String>,
    name: &str,
) -> Result<Option<T>, Problem> {
    let Some(text) = asked.remove(name) else { return Ok(None) };
    let quoted = || serde_json::from_value(serde_json::Value::String(text.clone()));
    let read = serde_json::from_str(&text).or_else(|_| quoted());
    read.map(Some).map_err(|why| Problem::input(name, why))
}

/// The last row of a page, in a form that nobody need read.
fn written(cursor: &UsageCursor) -> String {
    base64url::encode(&serde_json::to_vec(cursor).expect("a time and text"))
}

fn cursor(text: &str) -> Option<UsageCursor> {
    serde_json::from_slice(&base64url::decode(text)?).ok()
}

impl From<UsageAskError> for Problem {
    fn from(error: UsageAskError) -> Self {
        match error {
            UsageAskError::NotFound(what) => Problem::not_found(what),
            UsageAskError::Refused(field, why) => Problem::input(field, why),
            UsageAskError::Store(error) => error.into(),
        }
    }
}
