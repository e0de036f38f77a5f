//! The tenant of the scope.

use billing::db::{DbError, Transaction};
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

/// A business.
#[derive(Debug, Clone)]
pub struct StoredTenant {
    /// Names it.
    pub tenant_id: Uuid,
    /// What people read.
    pub name: String,
    /// Has it a test clock?
    pub sandbox: bool,
    /// How far its test clock is ahead.
    pub clock_offset_hours: i32,
}

impl StoredTenant {
    /// The time as the tenant sees it.
    pub fn now(&self, now: Timestamp) -> Timestamp {
        now.checked_add(SignedDuration::from_hours(self.clock_offset_hours.into())).unwrap_or(now)
    }
}

/// Makes the tenant of the scope, with a test clock.
pub async fn insert_sandbox(tx: &Transaction, name: &str, now: Timestamp) -> Result<(), DbError> {
    tx.run(
        "insert into tenant (tenant_id, name, sandbox, created_at) values (tuppence_tenant(), $1, true, $2)",
        &[&name, &now],
    )
    .await?;
    Ok(())
}

/// The tenant of the scope, if it exists.
pub async fn find(tx: &Transaction) -> Result<Option<StoredTenant>, DbError> {
    let row = tx
        .optional(
            "select tenant_id, name, sandbox, clock_offset_hours from tenant where tenant_id = tuppence_tenant()",
            &[],
        )
        .await?;
    Ok(row.map(|row| StoredTenant {
        tenant_id: row.get("tenant_id"),
        name: row.get("name"),
        sandbox: row.get("sandbox"),
        clock_offset_hours: row.get("clock_offset_hours"),
    }))
}

/// The tenant of the scope of someone who has been let in, so it exists.
pub async fn current(tx: &Transaction) -> Result<StoredTenant, DbError> {
    find(tx).await?.ok_or_else(|| DbError::Stored("a key or session without a tenant".into()))
}
