//! Closes what a process that died left open.

use billing::TenantId;
use billing::db::{Db, DbError};
use billing::store::tenants_after;
use jiff::Timestamp;
use uuid::Uuid;

/// How many tenants are looked up at a time.
const PAGE: i64 = 500;

/// Ends the legs of this node that began before `started_at` and have no end: each ends where its usage ends, so that
/// what a call's row says and what it costs agree. Tells how many there were. Can be repeated.
pub async fn close_lost(db: &Db, node: &str, started_at: Timestamp) -> Result<i64, DbError> {
    let mut closed = 0;
    let mut after = TenantId(Uuid::nil());
    loop {
        let tx = db.service().await?;
        let tenants = tenants_after(&tx, after, PAGE).await?;
        tx.commit().await?;
        let Some(last) = tenants.last() else { return Ok(closed) };
        after = *last;
        for tenant in tenants {
            let tx = db.tenant(tenant).await?;
            closed += tx.one(include_str!("close_lost.sql"), &[&node, &started_at]).await?.get::<_, i64>(0);
            tx.commit().await?;
        }
    }
}
