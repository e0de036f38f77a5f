//! Meters of a business's own.

use crate::api::Api;
use crate::auth::{Caller, Right};
use crate::idempotency::{Attempt, KeyHeader, Stop};
use crate::input::Input;
use crate::problem::{Code, Document, Problem};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use billing::meter::{NewMeter, OwnMeter};
use billing::store::MeterNotMade;
use serde::Serialize;
use utoipa::ToSchema;

/// The meters of a business.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Meters {
    /// Its own, in the order of their making, at most 200.
    meters: Vec<OwnMeter>,
}

/// Make a meter for what the business counts itself. It never changes, and counts events that come after it.
#[utoipa::path(
    post, path = "/v1/meters", operation_id = "create_meter", tag = "metering", request_body = NewMeter,
    params(KeyHeader),
    responses(
        (status = 201, body = OwnMeter),
        (status = "default", description = "A refusal", body = Document, content_type = "application/problem+json"),
    ),
    security(("secret_key" = []), ("session" = [])),
)]
pub(super) async fn create(
    State(api): State<Api>,
    caller: Caller,
    Input(new, ticket): Input<NewMeter>,
) -> Result<Response, Stop> {
    caller.must_have(Right::ManagePlans)?;
    let attempt = Attempt::begin(&api, &caller, ticket).await?;
    match billing::store::insert_meter(&attempt, caller.tenant, new, api.now()).await? {
        Ok(meter) => attempt.answer(StatusCode::CREATED, &meter).await,
        Err(MeterNotMade::TooMany) => {
            let problem = Problem::new(Code::LimitReached, MeterNotMade::TooMany.to_string());
            Err(attempt.refuse(problem).await)
        }
        Err(refused) => Err(attempt.refuse(Problem::new(Code::BadInput, refused.to_string())).await),
    }
}

/// List the business's own meters, in the order of their making.
#[utoipa::path(
    get, path = "/v1/meters", operation_id = "list_meters", tag = "metering",
    responses(
        (status = 200, body = Meters),
        (status = "default", description = "A refusal", body = Document, content_type = "application/problem+json"),
    ),
    security(("secret_key" = []), ("session" = [])),
)]
pub(super) async fn list(State(api): State<Api>, caller: Caller) -> Result<Json<Meters>, Problem> {
    caller.must_have(Right::SeeMoney)?;
    let tx = api.db().tenant(caller.tenant).await?;
    let meters = billing::store::meters(&tx, caller.tenant).await?;
    tx.commit().await?;
    Ok(Json(Meters { meters }))
}
