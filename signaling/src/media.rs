//! The media plane as the hub holds it: something that takes commands and tells events.
//!
//! In one process that is an [`sfu::Node`]; tests bring their own.

use sfu::control::{Command, Event};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

/// Takes commands for the media plane.
pub trait Commands: Send + Sync + 'static {
    /// Queues a command without waiting; commands of one leg are done in the order they are sent.
    fn send(&self, command: Command) -> Result<(), sfu::Busy>;
}

/// Tells what happens in the media plane.
pub trait Happenings: Send + 'static {
    /// The next event, or `None` once the media plane has stopped. Safe to cancel.
    fn recv(&mut self) -> Pin<Box<dyn Future<Output = Option<Event>> + Send + '_>>;
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
    fn recv(&mut self) -> Pin<Box<dyn Future<Output = Option<Event>> + Send + '_>> {
        Box::pin(sfu::Events::recv(self))
    }
}
