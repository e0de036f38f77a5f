//! Vendors: under whose name a business sells plans to its own customers.

use super::plans::name;
use crate::api::Api;
use crate::auth::{Caller, Right};
use crate::idempotency::{Attempt, KeyHeader, Stop};
use crate::input::Input;
use crate::problem::{Code, Document, Problem};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use billing::catalogue::Vendor;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A vendor to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewVendor {
    /// What payers read, 1 to 120 characters on one line.
    #[schema(min_length = 1, max_length = 120, example = "Fern & Finch")]
    name: String,
}

/// The vendors.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Vendors {
    /// The operator and the business's own, oldest first.
    vendors: Vec<Vendor>,
}

/// Make a vendor.
#[utoipa::path(
    post, path = "/v1/vendors", operation_id = "create_vendor", tag = "catalogue", request_body = NewVendor,
    params(KeyHeader),
    responses(
        (status = 201, body = Vendor),
        (status = "default", description = "A refusal", body = Document, content_type = "application/problem+json"),
    ),
    security(("secret_key" = []), ("session" = [])),
)]
pub(super) async fn create(
    State(api): State<Api>,
    caller: Caller,
    Input(new, ticket): Input<NewVendor>,
) -> Result<Response, Stop> {
    caller.must_have(Right::ManagePlans)?;
    let name = name(&new.name)?;
    let attempt = Attempt::begin(&api, &caller, ticket).await?;
    match billing::store::insert_vendor(&attempt, caller.tenant, &name, api.now()).await? {
        Some(vendor) => attempt.answer(StatusCode::CREATED, &vendor).await,
        None => {
            Err(attempt.refuse(Problem::new(Code::LimitReached, "a business has 100 vendors at most")).await)
        }
    }
}

/// List the vendors: the operator and the business's own.
#[utoipa::path(
    get, path = "/v1/vendors", operation_id = "list_vendors", tag = "catalogue",
    responses(
        (status = 200, body = Vendors),
        (status = "default", description = "A refusal", body = Document, content_type = "application/problem+json"),
    ),
    security(("secret_key" = []), ("session" = [])),
)]
pub(super) async fn list(State(api): State<Api>, caller: Caller) -> Result<Json<Vendors>, Problem> {
    caller.must_have(Right::SeeMoney)?;
    let tx = api.db().tenant(caller.tenant).await?;
    let vendors = billing::store::vendors(&tx).await?;
    tx.commit().await?;
    Ok(Json(Vendors { vendors }))
}
