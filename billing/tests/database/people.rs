//! What a business's people pay themselves: statements of their own, next to the business's, closed, collected and audited.

use crate::{
    collecting::{balance, card, cents, collector, owed, statuses},
    coupons::a_fifth,
    subscriptions::{begin, change, monthly, sold, start, version},
    support::{at, call, client, database, fact, migrated_database, tenant},
    taxes::sells_from_germany,
};
use billing::{
    TenantId,
    audit::{Rule, audit},
    clock::Clock,
    collector::{Outgoing, pay_now},
    coupon::NewCoupon,
    currency::Currency,
    db::Db,
    ids::{AccountId, PlanVersionId},
    jobs,
    ledger::LedgerAccount,
    statement::{LineKind, Statement, Status},
    store::{self, Start, Who},
    subscription::{Change, When},
    usage::Meter::ParticipantMs,
};
use serde_json::json;

const NOVEMBER: &str = "2026-11-01T00:10:00Z";
const AFTER_NOVEMBER: &str = "2026-12-01T02:00:00Z";
const AFTER_DECEMBER: &str = "2027-01-01T02:00:00Z";

/// A business with a plan of its own at 7.2 ¢ a month: a hundredth of a cent an hour of November.
async fn shop(db: &Db) -> (TenantId, PlanVersionId) {
    let tenant = tenant(db, false, "2026-11-01T00:00:00Z").await;
    let tx = db.tenant(tenant).await.expect("begins");
    let plan = sold(&tx, tenant, false, &version(json!({}), vec![monthly(7_200_000)])).await;
    tx.commit().await.expect("commits");
    (tenant, plan)
}

/// One of its people, who begins to pay for the plan in the first hour of November; or somebody else does.
async fn person(
    db: &Db,
    tenant: TenantId,
    plan: PlanVersionId,
    name: &str,
    sponsor: Option<AccountId>,
) -> Who {
    let tx = db.tenant(tenant).await.expect("begins");
    let account = store::open_person(&tx, tenant, name, Currency::USD, at(NOVEMBER)).await.expect("opens");
    let account = account.account_id;
    let wanted = Start { account_id: Some(account), sponsor_id: sponsor, ..start(plan, None) };
    begin(&tx, tenant, wanted, NOVEMBER).await.expect("begins");
    tx.commit().await.expect("commits");
    Who { tenant, account }
}

async fn own(db: &Db, tenant: TenantId) -> Who {
    let tx = db.tenant(tenant).await.expect("begins");
    let own = store::account_of_tenant(&tx, tenant, None).await.expect("reads").expect("its own");
    Who { tenant, account: own.account_id }
}

/// An account's final statements, oldest first.
async fn finals(db: &Db, who: Who) -> Vec<Statement> {
    let tx = db.tenant(who.tenant).await.expect("begins");
    let summaries = store::statements(&tx, who.tenant, Some(who.account)).await.expect("reads");
    let mut all = Vec::new();
    for summary in summaries.iter().rev() {
        assert_eq!(summary.account_id, who.account);
        let read = store::statement(&tx, who.tenant, summary.statement_id).await;
        all.push(read.expect("reads").expect("is there"));
    }
    all
}

async fn close(db: &Db, now: &str) -> u64 {
    let round = jobs::round(db, &Clock::fixed(at(now)), |_, _| ()).await.expect("a round");
    assert_eq!(round.failed, []);
    round.finalised
}

async fn sound(db: &Db, now: &str) {
    assert_eq!(audit(db, at(now)).await.expect("an audit").differences, []);
}

fn micros(statement: &Statement) -> i64 {
    statement.subtotal.micros
}

