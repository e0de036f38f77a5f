//! The headers of one connection's packets, for whoever looks for a fault.

use crate::api::Api;
use crate::auth::{Caller, Right, Who};
use crate::exchange::{Tap, TapRefusal};
use crate::input::{Ask, At};
use crate::problem::{Code, Document, Problem};
use crate::room::CallId;
use axum::extract::State;
use axum::http::{HeaderName, header};
use serde::Deserialize;
use sfu::control::{LegId, TenantId};
use std::ops::RangeInclusive;
use utoipa::IntoParams;
use uuid::Uuid;

/// A request may take 20 s in all.
const SECONDS: RangeInclusive<u32> = 1..=15;
const PACKETS: RangeInclusive<u32> = 1..=10_000;
/// As registered for capture files.
const CONTENT_TYPE: &str = "application/vnd.tcpdump.pcap";

/// How much to capture.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct CaptureQuery {
    /// For how long; the answer comes then, or earlier when there are enough packets or the connection ends.
    #[param(minimum = 1, maximum = 15, default = 10)]
    seconds: Option<u32>,
    /// How many packets at most.
    #[param(minimum = 1, maximum = 10000, default = 2000)]
    packets: Option<u32>,
}

/// Capture the headers of one connection: RTP headers with their extensions and the types of RTCP, each with its time and
/// real length. Payloads are left out and addresses are made-up ones. Needs a secret key, an owner or an admin.
#[utoipa::path(
    post, path = "/v1/calls/{call_id}/legs/{leg_id}/captures", operation_id = "capture_headers", tag = "calls",
    params(
        ("call_id" = Uuid, Path, description = "The call, in progress"),
        ("leg_id" = Uuid, Path, description = "The connection"),
        CaptureQuery,
    ),
    responses(
        (status = 200, description = "A capture file (pcap)", body = Vec<u8>, content_type = "application/vnd.tcpdump.pcap"),
        (status = "default", description = "A refusal", body = Document, content_type = "application/problem+json"),
    ),
    security(("secret_key" = []), ("session" = [])),
)]
pub(super) async fn create(
    State(api): State<Api>,
    caller: Caller,
    At((call_id, leg_id)): At<(Uuid, Uuid)>,
    Ask(ask): Ask<CaptureQuery>,
) -> Result<([(HeaderName, String); 2], Vec<u8>), Problem> {
    caller.must_have(Right::CaptureHeaders)?;
    let seconds = within("seconds", ask.seconds.unwrap_or(10), SECONDS)?;
    let packets = within("packets", ask.packets.unwrap_or(2_000), PACKETS)?;
    let by = match &caller.who {
        Who::SecretKey(_) => "a secret key".to_owned(),
        Who::Operator => "an operator".to_owned(),
        Who::Member(member) => member.member_id.to_string(),
    };
    tracing::info!(tenant_id = %caller.tenant.0, %call_id, %leg_id, by, seconds, "the headers of a connection are captured");
    let (tenant, leg) = (TenantId(caller.tenant.0), LegId(leg_id));
    let file = api.tap(Tap { tenant, call: CallId(call_id), leg, seconds, packets }).await?;
    let name = format!("attachment; filename=\"{leg_id}.pcap\"");
    Ok(([(header::CONTENT_TYPE, CONTENT_TYPE.to_owned()), (header::CONTENT_DISPOSITION, name)], file))
}

fn within(field: &str, value: u32, range: RangeInclusive<u32>) -> Result<u32, Problem> {
    match range.contains(&value) {
        true => Ok(value),
        false => Err(Problem::input(field, format!("must be between {} and {}", range.start(), range.end()))),
    }
}

impl From<TapRefusal> for Problem {
    fn from(refusal: TapRefusal) -> Self {
        match refusal {
            TapRefusal::NotThere => Problem::not_found("connection in that call now"),
            TapRefusal::Open => Problem::new(Code::CaptureInProgress, "one at a time for each connection"),
        }
    }
}
