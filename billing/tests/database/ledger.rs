//! The ledger refuses, whoever asks.

use crate::support::{at, client, database, migrated_database, tenant};
use billing::{
    TenantId,
    currency::Currency,
    db::{Db, DbError, Transaction},
    ids::{AccountId, VendorId},
    ledger::{self, Entry, LedgerAccount, Posted},
    money::Money,
    store,
};
use uuid::Uuid;

const NOW: &str = "2026-10-10T12:00:00Z";

fn receivable() -> LedgerAccount {
    LedgerAccount::Receivable(AccountId(Uuid::from_u128(1)))
}

fn sale(id: u128, micros: i64) -> ledger::Transaction {
    let money = |micros| Money::micros(micros, Currency::USD);
    let revenue = LedgerAccount::Revenue(VendorId(Uuid::from_u128(2)));
    let entries = [
        Entry { account: receivable(), amount: money(micros) },
        Entry { account: revenue, amount: money(-micros) },
    ];
    ledger::Transaction::new(Uuid::from_u128(id), entries).expect("balanced")
}

/// Writes a transaction's head and raw entries, as no code of ours does.
async fn raw(tx: &Transaction, tenant: TenantId, id: u128, micros: &[i64]) -> Result<(), DbError> {
    let head = "insert into ledger_transaction (tenant_id, transaction_id, kind, created_at)
                values ($1, $2, 'statement', now())";
    tx.run(head, &[&tenant.0, &Uuid::from_u128(id)]).await?;
    raw_entries(tx, tenant, id, micros).await
}

async fn raw_entries(tx: &Transaction, tenant: TenantId, id: u128, micros: &[i64]) -> Result<(), DbError> {
    for amount in micros {
        let account = format!("receivable:{}", Uuid::from_u128(u128::from(amount.unsigned_abs())));
        let entry = "insert into ledger_entry values ($1, $2, $3, 'USD', $4, now())";
        tx.run(entry, &[&tenant.0, &Uuid::from_u128(id), &account, amount]).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_retry_is_answered_not_repeated() {
    let db = database().await;
    let tenant = tenant(&db, false, NOW).await;
    for (micros, answer) in
        [(5, Posted::Created), (5, Posted::Exists), (6, Posted::ExistsWithDifferentAmount)]
    {
        let tx = db.tenant(tenant).await.expect("begins");
        assert_eq!(store::post(&tx, tenant, &sale(1, micros), at(NOW)).await.expect("posts"), answer);
        tx.commit().await.expect("commits");
    }
    let tx = db.tenant(tenant).await.expect("begins");
    let balance = store::balance(&tx, tenant, receivable(), Currency::USD).await.expect("a balance");
    assert_eq!(balance, Money::micros(5, Currency::USD));
}

#[tokio::test]
async fn what_does_not_balance_is_refused_at_commit() {
    let db = database().await;
    let tenant = tenant(&db, false, NOW).await;
    for (entries, constraint) in [
        (vec![5, -4], "ledger_transaction_balances"),
        (vec![5], "ledger_transaction_balances"),
        (vec![], "ledger_transaction_has_entries"),
    ] {
        let tx = db.tenant(tenant).await.expect("begins");
        raw(&tx, tenant, 1, &entries).await.expect("not checked yet");
        let error = tx.commit().await.expect_err("unbalanced");
        assert_eq!(error.constraint(), Some(constraint), "{entries:?}: {error}");
    }
    let tx = db.tenant(tenant).await.expect("begins");
    let error = raw(&tx, tenant, 1, &[0]).await.expect_err("an entry of nothing");
    assert_eq!(error.constraint(), Some("ledger_entry_is_something"));
}

#[tokio::test]
async fn a_committed_transaction_is_sealed() {
    let db = database().await;
    let tenant = tenant(&db, false, NOW).await;
    let tx = db.tenant(tenant).await.expect("begins");
    store::post(&tx, tenant, &sale(1, 5), at(NOW)).await.expect("posts");
    tx.commit().await.expect("commits");
    let tx = db.tenant(tenant).await.expect("begins");
    let error = raw_entries(&tx, tenant, 1, &[7, -7]).await.expect_err("it is over");
    assert_eq!(error.constraint(), Some("ledger_transaction_is_sealed"));
}

#[tokio::test]
async fn nothing_is_changed_or_deleted_by_anyone() {
    let url = migrated_database().await;
    let db = Db::connect(&url).await.expect("connects");
    let tenant = tenant(&db, false, "2026-10-01T00:00:00Z").await;
    let tx = db.tenant(tenant).await.expect("begins");
    let month = "2026-10".parse().expect("a month");
    store::finalise(&tx, tenant, month, at("2026-11-01T00:00:00Z")).await.expect("final");
    tx.commit().await.expect("commits");
    let owner = client(&url).await;
    for table in ["ledger_transaction", "ledger_entry", "statement", "statement_line"] {
        for change in [
            format!("update {table} set tenant_id = tenant_id"),
            format!("delete from {table}"),
            format!("truncate {table} cascade"),
        ] {
            let tx = db.tenant(tenant).await.expect("begins");
            let error = tx.batch_execute(&change).await.expect_err("no such right");
            assert_eq!(
                error.code(),
                Some(&tokio_postgres::error::SqlState::INSUFFICIENT_PRIVILEGE),
                "{change}"
            );
            let error = owner.batch_execute(&change).await.expect_err("not even the owner");
            assert_eq!(
                error.code(),
                Some(&tokio_postgres::error::SqlState::RESTRICT_VIOLATION),
                "{change}: {error:?}"
            );
        }
    }
}
