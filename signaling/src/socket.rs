//! The WebSocket at `/v1/ws`: reads and writes frames, keeps them within their limits, and knows when the other side is
//! dead. What the frames mean is the switchboard's business.

mod limit;

use crate::api::id_at;
use crate::exchange::{FRAMES_MAX, ToSocket};
use crate::hub::Hub;
use crate::problem::{Code, Problem};
use crate::protocol::{ClientFrame, FRAME_BYTES_MAX, RefusalCode, SUBPROTOCOL, ServerFrame};
use crate::refusal::Refusal;
use crate::room::{Arrival, CallId, ParticipantId};
use crate::session::{ResumeSecret, SocketId};
use crate::switchboard::{Hello, Input, Newcomer, Return};
use axum::Router;
use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use limit::Limit;
use sfu::control::{LegId, SendLine};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::time::{interval_at, timeout};

/// How long a socket may take to say what it wants.
const FIRST_FRAME_WITHIN: Duration = Duration::from_secs(10);
/// How many messages a second, and how many at once.
const MESSAGES_PER_SECOND: u32 = 50;
const MESSAGES_BURST: u32 = 200;
/// How many pings may stay without any sign of life.
const MISSED_MAX: u32 = 2;
/// How long the other side may take to close.
const CLOSE_WITHIN: Duration = Duration::from_secs(1);
/// How much of an error is told; it may quote what the page sent.
const ERROR_CHARS_MAX: usize = 200;

/// The route of the WebSocket.
pub fn routes(hub: Hub) -> Router {
    Router::new().route("/v1/ws", any(upgrade)).with_state(hub)
}

/// Cookies are not looked at: what lets a page in is its token, and that may be bound to an origin.
async fn upgrade(
    State(hub): State<Hub>,
    headers: HeaderMap,
    socket: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let socket = match socket {
        Ok(socket) => socket.protocols([SUBPROTOCOL]),
        Err(_) => {
            return Problem::new(Code::BadInput, "this is a WebSocket: ask for an upgrade").into_response();
        }
    };
    if socket.selected_protocol().is_none() {
        let detail = format!("the subprotocol {SUBPROTOCOL} must be offered in Sec-WebSocket-Protocol");
        return Problem::new(Code::BadInput, detail).into_response();
    }
    let Some(place) = hub.take_socket() else {
        let detail = "no more connections are taken right now";
        return Problem::new(Code::Unavailable, detail).retry_after(2).into_response();
    };
    let origin = headers.get(header::ORIGIN).and_then(|origin| origin.to_str().ok()).map(str::to_owned);
    socket
        .max_message_size(FRAME_BYTES_MAX)
        .max_frame_size(FRAME_BYTES_MAX)
        .max_write_buffer_size(4 * FRAME_BYTES_MAX)
        .on_upgrade(async move |socket| {
            let mut wire = Wire::new(socket, hub.heartbeat() * MISSED_MAX);
            if let Err(end) = serve(&hub, &mut wire, origin).await {
                if let End::Refused(refusal) = &end {
                    hub.tally().refused(refusal.code);
                }
                wire.close(end).await;
            }
            drop(place);
        })
}

/// Why a socket is closed.
enum End {
    /// The other side is gone or does not read.
    Dead,
    /// The other side has been told everything.
    Done,
    /// The other side has broken a rule of this layer.
    Refused(Refusal),
}

impl From<Refusal> for End {
    fn from(refusal: Refusal) -> Self {
        End::Refused(refusal)
    }
}

async fn serve(hub: &Hub, wire: &mut Wire, origin: Option<String>) -> Result<(), End> {
    let too_slow = || Refusal::new(RefusalCode::TooSlow, "The first frame did not come within 10 s.");
    let first = timeout(FIRST_FRAME_WITHIN, wire.frame()).await.map_err(|_| too_slow())??;
    let socket = hub.new_socket_id();
    let input = greet(hub, socket, first, origin)?;
    let (sender, frames) = mpsc::channel(FRAMES_MAX);
    hub.exchange().open(socket, sender).await;
    hub.exchange().tell(input).await;
    let end = converse(hub, wire, socket, frames).await;
    hub.exchange().tell(Input::Gone { socket }).await;
    end
}

