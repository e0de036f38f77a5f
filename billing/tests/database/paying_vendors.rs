//! A collection falls to those who earned it, and goes out to them line by line, in currencies of every kind.

use crate::{
    collecting::{card, close, collector},
    support::{at, client, database, migrated_database},
};
use billing::{
    TenantId,
    audit::{Rule, audit},
    collection::price_list,
    collector::Outgoing,
    currency::Currency,
    db::Db,
    ids::{PaymentId, VendorId},
    ledger::{Entry, LedgerAccount, Transaction},
    money::{MICROS_PER_MINOR, Money},
    payment::{Payout, State},
    processor::Rail,
    store::{self, Who},
};
use serde_json::json;
use std::sync::atomic::{AtomicU32, Ordering};
use uuid::Uuid;

const JANUARY: &str = "2026-01-01T00:00:00Z";
const FEBRUARY: &str = "2026-02-02T00:00:00Z";
const MARCH: &str = "2026-03-02T00:00:00Z";

/// A business whose own account is on a plan of its own vendor, at so many minor units a month.
async fn shop(db: &Db, currency: &str, monthly: i64) -> (Who, VendorId) {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let tenant = TenantId(Uuid::from_u128(0x5400_0000 + u128::from(COUNT.fetch_add(1, Ordering::Relaxed))));
    let tx = db.tenant(tenant).await.expect("begins");
    let sql = "insert into tenant (tenant_id, name, sandbox, created_at) values ($1, 'Shop', false, $2)";
    tx.run(sql, &[&tenant.0, &at(JANUARY)]).await.expect("a tenant");
    let vendor = store::insert_vendor(&tx, tenant, "Shop", at(JANUARY)).await.expect("writes").expect("room");
    let plan = store::insert_plan(&tx, tenant, vendor.vendor_id, "Plan", false, at(JANUARY)).await;
    let price = json!({ "description": "Plan", "model": "flat", "every": "month", "amount_micros": monthly * MICROS_PER_MINOR });
    let new = serde_json::from_value(json!({ "currency": currency, "prices": [price] })).expect("a version");
    let plan = plan.expect("writes").expect("its own").plan_id;
    let made = store::insert_version(&tx, tenant, plan, &new, at(JANUARY)).await.expect("writes");
    let version = made.expect("sound").expect("its own").plan_version_id;
    let account =
        store::open_account_on(&tx, tenant, "Shop", version, at(JANUARY)).await.expect("an account");
    tx.commit().await.expect("commits");
    let who = Who { tenant, account };
    card(db, who, "sandbox_succeeds").await;
    (who, vendor.vendor_id)
}

async fn stands(db: &Db, who: Who, account: LedgerAccount, currency: Currency) -> i64 {
    let tx = db.tenant(who.tenant).await.expect("begins");
    store::balance(&tx, who.tenant, account, currency).await.expect("a balance").micros
}

async fn pays_to(db: &Db, who: Who, vendor: VendorId, token: &str) {
    let tx = db.tenant(who.tenant).await.expect("begins");
    let named =
        store::name_destination(&tx, (who.tenant, vendor), "sandbox", (token, "Bank"), at(JANUARY)).await;
    assert!(named.expect("written"));
    tx.commit().await.expect("commits");
}

async fn payouts(db: &Db, who: Who, vendor: VendorId) -> Vec<Payout> {
    let tx = db.tenant(who.tenant).await.expect("begins");
    store::payouts(&tx, who.tenant, vendor, 10).await.expect("reads")
}

#[tokio::test]
async fn a_vendor_that_is_owed_in_two_currencies_is_missed_on_no_page() {
    let db = database().await;
    let (who, vendor) = shop(&db, "USD", 777).await;
    pays_to(&db, who, vendor, "sandbox_succeeds").await;
    let tx = db.tenant(who.tenant).await.expect("begins");
    let owed = ["EUR", "USD"].map(|code| Money::micros(700 * MICROS_PER_MINOR, code.parse().expect(code)));
    for (id, amount) in (1..).zip(owed) {
        let less = Money { micros: -amount.micros, ..amount };
        let entries = [(LedgerAccount::Payable(vendor), less), (LedgerAccount::Processor, amount)];
        let entries = entries.map(|(account, amount)| Entry { account, amount });
        let earned = Transaction::new(Uuid::from_u128(id), entries).expect("balanced");
        store::post(&tx, who.tenant, &earned, at(JANUARY)).await.expect("posts");
    }
    tx.commit().await.expect("commits");
    let (mut seen, mut after) = (Vec::new(), None);
    let collecting = db.collecting().await.expect("begins");
    while let Some(next) =
        store::payable_after(&collecting, after.as_ref(), 1, "sandbox").await.expect("reads").pop()
    {
        seen.push((next.vendor, next.owed));
        after = Some(next);
    }
    assert_eq!(seen, owed.map(|owed| (vendor, owed)));
}

