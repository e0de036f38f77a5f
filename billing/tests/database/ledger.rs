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

/// A close writes transactions whole, and each statement of SQL is checked when it ends.
#[tokio::test]
async fn a_close_writes_balanced_transactions_with_their_entries() {
    let db = database().await;
    let tenant = tenant(&db, false, NOW).await;
    let head = format!(
        "insert into ledger_transaction (tenant_id, transaction_id, kind, created_at)
         values ('{}', '{}', 'statement', now())",
        tenant.0,
        Uuid::from_u128(1)
    );
    let entries = |micros: &[i64]| {
        let account =
            |micros: &i64| format!("receivable:{}", Uuid::from_u128(u128::from(micros.unsigned_abs())));
        let row = |micros: &i64| {
            format!(
                "('{}', '{}', '{}', 'USD', {micros}, now())",
                tenant.0,
                Uuid::from_u128(1),
                account(micros)
            )
        };
        format!("insert into ledger_entry values {}", micros.iter().map(row).collect::<Vec<_>>().join(", "))
    };
    let whole = |micros: &[i64]| format!("with heads as ({head}) {}", entries(micros));
    for (written, constraint) in [
        (head.clone(), Some("ledger_transaction_has_entries")),
        (whole(&[5, -4]), Some("ledger_transaction_balances")),
        (whole(&[5]), Some("ledger_transaction_balances")),
        (entries(&[5, -2, -3]), Some("ledger_transaction_is_sealed")),
        (format!("{}; {}", whole(&[1, 2, -3]), entries(&[7, -6])), Some("ledger_transaction_balances")),
        (format!("{}; {}", whole(&[1, 2, -3]), entries(&[4, 7, -11])), None),
    ] {
        let tx = db.closing().await.expect("begins");
        let refused = tx.batch_execute(&written).await.err().map(DbError::from);
        let refused = refused.and_then(|error| error.constraint().map(str::to_owned));
        assert_eq!(refused.as_deref(), constraint, "{written}");
        if constraint.is_none() {
            tx.commit().await.expect("commits");
        }
    }
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

#[tokio::test]
async fn entries_stand_on_accounts_of_the_chart() {
    let db = database().await;
    let tenant = tenant(&db, false, NOW).await;
    let id = "0199c000-0000-7000-8000-000000000001";
    let good = ["receivable", "carried", "wallet", "credits", "deferred", "revenue", "payable"];
    let mut names: Vec<(String, bool)> = good.iter().map(|kind| (format!("{kind}:{id}"), true)).collect();
    for name in
        ["processor", "processor_fees", "platform_share", "promotions", "written_off", "rounding", "tax:DE"]
    {
        names.push((name.to_owned(), true));
    }
    let bad = [
        "",
        "receivable",
        "receivable:",
        "receivable:1",
        "tax:",
        "tax:de",
        "tax:DEU",
        "xtax:DE",
        "processor:",
        "Processor",
        "misc",
    ];
    names.extend(bad.iter().map(|name| ((*name).to_owned(), false)));
    for wrong in [
        format!("Receivable:{id}"),
        format!("misc:{id}"),
        format!(":{id}"),
        format!("receivable:{id}0"),
        format!("receivable::{id}"),
        format!("receivable:{id}\n"),
        format!("receivable:{}", id.to_uppercase().replace('C', "G")),
        format!("receivable:{}:", &id[1..]),
        format!(" receivable:{id}"),
    ] {
        names.push((wrong, false));
    }
    for (name, is_good) in names {
        let tx = db.tenant(tenant).await.expect("begins");
        raw(&tx, tenant, 1, &[]).await.expect("a head");
        let entry = "insert into ledger_entry values ($1, $2, $3, 'USD', 1, now())";
        let written = tx.run(entry, &[&tenant.0, &Uuid::from_u128(1), &name]).await;
        let refused = written.err().and_then(|error| error.constraint().map(str::to_owned));
        let expected = (!is_good).then(|| "ledger_entry_account_known".to_owned());
        assert_eq!(refused, expected, "{name:?}");
    }
}

#[tokio::test]
async fn history_refers_to_what_exists_and_stays() {
    let url = migrated_database().await;
    let db = Db::connect(&url).await.expect("connects");
    let tenant = tenant(&db, false, "2026-10-01T00:00:00Z").await;
    let tx = db.tenant(tenant).await.expect("begins");
    store::finalise(&tx, tenant, "2026-10".parse().expect("a month"), at("2026-11-01T00:00:00Z"))
        .await
        .expect("final");
    tx.commit().await.expect("commits");
    let owner = client(&url).await;
    let another = |changed: &str| {
        format!(
            "insert into statement select (jsonb_populate_record(s, '{{{changed}, \"series_number\": 999999,
             \"period_start\": \"2027-01-01Z\", \"period_end\": \"2027-02-01Z\",
             \"statement_id\": \"ffffffff-0000-0000-0000-00000000000a\"}}')).* from statement s"
        )
    };
    let nobody = "ffffffff-0000-0000-0000-00000000000b";
    for (change, constraint) in [
        (another(&format!("\"account_id\": \"{nobody}\"")), "statement_has_an_account"),
        (another("\"legal_entity\": \"nobody\""), "statement_has_a_series"),
        (
            format!(
                "insert into ledger_transaction values ('{nobody}', '{nobody}', 'statement', default, now())"
            ),
            "ledger_transaction_has_a_tenant",
        ),
        ("delete from tenant".to_owned(), "tenant_is_never_deleted"),
        (format!("update tenant set tenant_id = '{nobody}'"), "tenant_is_never_deleted"),
        ("truncate tenant cascade".to_owned(), "tenant_is_never_deleted"),
        ("delete from account".to_owned(), "account_is_never_deleted"),
        (format!("update account set account_id = '{nobody}'"), "account_is_never_deleted"),
        ("delete from number_series".to_owned(), "number_series_is_never_deleted"),
        (
            "update number_series set legal_entity = 'x' || legal_entity".to_owned(),
            "number_series_is_never_deleted",
        ),
    ] {
        let error = DbError::from(owner.batch_execute(&change).await.expect_err(&change));
        assert_eq!(error.constraint(), Some(constraint), "{change}: {error}");
    }
}
