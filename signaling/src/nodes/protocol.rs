//! What a hub and a node say to each other over `tuppence.node.v1`, one JSON object a text frame. Commands and events are
//! those of [`sfu::control`], numbered and acknowledged like the messages of a page.

use super::fleet::Progress;
use serde::{Deserialize, Serialize};
use sfu::control::{Command, Event};
use uuid::Uuid;

/// The WebSocket's subprotocol.
pub const SUBPROTOCOL: &str = "tuppence.node.v1";
/// Where the hub listens for nodes.
pub const PATH: &str = "/v1/nodes/ws";
/// A frame at most: the largest is a captured file.
pub const FRAME_BYTES_MAX: usize = 4 << 20;
/// Commands or events that may wait for their acknowledgement.
pub const UNACKNOWLEDGED_MAX: usize = 16_384;

/// From a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum NodeFrame {
    /// The first frame.
    Hello {
        /// Made by the process when it started.
        boot: Uuid,
        /// The hub's process that the node last spoke with, if any.
        hub: Option<Uuid>,
        /// The greatest number received from it.
        received: u64,
        /// How many legs the node takes.
        legs_max: usize,
        /// The node is about to stop: see [`NodeFrame::Leave`].
        leaving: bool,
        /// Of the node's program.
        version: String,
    },
    /// A numbered event.
    Event {
        /// From 1, without gaps.
        seq: u64,
        /// What happened.
        body: Event,
    },
    /// Everything up to this number has arrived.
    Ack {
        /// Which.
        seq: u64,
    },
    /// The node is about to stop: its rooms are to go over to other nodes. Answered by [`HubFrame::Left`] whenever that changes.
    Leave {},
    /// The node is alive.
    Alive {},
}

/// To a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum HubFrame {
    /// The answer to `hello`.
    Welcome {
        /// Made by the hub's process when it started.
        hub: Uuid,
        /// What becomes of what was before.
        standing: Standing,
        /// The greatest number received from the node; 0 unless resumed.
        received: u64,
        /// How often the node says that it is alive, in milliseconds.
        alive_every_ms: u64,
    },
    /// A numbered command.
    Command {
        /// From 1, without gaps.
        seq: u64,
        /// What to do.
        body: Command,
    },
    /// Everything up to this number has arrived.
    Ack {
        /// Which.
        seq: u64,
    },
    /// What is left on a node that wants to leave; once that is nothing, it may stop.
    Left(Progress),
    /// The hub is alive: the answer to a node's.
    Alive {},
}

/// What the hub knows of a node that says hello.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// The conversation goes on where it was.
    Resumed,
    /// One of the two is new. Legs that the node has are left alone: their pages will take their leave.
    New,
    /// The node's lease has ended meanwhile, and with it its legs: it must end what it still has.
    Lapsed,
}
