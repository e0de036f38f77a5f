//! The nodes that may dial in, in the service's own scope.

use crate::nodes::fleet::{Progress, Standings};
use crate::secret::Secret;
use billing::db::{Db, DbError};
use jiff::Timestamp;
use tokio_postgres::Row;

/// A node as an operator sees it.
#[derive(Debug, Clone)]
pub struct StoredNode {
    /// Its name.
    pub name: String,
    /// The first characters of its token.
    pub prefix: String,
    /// When the token was made.
    pub created_at: Timestamp,
    /// Since when the operator wants it empty.
    pub draining_since: Option<Timestamp>,
    /// How it stood when the hub last wrote that down.
    pub seen: Option<Seen>,
}

/// A connected node, as the hub saw it.
#[derive(Debug, Clone)]
pub struct Seen {
    /// When.
    pub at: Timestamp,
    /// How it stood.
    pub standing: Standings,
}

/// Lets a node dial in under this name; a name whose token was revoked may be given again. Says whether the name was free.
pub async fn add(db: &Db, name: &str, token: &Secret, now: Timestamp) -> Result<bool, DbError> {
    let tx = db.service().await?;
    let added = tx
        .run(
            "insert into node (name, token_hash, prefix, created_at) values ($1, $2, $3, $4)
             on conflict (name) do update
               set token_hash = excluded.token_hash, prefix = excluded.prefix,
                   created_at = excluded.created_at, revoked_at = null, draining_since = null, seen_at = null
               where node.revoked_at is not null",
            &[&name, &token.hash_hex(), &token.prefix(), &now],
        )
        .await?;
    tx.commit().await?;
    Ok(added == 1)
}

/// Revokes the token of this name. Says whether there was one.
pub async fn revoke(db: &Db, name: &str, now: Timestamp) -> Result<bool, DbError> {
    let tx = db.service().await?;
    let revoked = tx
        .run("update node set revoked_at = $2 where name = $1 and revoked_at is null", &[&name, &now])
        .await?;
    tx.commit().await?;
    Ok(revoked == 1)
}

/// Says whether the operator wants a node empty. Answers whether there is one of this name.
pub async fn set_draining(db: &Db, name: &str, since: Option<Timestamp>) -> Result<bool, DbError> {
    let tx = db.service().await?;
    let sql = "update node set draining_since = $2 where name = $1 and revoked_at is null";
    let known = tx.run(sql, &[&name, &since]).await?;
    tx.commit().await?;
    Ok(known == 1)
}

/// Writes down how the connected nodes stand.
pub async fn note(db: &Db, standings: &[Standings], now: Timestamp) -> Result<(), DbError> {
    let tx = db.service().await?;
    for Standings { name, version, carries, legs_max, draining } in standings {
        let Progress { rooms, legs, stuck } = *carries;
        tx.run(
            "update node
             set seen_at = $2, version = $3, rooms = $4, legs = $5, rooms_stuck = $6, legs_max = $7, drains = $8
             where name = $1",
            &[name, &now, version, &count(rooms), &count(legs), &count(stuck), &count(*legs_max), draining],
        )
        .await?;
    }
    tx.commit().await
}

fn count(of: usize) -> i32 {
    i32::try_from(of).unwrap_or(i32::MAX)
}

/// The nodes that may dial in, by name.
pub async fn list(db: &Db) -> Result<Vec<StoredNode>, DbError> {
    let tx = db.service().await?;
    let rows = tx
        .all(
            "select name, prefix, created_at, draining_since, seen_at, version, rooms, legs, rooms_stuck, legs_max, drains
             from node where revoked_at is null order by name",
            &[],
        )
        .await?;
    tx.commit().await?;
    Ok(rows.iter().map(node).collect())
}

fn node(row: &Row) -> StoredNode {
    StoredNode {
        name: row.get("name"),
        prefix: row.get("prefix"),
        created_at: row.get("created_at"),
        draining_since: row.get("draining_since"),
        seen: row.get::<_, Option<Timestamp>>("seen_at").map(|at| Seen { at, standing: standing(row) }),
    }
}

fn standing(row: &Row) -> Standings {
    let count = |column: &str| row.get::<_, i32>(column).unsigned_abs() as usize;
    Standings {
        name: row.get("name"),
        version: row.get("version"),
        carries: Progress { rooms: count("rooms"), legs: count("legs"), stuck: count("rooms_stuck") },
        legs_max: count("legs_max"),
        draining: row.get("drains"),
    }
}

/// Every name that was ever given, for the legs that such nodes have left open.
pub async fn all_names(db: &Db) -> Result<Vec<String>, DbError> {
    let tx = db.service().await?;
    let rows = tx.all("select name from node order by name", &[]).await?;
    tx.commit().await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Whose token is it, if it is not revoked?
pub async fn name_of(db: &Db, token: &Secret) -> Result<Option<String>, DbError> {
    let tx = db.service().await?;
    let row = tx
        .optional("select name from node where token_hash = $1 and revoked_at is null", &[&token.hash_hex()])
        .await?;
    tx.commit().await?;
    Ok(row.map(|row| row.get(0)))
}
