//! Usage facts on their way in.

use super::row::stored;
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
        meters.push(key.meter.as_str());
        hours.push(key.hour.start());
        quantities.push(i64::try_from(quantity).map_err(stored)?);
    }
    tx.all(include_str!("lock_tenant_shared.sql"), &[&tenant.0.to_string()]).await?;
    let sql = include_str!("record_facts.sql");
    let grown: i64 = tx.one(sql, &[&tenant.0, &legs, &meters, &hours, &quantities, &now]).await?.get(0);
    Ok(grown.unsigned_abs())
}

/// Records the facts of many tenants, each in its own transaction. When one is refused the others are recorded all the
/// same, and the refusal is the answer; all may be sent again then, as what is recorded already does not grow.
pub async fn record_batch(db: &Db, facts: &[(TenantId, Fact)], now: Timestamp) -> Result<u64, DbError> {
    let mut facts_by_tenant: BTreeMap<Uuid, Vec<Fact>> = BTreeMap::new();
    for (tenant, fact) in facts {
        facts_by_tenant.entry(tenant.0).or_default().push(*fact);
    }
    let (mut grown, mut refusal) = (0, None);
    for (tenant, facts) in facts_by_tenant {
        match record_for(db, TenantId(tenant), facts, now).await {
            Ok(more) => grown += more,
            Err(error) if error.is_transient() => return Err(error),
            Err(error) => refusal = Some(error),
        }
    }
    refusal.map_or(Ok(grown), Err)
}

async fn record_for(db: &Db, tenant: TenantId, facts: Vec<Fact>, now: Timestamp) -> Result<u64, DbError> {
    let tx = db.tenant(tenant).await?;
    let grown = record_facts(&tx, tenant, facts, now).await?;
    tx.commit().await?;
    Ok(grown)
}