/// Rows: a currency and a price in its minor units.
#[tokio::test]
async fn a_vendor_gets_its_share_less_the_platforms_and_the_fee_in_any_currency() {
    let db = database().await;
    for (code, monthly) in [("USD", 777), ("JPY", 777), ("KWD", 7_777)] {
        let (who, vendor) = shop(&db, code, monthly).await;
        close(&db, FEBRUARY).await;
        collector(&db, FEBRUARY).turn(who).await.expect("a turn");
        let currency: Currency = code.parse().expect(code);
        let gross = monthly * MICROS_PER_MINOR;
        let fees = price_list(Rail::Card, currency).expect("a price list");
        let fee = fees.fee(Money::micros(gross, currency)).expect("small").micros;
        let net = gross - gross / 10 - fee;
        let balance = async |account| stands(&db, who, account, currency).await;
        assert_eq!(balance(LedgerAccount::Payable(vendor)).await, -net, "{code}");
        assert_eq!(balance(LedgerAccount::PlatformShare).await, -gross / 10, "{code}");
        assert_eq!(balance(LedgerAccount::ProcessorFees).await, 0, "{code}: the vendor bears it");
        assert_eq!(
            balance(LedgerAccount::Revenue(vendor)).await,
            0,
            "{code}: all that was earned has come in"
        );
        assert_eq!(
            collector(&db, FEBRUARY).pay_out().await.expect("looks"),
            0,
            "{code}: nobody knows where to"
        );
        pays_to(&db, who, vendor, "sandbox_succeeds").await;
        let (one, two) = (collector(&db, FEBRUARY), collector(&db, FEBRUARY));
        let (one, two) = tokio::join!(one.pay_out(), two.pay_out());
        assert_eq!(one.expect("pays") + two.expect("pays"), 1, "{code}: once");
        let made = payouts(&db, who, vendor).await;
        let rest = net % MICROS_PER_MINOR;
        assert_eq!(
            (made[0].state, made[0].amount.micros, made[0].carried_out.micros),
            (State::Succeeded, net - rest, rest)
        );
        assert_eq!(balance(LedgerAccount::Payable(vendor)).await, -rest, "{code}");
        assert_eq!(balance(LedgerAccount::Processor).await, gross - fee - (net - rest), "{code}");
    }
    assert_eq!(audit(&db, at(FEBRUARY)).await.expect("an audit").differences, []);
}

/// A payout that fails comes again with the next one, and a refund in between is a line of it.
#[tokio::test]
async fn a_payout_that_fails_is_paid_with_the_next_and_what_went_back_is_taken_off() {
    let db = database().await;
    let (who, vendor) = shop(&db, "USD", 1_999).await;
    close(&db, FEBRUARY).await;
    collector(&db, FEBRUARY).turn(who).await.expect("a turn");
    pays_to(&db, who, vendor, "sandbox_card_lost").await;
    assert_eq!(collector(&db, FEBRUARY).pay_out().await.expect("pays"), 1);
    let failed = payouts(&db, who, vendor).await[0].clone();
    assert_eq!(failed.state, State::Failed);
    let owed = stands(&db, who, LedgerAccount::Payable(vendor), Currency::USD).await;
    pays_to(&db, who, vendor, "sandbox_succeeds").await;
    refund(&db, who).await;
    let left = stands(&db, who, LedgerAccount::Payable(vendor), Currency::USD).await;
    assert_eq!(left - owed, 90_000_000, "of 1.00 the vendor gives back 90 ¢, the platform 10");
    assert_eq!(collector(&db, MARCH).pay_out().await.expect("pays"), 1);
    let made = payouts(&db, who, vendor).await[0].clone();
    assert_eq!(made.carried_in, failed.carried_out);
    let tx = db.tenant(who.tenant).await.expect("begins");
    let (_, lines) = store::payout(&tx, who.tenant, made.payout_id).await.expect("reads").expect("there");
    let mut kinds: Vec<&str> = lines.iter().map(|line| line.kind.as_str()).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["payout", "refund"]);
    let sum: i64 = lines.iter().map(|line| line.amount.micros).sum();
    assert_eq!(made.carried_in.micros + sum, made.amount.micros + made.carried_out.micros);
    drop(tx);
    assert_eq!(audit(&db, at(MARCH)).await.expect("an audit").differences, []);
}

/// A dollar of the last payment goes back.
async fn refund(db: &Db, who: Who) {
    let tx = db.tenant(who.tenant).await.expect("begins");
    let paid: PaymentId = store::payments(&tx, who.tenant, None, None, 1).await.expect("reads")[0].payment_id;
    let of = (paid, 100 * MICROS_PER_MINOR);
    store::begin_refund(&tx, who.tenant, of, "late", (at(MARCH), at(MARCH))).await.expect("begun");
    tx.commit().await.expect("commits");
    collector(db, MARCH).resume_outgoing(Outgoing::Refunds).await.expect("resumes");
}

