//! One process of the service as its parts see it: the database, the clock, the media plane and the calls in progress.

use crate::exchange::{Exchange, Parts};
use crate::media::MediaPlane;
use crate::metrics::{HubLook, Tally};
use crate::proxies::Proxies;
use crate::records::{Records, close_lost};
use crate::room::ParticipantId;
use crate::session::SocketId;
use crate::store::{self, token_keys};
use crate::switchboard::{LiveCall, Timing};
use crate::tokens::{BrokenKey, TokenKeys};
use billing::clock::Clock;
use billing::db::{Db, DbError};
use sfu::control::TenantId;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How long a stopping hub waits for its sockets to close and its records to be written.
const STOP_WITHIN: Duration = Duration::from_secs(3);
/// When lost legs are looked at again, for usage that the journal of the process before still had.
const REPAIR_AGAIN: [Duration; 2] = [Duration::from_secs(20), Duration::from_secs(120)];

/// What a hub is started with.
#[derive(Debug)]
pub struct HubConfig {
    /// Where people reach the service, such as `https://calls.example.com`, without a slash at the end.
    pub public_url: String,
    /// The database, migrated.
    pub db: Db,
    /// The time of day.
    pub clock: Clock,
    /// The media plane of this process: `(handle, events).into()`.
    pub media: MediaPlane,
    /// The name of the node that the media plane is, as it stands in the legs' rows; the same after a restart.
    pub node: String,
    /// How long after a dropped socket its session can be resumed. Usually 30 s.
    pub resume_within: Duration,
    /// How often the server pings. Usually 5 s; a socket that is silent for twice as long is dead.
    pub heartbeat: Duration,
    /// How many sockets may be open at once. Usually 20,000.
    pub sockets_max: usize,
    /// Who is believed about where a request comes from. Usually nobody.
    pub proxies: Proxies,
}

impl HubConfig {
    /// The usual limits.
    pub fn new(public_url: &str, db: Db, clock: Clock, media: impl Into<MediaPlane>) -> Self {
        Self {
            public_url: public_url.trim_end_matches('/').to_owned(),
            db,
            clock,
            media: media.into(),
            node: "local".into(),
            resume_within: Duration::from_secs(30),
            heartbeat: Duration::from_secs(5),
            sockets_max: 20_000,
            proxies: Proxies::default(),
        }
    }
}

