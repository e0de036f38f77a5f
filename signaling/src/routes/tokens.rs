//! Tokens that let one person into one room.

use crate::api::Api;
use crate::auth::{Address, Caller, Right, must_not_be_foreign_origin};
use crate::idempotency::{Attempt, KeyHeader, Stop};
use crate::input::{At, Input};
use crate::limits::Purpose;
use crate::problem::{Code, Document, Problem};
use crate::store;
use crate::text::{self, TextRefusal};
use crate::tokens::{CallRole, IDENTITY_CHARS_MAX, NewToken, TOKEN_TTL_S_MAX};
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use billing::TenantId;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sfu::control::{self, RoomId, Source};
use utoipa::ToSchema;
use uuid::Uuid;

/// All that a person can publish.
pub(super) const EVERY_SOURCE: [Source; 4] =
    [Source::Microphone, Source::Camera, Source::Screen, Source::ScreenAudio];

/// What a person may publish.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Medium {
    Microphone,
    Camera,
    Screen,
    ScreenAudio,
}

impl From<Medium> for Source {
    fn from(medium: Medium) -> Self {
        match medium {
            Medium::Microphone => Source::Microphone,
            Medium::Camera => Source::Camera,
            Medium::Screen => Source::Screen,
            Medium::ScreenAudio => Source::ScreenAudio,
        }
    }
}

/// A token to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TokenRequest {
    /// The room to let in to.
    room_id: Uuid,
    /// Your word for the person, at most 128 characters; made up if left out. The same identity joining again replaces
    /// the earlier one.
    #[schema(max_length = 128, example = "customer-4711")]
    identity: Option<String>,
    /// Display name, at most 64 characters on one line. Without it the person says one when joining.
    #[schema(max_length = 64, example = "Ada")]
    name: Option<String>,
    /// What the person may do in the room.
    #[schema(default = "participant")]
    role: Option<CallRole>,
    /// What the person may publish; everything if left out.
    #[schema(max_items = 4, example = json!(["microphone", "camera"]))]
    may_publish: Option<Vec<Medium>>,
    /// The only origin whose pages may use the token.
    #[schema(max_length = 255, example = "https://shop.example")]
    origin: Option<String>,
    /// How long the token may be used, in seconds.
    #[schema(minimum = 1, maximum = 600, default = 600)]
    ttl_s: Option<i64>,
}

/// A guest's wish to come in.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GuestTokenRequest {
    /// Display name, at most 64 characters on one line. Without it the person says one when joining.
    #[schema(max_length = 64, example = "Ada")]
    name: Option<String>,
}

/// A token, ready to be the first message of the WebSocket.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Token {
    /// A JWT signed with EdDSA.
    token: String,
    /// When it can no longer be used, UTC. A call that has begun goes on.
    expires_at: Timestamp,
    /// Where it lets in to.
    room_id: Uuid,
}

impl Token {
    fn issue(api: &Api, new: NewToken) -> Self {
        let room_id = new.room.0;
        let issued = api.tokens().issue(new, api.now());
        Self { token: issued.token, expires_at: issued.expires_at, room_id }
    }

    /// A token for whoever holds the room's link, good on our own pages only.
    pub(super) fn for_guest(api: &Api, tenant: TenantId, room_id: Uuid, name: Option<String>) -> Self {
        let token_id = api.new_id();
        Self::issue(
            api,
            NewToken {
                tenant: control::TenantId(tenant.0),
                room: RoomId(room_id),
                identity: format!("guest-{token_id}"),
                name,
                role: CallRole::Participant,
                may_publish: EVERY_SOURCE.to_vec(),
                origin: Some(api.public_origin().into()),
                token_id,
                ttl_s: TOKEN_TTL_S_MAX,
            },
        )
    }

    /// The text of the token.
    pub(super) fn into_text(self) -> String {
        self.token
    }
}