/// Everything that moves money, once: a collection with shares, a refund, a payout, a wallet, a write-off.
async fn played() -> (String, Db) {
    let url = migrated_database().await;
    let db = Db::connect(&url).await.expect("connects");
    let (who, vendor) = shop(&db, "USD", 1_999).await;
    let (idle, _) = shop(&db, "USD", 25).await;
    let tx = db.tenant(idle.tenant).await.expect("begins");
    let sandbox = billing::processor::Sandbox::new(db.clone());
    let ten = Money::micros(500 * MICROS_PER_MINOR, Currency::USD);
    billing::collector::top_up(&tx, &sandbox, idle, ten, at(JANUARY)).await.expect("begun");
    tx.commit().await.expect("commits");
    collector(&db, JANUARY).resume().await.expect("resumes");
    pays_to(&db, who, vendor, "sandbox_succeeds").await;
    close(&db, FEBRUARY).await;
    for payer in [who, idle] {
        collector(&db, FEBRUARY).turn(payer).await.expect("a turn");
    }
    collector(&db, FEBRUARY).pay_out().await.expect("pays");
    refund(&db, who).await;
    close(&db, MARCH).await;
    let tx = db.tenant(who.tenant).await.expect("begins");
    let nothing = Money::zero(Currency::USD);
    let proposed = store::propose_write_off(&tx, who, nothing, ("gone", "Ada"), (at(MARCH), at(MARCH))).await;
    let id = proposed.expect("proposed").write_off_id;
    store::decide_write_off(&tx, who.tenant, id, (true, "Bob"), at(MARCH)).await.expect("approved");
    tx.commit().await.expect("commits");
    (url, db)
}

/// Rows: what a hand with all rights does, and the rule that notices. The triggers that would refuse are off.
#[tokio::test]
async fn a_hand_in_the_money_is_noticed() {
    for (sql, rule) in [
        ("select 1", None),
        (
            "update payment set fee_micros = fee_micros + 1 where purpose = 'collection'",
            Some(Rule::PaymentIsSettled),
        ),
        (
            "update payment set state = 'failed', failure = 'passing', fee_micros = null",
            Some(Rule::PaymentIsSettled),
        ),
        (
            "update payment set amount_micros = amount_micros + 1000000 where purpose <> 'collection'",
            Some(Rule::MovementIsPosted),
        ),
        (
            "update settlement set amount_micros = amount_micros + 1 where kind = 'wallet'",
            Some(Rule::MovementIsPosted),
        ),
        ("delete from settlement where kind = 'wallet'", Some(Rule::PostingHasAStatement)),
        ("update allocation set amount_micros = amount_micros - 1", Some(Rule::OldestIsPaidFirst)),
        ("delete from allocation", Some(Rule::OldestIsPaidFirst)),
        (
            "update settlement set fee_micros = fee_micros + 1 where kind = 'wallet'",
            Some(Rule::DrawBearsItsFee),
        ),
        (
            "update settlement_part set gross_micros = gross_micros - 1, net_micros = net_micros - 1",
            Some(Rule::SharesAddUp),
        ),
        (
            "update settlement_part set platform_micros = platform_micros - 1, net_micros = net_micros + 1
              where passed_on",
            Some(Rule::SharesAddUp),
        ),
        ("update settlement_part set passed_on = false", Some(Rule::SharesAddUp)),
        (
            "update ledger_entry set ledger_account = 'rounding'
              where ledger_account like 'payable:%' and amount_micros < 0",
            Some(Rule::MovementIsPosted),
        ),
        (
            "delete from ledger_entry e using payment p
              where p.payment_id = e.transaction_id and p.purpose = 'top_up'",
            Some(Rule::WalletIsNeverNegative),
        ),
        ("update refund set amount_micros = amount_micros * 100", Some(Rule::NoMoreGoesBack)),
        ("update refund set amount_micros = amount_micros + 1000000", Some(Rule::MovementIsPosted)),
        ("delete from refund", Some(Rule::PostingHasAStatement)),
        ("update write_off set state = 'rejected'", Some(Rule::WriteOffIsApproved)),
        ("update write_off set amount_micros = 1", Some(Rule::WriteOffIsApproved)),
        ("update payout set carried_out_micros = carried_out_micros + 1", Some(Rule::PayoutLinesAddUp)),
        ("update payout_line set amount_micros = amount_micros + 1", Some(Rule::PayoutPaysWhatIsOwed)),
        ("delete from payout_line", Some(Rule::PayoutPaysWhatIsOwed)),
        (
            "update statement set tab_before_micros = tab_before_micros + 1, tab_after_micros = tab_after_micros + 1",
            Some(Rule::TabGrowsByTotals),
        ),
    ] {
        let (url, db) = played().await;
        let hand = client(&url).await;
        hand.batch_execute(&format!("set session_replication_role = replica; {sql}")).await.expect("done");
        let report = audit(&db, at(MARCH)).await.expect("an audit");
        match rule {
            Some(rule) => {
                let found = report.differences.iter().any(|difference| difference.rule == rule);
                assert!(found, "{sql}: {:?}", report.differences);
            }
            None => assert_eq!(report.differences, [], "{sql}"),
        }
    }
}
