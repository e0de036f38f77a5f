//! The demo business: a room for whoever presses "Start a call", and the key of its page.

use super::rooms::link;
use crate::api::Api;
use crate::auth::{Address, must_not_be_foreign_origin};
use crate::bootstrap::DEMO_TENANT;
use crate::input::Input;
use crate::limits::Purpose;
use crate::problem::{Document, Problem};
use crate::store;
use crate::store::rooms::StoredRoom;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// Nothing is asked.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewDemoRoom {}

/// A room of the demo business.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DemoRoom {
    /// The new room.
    room_id: Uuid,
    /// Its call page.
    link: String,
}

/// What the demo business's page needs.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Demo {
    /// Stands in the page.
    publishable_key: String,
    /// The business's name.
    #[schema(example = "Fern & Finch")]
    business: String,
}

/// Make a room of the demo business. There is one only where the service runs a demo.
#[utoipa::path(
    post, path = "/v1/demo/rooms", operation_id = "create_demo_room", tag = "demo",
    request_body(content = NewDemoRoom, description = "May be empty."),
    responses(
        (status = 201, body = DemoRoom),
        (status = "default", description = "A refusal", body = Document, content_type = "application/problem+json"),
    ),
    security(()),
)]
pub(super) async fn create_room(
    State(api): State<Api>,
    Address(address): Address,
    headers: HeaderMap,
    Input(NewDemoRoom {}, _): Input<NewDemoRoom>,
) -> Result<(StatusCode, Json<DemoRoom>), Problem> {
    must_not_be_foreign_origin(&api, &headers)?;
    api.limiter().take(Purpose::DemoRoom, address, api.now())?;
    let room_id = api.new_id();
    let tx = api.db().tenant(DEMO_TENANT).await?;
    store::tenants::find(&tx).await?.ok_or_else(no_demo)?;
    let title = "Demo call".into();
    let room = StoredRoom { room_id, title, participants_max: 8, guests: true, created_at: api.now() };
    store::rooms::insert(&tx, &room).await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, Json(DemoRoom { room_id, link: link(&api, room_id) })))
}

/// Read what the demo business's page needs.
#[utoipa::path(
    get, path = "/v1/demo", operation_id = "read_demo", tag = "demo",
    responses(
        (status = 200, body = Demo),
        (status = "default", description = "A refusal", body = Document, content_type = "application/problem+json"),
    ),
    security(()),
)]
pub(super) async fn read(State(api): State<Api>, Address(address): Address) -> Result<Json<Demo>, Problem> {
    api.limiter().take(Purpose::Look, address, api.now())?;
    let tx = api.db().tenant(DEMO_TENANT).await?;
    let tenant = store::tenants::find(&tx).await?.ok_or_else(no_demo)?;
    let keys = store::keys::list(&tx).await?;
    tx.commit().await?;
    let publishable_key = keys.into_iter().find_map(|key| key.publishable_key).ok_or_else(no_demo)?;
    Ok(Json(Demo { publishable_key, business: tenant.name }))
}

fn no_demo() -> Problem {
    Problem::not_found("demo on this service")
}
