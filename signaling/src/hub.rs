//! One process of the service as its parts see it: the database, the clock, the media plane and the calls in progress.

use crate::media::MediaPlane;
use crate::tokens::TokenKeys;
use billing::clock::Clock;
use std::sync::Arc;
use std::time::Duration;

/// What a hub is started with.
#[derive(Debug)]
pub struct HubConfig {
    /// Where people reach the service, such as `https://calls.example.com`, without a slash at the end.
    pub public_url: String,
    /// The time of day.
    pub clock: Clock,
    /// The media plane of this process: `(handle, events).into()`.
    pub media: MediaPlane,
    /// The name of the node that the media plane is, as it stands in the legs' rows.
    pub node: String,
    /// How long after a dropped socket its session can be resumed. Default 30 s.
    pub resume_within: Duration,
    /// How often the server pings. Default 5 s; a socket that is silent for twice as long is dead.
    pub heartbeat: Duration,
}

/// A running hub. Cheap to clone.
#[derive(Clone)]
pub struct Hub(Arc<Inner>);

struct Inner {
    public_url: String,
    clock: Clock,
    token_keys: TokenKeys,
}

impl Hub {
    /// Where people reach the service, without a slash at the end.
    pub fn public_url(&self) -> &str {
        &self.0.public_url
    }

    /// The time of day.
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// The keys that sign and verify call tokens.
    pub fn token_keys(&self) -> &TokenKeys {
        &self.0.token_keys
    }
}

impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hub")
    }
}
