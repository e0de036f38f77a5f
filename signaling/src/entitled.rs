//! What tenants may do, remembered for a few seconds: a change of a subscription is felt at the next join after that.

use billing::TenantId;
use billing::db::Transaction;
use billing::entitlement::Entitlements;
use billing::store::{self, StoreError};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// How old an answer may be.
const FRESH: SignedDuration = SignedDuration::from_secs(10);
/// As many tenants are remembered; beyond that all are asked about anew.
const TENANTS_MAX: usize = 10_000;

/// What tenants may do. Asked on the way into a room, never by the media plane.
#[derive(Debug, Default)]
pub(crate) struct Entitled(Mutex<BTreeMap<TenantId, (Timestamp, Entitlements)>>);

impl Entitled {
    /// What the tenant of a transaction may do: as remembered, or as the database says.
    pub(crate) async fn of(
        &self,
        tx: &Transaction,
        tenant: TenantId,
        now: Timestamp,
    ) -> Result<Entitlements, StoreError> {
        if let Some(known) = self.remembered(tenant, now) {
            return Ok(known);
        }
        let entitlements = store::entitlements(tx, tenant, now).await?;
        self.remember(tenant, now, entitlements);
        Ok(entitlements)
    }

    fn remembered(&self, tenant: TenantId, now: Timestamp) -> Option<Entitlements> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, entitlements) = known.get(&tenant)?;
        let age = now.duration_since(*at);
        // A clock that was set back makes nothing fresh.
        (SignedDuration::ZERO..FRESH).contains(&age).then_some(*entitlements)
    }

    fn remember(&self, tenant: TenantId, now: Timestamp, entitlements: Entitlements) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= TENANTS_MAX {
            known.clear();
        }
        known.insert(tenant, (now, entitlements));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn an_answer_is_remembered_for_seconds_and_never_from_the_future() {
        let entitled = Entitled::default();
        let tenant = TenantId(Uuid::from_u128(1));
        let at = |second: i64| Timestamp::new(1_795_000_000 + second, 0).expect("a time");
        entitled.remember(tenant, at(0), Entitlements::NOTHING);
        for (second, is_known) in [(0, true), (9, true), (10, false), (-1, false)] {
            assert_eq!(entitled.remembered(tenant, at(second)).is_some(), is_known, "{second}");
        }
        assert_eq!(entitled.remembered(TenantId(Uuid::from_u128(2)), at(0)), None);
        (0..20_000)
            .for_each(|n| entitled.remember(TenantId(Uuid::from_u128(n)), at(0), Entitlements::NOTHING));
        assert!(entitled.0.lock().expect("whole").len() <= TENANTS_MAX);
    }
}
