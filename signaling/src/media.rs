//! The media plane as the hub holds it: something that takes commands and tells events.
//!
//! In one process that is an [`sfu::Node`], in several [`crate::nodes::Nodes`]; tests bring their own.

use sfu::control::{Command, Event, LegId, RoomId};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

/// Takes commands for the media plane.
pub trait Commands: Send + Sync + 'static {
    /// Queues a command without waiting; commands of one leg are done in the order they are sent.
    fn send(&self, command: Command) -> Result<(), sfu::Busy>;

    /// The name of the node where a room is or would be placed; none where there is only one.
    fn node_for(&self, _room: RoomId) -> Option<String> {
        None
    }

    /// Who has reported a batch of usage.
    fn reporter(&self, _batch: u64) -> Reporter {
        Reporter::Own
    }

    /// Whether usage of this leg came too late to be billed.
    fn is_fenced(&self, _leg: LegId) -> bool {
        false
    }
}

/// Who has reported a batch of usage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reporter {
    /// The media plane of this process.
    Own,
    /// A node in another process, by its name.
    Node(String),
    /// Nobody knows any more; it will come again.
    Forgotten,
}

/// What happens in the media plane.
#[derive(Debug)]
pub enum Happening {
    /// A node tells something.
    Event(Event),
    /// A room is to go over to another node.
    Move(RoomId),
    /// It is to stay where it is.
    Stay(RoomId),
}

/// Tells what happens in the media plane.
pub trait Happenings: Send + 'static {
    /// The next one, or `None` once the media plane has stopped. Safe to cancel.
    fn recv(&mut self) -> Pin<Box<dyn Future<Output = Option<Happening>> + Send + '_>>;
}

/// Both ends of a media plane.
pub struct MediaPlane {
    /// Where commands go.
    pub commands: Arc<dyn Commands>,
    /// Where events come from.
    pub happenings: Box<dyn Happenings>,
}

impl std::fmt::Debug for MediaPlane {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MediaPlane")
    }
}

impl From<(sfu::Handle, sfu::Events)> for MediaPlane {
    fn from((handle, events): (sfu::Handle, sfu::Events)) -> Self {
        Self { commands: Arc::new(handle), happenings: Box::new(events) }
    }
}

impl Commands for sfu::Handle {
    fn send(&self, command: Command) -> Result<(), sfu::Busy> {
        sfu::Handle::send(self, command)
    }
}

impl Happenings for sfu::Events {
    fn recv(&mut self) -> Pin<Box<dyn Future<Output = Option<Happening>> + Send + '_>> {
        Box::pin(async { sfu::Events::recv(self).await.map(Happening::Event) })
    }
}
