//! The one question to the database on the way into a room.

use crate::entitled::Entitled;
use crate::protocol::RefusalCode;
use crate::refusal::Refusal;
use crate::room::{NewLeg, Policy};
use billing::TenantId;
use billing::db::{Db, DbError, Transaction};
use billing::entitlement::Entitlements;
use billing::store::StoreError;
use jiff::Timestamp;
use std::time::Duration;

/// How long a page waits for the database before it is told to come back.
const WAIT_MAX: Duration = Duration::from_secs(2);

/// Looks the room up and writes the rows of a leg; or says why not, in two seconds at the latest.
pub(crate) async fn admit(
    db: &Db,
    entitled: &Entitled,
    row: &NewLeg,
    node: &str,
    now: Timestamp,
) -> Result<Policy, Refusal> {
    match tokio::time::timeout(WAIT_MAX, try_admit(db, entitled, row, node, now)).await {
        Ok(Ok(admitted)) => admitted,
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

async fn try_admit(
    db: &Db,
    entitled: &Entitled,
    row: &NewLeg,
    node: &str,
    now: Timestamp,
) -> Result<Result<Policy, Refusal>, StoreError> {
    let tenant = TenantId(row.tenant.0);
    let tx = db.tenant(tenant).await?;
    let allowed = entitled.of(&tx, tenant, now).await?;
    if let Some(refusal) = not_entitled(&tx, row, &allowed).await? {
        tx.rollback().await?;
        return Ok(Err(refusal));
    }
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
        return Ok(Err(Refusal::new(RefusalCode::RoomNotFound, "There is no such room, or it is closed.")));
    };
    let fit_in = found.get::<_, i32>("participants_max").unsigned_abs();
    let participants_max = allowed.participants_max.map_or(fit_in, |most| most.min(fit_in));
    let bitrate_kbps_max = allowed.bitrate_kbps_max;
    let policy = Policy { title: found.get("title"), participants_max, bitrate_kbps_max };
    tx.commit().await?;
    Ok(Ok(policy))
}

/// Why the business's plan keeps a page out, if it does. Calls that have begun go on.
async fn not_entitled(
    tx: &Transaction,
    row: &NewLeg,
    allowed: &Entitlements,
) -> Result<Option<Refusal>, DbError> {
    let refusal = |message: String| Some(Refusal::new(RefusalCode::NotEntitled, message));
    if allowed.spending_cap_reached {
        return Ok(refusal("The business has spent what it lets itself spend on usage this month.".into()));
    }
    if !allowed.calls {
        return Ok(refusal("The business has no subscription that can be used now.".into()));
    }
    let Some(rooms_max) = allowed.rooms_max else { return Ok(None) };
    tx.run(include_str!("admission/lock_rooms.sql"), &[]).await?;
    let others: i64 = tx.one(include_str!("admission/live_rooms.sql"), &[&row.room.0]).await?.get("rooms");
    if others < i64::from(rooms_max) {
        return Ok(None);
    }
    Ok(refusal(format!("The business's plan is for {rooms_max} rooms at a time, and they are in use.")))
}
