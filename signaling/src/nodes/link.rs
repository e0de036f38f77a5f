//! The WebSocket of a node, as the hub sees it.

use super::Nodes;
use super::fleet::{Ending, Hello, LinkId, NodeName};
use super::protocol::{FRAME_BYTES_MAX, HubFrame, NodeFrame, PATH, SUBPROTOCOL};
use crate::auth::bearer;
use crate::delivery::BadSequence;
use crate::problem::{Code, Problem};
use crate::secret::{Secret, SecretKind};
use crate::store;
use axum::Router;
use axum::extract::State;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::any;
use std::convert::Infallible;
use std::io::ErrorKind;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::time::timeout;

/// How long a node may take for its first frame, and to take a frame of ours.
const WITHIN: Duration = Duration::from_secs(10);

/// Where nodes dial in.
pub fn routes(nodes: Nodes) -> Router {
    Router::new().route(PATH, any(upgrade)).with_state(nodes)
}

async fn upgrade(
    State(nodes): State<Nodes>,
    headers: HeaderMap,
    socket: WebSocketUpgrade,
) -> Result<Response, Problem> {
    let unauthorized = || Problem::new(Code::Unauthorized, "send Authorization: Bearer with a node's token");
    let token = bearer(&headers)?.and_then(|text| Secret::presented(SecretKind::NodeToken, text));
    let token = token.ok_or_else(unauthorized)?;
    let name = store::nodes::name_of(&nodes.0.db, &token).await?.ok_or_else(unauthorized)?;
    let socket = socket.protocols([SUBPROTOCOL]);
    if socket.selected_protocol().is_none() {
        return Err(Problem::new(Code::BadInput, format!("offer the subprotocol {SUBPROTOCOL}")));
    }
    let socket = socket.max_message_size(FRAME_BYTES_MAX).max_frame_size(FRAME_BYTES_MAX);
    Ok(socket.on_upgrade(async move |socket| serve(nodes, name, socket).await))
}

/// Why a socket ends.
enum End {
    /// The far end or its system has closed it.
    Closed,
    /// We have closed it, or nothing comes through.
    Gone,
    Broken(&'static str),
}

impl End {
    /// What it says of the node.
    fn ending(&self) -> Ending {
        match self {
            End::Closed => Ending::Closed,
            End::Gone | End::Broken(_) => Ending::Unknown,
        }
    }
}

impl From<BadSequence> for End {
    fn from(_: BadSequence) -> Self {
        End::Broken("its numbers leave a gap")
    }
}

async fn serve(nodes: Nodes, name: NodeName, mut socket: WebSocket) {
    let (link, rung) = nodes.new_link();
    tracing::info!(node = name, "a node dials in");
    let end = converse(&nodes, &name, link, rung, &mut socket).await;
    nodes.links().remove(&link);
    let Err(end) = end;
    let ending = end.ending();
    nodes.change(|fleet| fleet.gone(&name, link, ending, now())).await;
    match end {
        End::Broken(why) => tracing::warn!(node = name, why, "a node's connection is cut"),
        End::Closed | End::Gone => tracing::info!(node = name, ?ending, "a node's connection has ended"),
    }
}

async fn converse(
    nodes: &Nodes,
    name: &NodeName,
    link: LinkId,
    mut rung: mpsc::Receiver<()>,
    socket: &mut WebSocket,
) -> Result<Infallible, End> {
    let first = timeout(WITHIN, read(socket)).await.map_err(|_| End::Broken("it said nothing"))??;
    let NodeFrame::Hello { boot, hub, received, legs_max, leaving, version } = first else {
        return Err(End::Broken("its first frame is no hello"));
    };
    let hello = Hello { boot, hub, received, legs_max, leaving, version };
    let welcome = nodes.change(|fleet| fleet.hello(name, link, hello, now())).await?;
    write(socket, &welcome).await?;
    loop {
        tokio::select! {
            frame = read(socket) => hear(nodes, name, link, frame?, socket).await?,
            more = rung.recv() => more.ok_or(End::Gone)?,
        }
        loop {
            let next = nodes.fleet().poll_frame(name, link);
            let Some(frame) = next else { break };
            write(socket, &frame).await?;
        }
    }
}

async fn hear(
    nodes: &Nodes,
    name: &NodeName,
    link: LinkId,
    frame: NodeFrame,
    socket: &mut WebSocket,
) -> Result<(), End> {
    match frame {
        NodeFrame::Hello { .. } => return Err(End::Broken("it says hello twice")),
        NodeFrame::Event { seq, body } => {
            nodes.change(|fleet| fleet.event(name, link, seq, body, now())).await?;
        }
        NodeFrame::Ack { seq } => nodes.change(|fleet| fleet.acknowledge(name, link, seq, now())).await?,
        NodeFrame::Leave {} => {
            tracing::info!(node = name, "a node wants to leave; its rooms go over to others");
            nodes.change(|fleet| fleet.leave(name, link)).await;
        }
        NodeFrame::Alive {} => {
            nodes.change(|fleet| fleet.alive(name, link, now())).await;
            write(socket, &HubFrame::Alive {}).await?;
        }
    }
    Ok(())
}

async fn read(socket: &mut WebSocket) -> Result<NodeFrame, End> {
    loop {
        match socket.recv().await {
            Some(Ok(Message::Text(text))) => {
                return serde_json::from_str(&text).map_err(|_| End::Broken("a frame is not understood"));
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            Some(Ok(Message::Close(_))) | None => return Err(End::Closed),
            Some(Ok(Message::Binary(_))) => return Err(End::Broken("a frame is not text")),
            Some(Err(error)) => return Err(broken(&error)),
        }
    }
}

/// A system ends the connections of a process that has died; of a machine that cannot be reached nothing is heard, or
/// somebody else says so.
fn broken(error: &axum::Error) -> End {
    use ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = source {
        if let Some(error) = error.downcast_ref::<std::io::Error>() {
            let closed = [BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof];
            return if closed.contains(&error.kind()) { End::Closed } else { End::Gone };
        }
        source = error.source();
    }
    // The connection ended without a goodbye.
    End::Closed
}

async fn write(socket: &mut WebSocket, frame: &HubFrame) -> Result<(), End> {
    let text = serde_json::to_string(frame).map_err(|_| End::Broken("a frame cannot be written"))?;
    match timeout(WITHIN, socket.send(Message::Text(text.into()))).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(broken(&error)),
        Err(_) => Err(End::Gone),
    }
}

#[expect(clippy::disallowed_methods, reason = "this shell gives the fleet its time")]
fn now() -> Instant {
    Instant::now()
}
