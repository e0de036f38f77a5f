//! Visits: a person on a business's page rings. The only endpoint for pages of other origins.

use super::rooms::link;
use super::tokens::{Token, name};
use crate::api::Api;
use crate::auth::PublishableCaller;
use crate::input::Input;
use crate::problem::{Document, Problem};
use crate::store;
use crate::store::rooms::StoredRoom;
use crate::text;
use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// Who rings, and why.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewVisit {
    /// The visitor's name, at most 64 characters on one line.
    #[schema(max_length = 64, example = "Ada")]
    name: Option<String>,
    /// What it is about, at most 120 characters on one line. Becomes the room's title.
    #[serde(default)]
    #[schema(max_length = 120, example = "My monstera droops")]
    topic: String,
}

/// A room of the visitor's own.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Visit {
    /// The new room.
    room_id: Uuid,
    /// Its call page, to be opened in a frame or a tab.
    link: String,
    /// Lets the visitor in, on the call page only; for ten minutes.
    token: String,
}

/// Ring: make a room for a visitor of a page.
#[utoipa::path(
    post, path = "/v1/visits", operation_id = "create_visit", tag = "guests", request_body = NewVisit,
    params(("Origin" = String, Header, description = "Sent by the browser; the key must list it.")),
    responses(
        (status = 201, body = Visit),
        (status = "default", description = "A refusal", body = Document, content_type = "application/problem+json"),
    ),
    security(("publishable_key" = [])),
)]
pub(super) async fn create(
    State(api): State<Api>,
    caller: PublishableCaller,
    Input(new, _): Input<NewVisit>,
) -> Result<(StatusCode, Json<Visit>), Problem> {
    let name = new.name.as_deref().map(name).transpose()?;
    let title = text::title(&new.topic).map_err(|why| Problem::input("topic", why))?;
    let room_id = api.new_id();
    let room = StoredRoom { room_id, title, participants_max: 8, guests: true, created_at: api.now() };
    let tx = api.db().tenant(caller.tenant).await?;
    store::rooms::insert(&tx, &room).await?;
    tx.commit().await?;
    let token = Token::for_guest(&api, caller.tenant, room_id, name).into_text();
    Ok((StatusCode::CREATED, Json(Visit { room_id, link: link(&api, room_id), token })))
}

/// Answers the browser's question before the request. The key is not in it, so its origins are checked with the request.
pub(super) async fn preflight() -> StatusCode {
    StatusCode::NO_CONTENT
}

/// Lets the page read the answer, refusals too. No cookie is sent or believed here, so any page may.
pub(super) async fn allow_pages(request: Request, next: Next) -> Response {
    let origin = request.headers().get(header::ORIGIN).cloned();
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    if let Some(origin) = origin {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        allow(headers, header::ACCESS_CONTROL_ALLOW_METHODS, "POST");
        allow(headers, header::ACCESS_CONTROL_ALLOW_HEADERS, "authorization, content-type");
        allow(headers, header::ACCESS_CONTROL_EXPOSE_HEADERS, "retry-after, x-request-id");
        allow(headers, header::ACCESS_CONTROL_MAX_AGE, "600");
    }
    response
}

fn allow(headers: &mut HeaderMap, name: HeaderName, value: &'static str) {
    headers.insert(name, HeaderValue::from_static(value));
}
