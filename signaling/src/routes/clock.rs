//! The tenant's clock, which in a sandbox can be advanced.

use crate::api::Api;
use crate::auth::{Caller, Right};
use crate::idempotency::{Attempt, KeyHeader, Stop};
use crate::input::Input;
use crate::problem::{Code, Document, Problem};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use billing::TenantId;
use billing::db::Transaction;
use billing::statement::Summary;
use billing::store::{AdvanceError, TenantClock, tenant_clock};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What time it is for the tenant.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Clock {
    /// UTC.
    now: Timestamp,
    /// How far ahead of real time, in hours.
    #[schema(minimum = 0)]
    offset_hours: i32,
    /// May it be advanced?
    sandbox: bool,
}

/// How far to go: either `hours` or `to`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "hours": 24 }))]
pub(super) struct Advance {
    /// So many hours further, at least one.
    #[schema(minimum = 1, maximum = 26784)]
    hours: Option<i64>,
    /// To this time, UTC, rounded up to whole hours from now; at most 36 months ahead, never back.
    to: Option<Timestamp>,
}

/// Where the clock stands now, and what happened on the way.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Advanced {
    /// UTC.
    now: Timestamp,
    /// The statements of the months that ended, oldest first.
    finalized: Vec<Summary>,
}

/// The longest 36 months.
const HOURS_MAX: i64 = 1116 * 24;

/// Read the tenant's clock.
#[utoipa::path(
    get, path = "/v1/clock", operation_id = "read_clock", tag = "clock",
    responses(
        (status = 200, body = Clock),
        (status = "default", description = "A refusal", body = Document, content_type = "application/problem+json"),
    ),
    security(("secret_key" = []), ("session" = [])),
)]
pub(super) async fn read(State(api): State<Api>, caller: Caller) -> Result<Json<Clock>, Problem> {
    let tx = api.db().tenant(caller.tenant).await?;
    let TenantClock { now, offset_hours, sandbox } = tenant_clock(&tx, caller.tenant, api.now()).await?;
    tx.commit().await?;
    Ok(Json(Clock { now, offset_hours, sandbox }))
}

/// Advance a sandbox's clock. Every month that ends on the way is finalised, in order.
#[utoipa::path(
    post, path = "/v1/clock/advance", operation_id = "advance_clock", tag = "clock", request_body = Advance,
    params(KeyHeader),
    responses(
        (status = 200, body = Advanced),
        (status = "default", description = "A refusal", body = Document, content_type = "application/problem+json"),
    ),
    security(("secret_key" = []), ("session" = [])),
)]
pub(super) async fn advance(
    State(api): State<Api>,
    caller: Caller,
    Input(how_far, ticket): Input<Advance>,
) -> Result<Response, Stop> {
    caller.must_have(Right::AdvanceClock)?;
    let attempt = Attempt::begin(&api, &caller, ticket).await?;
    match how_far.advance(&attempt, caller.tenant, api.now()).await {
        Ok(advanced) => attempt.answer(StatusCode::OK, &advanced).await,
        Err(problem) => Err(attempt.refuse(problem).await),
    }
}

impl Advance {
    async fn advance(&self, tx: &Transaction, tenant: TenantId, now: Timestamp) -> Result<Advanced, Problem> {
        let clock = tenant_clock(tx, tenant, now).await?;
        let advanced = billing::store::advance_clock(tx, tenant, self.target(clock.now)?, now).await?;
        Ok(Advanced { now: advanced.clock.now, finalized: advanced.finalized })
    }

    fn target(&self, now: Timestamp) -> Result<Timestamp, Problem> {
        match (self.hours, self.to) {
            (Some(hours @ 1..=HOURS_MAX), None) => now
                .checked_add(SignedDuration::from_hours(hours))
                .map_err(|_| Problem::input("hours", "the calendar ends before that")),
            (Some(_), None) => Err(Problem::input("hours", format!("must be between 1 and {HOURS_MAX}"))),
            (None, Some(to)) => Ok(to),
            _ => Err(Problem::new(Code::BadInput, "say either hours or to")),
        }
    }
}

impl From<AdvanceError> for Problem {
    fn from(error: AdvanceError) -> Self {
        match error {
            AdvanceError::NotSandbox => Problem::new(Code::SandboxOnly, "this is not a sandbox tenant"),
            AdvanceError::Backwards(_) | AdvanceError::TooFar(_) => Problem::input("to", error),
            AdvanceError::Store(error) => error.into(),
        }
    }
}
