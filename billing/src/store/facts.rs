//! Usage facts on their way in.

use super::{
    StoreError,
    caps::{in_force, warn},
    row::stored,
};
use crate::{
    db::{Db, DbError, Transaction},
    ids::TenantId,
    usage::{Fact, merge},
};
use jiff::Timestamp;
use std::collections::BTreeMap;
use uuid::Uuid;

/// Keeps the greatest quantity of each counter, and tells how many counters have grown. Any batch may come again.
pub async fn record_facts(
    tx: &Transaction,
    tenant: TenantId,
    facts: impl IntoIterator<Item = Fact>,
    now: Timestamp,
) -> Result<u64, DbError> {
    let (mut legs, mut meters, mut hours, mut quantities) = (vec![], vec![], vec![], vec![]);
    for (key, quantity) in merge(facts) {
        legs.push(key.leg.0);
        meters.push(key.meter.to_string());
        hours.push(key.hour.start());
        quantities.push(i64::try_from(quantity).map_err(stored)?);
    }
    tx.all(include_str!("lock_tenant_shared.sql"), &[&tenant.0.to_string()]).await?;
    let sql = include_str!("record_facts.sql");
    let grown: i64 = tx.one(sql, &[&tenant.0, &legs, &meters, &hours, &quantities, &now]).await?.get(0);
    Ok(grown.unsigned_abs())
}

/// What became of a batch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Recorded {
    /// Counters that have grown.
    pub grown: u64,
    /// Counters set aside because they can never be recorded, such as those of a tenant that is not known here.
    pub refused: u64,
}

/// Records the facts of many tenants, each in its own transaction. What can never be recorded is set aside with the
/// reason, so that it is neither lost nor sent for ever. After an error all may be sent again: what is recorded
/// already does not grow.
pub async fn record_batch(db: &Db, facts: &[(TenantId, Fact)], now: Timestamp) -> Result<Recorded, DbError> {
    let mut facts_by_tenant: BTreeMap<Uuid, Vec<Fact>> = BTreeMap::new();
    for (tenant, fact) in facts {
        facts_by_tenant.entry(tenant.0).or_default().push(*fact);
    }
    let mut recorded = Recorded::default();
    for (tenant, facts) in facts_by_tenant {
        let (tenant, possible) = (TenantId(tenant), facts.iter().copied().filter(is_possible));
        let impossible: Vec<Fact> = facts.iter().copied().filter(|fact| !is_possible(fact)).collect();
        recorded.refused += refuse(db, tenant, impossible, "the quantity is too large", now).await?;
        match record_for(db, tenant, possible.clone(), now).await {
            Ok(grown) => recorded.grown += grown,
            Err(error) if error.is_transient() => return Err(error),
            Err(error) => {
                recorded.refused += refuse(db, tenant, possible, &error.to_string(), now).await?;
            }
        }
    }
    Ok(recorded)
}

fn is_possible(fact: &Fact) -> bool {
    i64::try_from(fact.quantity).is_ok()
}

async fn record_for(
    db: &Db,
    tenant: TenantId,
    facts: impl IntoIterator<Item = Fact>,
    now: Timestamp,
) -> Result<u64, DbError> {
    let tx = db.tenant(tenant).await?;
    let grown = record_facts(&tx, tenant, facts, now).await?;
    let is_capped = !in_force(&tx, tenant).await?.is_empty();
    tx.commit().await?;
    if is_capped {
        warn_of_caps(db, tenant, now).await;
    }
    Ok(grown)
}

/// What was used is recorded whatever it costs; a warning that fails comes with the next facts.
async fn warn_of_caps(db: &Db, tenant: TenantId, now: Timestamp) {
    let warned = async {
        let tx = db.tenant(tenant).await?;
        warn(&tx, tenant, now).await?;
        Ok::<_, StoreError>(tx.commit().await?)
    };
    if let Err(error) = warned.await {
        tracing::warn!(%tenant, %error, "what is spent of a cap could not be looked at");
    }
}

/// Sets facts aside that must not be billed, for a person to look at. Tells how many.
pub async fn set_aside(
    db: &Db,
    facts: Vec<(TenantId, Fact)>,
    reason: &str,
    now: Timestamp,
) -> Result<u64, DbError> {
    let mut refused = 0;
    for (tenant, fact) in facts {
        refused += refuse(db, tenant, [fact], reason, now).await?;
    }
    Ok(refused)
}

/// Sets facts aside. What even this cannot keep is refused for good, and the batch with it.
async fn refuse(
    db: &Db,
    tenant: TenantId,
    facts: impl IntoIterator<Item = Fact>,
    reason: &str,
    now: Timestamp,
) -> Result<u64, DbError> {
    let (mut legs, mut meters, mut hours, mut quantities) = (vec![], vec![], vec![], vec![]);
    for (key, quantity) in merge(facts) {
        legs.push(key.leg.0);
        meters.push(key.meter.to_string());
        hours.push(key.hour.start());
        quantities.push(quantity.to_string());
    }
    if legs.is_empty() {
        return Ok(0);
    }
    let tx = db.service().await?;
    let sql = include_str!("refuse_facts.sql");
    let refused = tx.run(sql, &[&tenant.0, &legs, &meters, &hours, &quantities, &reason, &now]).await?;
    tx.commit().await?;
    Ok(refused)
}
