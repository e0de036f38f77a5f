//! The key pairs that sign call tokens, in the service's own scope.

use crate::tokens::TokenKey;
use billing::db::{Db, DbError, Transaction};
use jiff::Timestamp;
use tokio_postgres::Row;

/// The keys in use, oldest first. The first start makes one; two first starts at once agree on one.
pub async fn load_or_create(db: &Db, now: Timestamp) -> Result<Vec<TokenKey>, DbError> {
    let tx = db.service().await?;
    tx.run("select pg_advisory_xact_lock(hashtext('tuppence token keys'))", &[]).await?;
    let mut keys = list(&tx).await?;
    if keys.is_empty() {
        let key = TokenKey::generate();
        insert(&tx, &key, now).await?;
        keys.push(key);
    }
    tx.commit().await?;
    Ok(keys)
}

async fn list(tx: &Transaction) -> Result<Vec<TokenKey>, DbError> {
    let rows = tx
        .all(
            "select kid, private_pkcs8, public_raw from token_key where retired_at is null
             order by created_at, kid",
            &[],
        )
        .await?;
    Ok(rows.into_iter().map(key).collect())
}

fn key(row: Row) -> TokenKey {
    TokenKey {
        kid: row.get("kid"),
        private_pkcs8: row.get("private_pkcs8"),
        public_raw: row.get("public_raw"),
        retired: false,
    }
}

async fn insert(tx: &Transaction, key: &TokenKey, now: Timestamp) -> Result<(), DbError> {
    tx.run(
        "insert into token_key (kid, private_pkcs8, public_raw, created_at) values ($1, $2, $3, $4)",
        &[&key.kid, &key.private_pkcs8, &key.public_raw, &now],
    )
    .await?;
    Ok(())
}
