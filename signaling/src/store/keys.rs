//! API keys. The text of a secret key is never stored.

use crate::secret::{Secret, SecretKind};
use billing::TenantId;
use billing::db::{Db, DbError, Transaction};
use jiff::Timestamp;
use tokio_postgres::Row;
use uuid::Uuid;

/// An API key as it may be shown.
#[derive(Debug, Clone)]
pub struct StoredKey {
    /// Names it.
    pub key_id: Uuid,
    /// Secret or publishable?
    pub kind: SecretKind,
    /// Its first eight characters.
    pub prefix: String,
    /// The whole text, of a publishable key only.
    pub publishable_key: Option<String>,
    /// From which pages a publishable key works.
    pub origins: Vec<String>,
    /// When it was made.
    pub created_at: Timestamp,
}

impl From<Row> for StoredKey {
    fn from(row: Row) -> Self {
        let kind: &str = row.get("kind");
        let is_secret = kind == kind_str(SecretKind::SecretKey);
        Self {
            key_id: row.get("key_id"),
            kind: if is_secret { SecretKind::SecretKey } else { SecretKind::PublishableKey },
            prefix: row.get("prefix"),
            publishable_key: row.get("publishable_key"),
            origins: row.get("origins"),
            created_at: row.get("created_at"),
        }
    }
}

fn kind_str(kind: SecretKind) -> &'static str {
    if kind == SecretKind::SecretKey { "secret" } else { "publishable" }
}

/// Whose secret key is it, if it is not revoked, and what is it called?
pub async fn secret(db: &Db, key: &Secret) -> Result<Option<(TenantId, Uuid)>, DbError> {
    let tx = db.presented(&key.hash()).await?;
    let row = tx
        .optional(
            "select tenant_id, key_id from api_key where key_hash = $1 and kind = 'secret' and revoked_at is null",
            &[&key.hash_hex()],
        )
        .await?;
    tx.commit().await?;
    Ok(row.map(|row| (TenantId(row.get(0)), row.get(1))))
}

/// Whose publishable key is it, if it is not revoked, and from which origins does it work?
pub async fn publishable(db: &Db, key: &Secret) -> Result<Option<(TenantId, Vec<String>)>, DbError> {
    let tx = db.presented(&key.hash()).await?;
    let row = tx
        .optional(
            "select tenant_id, origins from api_key
             where key_hash = $1 and kind = 'publishable' and revoked_at is null",
            &[&key.hash_hex()],
        )
        .await?;
    tx.commit().await?;
    Ok(row.map(|row| (TenantId(row.get(0)), row.get(1))))
}

/// Adds a key to the tenant of the scope.
pub async fn insert(
    tx: &Transaction,
    key_id: Uuid,
    kind: SecretKind,
    key: &Secret,
    origins: &[String],
    now: Timestamp,
) -> Result<(), DbError> {
    let publishable_key = (kind == SecretKind::PublishableKey).then(|| key.reveal());
    tx.run(
        "insert into api_key (tenant_id, key_id, kind, prefix, key_hash, publishable_key, origins, created_at)
         values (tuppence_tenant(), $1, $2, $3, $4, $5, $6, $7)",
        &[&key_id, &kind_str(kind), &key.prefix(), &key.hash_hex(), &publishable_key, &origins, &now],
    )
    .await?;
    Ok(())
}

/// The tenant's keys that are not revoked, newest first.
pub async fn list(tx: &Transaction) -> Result<Vec<StoredKey>, DbError> {
    let rows = tx
        .all(
            "select key_id, kind, prefix, publishable_key, origins, created_at from api_key
             where tenant_id = tuppence_tenant() and revoked_at is null
             order by key_id desc",
            &[],
        )
        .await?;
    Ok(rows.into_iter().map(StoredKey::from).collect())
}

/// Revokes a key for good. Says whether there was one to revoke.
pub async fn revoke(tx: &Transaction, key_id: Uuid, now: Timestamp) -> Result<bool, DbError> {
    let revoked = tx
        .run(
            "update api_key set revoked_at = $2
             where tenant_id = tuppence_tenant() and key_id = $1 and revoked_at is null",
            &[&key_id, &now],
        )
        .await?;
    Ok(revoked == 1)
}

/// Revokes all keys of the tenant.
pub async fn revoke_all(tx: &Transaction, now: Timestamp) -> Result<(), DbError> {
    tx.run(
        "update api_key set revoked_at = $1 where tenant_id = tuppence_tenant() and revoked_at is null",
        &[&now],
    )
    .await?;
    Ok(())
}
