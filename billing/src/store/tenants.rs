//! What jobs see of tenants, in service scope.

use crate::{
    db::{DbError, Transaction},
    ids::TenantId,
    period::Month,
};

/// A page of tenants in the order of their ids.
pub async fn tenants_after(tx: &Transaction, after: TenantId, limit: i64) -> Result<Vec<TenantId>, DbError> {
    let rows = tx.all(include_str!("tenants.sql"), &[&after.0, &limit]).await?;
    Ok(rows.iter().map(|row| TenantId(row.get("tenant_id"))).collect())
}

/// Makes the partitions of a month where they are missing.
pub async fn make_partitions(tx: &Transaction, month: Month) -> Result<(), DbError> {
    for table in ["usage_fact", "charge"] {
        tx.all(include_str!("make_partition.sql"), &[&table, &month.first_day()]).await?;
    }
    Ok(())
}
