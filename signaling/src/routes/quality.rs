//! How the connections of a call in progress do.

use crate::api::Api;
use crate::auth::{Caller, Right};
use crate::input::At;
use crate::problem::{Document, Problem};
use crate::room::CallId;
use crate::store;
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use sfu::control;
use utoipa::ToSchema;
use uuid::Uuid;

/// The connections of a call.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CallQuality {
    /// Those that have entered, as of the last few seconds; empty when the call is over or has just begun.
    connections: Vec<Connection>,
}

/// One connection.
#[derive(Debug, Serialize, ToSchema)]
struct Connection {
    /// Which; see the call's legs.
    leg_id: Uuid,
    /// What carries it.
    #[schema(example = "udp")]
    transport: &'static str,
    /// To the participant and back, in milliseconds; null before the participant's browser has reported.
    rtt_ms: Option<u32>,
    /// From the participant.
    up: Flow,
    /// To the participant.
    down: Flow,
    /// What is shown and heard there now.
    plays: Vec<Played>,
}

/// One direction over the last five seconds.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ConnectionFlow)]
struct Flow {
    /// UDP payload.
    bits_per_s: u64,
    /// Packets lost on the way, of a thousand; null when nothing was sent or reported.
    #[schema(minimum = 0, maximum = 1000)]
    loss_permille: Option<u16>,
    /// The worst voice's interarrival jitter in milliseconds, or the worst picture's where there is no voice.
    jitter_ms: Option<u32>,
}

/// What a slot plays.
#[derive(Debug, Serialize, ToSchema)]
struct Played {
    /// The slot.
    mid: String,
    /// The publisher's connection.
    leg_id: Uuid,
    /// Which of its media.
    #[schema(value_type = String, example = "camera")]
    source: control::Source,
    /// The layer's `rid`; null where the publisher sends only one.
    layer: Option<String>,
}

impl From<control::Quality> for Connection {
    fn from(quality: control::Quality) -> Self {
        Self {
            leg_id: quality.leg.0,
            transport: quality.transport.as_str(),
            rtt_ms: quality.rtt_ms,
            up: quality.up.into(),
            down: quality.down.into(),
            plays: quality.layers.into_iter().map(Played::from).collect(),
        }
    }
}

impl From<control::Flow> for Flow {
    fn from(flow: control::Flow) -> Self {
        Self { bits_per_s: flow.bits_per_s, loss_permille: flow.loss_permille, jitter_ms: flow.jitter_ms }
    }
}

impl From<control::SlotLayer> for Played {
    fn from(slot: control::SlotLayer) -> Self {
        Self { mid: slot.mid, leg_id: slot.track.leg.0, source: slot.track.source, layer: slot.layer }
    }
}

/// Read how the connections of a call in progress do: round trip, loss, jitter and rate both ways, and the layers shown.
#[utoipa::path(
    get, path = "/v1/calls/{call_id}/quality", operation_id = "read_call_quality", tag = "calls",
    params(("call_id" = Uuid, Path, description = "The call")),
    responses(
        (status = 200, body = CallQuality),
        (status = "default", description = "A refusal", body = Document, content_type = "application/problem+json"),
    ),
    security(("secret_key" = []), ("session" = [])),
)]
pub(super) async fn read(
    State(api): State<Api>,
    caller: Caller,
    At(call_id): At<Uuid>,
) -> Result<Json<CallQuality>, Problem> {
    caller.must_have(Right::SeeCalls)?;
    let tx = api.db().tenant(caller.tenant).await?;
    store::calls::find(&tx, call_id).await?.ok_or_else(|| Problem::not_found("call"))?;
    tx.commit().await?;
    let connections = api.quality(caller.tenant, CallId(call_id)).await;
    Ok(Json(CallQuality { connections: connections.into_iter().map(Connection::from).collect() }))
}