#[tokio::test]
async fn whoever_pays_has_a_statement_and_whoever_is_sponsored_has_none() {
    let db = database().await;
    let (tenant, plan) = shop(&db).await;
    let business = own(&db, tenant).await;
    let ada = person(&db, tenant, plan, "Ada", None).await;
    let bea = person(&db, tenant, plan, "Bea", Some(business.account)).await;
    let cleo = person(&db, tenant, plan, "Cleo", Some(ada.account)).await;
    let tx = db.tenant(tenant).await.expect("begins");
    let draft = store::draft(&tx, tenant, Some(ada.account), at("2026-11-16T00:00:00Z")).await;
    let draft = draft.expect("a draft");
    assert_eq!((draft.account.name.as_str(), micros(&draft)), ("Ada", 2 * 3_600_000), "hers and Cleo's");
    drop(tx);
    assert_eq!(close(&db, AFTER_NOVEMBER).await, 2);
    assert_eq!(close(&db, AFTER_NOVEMBER).await, 0, "once");
    let [of_ada] = &finals(&db, ada).await[..] else { panic!("one month") };
    assert_eq!((of_ada.total, of_ada.carried_out.micros), (cents(14), 400_000), "2 × 7.2 ¢, rounded once");
    let [of_business] = &finals(&db, business).await[..] else { panic!("one month") };
    assert_eq!(micros(of_business), 25_000_000 + 7_200_000, "its own plan and Bea's");
    assert_eq!((finals(&db, bea).await, finals(&db, cleo).await), (vec![], vec![]));
    let mut numbers = [of_ada, of_business].map(|it| it.number.clone().expect("a number"));
    numbers.sort();
    assert_eq!(numbers, ["TUP-000001", "TUP-000002"]);
    sound(&db, AFTER_NOVEMBER).await;
}

#[tokio::test]
async fn every_hour_is_on_one_statement_when_the_payer_changes() {
    let db = database().await;
    let (tenant, plan) = shop(&db).await;
    let business = own(&db, tenant).await;
    let ada = person(&db, tenant, plan, "Ada", None).await;
    let bea = person(&db, tenant, plan, "Bea", Some(business.account)).await;
    let tx = db.tenant(tenant).await.expect("begins");
    let all = store::subscriptions(&tx, tenant, None, 10).await.expect("reads");
    let of = |who: Who| all.iter().find(|it| it.account_id == who.account).expect("one").subscription_id;
    let pays = |account_id| Change::Sponsor { account_id };
    change(&tx, tenant, of(ada), pays(business.account), "2026-11-11T00:00:00Z").await.expect("sponsored");
    change(&tx, tenant, of(bea), pays(bea.account), "2026-12-11T00:00:00Z").await.expect("pays herself");
    tx.commit().await.expect("commits");
    assert_eq!(close(&db, AFTER_NOVEMBER).await, 2);
    assert_eq!(close(&db, AFTER_DECEMBER).await, 3, "Bea's first");
    let (of_ada, of_bea) = (finals(&db, ada).await, finals(&db, bea).await);
    let shop: Vec<i64> = finals(&db, business).await.iter().map(|it| micros(it) - 25_000_000).collect();
    let hour = |hours: i64, of: i64| (7_200_000 * hours + of / 2) / of;
    // The hour in which it changes is still paid by whoever paid it before.
    assert_eq!(micros(&of_ada[0]), hour(241, 720));
    assert_eq!(shop[0], hour(479, 720) + 7_200_000);
    assert_eq!(micros(&of_bea[0]), hour(503, 744));
    assert_eq!(shop[1], hour(241, 744) + 7_200_000);
    assert_eq!((of_ada.len(), micros(&of_ada[1]), of_bea.len()), (2, 0, 1));
    sound(&db, AFTER_DECEMBER).await;
}

#[tokio::test]
async fn a_person_pays_and_the_vendor_gets_its_share() {
    let db = database().await;
    let (tenant, plan) = shop(&db).await;
    let ada = person(&db, tenant, plan, "Ada", None).await;
    card(&db, ada, "sandbox_succeeds").await;
    close(&db, AFTER_NOVEMBER).await;
    close(&db, AFTER_DECEMBER).await;
    assert_eq!(owed(&db, ada, AFTER_DECEMBER).await, cents(14), "7 ¢ and 7.4 ¢");
    assert_eq!(owed(&db, own(&db, tenant).await, AFTER_DECEMBER).await, cents(50));
    let tx = db.tenant(tenant).await.expect("begins");
    let vendor = store::vendors(&tx).await.expect("reads").into_iter().find(|it| !it.is_operator);
    let vendor = vendor.expect("the shop").vendor_id;
    drop(tx);
    // 14 ¢ are less than a card can be charged; a year of them is not.
    for month in 2..=12 {
        close(&db, &format!("2027-{month:02}-01T02:00:00Z")).await;
    }
    let now = "2027-12-02T00:00:00Z";
    let tx = db.tenant(tenant).await.expect("begins");
    let sandbox = billing::processor::Sandbox::new(db.clone());
    pay_now(&tx, &sandbox, &billing::collection::DEFAULT_POLICY, ada, at(now)).await.expect("94 ¢");
    tx.commit().await.expect("commits");
    assert_eq!(collector(&db, now).resume().await.expect("resumes"), 1);
    assert_eq!(statuses(&db, ada).await, [Status::Paid; 13]);
    assert_eq!(owed(&db, ada, now).await, cents(0));
    let payable = balance(&db, ada, LedgerAccount::Payable(vendor)).await;
    assert!(payable.micros < -50_000_000, "{payable} is the shop's, less share and fee");
    assert_eq!(collector(&db, now).resume_outgoing(Outgoing::Payouts).await.expect("none"), 0);
    sound(&db, now).await;
}

