//! Tax on real tables: what an account says counts from its month on, and the database holds the sums together.

use crate::support::{at, client, database, migrated_database, tenant};
use billing::{
    TenantId, audit,
    currency::Currency,
    db::{Db, DbError},
    ids::AccountId,
    ledger::LedgerAccount,
    statement::Statement,
    store::{self, StoredRate},
    tax::{Buyer, Class, VatId},
};

const BEGAN: &str = "2026-09-01T00:00:00Z";

/// Says where the operator is at home, and a new rate of Germany's from November on.
pub(crate) async fn sells_from_germany(db: &Db) {
    let tx = db.service().await.expect("begins");
    store::insert_seller(&tx, "DE".parse().expect("a country"), None, at(BEGAN)).await.expect("a seller");
    let rate = rate("2026-11-01", 200_000);
    assert!(store::insert_tax_rate(&tx, &rate, at("2026-10-05T00:00:00Z")).await.expect("a rate"));
    tx.commit().await.expect("commits");
}

fn rate(valid_from: &str, rate_millionths: i64) -> StoredRate {
    StoredRate {
        country: "DE".parse().expect("a country"),
        class: Class::Standard,
        valid_from: valid_from.parse().expect("a day"),
        rate_millionths,
        source: "a test".into(),
    }
}

/// Says of a tenant's account where it is.
pub(crate) async fn lives_in(db: &Db, tenant: TenantId, country: &str, vat_id: Option<&str>, now: &str) {
    let country = country.parse().expect("a country");
    let vat_id = vat_id.map(|text| VatId::parse(text, country).expect("a number"));
    let buyer = Buyer { country, vat_id, exemption: None };
    let tx = db.tenant(tenant).await.expect("begins");
    let account = store::account_of_tenant(&tx, tenant, None).await.expect("reads").expect("an account");
    store::set_account_tax(&tx, tenant, account.account_id, &buyer, at(now)).await.expect("said");
    tx.commit().await.expect("commits");
}

async fn finalise(db: &Db, tenant: TenantId, month: &str, now: &str) -> Statement {
    let tx = db.tenant(tenant).await.expect("begins");
    let last = store::finalise(&tx, tenant, month.parse().expect(month), at(now)).await.expect("final");
    tx.commit().await.expect("commits");
    read(db, tenant, last.statement_id).await
}

async fn read(db: &Db, tenant: TenantId, id: billing::ids::StatementId) -> Statement {
    let tx = db.tenant(tenant).await.expect("begins");
    store::statement(&tx, tenant, id).await.expect("reads").expect("exists")
}

/// The parts of a breakdown as category, rate, taxable amount and tax.
fn parts(statement: &Statement) -> Vec<(&'static str, i64, String, String)> {
    let part = |part: &billing::tax::Taxed| {
        let treatment = part.treatment;
        (treatment.category.code(), treatment.rate_millionths, part.taxable.amount(), part.tax.amount())
    };
    statement.taxes.iter().map(part).collect()
}

#[tokio::test]
async fn each_month_is_taxed_by_what_was_known_then() {
    let db = database().await;
    sells_from_germany(&db).await;
    let tenant = tenant(&db, false, BEGAN).await;
    let september = finalise(&db, tenant, "2026-09", "2026-10-01T02:00:00Z").await;
    assert_eq!(parts(&september), [("O", 0, "0.25".into(), "0.00".into())]);
    lives_in(&db, tenant, "DE", None, "2026-10-05T00:00:00Z").await;
    let october = finalise(&db, tenant, "2026-10", "2026-11-01T02:00:00Z").await;
    assert_eq!(parts(&october), [("S", 190_000, "0.25".into(), "0.05".into())]);
    assert_eq!((october.total.amount(), october.tab.after.amount()), ("0.30".into(), "0.55".into()));
    let november = finalise(&db, tenant, "2026-11", "2026-12-01T02:00:00Z").await;
    assert_eq!(parts(&november), [("S", 200_000, "0.25".into(), "0.05".into())], "the rate was raised");
    lives_in(&db, tenant, "FI", Some("FI12345678"), "2026-12-05T00:00:00Z").await;
    let december = finalise(&db, tenant, "2026-12", "2027-01-01T02:00:00Z").await;
    assert_eq!(parts(&december), [("AE", 0, "0.25".into(), "0.00".into())]);
    assert_eq!(december.taxes[0].reason.as_deref(), Some("Reverse charge"));
    for statement in [september, october, november, december] {
        let id = statement.statement_id.expect("final");
        assert_eq!(read(&db, tenant, id).await, statement, "it is read as it was frozen");
    }
    let tx = db.tenant(tenant).await.expect("begins");
    let owed = store::balance(&tx, tenant, LedgerAccount::Tax(*b"DE"), Currency::USD).await.expect("reads");
    assert_eq!(owed.amount(), "-0.10");
    let report = audit::audit(&db, at("2027-01-02T00:00:00Z")).await.expect("audits");
    assert_eq!(report.differences, []);
}

