//! What the business may do, by what it is subscribed to.

use crate::api::Api;
use crate::auth::Caller;
use crate::problem::{Document, Problem};
use axum::Json;
use axum::extract::State;
use billing::entitlement::Entitlements;

/// Read what the business may do now.
#[utoipa::path(
    get, path = "/v1/entitlements", operation_id = "read_entitlements", tag = "subscriptions",
    responses(
        (status = 200, body = Entitlements),
        (status = "default", description = "A refusal", body = Document, content_type = "application/problem+json"),
    ),
    security(("secret_key" = []), ("session" = [])),
)]
pub(super) async fn read(State(api): State<Api>, caller: Caller) -> Result<Json<Entitlements>, Problem> {
    let tx = api.db().tenant(caller.tenant).await?;
    let entitlements = billing::store::entitlements(&tx, caller.tenant, api.now()).await?;
    tx.commit().await?;
    Ok(Json(entitlements))
}
