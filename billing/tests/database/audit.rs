//! The audit on real tables: sound after ordinary months, and not after somebody's hand was in them.

use crate::{
    coupons::{a_fifth, give, make, redeem},
    support::{at, call, client, fact, migrated_database, tenant},
    taxes::{lives_in, sells_from_germany},
};
use billing::{
    audit::{Report, Rule, audit},
    clock::Clock,
    db::Db,
    jobs, store,
    usage::Meter::{EgressBytes, ParticipantMs},
};

const NOW: &str = "2026-12-10T10:20:30Z";

/// Two businesses and a sandbox with three months each; facts for October come late to one of them.
async fn played() -> (String, Db) {
    let url = migrated_database().await;
    let db = Db::connect(&url).await.expect("connects");
    sells_from_germany(&db).await;
    make(&db, &a_fifth("SPRING")).await;
    for (sandbox, country) in [(false, Some("DE")), (false, None), (true, Some("DE"))] {
        let tenant = tenant(&db, sandbox, "2026-09-20T10:30:00Z").await;
        if let Some(country) = country {
            lives_in(&db, tenant, country, None, "2026-10-01T00:00:00Z").await;
            redeem(&db, tenant, "SPRING", "2026-10-01T00:00:00Z").await.expect("redeemed");
            let given = give(&db, tenant, 60, Some("2026-11-15T00:00:00Z"), "2026-10-01T00:00:00Z").await;
            given.expect("a credit");
        }
        let leg = call(&db, tenant, "Tea", &["Ada"], 0).await[0];
        let record = async |facts: Vec<_>, now: &str| {
            let tx = db.tenant(tenant).await.expect("begins");
            store::record_facts(&tx, tenant, facts, at(now)).await.expect("recorded");
            tx.commit().await.expect("commits");
        };
        let early = fact(leg, ParticipantMs, "2026-10-03T10:00:00Z", 90_000_000);
        let traffic = fact(leg, EgressBytes, "2026-10-03T10:00:00Z", 12_345_678_901);
        record(vec![early, traffic], "2026-10-03T11:00:00Z").await;
        jobs::round(&db, &Clock::fixed(at("2026-11-02T00:00:00Z")), |_, _| ()).await.expect("a round");
        record(vec![fact(leg, ParticipantMs, "2026-10-03T11:00:00Z", 1_234_567)], "2026-11-05T00:00:00Z")
            .await;
        jobs::round(&db, &Clock::fixed(at("2026-12-02T00:00:00Z")), |_, _| ()).await.expect("a round");
        record(vec![fact(leg, ParticipantMs, "2026-12-03T11:00:00Z", 70_000_000)], "2026-12-03T12:00:00Z")
            .await;
    }
    (url, db)
}

async fn report(db: &Db) -> Report {
    audit(db, at(NOW)).await.expect("an audit")
}

#[tokio::test]
async fn ordinary_months_leave_no_difference() {
    let (_, db) = played().await;
    let report = report(&db).await;
    assert_eq!(report.differences, []);
    assert_eq!((report.accounts, report.statements), (3, 9));
}

/// Rows: what a hand with all rights does, and the rule that notices. The triggers that would refuse are off.
#[tokio::test]
async fn a_hand_in_the_tables_is_noticed() {
    let operator = "tenant_id in (select tenant_id from tenant where not sandbox)";
    for (sql, rule) in [
        (
            format!(
                "update usage_fact set quantity = quantity + 60000 where {operator} and hour = '2026-12-03T11:00:00Z'"
            ),
            None,
        ),
        ("delete from usage_fact where meter = 'egress_bytes'".to_owned(), Some(Rule::UsageNeverFalls)),
        (
            "update statement_line set amount_micros = amount_micros + 1 where kind = 'metered'".to_owned(),
            Some(Rule::LinesAddUp),
        ),
        (
            "update statement set number = 'TUP-000009' where number = 'TUP-000002'".to_owned(),
            Some(Rule::NumberIsOfItsSeries),
        ),
        ("update number_series set last_number = last_number + 1".to_owned(), Some(Rule::NumbersHaveNoGaps)),
        (
            "delete from ledger_entry where ledger_account like 'carried:%'".to_owned(),
            Some(Rule::TransactionBalances),
        ),
        ("update charge set amount_micros = amount_micros + 1".to_owned(), Some(Rule::HoursAddUp)),
        (
            "update price set tier_rate_micros = '{26000000}' where meter is null".to_owned(),
            Some(Rule::LineBillsUsage),
        ),
        (
            "update subscription set starts_at = starts_at - interval '1 day'".to_owned(),
            Some(Rule::LineBillsUsage),
        ),
        ("delete from leg".to_owned(), Some(Rule::UsageHasALeg)),
        (
            "alter table statement_tax drop constraint statement_tax_is_the_rate_of_it;
             update statement_tax set tax_micros = tax_micros + 1000000"
                .to_owned(),
            Some(Rule::TaxIsItsRate),
        ),
        ("update statement set tax_micros = 0".to_owned(), Some(Rule::TaxesAddUp)),
        ("update coupon set percent_millionths = 100000".to_owned(), Some(Rule::DiscountIsOfACoupon)),
        ("delete from coupon_redemption".to_owned(), Some(Rule::DiscountIsOfACoupon)),
        ("delete from credit_use where kind = 'used'".to_owned(), Some(Rule::CreditIsUsedInOrder)),
        ("update credit_use set kind = 'expired'".to_owned(), Some(Rule::CreditIsUsedInOrder)),
        ("delete from credit_grant".to_owned(), Some(Rule::PostingHasAStatement)),
        ("update account_tax set country = 'DK'".to_owned(), Some(Rule::LineHasItsTax)),
        ("delete from statement_tax".to_owned(), Some(Rule::LineHasItsTax)),
    ] {
        let (url, db) = played().await;
        let hand = client(&url).await;
        // As a superuser, whom policies do not bind; no trigger fires and no reference is looked after.
        hand.batch_execute(&format!("set session_replication_role = replica; {sql}")).await.expect("done");
        let report = report(&db).await;
        match rule {
            Some(rule) => {
                let found = report.differences.iter().any(|difference| difference.rule == rule);
                assert!(found, "{sql}: {:?}", report.differences);
            }
            // The open month follows the facts; a late month's draft bills the difference. Nothing is wrong.
            None => assert_eq!(report.differences, [], "{sql}"),
        }
    }
}
