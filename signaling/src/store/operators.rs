//! Who may speak for the operator, in the service's own scope.

use crate::secret::Secret;
use billing::TenantId;
use billing::db::{Db, DbError};
use jiff::Timestamp;
use tokio_postgres::Row;

/// A token as it may be shown.
#[derive(Debug, Clone)]
pub struct StoredToken {
    /// Whose it is.
    pub name: String,
    /// Its first characters.
    pub prefix: String,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Makes a token known under a name; a name whose token was revoked may be given again. Says whether the name was free.
pub async fn add(db: &Db, name: &str, token: &Secret, now: Timestamp) -> Result<bool, DbError> {
    let tx = db.service().await?;
    let added = tx
        .run(
            "insert into operator_token (name, token_hash, prefix, created_at) values ($1, $2, $3, $4)
             on conflict (name) do update
               set token_hash = excluded.token_hash, prefix = excluded.prefix,
                   created_at = excluded.created_at, revoked_at = null
               where operator_token.revoked_at is not null",
            &[&name, &token.hash_hex(), &token.prefix(), &now],
        )
        .await?;
    tx.commit().await?;
    Ok(added == 1)
}

/// Revokes the token of this name. Says whether there was one.
pub async fn revoke(db: &Db, name: &str, now: Timestamp) -> Result<bool, DbError> {
    let tx = db.service().await?;
    let sql = "update operator_token set revoked_at = $2 where name = $1 and revoked_at is null";
    let revoked = tx.run(sql, &[&name, &now]).await?;
    tx.commit().await?;
    Ok(revoked == 1)
}

/// The tokens that are not revoked.
pub async fn list(db: &Db) -> Result<Vec<StoredToken>, DbError> {
    let tx = db.service().await?;
    let sql = "select name, prefix, created_at from operator_token where revoked_at is null order by name";
    let rows = tx.all(sql, &[]).await?;
    tx.commit().await?;
    let read = |row: &Row| StoredToken {
        name: row.get("name"),
        prefix: row.get("prefix"),
        created_at: row.get("created_at"),
    };
    Ok(rows.iter().map(read).collect())
}

/// Is it a token that is not revoked?
pub async fn is_known(db: &Db, token: &Secret) -> Result<bool, DbError> {
    let tx = db.service().await?;
    let sql = "select from operator_token where token_hash = $1 and revoked_at is null";
    let row = tx.optional(sql, &[&token.hash_hex()]).await?;
    tx.commit().await?;
    Ok(row.is_some())
}

/// Is there such a tenant?
pub async fn has_tenant(db: &Db, tenant: TenantId) -> Result<bool, DbError> {
    let tx = db.service().await?;
    let row = tx.optional("select from tenant where tenant_id = $1", &[&tenant.0]).await?;
    tx.commit().await?;
    Ok(row.is_some())
}