/// A draft shows the tax that the statement will have.
#[tokio::test]
async fn a_draft_is_taxed_as_its_statement_will_be() {
    let db = database().await;
    sells_from_germany(&db).await;
    let tenant = tenant(&db, false, BEGAN).await;
    lives_in(&db, tenant, "DE", None, "2026-09-30T12:00:00Z").await;
    let tx = db.tenant(tenant).await.expect("begins");
    let draft = store::draft(&tx, tenant, None, at("2026-09-30T23:59:00Z")).await.expect("drafts");
    drop(tx);
    let last = finalise(&db, tenant, "2026-09", "2026-10-01T02:00:00Z").await;
    assert_eq!((draft.taxes, draft.lines, draft.total), (last.taxes, last.lines, last.total));
}

/// Rows: what somebody tries to write, and the rule that refuses.
#[tokio::test]
async fn the_database_holds_the_sums_of_tax_together() {
    let url = migrated_database().await;
    let db = Db::connect(&url).await.expect("connects");
    sells_from_germany(&db).await;
    let tenant = tenant(&db, false, BEGAN).await;
    lives_in(&db, tenant, "DE", None, BEGAN).await;
    finalise(&db, tenant, "2026-09", "2026-10-01T02:00:00Z").await;
    let row = |changes: &str| {
        format!(
            "insert into statement_tax select (r).* from (
               select jsonb_populate_record(t, jsonb_build_object('position', 9) || jsonb_build_object({changes})) as r
                 from statement_tax t) x"
        )
    };
    for (sql, constraint) in [
        (row("'tax_micros', 4000000"), "statement_tax_is_the_rate_of_it"),
        (row("'taxable_micros', 25100000"), "statement_tax_is_whole_cents"),
        (row("'category', 'K', 'rate_millionths', 0, 'tax_micros', 0"), "statement_tax_category_known"),
        (row("'category', 'AE'"), "statement_tax_category_has_its_rate"),
        (row("'rate_millionths', 1000000, 'tax_micros', 25000000"), "statement_tax_rate_is_a_share"),
        (row("'country', null"), "statement_tax_is_some_countrys"),
        (row("'position', 0"), "statement_tax_counts_from_one"),
        (row("'position', 2"), "statement_tax_adds_up"),
        (
            "update statement_tax set reason = 'because'".to_owned(),
            "statement_tax_is_append_only",
        ),
        ("delete from account_tax".to_owned(), "account_tax_is_append_only"),
        (
            "insert into account_tax select tenant_id, account_id, 2, valid_from, 'D1', null, null, created_at
               from account_tax"
                .to_owned(),
            "account_tax_country_form",
        ),
        (
            "insert into statement select (r).* from (
               select jsonb_populate_record(s, jsonb_build_object('tax_micros', 0)) as r from statement s) x"
                .to_owned(),
            "statement_pkey",
        ),
    ] {
        let owner = client(&url).await;
        let scoped = format!("set tuppence.tenant = '{tenant}'; {sql}");
        let error = DbError::from(owner.batch_execute(&scoped).await.expect_err(&sql));
        assert_eq!(error.constraint(), Some(constraint), "{sql}: {error}");
    }
    let service = db.service().await.expect("begins");
    let error =
        store::insert_tax_rate(&service, &rate("2026-10-01", 210_000), at("2026-11-01T00:00:00Z")).await;
    assert_eq!(error.expect_err("October may be final").constraint(), Some("tax_rate_is_not_of_the_past"));
}

#[tokio::test]
async fn a_statement_with_tax_needs_its_breakdown() {
    let url = migrated_database().await;
    let db = Db::connect(&url).await.expect("connects");
    let tenant = tenant(&db, false, BEGAN).await;
    finalise(&db, tenant, "2026-09", "2026-10-01T02:00:00Z").await;
    let changes = "'statement_id', gen_random_uuid(), 'series_number', 2, 'period_start', '2026-10-01Z',
                   'period_end', '2026-11-01Z', 'tax_micros', 5000000, 'tax_on_top_micros', 5000000,
                   'total_micros', 30000000, 'tab_after_micros', 30000000";
    let sql = format!(
        "set tuppence.tenant = '{tenant}';
         insert into statement select (r).* from (
           select jsonb_populate_record(s, jsonb_build_object({changes})) as r from statement s) x"
    );
    let owner = client(&url).await;
    let error = DbError::from(owner.batch_execute(&sql).await.expect_err("no breakdown"));
    assert_eq!(error.constraint(), Some("statement_tax_has_a_breakdown"), "{error}");
}

/// A business of the same database that says nothing is not looked at.
#[tokio::test]
async fn nobody_else_is_taxed() {
    let db = database().await;
    sells_from_germany(&db).await;
    let (taxed, other) = (tenant(&db, false, BEGAN).await, tenant(&db, false, BEGAN).await);
    lives_in(&db, taxed, "DE", None, BEGAN).await;
    let tx = db.tenant(other).await.expect("begins");
    let seen = store::account_tax(&tx, taxed, AccountId(uuid::Uuid::nil())).await.expect("reads");
    assert_eq!(seen, None);
    drop(tx);
    let last = finalise(&db, other, "2026-09", "2026-10-01T02:00:00Z").await;
    assert_eq!((last.tax.micros, last.lines[0].tax_group), (0, None));
}
