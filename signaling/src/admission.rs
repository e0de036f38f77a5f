//! The one question to the database on the way into a room.

use crate::protocol::RefusalCode;
use crate::refusal::Refusal;
use crate::room::{NewLeg, Policy};
use billing::TenantId;
use billing::db::{Db, DbError};
use jiff::Timestamp;
use std::time::Duration;

/// How long a page waits for the database before it is told to come back.
const WAIT_MAX: Duration = Duration::from_secs(2);

/// Looks the room up and writes the rows of a leg; or says why not, in two seconds at the latest.
pub async fn admit(db: &Db, row: &NewLeg, node: &str, now: Timestamp) -> Result<Policy, Refusal> {
    match tokio::time::timeout(WAIT_MAX, try_admit(db, row, node, now)).await {
        Ok(Ok(Some(policy))) => Ok(policy),
        Ok(Ok(None)) => {
            Err(Refusal::new(RefusalCode::RoomNotFound, "There is no such room, or it is closed."))
        }
        Ok(Err(error)) => {
            tracing::warn!(room_id = %row.room.0, %error, "a page is turned away: its leg could not be stored");
            Err(Refusal::unavailable())
        }
        Err(_) => {
            tracing::warn!(room_id = %row.room.0, "a page is turned away: the database did not answer in time");
            Err(Refusal::unavailable())
        }
    }
}

async fn try_admit(db: &Db, row: &NewLeg, node: &str, now: Timestamp) -> Result<Option<Policy>, DbError> {
    let tx = db.tenant(TenantId(row.tenant.0)).await?;
    let found = tx
        .optional(
            include_str!("admission/admit.sql"),
            &[
                &row.room.0,
                &row.call.0,
                &row.participant.0,
                &row.identity,
                &row.name,
                &row.role.as_str(),
                &row.leg.0,
                &node,
                &now,
            ],
        )
        .await?;
    let Some(found) = found else {
        tx.rollback().await?;
        return Ok(None);
    };
    let participants_max: i32 = found.get("participants_max");
    let policy = Policy { title: found.get("title"), participants_max: participants_max.unsigned_abs() };
    tx.commit().await?;
    Ok(Some(policy))
}
