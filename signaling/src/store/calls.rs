//! Calls as they are read: who was in them, and what they used.
//!
//! A call counts once somebody has entered; a lobby that nobody left for the call is not shown.

use billing::db::{DbError, Transaction};
use jiff::Timestamp;
use tokio_postgres::Row;
use uuid::Uuid;

/// One use of a room.
#[derive(Debug, Clone)]
pub struct StoredCall {
    /// Names it.
    pub call_id: Uuid,
    /// Where it was.
    pub room_id: Uuid,
    /// The room's title.
    pub room_title: String,
    /// When the first person came.
    pub started_at: Timestamp,
    /// When the last one left; none while it goes on.
    pub ended_at: Option<Timestamp>,
}

/// One person in a call, and what they used so far.
#[derive(Debug, Clone)]
pub struct StoredParticipant {
    /// In which call.
    pub call_id: Uuid,
    /// Names the person in this call.
    pub participant_id: Uuid,
    /// Display name.
    pub name: String,
    /// The click.
    pub joined_at: Timestamp,
    /// None while they are in.
    pub left_at: Option<Timestamp>,
    /// Milliseconds in the call.
    pub participant_ms: i64,
    /// Bytes sent to them.
    pub egress_bytes: i64,
    /// Messages relayed to them.
    pub message_count: i64,
}

/// One connection of a person.
#[derive(Debug, Clone)]
pub struct StoredLeg {
    /// Names it.
    pub leg_id: Uuid,
    /// Whose.
    pub participant_id: Uuid,
    /// Over which path.
    pub path: String,
    /// By which node.
    pub node: String,
    /// The click.
    pub entered_at: Option<Timestamp>,
    /// None while it is up.
    pub ended_at: Option<Timestamp>,
    /// How it ended.
    pub end_reason: Option<String>,
}

/// What a leg used in one hour.
#[derive(Debug, Clone)]
pub struct LegHour {
    /// Whose.
    pub leg_id: Uuid,
    /// Start of the hour.
    pub hour: Timestamp,
    /// Milliseconds in the call.
    pub participant_ms: i64,
    /// Bytes sent to them.
    pub egress_bytes: i64,
    /// Messages relayed to them.
    pub message_count: i64,
}

fn call(row: Row) -> StoredCall {
    StoredCall {
        call_id: row.get("call_id"),
        room_id: row.get("room_id"),
        room_title: row.get("title"),
        started_at: row.get("started_at"),
        ended_at: row.get("ended_at"),
    }
}

/// The tenant's calls before `cursor`, newest first; live ones, ended ones, or all.
pub async fn list(
    tx: &Transaction,
    live: Option<bool>,
    cursor: Option<Uuid>,
    limit: i64,
) -> Result<Vec<StoredCall>, DbError> {
    let rows = tx.all(include_str!("calls/list.sql"), &[&live, &cursor, &limit]).await?;
    Ok(rows.into_iter().map(call).collect())
}

/// One call of the tenant.
pub async fn find(tx: &Transaction, call_id: Uuid) -> Result<Option<StoredCall>, DbError> {
    let row = tx
        .optional(
            "select c.call_id, c.room_id, r.title, c.started_at, c.ended_at
             from call c join room r using (tenant_id, room_id)
             where c.tenant_id = tuppence_tenant() and c.call_id = $1",
            &[&call_id],
        )
        .await?;
    Ok(row.map(call))
}

/// Who was in these calls, in the order of their clicks.
pub async fn participants(tx: &Transaction, call_ids: &[Uuid]) -> Result<Vec<StoredParticipant>, DbError> {
    let rows = tx.all(include_str!("calls/participants.sql"), &[&call_ids]).await?;
    Ok(rows
        .into_iter()
        .map(|row| StoredParticipant {
            call_id: row.get("call_id"),
            participant_id: row.get("participant_id"),
            name: row.get("name"),
            joined_at: row.get("joined_at"),
            left_at: row.get("left_at"),
            participant_ms: row.get("participant_ms"),
            egress_bytes: row.get("egress_bytes"),
            message_count: row.get("message_count"),
        })
        .collect())
}

/// The connections of one call, in the order they began.
pub async fn legs(tx: &Transaction, call_id: Uuid) -> Result<Vec<StoredLeg>, DbError> {
    let rows = tx
        .all(
            "select leg_id, participant_id, path, node, entered_at, ended_at, end_reason from leg
             where tenant_id = tuppence_tenant() and call_id = $1
             order by created_at, leg_id",
            &[&call_id],
        )
        .await?;
    Ok(rows
        .into_iter()
        .map(|row| StoredLeg {
            leg_id: row.get("leg_id"),
            participant_id: row.get("participant_id"),
            path: row.get("path"),
            node: row.get("node"),
            entered_at: row.get("entered_at"),
            ended_at: row.get("ended_at"),
            end_reason: row.get("end_reason"),
        })
        .collect())
}

/// What the connections of one call used, hour by hour.
pub async fn hours(tx: &Transaction, call_id: Uuid) -> Result<Vec<LegHour>, DbError> {
    let rows = tx.all(include_str!("calls/hours.sql"), &[&call_id]).await?;
    Ok(rows
        .into_iter()
        .map(|row| LegHour {
            leg_id: row.get("leg_id"),
            hour: row.get("hour"),
            participant_ms: row.get("participant_ms"),
            egress_bytes: row.get("egress_bytes"),
            message_count: row.get("message_count"),
        })
        .collect())
}

/// Which of these legs were placed on this node.
pub async fn legs_of_node(
    db: &billing::db::Db,
    tenant: billing::TenantId,
    legs: &[Uuid],
    node: &str,
) -> Result<Vec<Uuid>, DbError> {
    let tx = db.tenant(tenant).await?;
    let rows = tx
        .all(
            "select leg_id from leg where tenant_id = tuppence_tenant() and leg_id = any($1) and node = $2",
            &[&legs, &node],
        )
        .await?;
    tx.commit().await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}
