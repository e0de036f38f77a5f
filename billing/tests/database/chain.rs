//! The ledger's chain: what is committed is sealed, and whoever changes it later, with whatever rights, is seen.

use crate::support::{at, client, migrated_database, tenant};
use billing::{
    TenantId,
    audit::{Report, Rule, audit},
    clock::Clock,
    currency::Currency,
    db::{Db, Transaction},
    ids::{AccountId, VendorId},
    ledger::{self, Entry, LedgerAccount},
    money::Money,
    store,
};
use tokio_postgres::error::SqlState;
use uuid::Uuid;

const NOW: &str = "2026-10-10T12:00:00Z";

async fn post(tx: &Transaction, tenant: TenantId, id: u128) {
    let (account, vendor) = (AccountId(Uuid::from_u128(1)), VendorId(Uuid::from_u128(2)));
    let entry = |account, micros| Entry { account, amount: Money::micros(micros, Currency::USD) };
    let entries =
        [entry(LedgerAccount::Receivable(account), 500_000), entry(LedgerAccount::Revenue(vendor), -500_000)];
    let transaction = ledger::Transaction::new(Uuid::from_u128(id), entries).expect("balanced");
    store::post(tx, tenant, &transaction, at(NOW)).await.expect("posts");
}

async fn seal(db: &Db) -> u64 {
    store::seal_ledger(db, &Clock::fixed(at(NOW))).await.expect("seals")
}