impl TokenRequest {
    fn checked(self, api: &Api, tenant: TenantId) -> Result<NewToken, Problem> {
        let token_id = api.new_id();
        let ttl_s = self.ttl_s.unwrap_or(TOKEN_TTL_S_MAX);
        if !(1..=TOKEN_TTL_S_MAX).contains(&ttl_s) {
            return Err(Problem::input("ttl_s", format!("must be between 1 and {TOKEN_TTL_S_MAX}")));
        }
        Ok(NewToken {
            tenant: control::TenantId(tenant.0),
            room: RoomId(self.room_id),
            identity: self.identity.map_or_else(|| Ok(token_id.to_string()), |text| identity(&text))?,
            name: self.name.as_deref().map(name).transpose()?,
            role: self.role.unwrap_or(CallRole::Participant),
            may_publish: may_publish(self.may_publish)?,
            origin: self
                .origin
                .map(|text| text::origin(&text))
                .transpose()
                .map_err(|why| Problem::input("origin", why))?,
            token_id,
            ttl_s,
        })
    }
}

/// A display name as a request gives it.
pub(super) fn name(text: &str) -> Result<String, Problem> {
    text::name(text).map_err(|why| Problem::input("name", why))
}

fn identity(text: &str) -> Result<String, Problem> {
    match text::line(text, IDENTITY_CHARS_MAX) {
        Ok(identity) if identity.is_empty() => Err(Problem::input("identity", TextRefusal::Empty)),
        other => other.map_err(|why| Problem::input("identity", why)),
    }
}

fn may_publish(media: Option<Vec<Medium>>) -> Result<Vec<Source>, Problem> {
    let Some(media) = media else { return Ok(EVERY_SOURCE.to_vec()) };
    let mut sources: Vec<Source> = media.into_iter().map(Source::from).collect();
    let count = sources.len();
    sources.sort_unstable();
    sources.dedup();
    if sources.len() < count {
        return Err(Problem::input("may_publish", "names a source twice"));
    }
    Ok(sources)
}

/// Make a token for a person.
#[utoipa::path(
    post, path = "/v1/tokens", operation_id = "create_token", tag = "tokens", request_body = TokenRequest,
    params(KeyHeader),
    responses(
        (status = 201, body = Token),
        (status = "default", description = "A refusal", body = Document, content_type = "application/problem+json"),
    ),
    security(("secret_key" = []), ("session" = [])),
)]
pub(super) async fn create(
    State(api): State<Api>,
    caller: Caller,
    Input(request, ticket): Input<TokenRequest>,
) -> Result<Response, Stop> {
    caller.must_have(Right::MakeRooms)?;
    let new = request.checked(&api, caller.tenant)?;
    let attempt = Attempt::begin(&api, &caller, ticket).await?;
    if store::rooms::find(&attempt, new.room.0).await?.is_none() {
        return Err(attempt.refuse(Problem::not_found("room")).await);
    }
    attempt.answer_secret(StatusCode::CREATED, &Token::issue(&api, new)).await
}

/// Make a token for whoever holds the link of a room that admits guests. Works on the service's own pages.
#[utoipa::path(
    post, path = "/v1/rooms/{room_id}/guest-tokens", operation_id = "create_guest_token", tag = "guests",
    request_body = GuestTokenRequest,
    params(("room_id" = Uuid, Path, description = "The room")),
    responses(
        (status = 201, body = Token),
        (status = "default", description = "A refusal", body = Document, content_type = "application/problem+json"),
    ),
    security(()),
)]
pub(super) async fn create_for_guest(
    State(api): State<Api>,
    Address(address): Address,
    headers: HeaderMap,
    At(room_id): At<Uuid>,
    Input(request, _): Input<GuestTokenRequest>,
) -> Result<(StatusCode, Json<Token>), Problem> {
    must_not_be_foreign_origin(&api, &headers)?;
    api.limiter().take(Purpose::GuestToken, address, api.now())?;
    let name = request.name.as_deref().map(name).transpose()?;
    let found = store::rooms::by_link(api.db(), room_id).await?;
    let (tenant, room) = found.ok_or_else(|| Problem::not_found("room"))?;
    if !room.guests {
        return Err(Problem::new(Code::GuestsNotAllowed, "this room is for invited people"));
    }
    Ok((StatusCode::CREATED, Json(Token::for_guest(&api, tenant, room_id, name))))
}
