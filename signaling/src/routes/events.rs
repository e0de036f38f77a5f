//! Events of a business's own meters, as CloudEvents 1.0 (its HTTP binding's structured and batched modes, and an event a line).

use crate::api::Api;
use crate::auth::{Caller, Right};
use crate::problem::{Code, Document, Problem};
use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, Request, State};
use axum::http::{HeaderMap, header};
use billing::event::{self, EVENTS_MAX, EventRefused, Reported};
use serde::Serialize;
use utoipa::ToSchema;

/// The largest body, in bytes.
pub(super) const BODY_BYTES_MAX: usize = 8 * 1024 * 1024;

const ONE: &str = "application/cloudevents+json";
const BATCH: &str = "application/cloudevents-batch+json";
const LINES: &str = "application/x-ndjson";

/// The events of a request, as far as they are any.
#[derive(Debug)]
pub(super) enum Events {
    /// Refused with a problem document, if it is.
    One(Reported),
    /// Each refused alone.
    Many(Vec<Result<Reported, EventRefused>>),
}

impl FromRequest<Api> for Events {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Api) -> Result<Self, Problem> {
        let media_type = media_type(request.headers());
        let body = Bytes::from_request(request, api).await.map_err(|rejection| body_problem(&rejection))?;
        let events = match media_type.as_str() {
            ONE => return event::read(&body).map(Self::One).map_err(|refused| problem(&refused)),
            BATCH => event::read_batch(&body).map_err(|refused| problem(&refused))?,
            LINES => event::read_lines(&body),
            other => {
                let detail = format!("the body says it is {other:?}; send {ONE}, {BATCH} or {LINES}");
                return Err(Problem::new(Code::BadContentType, detail));
            }
        };
        if events.len() > EVENTS_MAX {
            let detail = format!("{} events; at most {EVENTS_MAX} at once", events.len());
            return Err(Problem::new(Code::BodyTooLarge, detail));
        }
        Ok(Self::Many(events))
    }
}

fn media_type(headers: &HeaderMap) -> String {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    value.split(';').next().unwrap_or("").trim().to_ascii_lowercase()
}

fn body_problem(rejection: &BytesRejection) -> Problem {
    if rejection.status() == Code::BodyTooLarge.status() {
        return Problem::new(Code::BodyTooLarge, format!("more than {BODY_BYTES_MAX} bytes"));
    }
    Problem::new(Code::BadJson, "the body ended early")
}

/// A refusal as a problem.
fn problem(refused: &EventRefused) -> Problem {
    let code = match refused {
        EventRefused::NotAnEvent(_) | EventRefused::Field { .. } => Code::BadInput,
        EventRefused::UnknownType(_) => Code::UnknownEventType,
        EventRefused::KeyReused => Code::EventKeyReused,
        EventRefused::CapReached { .. } => Code::SpendingCapReached,
    };
    Problem::new(code, refused.to_string())
}

/// What became of the events of a request.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Answers {
    /// How many are recorded, those that were there already included.
    #[schema(example = 1)]
    accepted: usize,
    /// How many are not.
    #[schema(example = 0)]
    refused: usize,
    /// One for each event, in their order.
    events: Vec<Answer>,
}

/// What became of one event.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "status", rename_all = "snake_case")]
pub(super) enum Answer {
    /// It is recorded, by this request or by an earlier one.
    Accepted,
    /// It is not, and has changed nothing.
    Refused {
        /// For a program: `bad_input`, `unknown_event_type`, `event_key_reused` or `spending_cap_reached`.
        code: Code,
        /// For a person.
        detail: String,
    },
}

impl From<Result<(), EventRefused>> for Answer {
    fn from(recorded: Result<(), EventRefused>) -> Self {
        match recorded {
            Ok(()) => Self::Accepted,
            Err(refused) => {
                let (code, detail) = problem(&refused).into_parts();
                Self::Refused { code, detail }
            }
        }
    }
}

impl Answers {
    fn of(recorded: Vec<Result<(), EventRefused>>) -> Self {
        let accepted = recorded.iter().filter(|it| it.is_ok()).count();
        let refused = recorded.len() - accepted;
        Self { accepted, refused, events: recorded.into_iter().map(Answer::from).collect() }
    }
}

/// Record events: one (`application/cloudevents+json`), a list (`application/cloudevents-batch+json`) or one a line
/// (`application/x-ndjson`).
///
/// What is accepted is stored durably before the answer. An event may be sent as often as you like: source and id name it for
/// ever. Each event of several is accepted or refused alone; a single event that is refused is answered with a problem.
#[utoipa::path(
    post, path = "/v1/events", operation_id = "record_events", tag = "metering",
    request_body(
        content(
            (serde_json::Value = "application/cloudevents+json", example = json!({
                "specversion": "1.0", "id": "completion-8412", "source": "/inference", "type": "com.example.completion",
                "time": "2026-11-22T12:30:00Z", "data": { "tokens": 730, "tier": "paid", "model": "small" }
            })),
            (Vec<serde_json::Value> = "application/cloudevents-batch+json"),
            (String = "application/x-ndjson"),
        ),
        description = "CloudEvents 1.0 with `time` and an object as `data`; `subject` names the account that the event is about, \
            the business's own if left out, and the extension `corrects` the id of an earlier event of the same source that \
            counts no more. At most 8 MiB and 10,000 events.",
    ),
    responses(
        (status = 200, body = Answers),
        (status = "default", description = "A refusal", body = Document, content_type = "application/problem+json"),
    ),
    security(("secret_key" = []), ("session" = [])),
)]
pub(super) async fn record(
    State(api): State<Api>,
    caller: Caller,
    events: Events,
) -> Result<Json<Answers>, Problem> {
    caller.must_have(Right::RecordUsage)?;
    let (events, is_one) = match events {
        Events::One(event) => (vec![Ok(event)], true),
        Events::Many(events) => (events, false),
    };
    let recorded =
        billing::store::record_events(api.db(), caller.tenant, caller.key_id(), events, api.now()).await?;
    match recorded.first() {
        Some(Err(refused)) if is_one => Err(problem(refused)),
        _ => Ok(Json(Answers::of(recorded))),
    }
}
