//! A tenant's own time: the wall clock, and in a sandbox some hours more.

use super::{
    StoreError,
    finalise::{finalise_ended, lock},
};
use crate::{
    db::{DbError, Transaction},
    ids::TenantId,
    statement::Summary,
};
use jiff::{SignedDuration, Timestamp, ToSpan, tz::TimeZone};
use std::collections::{BTreeMap, BTreeSet};
use tokio_postgres::Row;
use uuid::Uuid;

/// No further ahead at once.
const ADVANCE_MONTHS_MAX: i64 = 36;
const HOUR_NANOS: i128 = 3_600_000_000_000;

/// What time it is for a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TenantClock {
    /// Its time.
    pub now: Timestamp,
    /// How far that is ahead of the wall clock.
    pub offset_hours: i32,
    /// May it be advanced?
    pub sandbox: bool,
}

/// A clock that was advanced, and what happened on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advanced {
    /// What time it is now.
    pub clock: TenantClock,
    /// The months that ended, oldest first.
    pub finalized: Vec<Summary>,
}

/// Why a clock was not advanced.
#[derive(Debug, thiserror::Error)]
pub enum AdvanceError {
    /// Real time is nobody's to change.
    #[error("only a sandbox tenant's clock can be advanced")]
    NotSandbox,
    /// It only goes forward.
    #[error("the clock is at {0} already and never goes back")]
    Backwards(Timestamp),
    /// Too far at once.
    #[error("the clock can be advanced by 36 months at most, to {0}")]
    TooFar(Timestamp),
    /// Something failed; the clock stands where it was.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What time it is for a tenant.
pub async fn tenant_clock(
    tx: &Transaction,
    tenant: TenantId,
    now: Timestamp,
) -> Result<TenantClock, StoreError> {
    clocks(tx, &BTreeSet::from([tenant]), now).await?.remove(&tenant).ok_or(StoreError::NoAccount)
}

/// What time it is for many.
pub(super) async fn clocks(
    tx: &Transaction,
    tenants: &BTreeSet<TenantId>,
    now: Timestamp,
) -> Result<BTreeMap<TenantId, TenantClock>, DbError> {
    let ids: Vec<Uuid> = tenants.iter().map(|tenant| tenant.0).collect();
    let rows = tx.all(include_str!("clocks.sql"), &[&ids]).await?;
    let clock = |row: &Row| {
        let offset_hours: i32 = row.get("clock_offset_hours");
        let clock =
            TenantClock { now: shifted(now, offset_hours), offset_hours, sandbox: row.get("sandbox") };
        (TenantId(row.get("tenant_id")), clock)
    };
    Ok(rows.iter().map(clock).collect())
}

/// Advances a sandbox tenant's clock to a time, rounded up to whole hours from now, and makes every month final that
/// ended on the way, in order.
pub async fn advance_clock(
    tx: &Transaction,
    tenant: TenantId,
    to: Timestamp,
    now: Timestamp,
) -> Result<Advanced, AdvanceError> {
    lock(tx, tenant).await?;
    let clock = tenant_clock(tx, tenant, now).await?;
    let offset_hours = offset_to(clock, to, now)?;
    let sql = include_str!("advance_clock.sql");
    let advanced = tx.run(sql, &[&tenant.0, &offset_hours]).await.map_err(StoreError::Db)?;
    if advanced != 1 {
        return Err(AdvanceError::Backwards(clock.now));
    }
    let clock = TenantClock { now: shifted(now, offset_hours), offset_hours, ..clock };
    let finalized = finalise_ended(tx, tenant, clock.now, clock.now).await?;
    Ok(Advanced { clock, finalized })
}

/// The offset that reaches a time, if the clock may be advanced so far.
fn offset_to(clock: TenantClock, to: Timestamp, now: Timestamp) -> Result<i32, AdvanceError> {
    if !clock.sandbox {
        return Err(AdvanceError::NotSandbox);
    }
    if to < clock.now {
        return Err(AdvanceError::Backwards(clock.now));
    }
    let ahead = clock.now.to_zoned(TimeZone::UTC).checked_add(ADVANCE_MONTHS_MAX.months());
    let latest = ahead.map_or(clock.now, |latest| latest.timestamp());
    if to > latest {
        return Err(AdvanceError::TooFar(latest));
    }
    let ahead = to.duration_since(now).as_nanos();
    let hours = ahead.div_euclid(HOUR_NANOS) + i128::from(ahead.rem_euclid(HOUR_NANOS) != 0);
    i32::try_from(hours).map_err(|_| AdvanceError::TooFar(latest))
}

pub(super) fn shifted(now: Timestamp, offset_hours: i32) -> Timestamp {
    now.checked_add(SignedDuration::from_hours(offset_hours.into())).unwrap_or(Timestamp::MAX)
}
