//! The chain of blocks over the ledger.

use super::row::stored;
use crate::{
    audit::{Block, Entry, Posted},
    clock::Clock,
    db::{Db, DbError, Transaction},
};
use tokio_postgres::Row;
use uuid::Uuid;

/// About how many transactions a block has: a block is hashed within seconds and audited in a few megabytes.
const BLOCK: i64 = 10_000;

/// Seals all that has been committed, block by block, and tells how many blocks that were.
pub async fn seal_ledger(db: &Db, clock: &Clock) -> Result<u64, DbError> {
    let mut blocks = 0;
    loop {
        let tx = db.sealing().await?;
        let sealed = tx.one(include_str!("seal_block.sql"), &[&BLOCK, &clock.now()]).await?.get("sealed");
        tx.commit().await?;
        match sealed {
            true => blocks += 1,
            false => return Ok(blocks),
        }
    }
}

/// The next block, with what stands in its range now.
pub async fn block_after(
    sealing: &Transaction,
    number: i64,
) -> Result<Option<(Block, Vec<Posted>)>, DbError> {
    let Some(row) = sealing.optional(include_str!("sealed_blocks.sql"), &[&number]).await? else {
        return Ok(None);
    };
    let block = Block {
        number: row.get("number"),
        previous_hash: row.get("previous_hash"),
        hash: row.get("hash"),
        first: row.get("first_xid"),
        end: row.get("end_xid"),
        transactions: row.get("transactions"),
    };
    let rows = sealing.all(include_str!("block_entries.sql"), &[&block.first, &block.end]).await?;
    let mut posted: Vec<Posted> = Vec::new();
    for row in &rows {
        let (tenant, transaction): (Uuid, Uuid) = (row.get("tenant_id"), row.get("transaction_id"));
        let entry = entry(row)?;
        match posted.last_mut().filter(|last| (last.tenant, last.transaction) == (tenant, transaction)) {
            Some(last) => last.entries.extend(entry),
            None => posted.push(Posted {
                tenant,
                transaction,
                kind: row.get("kind"),
                posted_by: row.get("posted_by"),
                created_at: row.get("created_at"),
                entries: entry.into_iter().collect(),
            }),
        }
    }
    Ok(Some((block, posted)))
}

/// The row's entry, if it has one.
fn entry(row: &Row) -> Result<Option<Entry>, DbError> {
    let Some(account) = row.get("ledger_account") else { return Ok(None) };
    let (currency, amount): (Option<String>, Option<i64>) = (row.get("currency"), row.get("amount_micros"));
    let (currency, amount) = currency.zip(amount).ok_or_else(|| stored("half an entry"))?;
    Ok(Some(Entry { transaction: row.get("transaction_id"), account, currency, amount }))
}
