//! Rooms: making them, and what a guest may know of one.

use super::page::{PageQuery, cut, limit};
use crate::api::Api;
use crate::auth::{Address, Caller, Right};
use crate::idempotency::{Attempt, KeyHeader, Stop};
use crate::input::{Ask, At, Input};
use crate::limits::Purpose;
use crate::problem::{Document, Problem};
use crate::store;
use crate::store::rooms::StoredRoom;
use crate::text;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

const PARTICIPANTS_MAX_DEFAULT: u32 = 8;
const PARTICIPANTS_MAX: u32 = 64;

/// A room to make.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewRoom {
    /// What people read, at most 120 characters on one line. May be empty.
    #[serde(default)]
    #[schema(max_length = 120, example = "Monstera advice")]
    title: String,
    /// How many fit in.
    #[schema(minimum = 1, maximum = 64, default = 8)]
    participants_max: Option<u32>,
    /// May whoever holds the link come in?
    #[schema(default = true)]
    guests: Option<bool>,
}

/// A place to meet.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Room {
    /// Names it.
    room_id: Uuid,
    /// What people read; may be empty.
    title: String,
    /// How many fit in.
    participants_max: i32,
    /// May whoever holds the link come in?
    guests: bool,
    /// The call page.
    #[schema(example = "https://calls.example.com/r/019aa5d2-7c1e-7a60-9a53-2b9c1d2e3f40")]
    link: String,
    /// When it was made, UTC.
    created_at: Timestamp,
}

/// A page of rooms.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Rooms {
    /// Newest first.
    rooms: Vec<Room>,
    /// Where the next page begins; null on the last.
    next_cursor: Option<Uuid>,
}

/// What anybody with the link may know.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PublicRoom {
    /// Names it.
    room_id: Uuid,
    /// What people read; may be empty.
    title: String,
    /// May whoever holds the link come in?
    guests: bool,
}

impl Room {
    fn of(api: &Api, room: StoredRoom) -> Self {
        Self {
            link: link(api, room.room_id),
            room_id: room.room_id,
            title: room.title,
            participants_max: room.participants_max,
            guests: room.guests,
            created_at: room.created_at,
        }
    }
}

/// The address of a room's call page.
pub(super) fn link(api: &Api, room_id: Uuid) -> String {
    format!("{}/r/{room_id}", api.public_url())
}

impl NewRoom {
    fn checked(self, api: &Api) -> Result<StoredRoom, Problem> {
        let participants_max = self.participants_max.unwrap_or(PARTICIPANTS_MAX_DEFAULT);
        if !(1..=PARTICIPANTS_MAX).contains(&participants_max) {
            return Err(Problem::input(
                "participants_max",
                format!("must be between 1 and {PARTICIPANTS_MAX}"),
            ));
        }
        Ok(StoredRoom {
            room_id: api.new_id(),
            title: text::title(&self.title).map_err(|why| Problem::input("title", why))?,
            participants_max: participants_max.cast_signed(),
            guests: self.guests.unwrap_or(true),
            created_at: api.now(),
        })
    }
}

/// Make a room.
#[utoipa::path(
    post, path = "/v1/rooms", operation_id = "create_room", tag = "rooms", request_body = NewRoom,
    params(KeyHeader),
    responses(
        (status = 201, body = Room),
        (status = "default", description = "A refusal", body = Document, content_type = "application/problem+json"),
    ),
    security(("secret_key" = []), ("session" = [])),
)]
pub(super) async fn create(
    State(api): State<Api>,
    caller: Caller,
    Input(new, ticket): Input<NewRoom>,
) -> Result<Response, Stop> {
    caller.must_have(Right::MakeRooms)?;
    let room = new.checked(&api)?;
    let attempt = Attempt::begin(&api, &caller, ticket).await?;
    store::rooms::insert(&attempt, &room).await?;
    attempt.answer(StatusCode::CREATED, &Room::of(&api, room)).await
}

/// List the rooms, newest first.
#[utoipa::path(
    get, path = "/v1/rooms", operation_id = "list_rooms", tag = "rooms", params(PageQuery),
    responses(
        (status = 200, body = Rooms),
        (status = "default", description = "A refusal", body = Document, content_type = "application/problem+json"),
    ),
    security(("secret_key" = []), ("session" = [])),
)]
pub(super) async fn list(
    State(api): State<Api>,
    caller: Caller,
    Ask(page): Ask<PageQuery>,
) -> Result<Json<Rooms>, Problem> {
    caller.must_have(Right::SeeRooms)?;
    let limit = limit(page.limit)?;
    let tx = api.db().tenant(caller.tenant).await?;
    let mut rooms = store::rooms::list(&tx, page.cursor, limit + 1).await?;
    tx.commit().await?;
    let next_cursor = cut(&mut rooms, limit, |room| room.room_id);
    Ok(Json(Rooms { rooms: rooms.into_iter().map(|room| Room::of(&api, room)).collect(), next_cursor }))
}

/// Read one room.
#[utoipa::path(
    get, path = "/v1/rooms/{room_id}", operation_id = "read_room", tag = "rooms",
    params(("room_id" = Uuid, Path, description = "The room")),
    responses(
        (status = 200, body = Room),
        (status = "default", description = "A refusal", body = Document, content_type = "application/problem+json"),
    ),
    security(("secret_key" = []), ("session" = [])),
)]
pub(super) async fn read(
    State(api): State<Api>,
    caller: Caller,
    At(room_id): At<Uuid>,
) -> Result<Json<Room>, Problem> {
    caller.must_have(Right::SeeRooms)?;
    let tx = api.db().tenant(caller.tenant).await?;
    let room = store::rooms::find(&tx, room_id).await?;
    tx.commit().await?;
    room.map(|room| Json(Room::of(&api, room))).ok_or_else(|| Problem::not_found("room"))
}

/// Read what anybody with the link may know.
#[utoipa::path(
    get, path = "/v1/rooms/{room_id}/public", operation_id = "read_public_room", tag = "guests",
    params(("room_id" = Uuid, Path, description = "The room")),
    responses(
        (status = 200, body = PublicRoom),
        (status = "default", description = "A refusal", body = Document, content_type = "application/problem+json"),
    ),
    security(()),
)]
pub(super) async fn read_public(
    State(api): State<Api>,
    Address(address): Address,
    At(room_id): At<Uuid>,
) -> Result<Json<PublicRoom>, Problem> {
    api.limiter().take(Purpose::Look, address, api.now())?;
    let found = store::rooms::by_link(api.db(), room_id).await?;
    let (_, room) = found.ok_or_else(|| Problem::not_found("room"))?;
    Ok(Json(PublicRoom { room_id: room.room_id, title: room.title, guests: room.guests }))
}
