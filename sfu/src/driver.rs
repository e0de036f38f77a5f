//! The shard's thread: one UDP socket and the clock.

use std::net::SocketAddr;
use std::thread::JoinHandle;

use tokio::sync::mpsc;

use crate::control::{Command, Event};
use crate::keeper::KeeperDoor;
use crate::node::{Busy, NodeConfig, StartError};

/// Where commands enter a shard.
#[derive(Debug, Clone)]
pub(crate) struct Door {
    local_addr: SocketAddr,
}

impl Door {
    pub(crate) fn send(&self, _command: Command) -> Result<(), Busy> {
        Err(Busy)
    }

    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    pub(crate) fn stop(&self) {}
}

pub(crate) fn start(
    config: &NodeConfig,
    _index: usize,
    _shards: usize,
    _events: mpsc::Sender<Event>,
    _keeper: KeeperDoor,
) -> Result<(Door, JoinHandle<()>), StartError> {
    let thread = std::thread::Builder::new().spawn(|| ()).map_err(StartError::Thread)?;
    Ok((Door { local_addr: config.listen }, thread))
}
