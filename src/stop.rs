//! Being told to stop: SIGTERM from a service manager, SIGINT from a keyboard.

use anyhow::{Context, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Waits for the signals. Made before anything is started, so that none is missed.
#[derive(Debug)]
pub(crate) struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

impl Stop {
    /// Starts to catch the signals.
    pub(crate) fn catch() -> Result<Self> {
        let caught = |kind| signal(kind).context("signals cannot be caught");
        Ok(Self { terminate: caught(SignalKind::terminate())?, interrupt: caught(SignalKind::interrupt())? })
    }

    /// Returns when we are told to stop.
    pub(crate) async fn told(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