/// Tax, a coupon, a credit and a sandbox that is advanced: whatever an account may have, a person's may have it.
#[tokio::test]
async fn a_person_is_taxed_and_credited_and_rehearsed_like_a_business() {
    let db = database().await;
    sells_from_germany(&db).await;
    let tenant = tenant(&db, true, "2026-11-01T00:00:00Z").await;
    let tx = db.tenant(tenant).await.expect("begins");
    let plan = sold(&tx, tenant, false, &version(json!({}), vec![monthly(100_000_000)])).await;
    tx.commit().await.expect("commits");
    let ada = person(&db, tenant, plan, "Ada", None).await;
    let tx = db.tenant(tenant).await.expect("begins");
    let buyer =
        billing::tax::Buyer { country: "DE".parse().expect("a country"), vat_id: None, exemption: None };
    store::set_account_tax(&tx, tenant, ada.account, &buyer, at(NOVEMBER)).await.expect("lives in Germany");
    let vendor_id = store::vendors(&tx)
        .await
        .expect("reads")
        .into_iter()
        .find(|it| !it.is_operator)
        .expect("the shop")
        .vendor_id;
    let coupon = NewCoupon { vendor_id, ..a_fifth("HALF") };
    store::insert_coupon(&tx, Some(tenant), &coupon, at(NOVEMBER))
        .await
        .expect("writes")
        .expect("makes sense");
    let of_ada = (tenant, Some(ada.account));
    let seen = store::try_coupon(&tx, of_ada, "HALF", at(NOVEMBER)).await.expect("a coupon");
    assert_eq!(seen, store::redeem_coupon(&tx, of_ada, "HALF", at(NOVEMBER)).await.expect("redeemed"));
    assert_eq!(
        store::redeemed_coupons(&tx, tenant, None).await.expect("reads"),
        [],
        "hers, not the business's"
    );
    let new = store::NewCredit {
        account: ada.account,
        micros: 19_000_000,
        reason: "Sorry".into(),
        expires_at: None,
    };
    store::grant_credit(&tx, tenant, &new, at(NOVEMBER)).await.expect("a credit");
    tx.commit().await.expect("commits");
    let tx = db.tenant(tenant).await.expect("begins");
    let advanced = store::advance_clock(&tx, tenant, at("2027-01-15T00:00:00Z"), at(NOVEMBER)).await;
    let finalized = advanced.expect("advances").finalized;
    tx.commit().await.expect("commits");
    let months: Vec<_> = finalized.iter().map(|it| it.period.start).collect();
    assert_eq!((months.len(), months.is_sorted()), (4, true), "two accounts, month by month");
    let of_ada = finals(&db, ada).await;
    let seen: Vec<_> = of_ada.iter().map(|it| (it.total, it.tax, it.payable)).collect();
    assert_eq!(seen, [(cents(96), cents(16), cents(77)), (cents(96), cents(16), cents(96))]);
    sound(&db, "2027-01-15T00:00:00Z").await;
}

