//! What every handler of the HTTP API is given.

use crate::hub::Hub;
use crate::limits::Limiter;
use crate::text;
use crate::tokens::TokenKeys;
use billing::clock::Clock;
use billing::db::Db;
use jiff::Timestamp;
use std::sync::Arc;
use uuid::Uuid;

/// The state of the HTTP API. Cheap to clone.
#[derive(Clone)]
pub struct Api(Arc<Inner>);

struct Inner {
    db: Db,
    clock: Clock,
    public_url: String,
    public_origin: String,
    tokens: TokenKeys,
    limiter: Limiter,
    takes_calls: Box<dyn Fn() -> bool + Send + Sync>,
}

impl Api {
    /// The parts of a running hub. A hub that stops takes no new calls.
    pub fn of(hub: &Hub) -> Self {
        let (db, clock, tokens) = (hub.db().clone(), hub.clock().clone(), hub.token_keys().clone());
        let stopping = hub.clone();
        Self::with(db, clock, hub.public_url(), tokens, Box::new(move || !stopping.is_stopping()))
    }

    /// The API without calls; `public_url` has no slash at the end.
    pub fn new(db: Db, clock: Clock, public_url: &str, tokens: TokenKeys) -> Self {
        Self::with(db, clock, public_url, tokens, Box::new(|| true))
    }

    fn with(
        db: Db,
        clock: Clock,
        public_url: &str,
        tokens: TokenKeys,
        takes_calls: Box<dyn Fn() -> bool + Send + Sync>,
    ) -> Self {
        let public_origin = text::origin(&public_url.split('/').take(3).collect::<Vec<_>>().join("/"))
            .unwrap_or_else(|_| public_url.into());
        let limiter = Limiter::default();
        let public_url = public_url.to_owned();
        Self(Arc::new(Inner { db, clock, public_url, public_origin, tokens, limiter, takes_calls }))
    }

    /// The database.
    pub fn db(&self) -> &Db {
        &self.0.db
    }

    /// The time of day.
    pub fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// Where people reach the service, without a slash at the end.
    pub fn public_url(&self) -> &str {
        &self.0.public_url
    }

    /// The origin of [`Api::public_url`], as browsers send it.
    pub fn public_origin(&self) -> &str {
        &self.0.public_origin
    }

    /// The keys of call tokens.
    pub fn tokens(&self) -> &TokenKeys {
        &self.0.tokens
    }

    /// How often one address may ask.
    pub fn limiter(&self) -> &Limiter {
        &self.0.limiter
    }

    /// May new calls begin here?
    pub fn takes_calls(&self) -> bool {
        (self.0.takes_calls)()
    }

    /// A new id, ordered by time.
    pub fn new_id(&self) -> Uuid {
        id_at(self.now())
    }
}

impl std::fmt::Debug for Api {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Api")
    }
}

/// A new UUID of version 7 (RFC 9562 §5.7) for this moment.
pub fn id_at(now: Timestamp) -> Uuid {
    let seconds = u64::try_from(now.as_second()).unwrap_or(0);
    let nanos = u32::try_from(now.subsec_nanosecond()).unwrap_or(0);
    Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, seconds, nanos))
}