/// What the first frame asks for.
fn greet(hub: &Hub, socket: SocketId, first: ClientFrame, origin: Option<String>) -> Result<Input, Refusal> {
    match first {
        ClientFrame::Join { token, offer, sends, name } => {
            let hello = hello(hub, socket, &token, (offer, sends), name, origin.as_deref())?;
            Ok(Input::Join(Box::new(hello)))
        }
        ClientFrame::Rejoin { resume, offer, sends } => {
            let before = ResumeSecret::parse(&resume).ok_or_else(Refusal::resume_expired)?;
            let Fresh { participant, call, secret } = Fresh::names(hub)?;
            let back = Return { socket, before, origin, participant, call, secret, offer, sends };
            Ok(Input::Rejoin(Box::new(back)))
        }
        ClientFrame::Resume { resume, received } => {
            let secret = ResumeSecret::parse(&resume).ok_or_else(Refusal::resume_expired)?;
            Ok(Input::Resume { socket, secret, origin, received })
        }
        _ => Err(Refusal::new(
            RefusalCode::OutOfOrder,
            "The first frame must be `join`, `rejoin` or `resume`.",
        )),
    }
}

/// Names of what a page may become, and the secret of its session.
struct Fresh {
    participant: ParticipantId,
    call: CallId,
    secret: ResumeSecret,
}

impl Fresh {
    fn names(hub: &Hub) -> Result<Self, Refusal> {
        let now = hub.clock().now();
        let mut secret = [0; 32];
        aws_lc_rs::rand::fill(&mut secret).map_err(|_| Refusal::overloaded())?;
        let secret = ResumeSecret::new(LegId(id_at(now)), secret);
        Ok(Self { participant: ParticipantId(id_at(now)), call: CallId(id_at(now)), secret })
    }
}

fn hello(
    hub: &Hub,
    socket: SocketId,
    token: &str,
    (offer, sends): (String, Vec<SendLine>),
    name: Option<String>,
    origin: Option<&str>,
) -> Result<Hello, Refusal> {
    let grant = hub.token_keys().verify(token, hub.clock().now(), origin)?;
    let Fresh { participant, call, secret } = Fresh::names(hub)?;
    let arrival = Arrival {
        leg: secret.leg,
        participant,
        identity: grant.identity,
        name: name.or(grant.name),
        role: grant.role,
        may_publish: grant.may_publish,
        offer,
        sends,
        enters_at_once: false,
    };
    Ok(Hello {
        socket,
        newcomer: Newcomer { tenant: grant.tenant, room: grant.room, call, arrival },
        secret,
        origin: grant.origin,
        instead_of: None,
    })
}

/// Carries frames both ways until one side ends it.
async fn converse(
    hub: &Hub,
    wire: &mut Wire,
    socket: SocketId,
    mut frames: mpsc::Receiver<ToSocket>,
) -> Result<(), End> {
    let mut ping = interval_at(tokio::time::Instant::now() + hub.heartbeat(), hub.heartbeat());
    loop {
        tokio::select! {
            frame = frames.recv() => match frame {
                Some(ToSocket::Frame(frame)) => wire.send(&frame).await?,
                Some(ToSocket::HangUp) => return Err(End::Done),
                None => return Err(End::Dead),
            },
            frame = wire.frame() => {
                if let Some(input) = to_input(socket, frame?)? {
                    hub.exchange().tell(input).await;
                }
            }
            _ = ping.tick() => {
                wire.check_alive()?;
                wire.send(&ServerFrame::Ping).await?;
            }
        }
    }
}

