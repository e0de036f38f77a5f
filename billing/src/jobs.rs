//! What billing does by itself: every hour it makes ended months final and prepares the next ones.

use crate::{
    clock::Clock,
    db::{Db, DbError},
    ids::TenantId,
    period::Month,
    statement::Summary,
    store::{self, StoreError},
};
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;
use uuid::Uuid;

/// How often.
const TICK: Duration = Duration::from_secs(3_600);
/// A month is made final this long after its end, when the nodes have reported its last hour. What comes still later
/// becomes an adjustment.
const SETTLING: SignedDuration = SignedDuration::from_hours(1);
/// Tenants listed at once.
const PAGE: i64 = 500;
/// Months whose partitions exist before they begin.
const MONTHS_AHEAD: usize = 2;

/// What one round did.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Round {
    /// Statements that became final.
    pub finalised: Vec<Summary>,
    /// Tenants whose turn failed; the next round tries again.
    pub failed: Vec<TenantId>,
}

/// Runs for ever: at once, then every hour. Any number of processes may do this at the same time.
pub async fn run(db: Db, clock: Clock) {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(error) = round(&db, clock.now()).await {
            tracing::warn!(%error, "a round of billing failed; the next one is in an hour");
        }
    }
}

/// One round over all tenants. A tenant whose turn fails does not keep the others waiting.
pub async fn round(db: &Db, now: Timestamp) -> Result<Round, DbError> {
    prepare_months(db, now).await;
    let mut round = Round::default();
    let mut after = TenantId(Uuid::nil());
    loop {
        let service = db.service().await?;
        let page = store::tenants_after(&service, after, PAGE).await?;
        service.rollback().await?;
        let Some(last) = page.last() else { return Ok(round) };
        after = *last;
        for tenant in page {
            match turn(db, tenant, now).await {
                Ok(finalised) => round.finalised.extend(finalised),
                Err(error) => {
                    tracing::error!(%tenant, %error, "a month could not be made final");
                    round.failed.push(tenant);
                }
            }
        }
    }
}

/// One tenant's ended months.
async fn turn(db: &Db, tenant: TenantId, now: Timestamp) -> Result<Vec<Summary>, StoreError> {
    let tx = db.tenant(tenant).await?;
    let clock = store::tenant_clock(&tx, tenant, now).await?;
    let ended_by = clock.now.checked_sub(SETTLING).unwrap_or(clock.now);
    let finalised = store::finalise_ended(&tx, tenant, ended_by, clock.now).await?;
    tx.commit().await?;
    for summary in &finalised {
        tracing::info!(%tenant, number = %summary.number, total = %summary.total, "a statement became final");
    }
    Ok(finalised)
}

/// Without its partition a month lands in the default one: slower to archive, not wrong.
async fn prepare_months(db: &Db, now: Timestamp) {
    let months = std::iter::successors(Some(Month::of(now)), |month| Some(month.next()));
    for month in months.take(MONTHS_AHEAD + 1) {
        let made = async {
            let service = db.service().await?;
            store::make_partitions(&service, month).await?;
            service.commit().await
        };
        if let Err(error) = made.await {
            tracing::warn!(%month, %error, "no partition was made");
        }
    }
}
