//! What every handler of the HTTP API is given.

use crate::exchange::{Tap, TapRefusal};
use crate::hub::Hub;
use crate::limits::Limiter;
use crate::proxies::Proxies;
use crate::resource::Outcome;
use crate::room::CallId;
use crate::switchboard::Ask;
use crate::text;
use crate::tokens::TokenKeys;
use billing::TenantId;
use billing::db::Db;
use billing::processor::Sandbox;
use jiff::Timestamp;
use sfu::control::{self, Quality};
use std::sync::Arc;
use uuid::Uuid;

/// The state of the HTTP API. Cheap to clone.
#[derive(Clone)]
pub struct Api(Arc<Inner>);

struct Inner {
    hub: Hub,
    public_origin: String,
    limiter: Limiter,
}

impl Api {
    /// The parts of a running hub. A hub that stops takes no new calls.
    pub fn of(hub: Hub) -> Self {
        let public_url = hub.public_url();
        let public_origin = text::origin(&public_url.split('/').take(3).collect::<Vec<_>>().join("/"))
            .unwrap_or_else(|_| public_url.into());
        Self(Arc::new(Inner { public_origin, limiter: Limiter::default(), hub }))
    }

    /// The database.
    pub fn db(&self) -> &Db {
        self.0.hub.db()
    }

    /// Who moves money.
    pub fn processor(&self) -> Sandbox {
        Sandbox::new(self.db().clone())
    }

    /// The time of day.
    pub fn now(&self) -> Timestamp {
        self.0.hub.clock().now()
    }

    /// Where people reach the service, without a slash at the end.
    pub fn public_url(&self) -> &str {
        self.0.hub.public_url()
    }

    /// The origin of [`Api::public_url`], as browsers send it.
    pub fn public_origin(&self) -> &str {
        &self.0.public_origin
    }

    /// The keys of call tokens.
    pub fn tokens(&self) -> &TokenKeys {
        self.0.hub.token_keys()
    }

    /// Who is believed about where a request comes from.
    pub fn proxies(&self) -> &Proxies {
        self.0.hub.proxies()
    }

    /// How often one address may ask.
    pub fn limiter(&self) -> &Limiter {
        &self.0.limiter
    }

    /// Asks for a publisher or a viewer without a page.
    pub(crate) async fn ask(&self, ask: Ask) -> Outcome {
        self.0.hub.exchange().ask(ask).await
    }

    /// How the connections of a tenant's call in progress do.
    pub(crate) async fn quality(&self, tenant: TenantId, call: CallId) -> Vec<Quality> {
        self.0.hub.exchange().quality(control::TenantId(tenant.0), call).await
    }

    /// Records the headers of a leg.
    pub(crate) async fn tap(&self, tap: Tap) -> Result<Vec<u8>, TapRefusal> {
        self.0.hub.exchange().tap(tap).await
    }

    /// May new calls begin here?
    pub fn takes_calls(&self) -> bool {
        !self.0.hub.is_stopping()
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

/// A new UUID of version 7 for this moment. It is ordered by time to a quarter of a microsecond (RFC 9562 §6.2,
/// method 3), so that what is listed by id is listed in the order of its making; 62 bits are random.
pub fn id_at(now: Timestamp) -> Uuid {
    let mut random = [0; 10];
    aws_lc_rs::rand::fill(&mut random).expect("the operating system gives randomness");
    let nanos = u32::try_from(now.as_nanosecond().rem_euclid(1_000_000)).expect("less than a million");
    [random[0], random[1]] = fraction(nanos).to_be_bytes();
    let millis = u64::try_from(now.as_millisecond()).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
}

/// A part of a millisecond in 12 bits.
fn fraction(nanos: u32) -> u16 {
    u16::try_from(nanos * 4096 / 1_000_000).expect("less than 4096")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_ordered_by_time_below_a_millisecond() {
        let at = |nanos: i32| Timestamp::new(1_795_000_000, nanos).expect("a time");
        let ids: Vec<Uuid> = (0..4000).map(|n| id_at(at(n * 250_000 + 999))).collect();
        assert!(ids.is_sorted() && ids.iter().all(|id| id.get_version_num() == 7));
        let closer: Vec<Uuid> = (0..1000).map(|n| id_at(at(5_000_000 + n * 300))).collect();
        assert!(closer.is_sorted());
        assert_ne!(id_at(at(0)), id_at(at(0)));
        assert_eq!(ids[0].get_timestamp().map(|time| time.to_unix().0), Some(1_795_000_000));
    }
}
