//! Rooms.

use billing::TenantId;
use billing::db::{Db, DbError, Transaction};
use jiff::Timestamp;
use tokio_postgres::Row;
use uuid::Uuid;

/// A place to meet, with its policy.
#[derive(Debug, Clone)]
pub struct StoredRoom {
    /// Names it.
    pub room_id: Uuid,
    /// What people read; may be empty.
    pub title: String,
    /// How many fit in.
    pub participants_max: i32,
    /// May whoever holds the link come in?
    pub guests: bool,
    /// When it was made.
    pub created_at: Timestamp,
}

impl From<Row> for StoredRoom {
    fn from(row: Row) -> Self {
        Self {
            room_id: row.get("room_id"),
            title: row.get("title"),
            participants_max: row.get("participants_max"),
            guests: row.get("guests"),
            created_at: row.get("created_at"),
        }
    }
}

/// Adds a room to the tenant of the scope.
pub async fn insert(tx: &Transaction, room: &StoredRoom) -> Result<(), DbError> {
    tx.run(
        "insert into room (tenant_id, room_id, title, participants_max, guests, created_at)
         values (tuppence_tenant(), $1, $2, $3, $4, $5)",
        &[&room.room_id, &room.title, &room.participants_max, &room.guests, &room.created_at],
    )
    .await?;
    Ok(())
}

/// One open room of the tenant.
pub async fn find(tx: &Transaction, room_id: Uuid) -> Result<Option<StoredRoom>, DbError> {
    let row = tx
        .optional(
            "select room_id, title, participants_max, guests, created_at from room
             where tenant_id = tuppence_tenant() and room_id = $1 and closed_at is null",
            &[&room_id],
        )
        .await?;
    Ok(row.map(StoredRoom::from))
}

/// The tenant's open rooms before `cursor`, newest first.
pub async fn list(tx: &Transaction, cursor: Option<Uuid>, limit: i64) -> Result<Vec<StoredRoom>, DbError> {
    let rows = tx
        .all(
            "select room_id, title, participants_max, guests, created_at from room
             where tenant_id = tuppence_tenant() and closed_at is null and ($1::uuid is null or room_id < $1)
             order by room_id desc limit $2",
            &[&cursor, &limit],
        )
        .await?;
    Ok(rows.into_iter().map(StoredRoom::from).collect())
}

/// The open room whose link somebody holds, and whose it is.
pub async fn by_link(db: &Db, room_id: Uuid) -> Result<Option<(TenantId, StoredRoom)>, DbError> {
    let tx = db.presented_room(room_id).await?;
    let row = tx
        .optional(
            "select tenant_id, room_id, title, participants_max, guests, created_at from room
             where room_id = $1 and closed_at is null",
            &[&room_id],
        )
        .await?;
    tx.commit().await?;
    Ok(row.map(|row| (TenantId(row.get("tenant_id")), StoredRoom::from(row))))
}
