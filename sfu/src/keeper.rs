//! The thread that journals and ships usage.

use std::path::Path;
use std::thread::JoinHandle;

use tokio::sync::mpsc;

use crate::control::Event;
use crate::journal::JournalError;
use crate::node::{Busy, StartError};

/// Where usage enters.
#[derive(Debug, Clone)]
pub(crate) struct KeeperDoor;

impl KeeperDoor {
    pub(crate) fn stored(&self, _batch: u64) -> Result<(), Busy> {
        Ok(())
    }

    pub(crate) fn stop(&self) {}
}

pub(crate) fn start(
    directory: &Path,
    _events: mpsc::Sender<Event>,
) -> Result<(KeeperDoor, JoinHandle<()>), StartError> {
    std::fs::create_dir_all(directory).map_err(JournalError::Directory)?;
    let thread = std::thread::Builder::new().spawn(|| ()).map_err(StartError::Thread)?;
    Ok((KeeperDoor, thread))
}