fn to_input(socket: SocketId, frame: ClientFrame) -> Result<Option<Input>, Refusal> {
    match frame {
        ClientFrame::Event { seq, body } => Ok(Some(Input::Event { socket, seq, event: body })),
        ClientFrame::Ack { seq } => Ok(Some(Input::Ack { socket, seq })),
        ClientFrame::Pong {} => Ok(None),
        ClientFrame::Join { .. } | ClientFrame::Rejoin { .. } | ClientFrame::Resume { .. } => {
            Err(Refusal::new(
                RefusalCode::OutOfOrder,
                "`join`, `rejoin` and `resume` are first frames of a new connection.",
            ))
        }
    }
}

/// A WebSocket that speaks frames.
struct Wire {
    socket: WebSocket,
    limit: Limit,
    heard_at: Instant,
    silence_max: Duration,
}

impl Wire {
    fn new(socket: WebSocket, silence_max: Duration) -> Self {
        let now = monotonic();
        let limit = Limit::new(MESSAGES_PER_SECOND, MESSAGES_BURST, now);
        Self { socket, limit, heard_at: now, silence_max }
    }

    /// The next frame. Safe to cancel.
    async fn frame(&mut self) -> Result<ClientFrame, End> {
        loop {
            let message = self.socket.recv().await.ok_or(End::Dead)?;
            self.heard_at = monotonic();
            if !self.limit.take(self.heard_at) {
                let refusal = Refusal::new(RefusalCode::TooManyMessages, "More than 50 messages a second.");
                return Err(refusal.after(Duration::from_secs(1)).into());
            }
            match message.map_err(unreadable)? {
                Message::Text(text) => {
                    return ClientFrame::parse(&text).map_err(|error| bad_message(&error).into());
                }
                Message::Binary(_) => return Err(bad_message(&"frames are text").into()),
                Message::Close(_) => return Err(End::Dead),
                Message::Ping(_) | Message::Pong(_) => {}
            }
        }
    }

    async fn send(&mut self, frame: &ServerFrame) -> Result<(), End> {
        let text = serde_json::to_string(frame).expect("frames are plain JSON");
        let sent = timeout(self.silence_max, self.socket.send(Message::Text(text.into()))).await;
        sent.map_err(|_| End::Dead)?.map_err(|_| End::Dead)
    }

    fn check_alive(&self) -> Result<(), End> {
        let silence = monotonic().saturating_duration_since(self.heard_at);
        if silence > self.silence_max { Err(End::Dead) } else { Ok(()) }
    }

    /// Says why, closes, and gives the other side a moment to do the same.
    async fn close(&mut self, end: End) {
        let code = match &end {
            End::Dead => return,
            End::Done => close_code::NORMAL,
            End::Refused(refusal) if refusal.code == RefusalCode::TooLarge => close_code::SIZE,
            End::Refused(_) => close_code::POLICY,
        };
        if let End::Refused(refusal) = end
            && self.send(&refusal.into_frame()).await.is_err()
        {
            return;
        }
        let close = Message::Close(Some(CloseFrame { code, reason: "".into() }));
        let closing = async {
            self.socket.send(close).await.ok();
            while let Some(Ok(_)) = self.socket.recv().await {}
        };
        timeout(CLOSE_WITHIN, closing).await.ok();
    }
}

fn bad_message(error: &dyn std::fmt::Display) -> Refusal {
    let error: String = error.to_string().chars().filter(|c| !c.is_control()).take(ERROR_CHARS_MAX).collect();
    Refusal::new(RefusalCode::BadMessage, format!("The message is not understood: {error}."))
}

/// What tungstenite could not read: too large, not UTF-8, not WebSocket; or the connection broke.
fn unreadable(error: axum::Error) -> End {
    let error = error.to_string();
    if error.starts_with("Space limit exceeded") {
        return Refusal::new(RefusalCode::TooLarge, "The message is larger than 128 KiB.").into();
    }
    if error.to_ascii_lowercase().contains("utf-8") {
        return bad_message(&"it is not UTF-8").into();
    }
    End::Dead
}

#[expect(clippy::disallowed_methods, reason = "the socket is a shell: it measures silence and rate")]
fn monotonic() -> Instant {
    Instant::now()
}
