//! WHEP (draft-ietf-wish-whep): a program that only receives takes part in a call.

use super::resources::{self, CallToken, FragmentBody, OfferBody, Presented};
use crate::api::Api;
use crate::input::At;
use crate::problem::{Document, Problem};
use crate::resource::Way;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use uuid::Uuid;

/// Watch a room: a participant who is in the call at once and publishes nothing.
#[utoipa::path(
    post, path = "/v1/whep/{room_id}", operation_id = "create_viewer", tag = "resources",
    params(("room_id" = Uuid, Path, description = "The room that the token is for")),
    request_body(content = String, content_type = "application/sdp", description = "An offer that only receives; each line becomes a slot"),
    responses(
        (status = 201, description = "In the call", body = String, content_type = "application/sdp", headers(
            ("Location" = String, description = "The resource, for PATCH and DELETE"),
            ("ETag" = String, description = "The ICE session, for If-Match"),
            ("Link" = String, description = "A way through TLS, where the node has one (rel=ice-server)"),
        )),
        (status = "default", description = "A refusal", body = Document, content_type = "application/problem+json"),
    ),
    security(("call_token" = [])),
)]
pub(super) async fn create(
    State(api): State<Api>,
    At(room_id): At<Uuid>,
    token: CallToken,
    offer: OfferBody,
) -> Result<Response, Problem> {
    resources::create(&api, Way::Whep, room_id, token, offer).await
}

/// Send candidates of a viewer, or restart its ICE.
///
/// The media plane sends no checks, so candidates are read and dropped. Other credentials than before restart ICE.
#[utoipa::path(
    patch, path = "/v1/whep/{room_id}/{resource_id}", operation_id = "patch_viewer", tag = "resources",
    params(
        ("room_id" = Uuid, Path, description = "The room"),
        ("resource_id" = String, Path, description = "From the Location of the viewer"),
        ("If-Match" = String, Header, description = "The last ETag, or * to restart ICE"),
    ),
    request_body(
        content = String, content_type = "application/trickle-ice-sdpfrag", description = "An ICE fragment (RFC 8840)"
    ),
    responses(
        (
            status = 200, description = "ICE is restarted: our side of it", body = String,
            content_type = "application/trickle-ice-sdpfrag",
            headers(("ETag" = String, description = "The new ICE session")),
        ),
        (status = 204, description = "The candidates are read"),
        (status = "default", description = "A refusal", body = Document, content_type = "application/problem+json"),
    ),
    security(("call_token" = [])),
)]
pub(super) async fn patch(
    State(api): State<Api>,
    At(ids): At<(Uuid, String)>,
    token: Presented,
    headers: HeaderMap,
    fragment: FragmentBody,
) -> Result<Response, Problem> {
    let at = resources::approach(Way::Whep, ids, &token)?;
    resources::patch(&api, at, &headers, fragment).await
}

/// Take a viewer out of the call.
#[utoipa::path(
    delete, path = "/v1/whep/{room_id}/{resource_id}", operation_id = "delete_viewer", tag = "resources",
    params(
        ("room_id" = Uuid, Path, description = "The room"),
        ("resource_id" = String, Path, description = "From the Location of the viewer"),
    ),
    responses(
        (status = 200, description = "The leg has ended"),
        (status = "default", description = "A refusal", body = Document, content_type = "application/problem+json"),
    ),
    security(("call_token" = [])),
)]
pub(super) async fn delete(
    State(api): State<Api>,
    At(ids): At<(Uuid, String)>,
    token: Presented,
) -> Result<Response, Problem> {
    resources::delete(&api, resources::approach(Way::Whep, ids, &token)?).await
}
