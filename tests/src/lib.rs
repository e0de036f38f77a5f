//! The harness: starts the real `tuppence` on a directory of its own, talks to it as an integrator ([`Api`]), as a page
//! ([`Socket`]), as a caller with an independent WebRTC stack ([`Bot`]) and as one that speaks WHIP or WHEP ([`Resource`]).
//!
//! Messages are written as plain JSON here, not with the service's own types: a renamed field must break a story.
//! The binary is taken from `TUPPENCE_BIN` or is the newest `target/*/tuppence`; the harness does not build it.

mod api;
mod bot;
mod forge;
pub mod fuzz;
mod media;
mod processes;
mod resource;
pub mod rows;
mod server;
mod socket;
mod tls;

pub use api::{Answer, Api};
pub use bot::{Bot, Entered, Received};
pub use forge::{Forge, base64url, claims_of, header_of};
pub use processes::Killed;
pub use resource::Resource;
pub use server::{Announced, Home, Service, binary};
pub use socket::{Socket, minimal_offer};
pub use tls::Terminator;

use std::time::Duration;
use tokio::time::Instant;

/// Asks again and again until `probe` answers, and says what was waited for when it never does.
///
/// # Errors
/// Nothing came within `limit`.
pub async fn eventually<T>(
    what: &str,
    limit: Duration,
    mut probe: impl AsyncFnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    let begun = Instant::now();
    loop {
        if let Some(found) = probe().await? {
            return Ok(found);
        }
        anyhow::ensure!(begun.elapsed() < limit, "waited {limit:?} in vain for {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
