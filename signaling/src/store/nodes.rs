//! The nodes that may dial in, in the service's own scope.

use crate::secret::Secret;
use billing::db::{Db, DbError};
use jiff::Timestamp;
use std::collections::BTreeSet;

/// A node as an operator sees it.
#[derive(Debug, Clone)]
pub struct StoredNode {
    /// Its name.
    pub name: String,
    /// The first characters of its token.
    pub prefix: String,
    /// When the token was made.
    pub created_at: Timestamp,
}

/// Lets a node dial in under this name; a name whose token was revoked may be given again. Says whether the name was free.
pub async fn add(db: &Db, name: &str, token: &Secret, now: Timestamp) -> Result<bool, DbError> {
    let tx = db.service().await?;
    let added = tx
        .run(
            "insert into node (name, token_hash, prefix, created_at) values ($1, $2, $3, $4)
             on conflict (name) do update
               set token_hash = excluded.token_hash, prefix = excluded.prefix,
                   created_at = excluded.created_at, revoked_at = null
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

/// The nodes that may dial in, by name.
pub async fn list(db: &Db) -> Result<Vec<StoredNode>, DbError> {
    let tx = db.service().await?;
    let rows = tx
        .all("select name, prefix, created_at from node where revoked_at is null order by name", &[])
        .await?;
    tx.commit().await?;
    let node = |row: &tokio_postgres::Row| StoredNode {
        name: row.get("name"),
        prefix: row.get("prefix"),
        created_at: row.get("created_at"),
    };
    Ok(rows.iter().map(node).collect())
}

/// The names of the nodes that may dial in.
pub async fn names(db: &Db) -> Result<BTreeSet<String>, DbError> {
    Ok(list(db).await?.into_iter().map(|node| node.name).collect())
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