/// Seals until so many transactions are in blocks. What other tests have open on the same server holds it up, as it must.
async fn seal_until(db: &Db, transactions: i64) {
    for _ in 0..400 {
        seal(db).await;
        let tx = db.sealing().await.expect("begins");
        let sql = "select coalesce(sum(transactions), 0)::bigint from ledger_block";
        if tx.one(sql, &[]).await.expect("sums").get::<_, i64>(0) == transactions {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("{transactions} transactions were not sealed");
}

/// Six transactions of two tenants in three blocks or more.
async fn sealed() -> (String, Db) {
    let url = migrated_database().await;
    let db = Db::connect(&url).await.expect("connects");
    let tenants = [tenant(&db, false, NOW).await, tenant(&db, false, NOW).await];
    for block in 0..3_u128 {
        for (place, tenant) in (1..).zip(tenants) {
            let tx = db.tenant(tenant).await.expect("begins");
            post(&tx, tenant, block * 10 + place).await;
            tx.commit().await.expect("commits");
        }
        seal_until(&db, 2 * (i64::try_from(block).expect("small") + 1)).await;
    }
    (url, db)
}

/// What the audit says of the chain; these postings have no statements, about which it rightly complains.
async fn differences(db: &Db) -> Vec<Rule> {
    let Report { differences, .. } = audit(db, at(NOW)).await.expect("an audit");
    let rules = differences.into_iter().map(|difference| difference.rule);
    rules.filter(|rule| matches!(rule, Rule::BlocksFollow | Rule::BlockIsAsSealed)).collect()
}

#[tokio::test]
async fn what_is_committed_is_sealed_once() {
    let (url, db) = sealed().await;
    assert_eq!(seal(&db).await, 0, "nothing was posted since");
    let (one, two) = tokio::join!(seal(&db), seal(&db));
    assert_eq!(one + two, 0);
    let owner = client(&url).await;
    let sql = "select count(*), sum(transactions)::bigint from ledger_block";
    let row = owner.query_one(sql, &[]).await.expect("blocks");
    let (blocks, transactions): (i64, i64) = (row.get(0), row.get(1));
    assert!(blocks >= 3 && transactions == 6, "{blocks} blocks of {transactions}");
    assert_eq!(differences(&db).await, []);
    let head = audit(&db, at(NOW)).await.expect("an audit").head.expect("a head");
    assert_eq!((head.number, head.hash.len()), (blocks, 64));
}

#[tokio::test]
async fn what_is_still_going_on_is_sealed_later() {
    let url = migrated_database().await;
    let db = Db::connect(&url).await.expect("connects");
    let (slow, quick) = (tenant(&db, false, NOW).await, tenant(&db, false, NOW).await);
    let open = db.tenant(slow).await.expect("begins");
    post(&open, slow, 1).await;
    let tx = db.tenant(quick).await.expect("begins");
    post(&tx, quick, 2).await;
    tx.commit().await.expect("commits");
    assert_eq!(seal(&db).await, 0, "an older one may still commit");
    open.commit().await.expect("commits");
    seal_until(&db, 2).await;
    assert_eq!(differences(&db).await, []);
}

#[tokio::test]
async fn a_hand_in_the_sealed_ledger_is_noticed() {
    for (sql, rule) in [
        ("update ledger_entry set amount_micros = amount_micros * 2", Rule::BlockIsAsSealed),
        (
            "update ledger_entry set ledger_account = 'receivable:' || gen_random_uuid()
              where ledger_account like 'receivable:%'",
            Rule::BlockIsAsSealed,
        ),
        ("update ledger_entry set currency = 'EUR'", Rule::BlockIsAsSealed),
        (
            "delete from ledger_entry where transaction_id = '00000000-0000-0000-0000-00000000000b'",
            Rule::BlockIsAsSealed,
        ),
        (
            "delete from ledger_entry where transaction_id = '00000000-0000-0000-0000-00000000000b';
             delete from ledger_transaction where transaction_id = '00000000-0000-0000-0000-00000000000b'",
            Rule::BlockIsAsSealed,
        ),
        (
            "update ledger_transaction t set posted_by = o.posted_by from ledger_transaction o
              where t.transaction_id = '00000000-0000-0000-0000-000000000001'
                and o.transaction_id = '00000000-0000-0000-0000-000000000002'",
            Rule::BlockIsAsSealed,
        ),
        (
            "insert into ledger_transaction (tenant_id, transaction_id, kind, posted_by, created_at)
             select tenant_id, gen_random_uuid(), kind, posted_by, created_at from ledger_transaction limit 1",
            Rule::BlockIsAsSealed,
        ),
        ("update ledger_transaction set created_at = created_at - interval '1 day'", Rule::BlockIsAsSealed),
        ("update ledger_block set transactions = 3 where number = 2", Rule::BlockIsAsSealed),
        ("update ledger_block set hash = sha256('forged') where number = 2", Rule::BlockIsAsSealed),
        ("update ledger_block set hash = sha256('forged') where number = 2", Rule::BlocksFollow),
        ("update ledger_block set previous_hash = sha256('forged') where number = 2", Rule::BlocksFollow),
        ("delete from ledger_block where number = 1", Rule::BlocksFollow),
        ("delete from ledger_block where number = 2", Rule::BlocksFollow),
    ] {
        let (url, db) = sealed().await;
        let hand = client(&url).await;
        hand.batch_execute(&format!("set session_replication_role = replica; {sql}")).await.expect("done");
        let found = differences(&db).await;
        assert!(found.contains(&rule), "{sql}: {found:?}");
    }
}

#[tokio::test]
async fn nobody_changes_a_block() {
    let (url, db) = sealed().await;
    let owner = client(&url).await;
    for change in ["update ledger_block set number = 9", "delete from ledger_block", "truncate ledger_block"]
    {
        let tx = db.sealing().await.expect("begins");
        let error = tx.batch_execute(change).await.expect_err("no such right");
        assert_eq!(error.code(), Some(&SqlState::INSUFFICIENT_PRIVILEGE), "{change}");
        let error = owner.batch_execute(change).await.expect_err("not even the owner");
        assert_eq!(error.code(), Some(&SqlState::RESTRICT_VIOLATION), "{change}");
    }
}

#[tokio::test]
async fn the_scope_of_a_seal_reads_the_ledger_and_nothing_else() {
    let (_, db) = sealed().await;
    let tx = db.sealing().await.expect("begins");
    let seen: i64 = tx.one("select count(*) from ledger_entry", &[]).await.expect("reads").get(0);
    assert_eq!(seen, 12);
    for table in ["tenant", "account", "statement", "usage_fact"] {
        let seen = tx.one(&format!("select count(*) from {table}"), &[]).await.expect("reads");
        assert_eq!(seen.get::<_, i64>(0), 0, "{table}");
    }
    let forged = "insert into ledger_transaction (tenant_id, transaction_id, kind, created_at)
                  select tenant_id, gen_random_uuid(), 'statement', now() from ledger_entry limit 1";
    assert!(tx.batch_execute(forged).await.is_err(), "it writes blocks only");
}
