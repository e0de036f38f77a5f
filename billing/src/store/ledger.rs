//! The stored ledger.

use super::{
    freeze::{all_written, column},
    row::money,
};
use crate::{
    currency::Currency,
    db::{DbError, Transaction},
    ids::TenantId,
    ledger::{self, Entry, LedgerAccount, Posted},
    money::Money,
};
use jiff::Timestamp;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

/// What a final statement's transaction is of.
pub(super) const STATEMENT: &str = "statement";
/// A credit that was given.
pub(super) const CREDIT: &str = "credit";
/// A correction of a final statement.
pub(super) const CREDIT_NOTE: &str = "credit_note";
/// A credit that ran out.
pub(super) const CREDIT_EXPIRY: &str = "credit_expiry";

/// Writes a statement's transaction once.
pub async fn post(
    tx: &Transaction,
    tenant: TenantId,
    transaction: &ledger::Transaction,
    now: Timestamp,
) -> Result<Posted, DbError> {
    post_as(tx, tenant, STATEMENT, transaction, now).await
}

/// Writes a transaction of a kind once. One without entries is nothing, and nothing is written.
pub(super) async fn post_as(
    tx: &Transaction,
    tenant: TenantId,
    kind: &str,
    transaction: &ledger::Transaction,
    now: Timestamp,
) -> Result<Posted, DbError> {
    if transaction.entries().is_empty() {
        return Ok(Posted::Created);
    }
    let head = include_str!("insert_ledger_transaction.sql");
    if tx.run(head, &[&tenant.0, &transaction.id, &kind, &now]).await? == 0 {
        return compare(tx, tenant, transaction).await;
    }
    let entries = Entries::of(&[(tenant, transaction, now)]);
    all_written(tx.run(include_str!("insert_ledger_entries.sql"), &entries.params()).await?, entries.len())?;
    Ok(Posted::Created)
}

/// Writes new transactions of one kind; one that is there already is an error.
pub(super) async fn post_all(tx: &Transaction, kind: &str, all: &[Posting<'_>]) -> Result<(), DbError> {
    let all: Vec<Posting<'_>> =
        all.iter().copied().filter(|(_, transaction, _)| !transaction.entries().is_empty()).collect();
    if all.is_empty() {
        return Ok(());
    }
    let tenants = column(&all, |(tenant, ..)| tenant.0);
    let (ids, times) = (column(&all, |(_, it, _)| it.id), column(&all, |(.., at)| *at));
    let entries = Entries::of(&all);
    let heads: [&(dyn ToSql + Sync); 4] = [&tenants, &ids, &times, &kind];
    let params: Vec<_> = heads.into_iter().chain(entries.params()).collect();
    all_written(tx.run(include_str!("insert_ledger_transactions.sql"), &params).await?, entries.len())
}

/// Whose transaction, which, and when.
pub(super) type Posting<'a> = (TenantId, &'a ledger::Transaction, Timestamp);

/// Entries by column, as SQL takes them.
#[derive(Default)]
struct Entries<'a> {
    tenants: Vec<Uuid>,
    transactions: Vec<Uuid>,
    accounts: Vec<String>,
    currencies: Vec<&'a str>,
    micros: Vec<i64>,
    times: Vec<Timestamp>,
}

impl<'a> Entries<'a> {
    fn of(all: &[Posting<'a>]) -> Self {
        let mut columns = Self::default();
        for (tenant, transaction, at) in all {
            for Entry { account, amount } in transaction.entries() {
                columns.tenants.push(tenant.0);
                columns.transactions.push(transaction.id);
                columns.accounts.push(account.to_string());
                columns.currencies.push(amount.currency.code());
                columns.micros.push(amount.micros);
                columns.times.push(*at);
            }
        }
        columns
    }

    fn len(&self) -> usize {
        self.tenants.len()
    }

    fn params(&self) -> [&(dyn ToSql + Sync); 6] {
        [&self.tenants, &self.transactions, &self.accounts, &self.currencies, &self.micros, &self.times]
    }
}

/// What stands on an account: debits less credits.
pub async fn balance(
    tx: &Transaction,
    tenant: TenantId,
    account: LedgerAccount,
    currency: Currency,
) -> Result<Money, DbError> {
    let params: [&(dyn ToSql + Sync); 3] = [&tenant.0, &account.to_string(), &currency.code()];
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
