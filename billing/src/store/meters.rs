//! Meters of businesses in their table.

use super::{StoreError, finalise::lock, row::stored};
use crate::{
    db::{DbError, Transaction},
    ids::TenantId,
    meter::{METERS_MAX, MeterRefused, NewMeter, OwnMeter},
};
use jiff::Timestamp;
use tokio_postgres::Row;

/// Why a meter is not made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MeterNotMade {
    /// It makes no sense.
    #[error(transparent)]
    Refused(#[from] MeterRefused),
    /// There is one of that name, and it never changes.
    #[error("name: there is a meter of this name, and a meter never changes")]
    NameTaken,
    /// The business has as many as it may.
    #[error("a business has {METERS_MAX} meters at most")]
    TooMany,
}

/// A tenant's own meters in the order of their making.
pub async fn meters(tx: &Transaction, tenant: TenantId) -> Result<Vec<OwnMeter>, DbError> {
    tx.all(include_str!("meters.sql"), &[&tenant.0]).await?.iter().map(meter).collect()
}

fn meter(row: &Row) -> Result<OwnMeter, DbError> {
    let terms = NewMeter {
        name: row.get("name"),
        unit: row.get("unit"),
        event_type: row.get("event_type"),
        aggregation: row.get::<_, &str>("aggregation").parse().map_err(stored)?,
        value_property: row.get("value_property"),
        filters: serde_json::from_str(row.get("filters")).map_err(stored)?,
        dimensions: row.get("dimensions"),
    };
    let key = terms.name.parse().map_err(stored)?;
    Ok(OwnMeter { terms, created_at: row.get("created_at"), number: row.get("number"), key })
}

/// Makes a meter. No event comes in meanwhile: each knows whether the meter was there.
pub async fn insert_meter(
    tx: &Transaction,
    tenant: TenantId,
    terms: NewMeter,
    now: Timestamp,
) -> Result<Result<OwnMeter, MeterNotMade>, StoreError> {
    let key = match terms.check() {
        Ok(key) => key,
        Err(refused) => return Ok(Err(refused.into())),
    };
    lock(tx, tenant).await?;
    let others = meters(tx, tenant).await?;
    if others.iter().any(|other| other.key == key) {
        return Ok(Err(MeterNotMade::NameTaken));
    }
    if i64::try_from(others.len()).is_ok_and(|count| count >= METERS_MAX) {
        return Ok(Err(MeterNotMade::TooMany));
    }
    let filters = serde_json::to_string(&terms.filters).expect("filters are plain JSON");
    let row = tx
        .one(
            include_str!("insert_meter.sql"),
            &[
                &tenant.0,
                &terms.name,
                &terms.unit,
                &terms.event_type,
                &terms.aggregation.as_str(),
                &terms.value_property,
                &filters,
                &terms.dimensions,
                &now,
            ],
        )
        .await?;
    Ok(Ok(OwnMeter { terms, created_at: now, number: row.get("number"), key }))
}