/// Usage is the business's: facts that come late for its month are on its statement, not on its people's.
#[tokio::test]
async fn usage_of_the_business_is_not_billed_to_its_people() {
    let db = database().await;
    let (tenant, plan) = shop(&db).await;
    let ada = person(&db, tenant, plan, "Ada", None).await;
    let leg = call(&db, tenant, "Tea", &["Ada"], 0).await[0];
    let marks_late = async |who: Who| {
        // As an event does that names her account and comes late, for a meter that nobody prices.
        let tx = db.tenant(tenant).await.expect("begins");
        let sql = "insert into late_month (tenant_id, account_id, month, created_at) values ($1, $2, '2026-11-01', now())";
        tx.run(sql, &[&tenant.0, &who.account.0]).await.expect("marked");
        tx.commit().await.expect("commits");
    };
    let record = async |hour: &str, now: &str| {
        let tx = db.tenant(tenant).await.expect("begins");
        let used = fact(leg, ParticipantMs, hour, 3_000 * 60_000);
        store::record_facts(&tx, tenant, [used], at(now)).await.expect("records");
        tx.commit().await.expect("commits");
    };
    record("2026-11-10T10:00:00Z", "2026-11-10T11:00:00Z").await;
    close(&db, AFTER_NOVEMBER).await;
    record("2026-11-10T12:00:00Z", "2026-12-03T00:00:00Z").await;
    marks_late(ada).await;
    close(&db, AFTER_DECEMBER).await;
    for statement in finals(&db, ada).await {
        assert_eq!((statement.lines.len(), statement.lines[0].meter), (1, None));
    }
    let december = finals(&db, own(&db, tenant).await).await.pop().expect("December");
    assert!(december.lines.iter().any(|line| line.kind == LineKind::Adjustment), "{december:?}");
    sound(&db, AFTER_DECEMBER).await;
}

/// Rows: what a hand with all rights does to a person's books, and the rule that notices.
#[tokio::test]
async fn a_hand_in_a_person_s_books_is_noticed() {
    let theirs = "account_id in (select account_id from account where kind = 'person')";
    for (sql, rule) in [
        (format!(
                "update statement set total_micros = total_micros + 1000000, tab_after_micros = tab_after_micros + 1000000,
                        carried_out_micros = carried_out_micros - 1000000 where {theirs}"
            ), Rule::TotalIsRoundedOnce),
        (format!(
                "update statement set tab_before_micros = 1000000, tab_after_micros = tab_after_micros + 1000000 where {theirs}"
            ), Rule::TabGrowsByTotals),
        (format!("delete from statement where {theirs}"), Rule::PostingHasAStatement),
        (format!("update subscription_change set state = 'paused' where {theirs}"), Rule::LineBillsUsage),
        (
            "update statement_line set amount_micros = amount_micros - 1 where amount_micros = 7200000".to_owned(),
            Rule::LinesAddUp,
        ),
        (
            "update ledger_entry set amount_micros = amount_micros + 1 where ledger_account like 'receivable:%'
               and amount_micros = 7000000"
                .to_owned(),
            Rule::StatementIsPosted,
        ),
    ] {
        let url = migrated_database().await;
        let db = Db::connect(&url).await.expect("connects");
        let (tenant, plan) = shop(&db).await;
        person(&db, tenant, plan, "Ada", None).await;
        close(&db, AFTER_NOVEMBER).await;
        sound(&db, AFTER_NOVEMBER).await;
        let owner = client(&url).await;
        owner.batch_execute("set session_replication_role = replica").await.expect("no triggers");
        assert!(owner.execute(&sql, &[]).await.expect("a hand") > 0, "{sql}");
        let found = audit(&db, at(AFTER_NOVEMBER)).await.expect("an audit").differences;
        assert!(found.iter().any(|it| it.rule == rule && it.tenant == tenant), "{sql}: {found:?}");
    }
}

/// Whoever ends what they had is billed for it, and what comes after costs nothing.
#[tokio::test]
async fn whoever_leaves_is_billed_to_the_hour() {
    let db = database().await;
    let (tenant, plan) = shop(&db).await;
    let ada = person(&db, tenant, plan, "Ada", None).await;
    let tx = db.tenant(tenant).await.expect("begins");
    let all = store::subscriptions(&tx, tenant, None, 10).await.expect("reads");
    let id = all.iter().find(|it| it.account_id == ada.account).expect("hers").subscription_id;
    change(&tx, tenant, id, Change::Cancel { when: When::Now }, "2026-11-11T00:00:00Z").await.expect("ends");
    tx.commit().await.expect("commits");
    close(&db, AFTER_NOVEMBER).await;
    close(&db, AFTER_DECEMBER).await;
    let billed: Vec<i64> = finals(&db, ada).await.iter().map(micros).collect();
    assert_eq!(billed, [2_410_000, 0], "241 hours");
    sound(&db, AFTER_DECEMBER).await;
}
