//! Calls: who was in them and what they used.

use super::page::{cut, limit};
use crate::api::Api;
use crate::auth::{Caller, Right};
use crate::input::{Ask, At};
use crate::problem::{Document, Problem};
use crate::store;
use crate::store::calls::{LegHour, StoredCall, StoredLeg, StoredParticipant};
use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// Which calls.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct CallsQuery {
    /// Only calls that go on (true) or are over (false).
    live: Option<bool>,
    /// `next_cursor` of the page before.
    cursor: Option<Uuid>,
    /// How many at most.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<i64>,
}

/// A page of calls.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Calls {
    /// Newest first.
    calls: Vec<Call>,
    /// Where the next page begins; null on the last.
    next_cursor: Option<Uuid>,
}

/// One use of a room.
#[derive(Debug, Serialize, ToSchema)]
struct Call {
    /// Names it.
    call_id: Uuid,
    /// Where it was.
    room_id: Uuid,
    /// The room's title; may be empty.
    room_title: String,
    /// When it began, UTC.
    started_at: Timestamp,
    /// When the last one left; null while it goes on.
    ended_at: Option<Timestamp>,
    /// Who was in it, in the order of their joining.
    participants: Vec<CallParticipant>,
}

/// One person in a call.
#[derive(Debug, Serialize, ToSchema)]
struct CallParticipant {
    /// Names the person in this call.
    participant_id: Uuid,
    /// Display name.
    name: String,
    /// When they joined, UTC.
    joined_at: Timestamp,
    /// When they left; null while they are in.
    left_at: Option<Timestamp>,
    /// Milliseconds in the call, as far as reported: a live call's are a few seconds behind.
    #[schema(minimum = 0)]
    participant_ms: i64,
    /// Bytes sent to them, as far as reported.
    #[schema(minimum = 0)]
    egress_bytes: i64,
    /// Messages of others relayed to them, as far as reported.
    #[schema(minimum = 0)]
    message_count: i64,
}

/// One use of a room, with every connection and its hours.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CallDetail {
    /// As in the list.
    #[serde(flatten)]
    call: Call,
    /// In the order in which they began.
    legs: Vec<Leg>,
}

/// One connection of a person. A reconnect that could not resume is a further leg.
#[derive(Debug, Serialize, ToSchema)]
struct Leg {
    /// Names it.
    leg_id: Uuid,
    /// Whose.
    participant_id: Uuid,
    /// `sfu`, `direct` or `relay`.
    #[schema(example = "sfu")]
    path: String,
    /// By which node.
    node: String,
    /// When it entered the call; null if it stayed in the lobby.
    entered_at: Option<Timestamp>,
    /// When it ended; null while it is up.
    ended_at: Option<Timestamp>,
    /// How it ended.
    end_reason: Option<String>,
    /// What it used, in order.
    hours: Vec<Hour>,
}

/// What was used in one hour.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LegHour)]
struct Hour {
    /// Start of the hour, in the tenant's time.
    hour: Timestamp,
    /// Milliseconds in the call.
    #[schema(minimum = 0)]
    participant_ms: i64,
    /// Bytes sent.
    #[schema(minimum = 0)]
    egress_bytes: i64,
    /// Messages relayed.
    #[schema(minimum = 0)]
    message_count: i64,
}

impl Call {
    /// Takes its own participants out of those of all calls.
    fn of(call: StoredCall, participants: &[StoredParticipant]) -> Self {
        let own = participants.iter().filter(|participant| participant.call_id == call.call_id);
        Self {
            participants: own.cloned().map(CallParticipant::from).collect(),
            call_id: call.call_id,
            room_id: call.room_id,
            room_title: call.room_title,
            started_at: call.started_at,
            ended_at: call.ended_at,
        }
    }
}

impl From<StoredParticipant> for CallParticipant {
    fn from(participant: StoredParticipant) -> Self {
        Self {
            participant_id: participant.participant_id,
            name: participant.name,
            joined_at: participant.joined_at,
            left_at: participant.left_at,
            participant_ms: participant.participant_ms,
            egress_bytes: participant.egress_bytes,
            message_count: participant.message_count,
        }
    }
}

impl Leg {
    fn of(leg: StoredLeg, hours: &[LegHour]) -> Self {
        let own = hours.iter().filter(|hour| hour.leg_id == leg.leg_id);
        Self {
            hours: own.map(Hour::of).collect(),
            leg_id: leg.leg_id,
            participant_id: leg.participant_id,
            path: leg.path,
            node: leg.node,
            entered_at: leg.entered_at,
            ended_at: leg.ended_at,
            end_reason: leg.end_reason,
        }
    }
}

impl Hour {
    fn of(hour: &LegHour) -> Self {
        let LegHour { hour, participant_ms, egress_bytes, message_count, .. } = *hour;
        Self { hour, participant_ms, egress_bytes, message_count }
    }
}

/// List the calls, newest first.
#[utoipa::path(
    get, path = "/v1/calls", operation_id = "list_calls", tag = "calls", params(CallsQuery),
    responses(
        (status = 200, body = Calls),
        (status = "default", description = "A refusal", body = Document, content_type = "application/problem+json"),
    ),
    security(("secret_key" = []), ("session" = [])),
)]
pub(super) async fn list(
    State(api): State<Api>,
    caller: Caller,
    Ask(ask): Ask<CallsQuery>,
) -> Result<Json<Calls>, Problem> {
    caller.must_have(Right::SeeCalls)?;
    let limit = limit(ask.limit)?;
    let tx = api.db().tenant(caller.tenant).await?;
    let mut calls = store::calls::list(&tx, ask.live, ask.cursor, limit + 1).await?;
    let next_cursor = cut(&mut calls, limit, |call| call.call_id);
    let call_ids: Vec<Uuid> = calls.iter().map(|call| call.call_id).collect();
    let participants = store::calls::participants(&tx, &call_ids).await?;
    tx.commit().await?;
    let calls = calls.into_iter().map(|call| Call::of(call, &participants)).collect();
    Ok(Json(Calls { calls, next_cursor }))
}

/// Read one call with every connection and its hours.
#[utoipa::path(
    get, path = "/v1/calls/{call_id}", operation_id = "read_call", tag = "calls",
    params(("call_id" = Uuid, Path, description = "The call")),
    responses(
        (status = 200, body = CallDetail),
        (status = "default", description = "A refusal", body = Document, content_type = "application/problem+json"),
    ),
    security(("secret_key" = []), ("session" = [])),
)]
pub(super) async fn read(
    State(api): State<Api>,
    caller: Caller,
    At(call_id): At<Uuid>,
) -> Result<Json<CallDetail>, Problem> {
    caller.must_have(Right::SeeCalls)?;
    let tx = api.db().tenant(caller.tenant).await?;
    let call = store::calls::find(&tx, call_id).await?.ok_or_else(|| Problem::not_found("call"))?;
    let participants = store::calls::participants(&tx, &[call_id]).await?;
    let legs = store::calls::legs(&tx, call_id).await?;
    let hours = store::calls::hours(&tx, call_id).await?;
    tx.commit().await?;
    let legs = legs.into_iter().map(|leg| Leg::of(leg, &hours)).collect();
    Ok(Json(CallDetail { call: Call::of(call, &participants), legs }))
}
