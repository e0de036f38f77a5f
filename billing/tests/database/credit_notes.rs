//! Credit notes on real tables.

use crate::{
    support::{at, client, database, migrated_database, tenant},
    taxes::{lives_in, sells_from_germany},
};
use billing::{
    TenantId, audit,
    credit_note::{Asked, CreditNote, CreditNoteRefused},
    db::{Db, DbError},
    ids::StatementId,
    store::{self, CreditNoteError},
};

const BEGAN: &str = "2026-09-01T00:00:00Z";

pub(crate) async fn correct(
    db: &Db,
    tenant: TenantId,
    of: StatementId,
    asked: &Asked,
    now: &str,
) -> Result<CreditNote, CreditNoteError> {
    let tx = db.tenant(tenant).await.expect("begins");
    let note = store::issue_credit_note(&tx, tenant, of, asked, "Wrong plan", at(now)).await?;
    tx.commit().await.expect("commits");
    Ok(note)
}

/// September of a taxed business, final: 25 ¢ and 5 ¢ of tax.
pub(crate) async fn september(db: &Db, sandbox: bool) -> (TenantId, StatementId) {
    let tenant = tenant(db, sandbox, BEGAN).await;
    lives_in(db, tenant, "DE", None, BEGAN).await;
    let tx = db.tenant(tenant).await.expect("begins");
    let month = "2026-09".parse().expect("a month");
    let last = store::finalise(&tx, tenant, month, at("2026-10-01T02:00:00Z")).await.expect("final");
    tx.commit().await.expect("commits");
    (tenant, last.statement_id)
}

#[tokio::test]
async fn a_statement_is_corrected_and_stays_as_it_is() {
    let db = database().await;
    sells_from_germany(&db).await;
    let (tenant, of) = september(&db, false).await;
    let read = async || {
        let tx = db.tenant(tenant).await.expect("begins");
        store::statement(&tx, tenant, of).await.expect("reads").expect("exists")
    };
    let before = read().await;
    let line = before.lines[0].line_id;
    let some = Asked::Lines(vec![(line, Some(10_000_000))]);
    let first = correct(&db, tenant, of, &some, "2026-10-05T00:00:00Z").await.expect("corrected");
    assert_eq!((first.number.as_str(), first.correction.total.amount()), ("CN-000001", "0.12".into()));
    let rest = correct(&db, tenant, of, &Asked::Whole, "2026-10-06T00:00:00Z").await.expect("corrected");
    assert_eq!((rest.number.as_str(), rest.correction.total.amount()), ("CN-000002", "0.18".into()));
    let again = correct(&db, tenant, of, &Asked::Whole, "2026-10-07T00:00:00Z").await;
    assert!(matches!(again, Err(CreditNoteError::Refused(CreditNoteRefused::NothingLeft))), "{again:?}");
    let after = read().await;
    let numbers: Vec<&str> = after.credit_notes.iter().map(|note| note.number.as_str()).collect();
    assert_eq!(numbers, ["CN-000001", "CN-000002"]);
    // But for how it stands: nothing of it is owed any more.
    let stands = before.status;
    assert_eq!(billing::statement::Statement { credit_notes: Vec::new(), status: stands, ..after }, before);
    let tx = db.tenant(tenant).await.expect("begins");
    let notes = store::credit_notes(&tx, tenant, of).await.expect("lists");
    assert_eq!(notes, [first, rest], "they are read as they were made");
    let draft = store::draft(&tx, tenant, None, at("2026-10-10T00:00:00Z")).await.expect("drafts");
    assert_eq!(draft.tab.before.amount(), "0.00", "nothing is owed any more");
    drop(tx);
    let tx = db.tenant(tenant).await.expect("begins");
    let month = "2026-10".parse().expect("a month");
    store::finalise(&tx, tenant, month, at("2026-11-01T02:00:00Z")).await.expect("final");
    tx.commit().await.expect("commits");
    let (rehearsal, of) = september(&db, true).await;
    let note = correct(&db, rehearsal, of, &Asked::Whole, "2026-10-05T00:00:00Z").await.expect("corrected");
    assert_eq!(note.number, "TEST-CN-000001");
    let report = audit::audit(&db, at("2026-11-02T00:00:00Z")).await.expect("audits");
    assert_eq!(report.differences, []);
}

