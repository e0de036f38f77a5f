//! The chain of blocks over the ledger: hashed again, and compared.

use super::{Difference, Entry, Findings, Rule};
use crate::ids::TenantId;
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use std::fmt::Write;
use uuid::Uuid;

/// SHA-256.
type Hash = [u8; 32];

/// A block as its row says. Ids of database transactions are as PostgreSQL writes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Its place, from 1.
    pub number: i64,
    /// Of the block before it; zeros before the first.
    pub previous_hash: Vec<u8>,
    /// Its own.
    pub hash: Vec<u8>,
    /// The first database transaction that it covers.
    pub first: String,
    /// The first that it does not.
    pub end: String,
    /// How many transactions it has.
    pub transactions: i64,
}

/// A transaction as it stands in the ledger.
#[derive(Debug, Clone)]
pub struct Posted {
    /// Whose.
    pub tenant: Uuid,
    /// What it is of.
    pub kind: String,
    /// The database transaction that wrote it.
    pub posted_by: String,
    /// When.
    pub created_at: Timestamp,
    /// Its id.
    pub transaction: Uuid,
    /// In the order of account and currency.
    pub entries: Vec<Entry>,
}

/// Hashes what stands in a block's range, in the chain's order, and compares it with the block and the one before.
pub fn examine_block(before: Option<&Block>, block: &Block, posted: &[Posted]) -> Vec<Difference> {
    let mut found = Findings { tenant: TenantId(Uuid::nil()), differences: Vec::new() };
    let place = format!("block {}", block.number);
    let nothing = Block {
        number: 0,
        previous_hash: Vec::new(),
        hash: vec![0; 32],
        first: String::new(),
        end: "0".to_owned(),
        transactions: 0,
    };
    let before = before.unwrap_or(&nothing);
    found.compare(Rule::BlocksFollow, format!("{place}, its number"), before.number + 1, block.number);
    found.compare(Rule::BlocksFollow, format!("{place}, its first"), &before.end, &block.first);
    found.compare(
        Rule::BlocksFollow,
        format!("{place}, what it follows"),
        hex(&before.hash),
        hex(&block.previous_hash),
    );
    let count = i64::try_from(posted.len()).unwrap_or(i64::MAX);
    found.compare(Rule::BlockIsAsSealed, format!("{place}, its transactions"), block.transactions, count);
    found.compare(Rule::BlockIsAsSealed, place, hex(&hash_of(block, posted)), hex(&block.hash));
    found.differences
}

fn hash_of(block: &Block, posted: &[Posted]) -> Hash {
    let mut hash = Sha256::new();
    hash.update(&block.previous_hash);
    hash.update(format!("{}|{}|{}|{}\n", block.number, block.first, block.end, block.transactions));
    posted.iter().for_each(|transaction| hash.update(digest(transaction)));
    hash.finalize().into()
}

fn digest(posted: &Posted) -> Hash {
    let Posted { tenant, transaction, kind, posted_by, created_at, entries } = posted;
    let mut hash = Sha256::new();
    hash.update(format!("{tenant}|{transaction}|{kind}|{posted_by}|{}\n", created_at.as_microsecond()));
    for Entry { account, currency, amount, .. } in entries {
        hash.update(format!("{account}|{currency}|{amount}\n"));
    }
    hash.finalize().into()
}

/// As people compare hashes.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes everything");
        text
    })
}