/// Why a hub did not start.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// The database is the reason.
    #[error(transparent)]
    Db(#[from] DbError),
    /// A stored key is the reason.
    #[error(transparent)]
    Key(#[from] BrokenKey),
}

/// A running hub. Cheap to clone.
#[derive(Clone)]
pub struct Hub(Arc<Inner>);

struct Inner {
    public_url: String,
    proxies: Proxies,
    db: Db,
    clock: Clock,
    token_keys: TokenKeys,
    exchange: Exchange,
    records: Records,
    tally: Arc<Tally>,
    sockets_max: usize,
    heartbeat: Duration,
    sockets: Arc<Semaphore>,
    last_socket: AtomicU64,
    stopping: AtomicBool,
}

impl Hub {
    /// Loads or makes the token keys, ends what a process before this one left open, and takes calls from then on.
    /// Needs a tokio runtime.
    pub async fn start(config: HubConfig) -> Result<Self, HubError> {
        let started_at = config.clock.now();
        let keys = token_keys::load_or_create(&config.db, started_at).await?;
        let token_keys = TokenKeys::new(&config.public_url, &keys)?;
        let mut nodes = store::nodes::all_names(&config.db).await?;
        nodes.push(config.node.clone());
        let lost = close_lost_of(&config.db, &nodes, started_at).await?;
        if lost > 0 {
            tracing::warn!(lost, "legs of a process that died are closed where their usage ends");
            tokio::spawn(repair_again(config.db.clone(), nodes, started_at));
        }
        let records = Records::start(config.db.clone());
        let timing = Timing { heartbeat: config.heartbeat, resume_within: config.resume_within };
        let (db, clock) = (config.db.clone(), config.clock.clone());
        let tally = Arc::new(Tally::default());
        let exchange = Exchange::start(Parts {
            db,
            clock,
            node: config.node,
            timing,
            media: config.media,
            records: records.clone(),
            tally: tally.clone(),
        });
        Ok(Self(Arc::new(Inner {
            public_url: config.public_url,
            proxies: config.proxies,
            db: config.db,
            clock: config.clock,
            token_keys,
            exchange,
            records,
            tally,
            sockets_max: config.sockets_max,
            heartbeat: config.heartbeat,
            sockets: Arc::new(Semaphore::new(config.sockets_max)),
            last_socket: AtomicU64::new(0),
            stopping: AtomicBool::new(false),
        })))
    }

    /// Tells everyone in a call that the service stops, closes their sockets and writes down what waits. Takes no more
    /// than a few seconds. Stop the media plane after it.
    pub async fn shutdown(&self) {
        self.0.stopping.store(true, Ordering::Relaxed);
        if tokio::time::timeout(STOP_WITHIN, self.0.exchange.shut_down()).await.is_err() {
            tracing::warn!("some sockets did not close in time");
        }
        if tokio::time::timeout(STOP_WITHIN, self.0.records.flush()).await.is_err() {
            tracing::warn!(
                "some records of calls are not written; the next start closes what they leave open"
            );
        }
    }

    /// Has [`Hub::shutdown`] been called?
    pub fn is_stopping(&self) -> bool {
        self.0.stopping.load(Ordering::Relaxed)
    }

    /// Where people reach the service, without a slash at the end.
    pub fn public_url(&self) -> &str {
        &self.0.public_url
    }

    /// Who is believed about where a request comes from.
    pub fn proxies(&self) -> &Proxies {
        &self.0.proxies
    }

    /// The database.
    pub fn db(&self) -> &Db {
        &self.0.db
    }

    /// The time of day.
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// The keys that sign and verify call tokens.
    pub fn token_keys(&self) -> &TokenKeys {
        &self.0.token_keys
    }

    /// The tenant's calls in progress, as this process sees them at this moment.
    pub async fn live_calls(&self, tenant: TenantId) -> Vec<LiveCall> {
        self.0.exchange.live_calls(tenant).await
    }

    /// Takes a participant of the tenant out of their lobby or call at once. Tells whether they were there.
    pub async fn remove_participant(&self, tenant: TenantId, participant: ParticipantId) -> bool {
        self.0.exchange.remove(tenant, participant).await
    }

    /// How the hub stands.
    pub fn look(&self) -> HubLook {
        let Inner { tally, sockets, sockets_max, db, .. } = &*self.0;
        HubLook {
            sockets: sockets_max.saturating_sub(sockets.available_permits()),
            sockets_max: *sockets_max,
            joins: tally.joins.load(Ordering::Relaxed),
            resumes: tally.resumes.load(Ordering::Relaxed),
            refusals: tally.refusals(),
            answers: tally.answers.each_ref().map(|counter| counter.load(Ordering::Relaxed)),
            database: db.pool_look(),
        }
    }

    pub(crate) fn tally(&self) -> &Tally {
        &self.0.tally
    }

    pub(crate) fn exchange(&self) -> &Exchange {
        &self.0.exchange
    }

    pub(crate) fn heartbeat(&self) -> Duration {
        self.0.heartbeat
    }

    pub(crate) fn new_socket_id(&self) -> SocketId {
        SocketId(self.0.last_socket.fetch_add(1, Ordering::Relaxed))
    }

    /// A place for one more socket, if there is one.
    pub(crate) fn take_socket(&self) -> Option<OwnedSemaphorePermit> {
        self.0.sockets.clone().try_acquire_owned().ok()
    }
}

/// The legs that this hub does not know, on whatever node: their pages join anew.
async fn close_lost_of(db: &Db, nodes: &[String], started_at: jiff::Timestamp) -> Result<i64, DbError> {
    let mut lost = 0;
    for node in nodes {
        lost += close_lost(db, node, started_at).await?;
    }
    Ok(lost)
}

async fn repair_again(db: Db, nodes: Vec<String>, started_at: jiff::Timestamp) {
    for pause in REPAIR_AGAIN {
        tokio::time::sleep(pause).await;
        if let Err(error) = close_lost_of(&db, &nodes, started_at).await {
            tracing::warn!(%error, "the ends of lost legs could not be corrected yet");
        }
    }
}

impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hub")
    }
}