/// Two who correct at once are one after the other: together they take back no more than was billed.
#[tokio::test]
async fn corrections_at_once_do_not_exceed_the_statement() {
    let db = database().await;
    sells_from_germany(&db).await;
    let (tenant, of) = september(&db, false).await;
    let mut tries = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let db = db.clone();
        tries.spawn(async move { correct(&db, tenant, of, &Asked::Whole, "2026-10-05T00:00:00Z").await });
    }
    let done = tries.join_all().await.into_iter().filter(Result::is_ok).count();
    assert_eq!(done, 1);
}

/// Rows: what somebody tries to write, and the rule that refuses.
#[tokio::test]
async fn the_database_refuses_to_credit_more_than_was_billed() {
    let url = migrated_database().await;
    let db = Db::connect(&url).await.expect("connects");
    sells_from_germany(&db).await;
    let (tenant, of) = september(&db, false).await;
    let asked = async |micros| {
        let tx = db.tenant(tenant).await.expect("begins");
        let line = store::statement(&tx, tenant, of).await.expect("reads").expect("exists").lines[0].line_id;
        drop(tx);
        correct(&db, tenant, of, &Asked::Lines(vec![(line, Some(micros))]), "2026-10-05T00:00:00Z").await
    };
    asked(20_000_000).await.expect("corrected");
    // A second note that says what the first one said, but for some changes.
    let copy = |head: &str, line: &str, tax: &str| {
        let id = "'credit_note_id', '00000000-0000-0000-0000-000000000009'::uuid";
        let copied = |table: &str, changes: &str| {
            format!(
                "insert into {table} select (r).* from (
                   select jsonb_populate_record(t, to_jsonb(t) || jsonb_build_object({id}{changes})) as r from {table} t) x;"
            )
        };
        copied("credit_note", &format!(", 'series_number', 2, 'number', 'CN-000002'{head}"))
            + &copied("credit_note_line", line)
            + &copied("credit_note_tax", tax)
    };
    let small = ", 'net_micros', 5000000, 'tax_micros', 1000000, 'total_micros', 6000000";
    for (sql, constraint) in [
        (copy("", "", ""), "credit_note_is_within_the_statement"),
        (copy(small, ", 'amount_micros', 5000000", ""), "credit_note_is_its_parts"),
        (
            copy(small, ", 'amount_micros', 6000000", ", 'taxable_micros', 5000000, 'tax_micros', 1000000"),
            "credit_note_is_within_the_line",
        ),
        (
            copy(
                ", 'net_micros', 4000000, 'tax_micros', 2000000, 'total_micros', 6000000",
                ", 'amount_micros', 4000000",
                ", 'taxable_micros', 4000000, 'tax_micros', 2000000",
            ),
            "credit_note_is_within_the_tax",
        ),
        (copy(", 'net_micros', 19000000", "", ""), "credit_note_adds_up"),
        (copy(", 'net_micros', 19500000, 'total_micros', 23500000", "", ""), "credit_note_is_whole"),
        (copy("", ", 'amount_micros', 0", ""), "credit_note_line_is_something"),
        (copy("", "", ", 'tax_micros', -1000000"), "credit_note_tax_takes_back"),
        ("update credit_note set reason = 'x'".into(), "credit_note_is_append_only"),
        ("delete from credit_note_line".into(), "credit_note_line_is_append_only"),
    ] {
        let owner = client(&url).await;
        let scoped = format!("set tuppence.tenant = '{tenant}'; {sql}");
        let error = DbError::from(owner.batch_execute(&scoped).await.expect_err(&sql));
        assert_eq!(error.constraint(), Some(constraint), "{sql}: {error}");
    }
    let refused = asked(6_000_000).await.expect_err("5 ¢ are left");
    assert!(refused.to_string().contains("0.05 USD are billed"), "{refused}");
}
