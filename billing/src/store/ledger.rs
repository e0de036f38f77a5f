//! The stored ledger.

use super::row::money;
use crate::{
    currency::Currency,
    db::{DbError, Transaction},
    ids::TenantId,
    ledger::{self, LedgerAccount, Posted},
    money::Money,
};
use jiff::Timestamp;

/// Writes a transaction once. One without entries is nothing, and nothing is written.
pub async fn post(
    tx: &Transaction,
    tenant: TenantId,
    transaction: &ledger::Transaction,
    now: Timestamp,
) -> Result<Posted, DbError> {
    if transaction.entries().is_empty() {
        return Ok(Posted::Created);
    }
    let head = include_str!("insert_ledger_transaction.sql");
    if tx.run(head, &[&tenant.0, &transaction.id, &"statement", &now]).await? == 0 {
        return compare(tx, tenant, transaction).await;
    }
    let (mut accounts, mut currencies, mut micros) = (vec![], vec![], vec![]);
    for entry in transaction.entries() {
        accounts.push(entry.account.to_string());
        currencies.push(entry.amount.currency.code());
        micros.push(entry.amount.micros);
    }
    let entries = include_str!("insert_ledger_entries.sql");
    tx.run(entries, &[&tenant.0, &transaction.id, &accounts, &currencies, &micros, &now]).await?;
    Ok(Posted::Created)
}

/// What stands on an account: debits less credits.
pub async fn balance(
    tx: &Transaction,
    tenant: TenantId,
    account: LedgerAccount,
    currency: Currency,
) -> Result<Money, DbError> {
    let params: [&(dyn tokio_postgres::types::ToSql + Sync); 3] =
        [&tenant.0, &account.to_string(), &currency.code()];
    let row = tx.one(include_str!("balance.sql"), &params).await?;
    Ok(Money::micros(row.get("micros"), currency))
}

/// Is the stored transaction of this id the same?
async fn compare(
    tx: &Transaction,
    tenant: TenantId,
    transaction: &ledger::Transaction,
) -> Result<Posted, DbError> {
    let rows = tx.all(include_str!("ledger_entries.sql"), &[&tenant.0, &transaction.id]).await?;
    let mut stored = Vec::new();
    for row in &rows {
        stored.push((row.get::<_, String>("ledger_account"), money(row, "amount_micros")?));
    }
    let given = transaction.entries().iter().map(|entry| (entry.account.to_string(), entry.amount));
    let mut given: Vec<(String, Money)> = given.collect();
    for entries in [&mut stored, &mut given] {
        entries.sort_by(|(a, of_a), (b, of_b)| (a, of_a.currency).cmp(&(b, of_b.currency)));
    }
    Ok(if stored == given { Posted::Exists } else { Posted::ExistsWithDifferentAmount })
}
