//! Payouts: what vendors are owed, where it goes, and what has gone.

use super::payments::{label, token};
use crate::api::Api;
use crate::auth::{Caller, Right};
use crate::idempotency::{Attempt, KeyHeader, Stop};
use crate::input::{At, Input};
use crate::problem::{Document, Problem};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use billing::ids::VendorId;
use billing::money::Money;
use billing::payment::{Payout, PayoutLine};
use billing::processor::Processor;
use billing::store::{self, tenant_clock};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// Payouts listed at once.
const PAYOUTS_MAX: i64 = 200;

/// Where a vendor's money goes from now on.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewDestination {
    /// The processor's name for it, 1 to 255 visible ASCII characters. Never an account's number.
    #[schema(min_length = 1, max_length = 255, example = "sandbox_succeeds")]
    token: String,
    /// What the vendor calls it, 1 to 60 characters on one line.
    #[schema(min_length = 1, max_length = 60, example = "Bank of the shop")]
    label: String,
}

/// Where a vendor's money goes.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Destination {
    /// Whose.
    vendor_id: VendorId,
    /// At which processor; with `sandbox` no money moves.
    processor: &'static str,
    /// What the vendor calls it.
    label: String,
}

/// What a vendor is owed and was paid.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Payouts {
    /// Credited and not paid yet, by currency.
    owed: Vec<Money>,
    /// Newest first, 200 at most.
    payouts: Vec<Payout>,
}

/// A payout, line by line.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PayoutInFull {
    #[serde(flatten)]
    payout: Payout,
    /// The transactions that it pays, in the order of the ledger. With what was carried in they add up to the amount and
    /// what is carried out.
    lines: Vec<PayoutLine>,
}

/// Say where a vendor's money goes. Without that it is kept.
#[utoipa::path(
    post, path = "/v1/vendors/{vendor_id}/payout-destinations", operation_id = "create_payout_destination",
    tag = "payments", request_body = NewDestination,
    params(("vendor_id" = Uuid, Path, description = "A vendor of the business's own"), KeyHeader),
    responses(
        (status = 201, body = Destination),
        (status = "default", description = "A refusal", body = Document, content_type = "application/problem+json"),
    ),
    security(("secret_key" = []), ("session" = [])),
)]
pub(super) async fn create_destination(
    State(api): State<Api>,
    caller: Caller,
    At(vendor): At<Uuid>,
    Input(new, ticket): Input<NewDestination>,
) -> Result<Response, Stop> {
    caller.must_have(Right::MoveMoney)?;
    let (token, label) = (token(&new.token)?, label(&new.label)?);
    let (vendor_id, processor) = (VendorId(vendor), api.processor().name());
    let attempt = Attempt::begin(&api, &caller, ticket).await?;
    let at = tenant_clock(&attempt, caller.tenant, api.now()).await?.now;
    let whose = (caller.tenant, vendor_id);
    match store::name_destination(&attempt, whose, processor, (token, &label), at).await? {
        true => attempt.answer(StatusCode::CREATED, &Destination { vendor_id, processor, label }).await,
        false => Err(attempt.refuse(Problem::not_found("vendor of this business")).await),
    }
}

/// Read what a vendor is owed and what it was paid.
#[utoipa::path(
    get, path = "/v1/vendors/{vendor_id}/payouts", operation_id = "list_payouts", tag = "payments",
    params(("vendor_id" = Uuid, Path, description = "A vendor of the business's own")),
    responses(
        (status = 200, body = Payouts),
        (status = "default", description = "A refusal", body = Document, content_type = "application/problem+json"),
    ),
    security(("secret_key" = []), ("session" = [])),
)]
pub(super) async fn list(
    State(api): State<Api>,
    caller: Caller,
    At(vendor): At<Uuid>,
) -> Result<Json<Payouts>, Problem> {
    caller.must_have(Right::SeeMoney)?;
    let vendor = VendorId(vendor);
    let tx = api.db().tenant(caller.tenant).await?;
    let owed = store::vendor_owed(&tx, caller.tenant, vendor).await?;
    let owed = owed.ok_or_else(|| Problem::not_found("vendor of this business"))?;
    let payouts = store::payouts(&tx, caller.tenant, vendor, PAYOUTS_MAX).await?;
    tx.commit().await?;
    Ok(Json(Payouts { owed, payouts }))
}

/// Read a payout line by line.
#[utoipa::path(
    get, path = "/v1/payouts/{payout_id}", operation_id = "read_payout", tag = "payments",
    params(("payout_id" = Uuid, Path, description = "The payout")),
    responses(
        (status = 200, body = PayoutInFull),
        (status = "default", description = "A refusal", body = Document, content_type = "application/problem+json"),
    ),
    security(("secret_key" = []), ("session" = [])),
)]
pub(super) async fn read(
    State(api): State<Api>,
    caller: Caller,
    At(payout): At<Uuid>,
) -> Result<Json<PayoutInFull>, Problem> {
    caller.must_have(Right::SeeMoney)?;
    let tx = api.db().tenant(caller.tenant).await?;
    let found = store::payout(&tx, caller.tenant, payout).await?;
    tx.commit().await?;
    let (payout, lines) = found.ok_or_else(|| Problem::not_found("payout"))?;
    Ok(Json(PayoutInFull { payout, lines }))
}
