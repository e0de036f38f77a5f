//! What was begun with processors and has not ended yet.

use crate::db::{DbError, Transaction};

/// How much was begun with processors and is not finished.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Unfinished {
    /// Payments whose outcome is not known.
    pub payments: i64,
    /// Refunds whose outcome is not known.
    pub refunds: i64,
    /// Payouts whose outcome is not known.
    pub payouts: i64,
    /// News that were set aside and wait.
    pub news: i64,
}

/// Everybody's.
pub async fn unfinished(collecting: &Transaction) -> Result<Unfinished, DbError> {
    let row = collecting.one(include_str!("unfinished.sql"), &[]).await?;
    let count = |column| row.get(column);
    Ok(Unfinished {
        payments: count("payments"),
        refunds: count("refunds"),
        payouts: count("payouts"),
        news: count("news"),
    })
}
