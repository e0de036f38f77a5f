//! Is the process alive, may it be given new calls, and which keys sign its tokens?

use crate::api::Api;
use crate::openapi;
use crate::problem::{Code, Document, Problem};
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderName, header};
use serde::Serialize;
use utoipa::ToSchema;

/// All is well.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Health {
    /// Always `ok`; a refusal is a problem document.
    #[schema(example = "ok")]
    status: &'static str,
}

/// Say that the process lives. Asks nothing else: a restart would not bring the database back.
#[utoipa::path(
    get, path = "/healthz", operation_id = "probe_live", tag = "service",
    responses((status = 200, body = Health)), security(()),
)]
pub(super) async fn live() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// Say whether new calls can be taken. Calls in progress do not depend on the answer.
#[utoipa::path(
    get, path = "/readyz", operation_id = "probe_ready", tag = "service",
    responses(
        (status = 200, body = Health),
        (status = 503, description = "Not now", body = Document, content_type = "application/problem+json"),
    ),
    security(()),
)]
pub(super) async fn ready(State(api): State<Api>) -> Result<Json<Health>, Problem> {
    if !api.takes_calls() {
        return Err(Problem::new(Code::Unavailable, "the service is stopping").retry_after(5));
    }
    api.db().ping().await.map_err(|error| {
        tracing::warn!(cause = %error, "not ready: the database cannot be asked");
        Problem::new(Code::Unavailable, "the database cannot be asked now").retry_after(1)
    })?;
    Ok(Json(Health { status: "ok" }))
}

/// A set of public keys (RFC 7517).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = JwkSet)]
pub(super) struct JwkSet {
    /// Ed25519 keys (RFC 8037).
    #[schema(value_type = Vec<Object>, example = json!([{
        "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig",
        "kid": "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
    }]))]
    keys: serde_json::Value,
}

/// Read the public keys with which call tokens can be checked.
#[utoipa::path(
    get, path = "/.well-known/jwks.json", operation_id = "read_key_set", tag = "service",
    responses((status = 200, body = JwkSet)), security(()),
)]
pub(super) async fn jwks(State(api): State<Api>) -> ([(HeaderName, &'static str); 1], Json<JwkSet>) {
    let keys = api.tokens().jwks()["keys"].take();
    ([(header::CACHE_CONTROL, "public, max-age=60")], Json(JwkSet { keys }))
}

/// Read this description.
#[utoipa::path(
    get, path = "/v1/openapi.json", operation_id = "read_openapi", tag = "service",
    responses((status = 200, description = "OpenAPI 3.1", body = Object)), security(()),
)]
pub(super) async fn openapi() -> ([(HeaderName, &'static str); 1], &'static str) {
    ([(header::CONTENT_TYPE, "application/json")], openapi::json())
}
