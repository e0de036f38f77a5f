//! Tables say what a statement comes to; properties say what must hold whatever happens.

use super::*;
use crate::{
    charge,
    coupon::{Coupon, Off, Redeemed},
    credit::Credit,
    ids::{CouponId, CreditId, LegId, PriceId, SubscriptionId, VendorId},
    ledger::Ledger,
    price::{Every, Metered, Model, Price, Pricing, Tier, Tiers},
    subscription::Subscription,
    tax::{self, Class, TaxBooks, TaxTerms},
    usage::{Fact, FactKey, Meter, Usage, merge},
};
use proptest::prelude::*;
use std::collections::BTreeSet;
use uuid::Uuid;

fn month(text: &str) -> Month {
    text.parse().expect(text)
}

fn at(text: &str) -> Timestamp {
    text.parse().expect(text)
}

fn usd(micros: i64) -> Money {
    Money::micros(micros, Currency::USD)
}

fn recurring(id: u128, micros: i64) -> Price {
    let pricing = Pricing::Recurring { amount: usd(micros), every: Every::Month };
    Price { price_id: PriceId(Uuid::from_u128(id)), description: "Plan".into(), pricing }
}

/// So many micros a minute beyond so many minutes.
fn minutes(id: u128, rate_micros: i64, free_minutes: i64) -> Price {
    let free = Tier { up_to: Some(free_minutes * 60_000), rate_micros: 0 };
    let paid = Tier { up_to: None, rate_micros };
    let tiers = if free_minutes > 0 { vec![free, paid] } else { vec![paid] };
    let pricing = Pricing::Metered(Metered {
        meter: Meter::ParticipantMs,
        currency: Currency::USD,
        unit: "participant-minute".into(),
        unit_size: 60_000,
        included: 0,
        model: Model::Graduated(Tiers::new(tiers).expect("rising")),
        minimum: None,
        cap: None,
    });
    Price { price_id: PriceId(Uuid::from_u128(id)), description: "Minutes".into(), pricing }
}

fn subscription(id: u128, starts: &str, ends: Option<&str>, prices: Vec<Price>) -> Subscription {
    Subscription {
        subscription_id: SubscriptionId(Uuid::from_u128(id)),
        vendor_id: VendorId(Uuid::from_u128(1)),
        plan: "Plan".into(),
        tax: Default::default(),
        plan_id: crate::ids::PlanId(Uuid::nil()),
        starts: Hour::of(at(starts)),
        ends: ends.map(|ends| Hour::of(at(ends))),
        prices,
        terms: Vec::new(),
    }
}

fn books(subscriptions: Vec<Subscription>) -> Books {
    let account_id = AccountId(Uuid::from_u128(7));
    Books {
        account: Account {
            account_id,
            name: "Ada's Bakery".into(),
            currency: Currency::USD,
            rail: None,
            has_terms: false,
        },
        subscriptions,
        usage: Usage::default(),
        late: BTreeSet::new(),
        finals: Vec::new(),
        billed: Vec::new(),
        owed: usd(0),
        tax: None,
        coupons: Vec::new(),
        credits: Vec::new(),
    }
}

/// A service in memory: it finalises as the store does, and keeps the same books and ledger.
pub(crate) struct Service {
    pub(crate) books: Books,
    pub(crate) ledger: Ledger,
    pub(crate) statements: Vec<Statement>,
}

impl Service {
    pub(crate) fn new(subscriptions: Vec<Subscription>) -> Self {
        Self { books: books(subscriptions), ledger: Ledger::default(), statements: Vec::new() }
    }

    pub(crate) fn record(&mut self, hour: Hour, quantity: i64) {
        self.books.usage.add(Meter::ParticipantMs, hour, quantity);
        if self.books.finals.iter().any(|last| last.month == hour.month()) {
            self.books.late.insert(hour.month());
        }
    }

    /// Posts something else that changes what is owed.
    pub(crate) fn post(&mut self, transaction: Transaction) {
        self.ledger.post(transaction);
        self.books.owed = self.balance(LedgerAccount::Receivable(self.books.account.account_id));
    }

    /// Gives a credit of so many minor units.
    pub(crate) fn give(&mut self, id: u128, cents: i64, expires_at: Option<Timestamp>) {
        let (credit_id, left) = (CreditId(Uuid::from_u128(id)), usd(cents * 1_000_000));
        let account = LedgerAccount::Credits(self.books.account.account_id);
        let entries = [
            Entry { account: LedgerAccount::Promotions, amount: left },
            Entry { account, amount: usd(-left.micros) },
        ];
        self.ledger.post(Transaction::new(credit_id.0, entries).expect("balanced"));
        self.books.credits.push(Credit { credit_id, reason: "Sorry".into(), expires_at, left });
    }

    pub(crate) fn finalise(&mut self) -> &Statement {
        let month = self.books.open_month().expect("a subscription");
        let id = StatementId(Uuid::from_u128(1_000 + self.statements.len() as u128));
        let last = draft(&self.books, month, month.end()).expect("small");
        let last = last.finalised(id, format!("T-{}", self.statements.len() + 1));
        self.ledger.post(last.posting(id).expect("balanced"));
        for expiry in last.expiries(id).expect("balanced") {
            self.ledger.post(expiry);
        }
        for part in last.credits.iter().chain(&last.expired_credits) {
            let credit =
                self.books.credits.iter_mut().find(|it| it.credit_id == part.credit_id).expect("known");
            credit.left = credit.left.minus(part.amount).expect("small");
        }
        self.books.owed = self.balance(LedgerAccount::Receivable(self.books.account.account_id));
        self.books.finals.push(Final { month, total: last.payable, carried_out: last.carried_out });
        let charged = last.lines.iter().filter(|line| line.kind != LineKind::Discount);
        self.books.billed.extend(charged.map(|line| BilledLine {
            subscription_id: line.subscription_id,
            price_id: line.price_id,
            month: line.for_month.unwrap_or(month),
            quantity: line.quantity.unwrap_or(0),
            amount: line.amount,
        }));
        self.statements.push(last);
        &self.statements[self.statements.len() - 1]
    }

    fn balance(&self, account: LedgerAccount) -> Money {
        self.ledger.balance(account, Currency::USD).expect("small")
    }
}

/// Rows: `plan PRICE a month`, `plan RATE a minute beyond FREE`, `from TIME [to TIME]`, `used TIME MS`,
/// `final YYYY-MM` then `line …`, `total MICROS`, `carried MICROS`, `tab MICROS` of what came out.
fn check(table: &str) {
    let mut prices = Vec::new();
    let mut service = Service::new(Vec::new());
    let mut lines: Vec<Line> = Vec::new();
    for row in
        table.lines().map(|row| row.split('#').next().unwrap_or("").trim()).filter(|row| !row.is_empty())
    {
        let number = |word: &str| word.replace('_', "").parse::<i64>().expect(row);
        let id = 100 + prices.len() as u128;
        let of = service.books.subscriptions.len() as u128 + 1;
        let last = service.statements.last();
        match row.split_whitespace().collect::<Vec<_>>()[..] {
            ["price", micros, "a", "month"] => prices.push(recurring(id, number(micros))),
            ["price", rate, "a", "minute", "beyond", free] => {
                prices.push(minutes(id, number(rate), number(free)))
            }
            ["from", starts] => {
                service.books.subscriptions.push(subscription(of, starts, None, std::mem::take(&mut prices)));
            }
            ["from", starts, "to", ends] => {
                let it = subscription(of, starts, Some(ends), std::mem::take(&mut prices));
                service.books.subscriptions.push(it);
            }
            ["used", when, quantity] => service.record(Hour::of(at(when)), number(quantity)),
            ["draft", when] => {
                let month = service.books.open_month().expect(row);
                lines = draft(&service.books, month, at(when)).expect(row).lines;
            }
            ["final", period] => {
                assert_eq!(service.books.open_month(), Some(month(period)), "{row}");
                lines = service.finalise().lines.clone();
            }
            ["line", kind, quantity, "charge", micros] => {
                let line = lines.remove(0);
                let seen = (line.kind.as_str(), line.quantity.expect(row), line.amount.micros);
                assert_eq!(seen, (kind, number(quantity), number(micros)), "{row}");
            }
            ["line", "adjustment", "of", late, quantity, "charge", micros] => {
                let line = lines.remove(0);
                let seen = (line.for_month, line.quantity.expect(row), line.amount.micros);
                assert_eq!(seen, (Some(month(late)), number(quantity), number(micros)), "{row}");
            }
            ["total", micros] => assert_eq!(last.expect(row).total.micros, number(micros), "{row}"),
            ["carried", micros] => assert_eq!(last.expect(row).carried_out.micros, number(micros), "{row}"),
            ["tab", micros] => assert_eq!(last.expect(row).tab.after.micros, number(micros), "{row}"),
            ["nothing", "else"] => assert_eq!(lines, [], "{row}"),
            _ => panic!("a row nobody understands: {row}"),
        }
    }
}

#[test]
fn a_month_is_rounded_once_and_the_rest_is_carried() {
    check(
        "
        price  25_000_000 a month
        price  50_000 a minute beyond 1
        from   2026-10-01T00:00:00Z
        used   2026-10-02T09:00:00Z  90000         # 1.5 min
        used   2026-10-02T10:00:00Z  630000        # 10.5 min: 11 of the 12 cost
        final  2026-10
        line   recurring 744 charge 25_000_000
        line   metered 720000 charge 550_000
        nothing else
        total  26_000_000                          # 25.55 ¢ to the cent
        carried -450_000
        tab    26_000_000
        final  2026-11
        line   recurring 720 charge 25_000_000
        line   metered 0 charge 0
        total  25_000_000                          # 25 ¢ less the 0.45 ¢ billed before
        carried -450_000
        tab    51_000_000
        ",
    );
}

#[test]
fn a_draft_grows_by_the_hour() {
    check(
        "
        price  74_400_000 a month                  # 0.1 ¢ an hour in October
        from   2026-10-01T00:00:00Z
        draft  2026-10-01T00:00:00Z
        nothing else
        draft  2026-10-01T00:00:01Z                # an hour that has begun counts
        line   recurring 1 charge 100_000
        draft  2026-10-01T01:00:00Z
        line   recurring 1 charge 100_000
        draft  2026-10-31T23:59:59Z
        line   recurring 744 charge 74_400_000
        draft  2026-12-24T00:00:00Z                # late, but the month is over
        line   recurring 744 charge 74_400_000
        ",
    );
}

#[test]
fn two_subscriptions_that_share_a_month_add_up_to_its_price() {
    check(
        "
        price  5_000_000 a month
        from   2026-10-01T00:00:00Z to 2026-10-11T13:00:00Z
        price  5_000_000 a month
        from   2026-10-11T13:00:00Z
        final  2026-10
        line   recurring 253 charge 1_700_269
        line   recurring 491 charge 3_299_731
        total  5_000_000
        carried 0
        final  2026-11
        line   recurring 720 charge 5_000_000      # the ended one has no line
        nothing else
        ",
    );
}

#[test]
fn usage_outside_of_a_subscription_costs_nothing() {
    check(
        "
        price  1_000_000 a minute beyond 0
        from   2026-10-05T10:00:00Z to 2026-10-05T12:00:00Z
        used   2026-10-05T09:00:00Z  60000
        used   2026-10-05T10:00:00Z  60000
        used   2026-10-05T11:00:00Z  60000
        used   2026-10-05T12:00:00Z  60000
        final  2026-10
        line   metered 120000 charge 2_000_000
        ",
    );
}

#[test]
fn late_usage_becomes_an_adjustment_that_names_its_month() {
    check(
        "
        price  1_000_000 a minute beyond 1
        from   2026-09-01T00:00:00Z
        used   2026-09-30T23:00:00Z  90000
        final  2026-09
        line   metered 90000 charge 500_000
        total  0                                   # half a cent goes to the even side
        carried 500_000
        used   2026-09-12T08:00:00Z  30000         # after the fact
        used   2026-10-01T00:00:00Z  120000
        final  2026-10
        line   metered 120000 charge 1_000_000
        line   adjustment of 2026-09 30000 charge 500_000
        nothing else
        total  2_000_000
        carried 0
        used   2026-09-13T08:00:00Z  60000         # and again, with a later month
        used   2026-10-13T08:00:00Z  60000
        final  2026-11
        line   metered 0 charge 0
        line   adjustment of 2026-09 60000 charge 1_000_000
        line   adjustment of 2026-10 60000 charge 1_000_000
        nothing else
        final  2026-12                             # each is billed once
        line   metered 0 charge 0
        nothing else
        tab    4_000_000
        ",
    );
}

#[test]
fn a_line_keeps_its_name_while_it_grows() {
    let mut books = books(vec![subscription(
        1,
        "2026-10-01T00:00:00Z",
        None,
        vec![recurring(1, 25_000_000), minutes(2, 5, 0)],
    )]);
    let early = draft(&books, month("2026-10"), at("2026-10-02T00:00:00Z")).expect("small");
    books.usage.add(Meter::ParticipantMs, Hour::of(at("2026-10-03T00:00:00Z")), 60_000);
    let late = draft(&books, month("2026-10"), at("2026-10-09T00:00:00Z")).expect("small");
    let next = draft(&books, month("2026-11"), at("2026-11-09T00:00:00Z")).expect("small");
    let names =
        |statement: &Statement| statement.lines.iter().map(|line| line.line_id).collect::<BTreeSet<_>>();
    assert_eq!(names(&early), names(&late));
    assert!(names(&late).is_disjoint(&names(&next)));
    assert_eq!(names(&late).len(), 2);
}

#[test]
fn json_is_as_documented() {
    let books = books(vec![subscription(1, "2026-10-01T00:00:00Z", None, vec![minutes(2, 50_000, 1_000)])]);
    let statement = draft(&books, month("2026-10"), at("2026-10-02T00:00:00Z")).expect("small");
    let json = serde_json::to_value(&statement).expect("plain");
    assert_eq!(json["statement_id"], serde_json::Value::Null);
    assert_eq!(json["status"], "draft");
    assert_eq!(json["period"]["end"], "2026-11-01T00:00:00Z");
    assert_eq!(json["tab"]["collect"]["decision"], "wait");
    let line = &json["lines"][0];
    assert_eq!(line["kind"], "metered");
    assert_eq!(line["meter"], "participant_ms");
    assert_eq!(line["included"], 60_000_000);
    assert_eq!(line["rate"]["amount"], "0.0005");
    assert_eq!(line["for_month"], serde_json::Value::Null);
}

/// Who sells to whom, from long ago on.
pub(crate) fn taxed(seller: &str, buyer: &str, is_business: bool) -> Option<TaxBooks> {
    let long_ago = at("2020-01-01T00:00:00Z");
    Some(TaxBooks {
        sellers: vec![(long_ago, tax::tests::country(seller))],
        buyers: vec![(long_ago, tax::tests::buyer(buyer, is_business))],
        rates: std::sync::Arc::new(tax::tests::rates()),
    })
}

/// A monthly price of a vendor's, taxed so.
pub(crate) fn sold(
    id: u128,
    vendor: u128,
    micros: i64,
    class: Class,
    prices_include_tax: bool,
) -> Subscription {
    Subscription {
        vendor_id: VendorId(Uuid::from_u128(vendor)),
        tax: TaxTerms { class, prices_include_tax },
        ..subscription(id, "2026-10-01T00:00:00Z", None, vec![recurring(id, micros)])
    }
}

/// Rows: who buys from Germany, what is sold; each category with its taxable amount and tax in minor units; the total; and
/// what the ledger gets: a vendor's revenue in micros, and taxes.
#[test]
fn a_statement_is_taxed_for_each_category_and_rate() {
    use Class::*;
    let plain = |micros, class| vec![sold(1, 1, micros, class, false)];
    for (buyer, business, sales, taxes, total, revenue, owed) in [
        ("DE", false, plain(25_000_000, Standard), vec![("S", 25, 5)], 30, -25_000_000, vec![("tax:DE", -5)]),
        ("DE", true, plain(25_550_000, Reduced), vec![("AA", 26, 2)], 28, -25_550_000, vec![("tax:DE", -2)]),
        ("FI", false, plain(25_000_000, Standard), vec![("S", 25, 6)], 31, -25_000_000, vec![("tax:FI", -6)]),
        ("FI", true, plain(25_000_000, Standard), vec![("AE", 25, 0)], 25, -25_000_000, vec![]),
        ("US", false, plain(25_000_000, Standard), vec![("O", 25, 0)], 25, -25_000_000, vec![]),
        ("DE", false, plain(25_000_000, Zero), vec![("Z", 25, 0)], 25, -25_000_000, vec![]),
        // Two parts share a remainder: 25.4 and 10.4 are 35.8, of which 36 are billed.
        (
            "DE",
            false,
            vec![sold(1, 1, 25_400_000, Standard, false), sold(2, 2, 10_400_000, Reduced, false)],
            vec![("S", 25, 5), ("AA", 11, 1)],
            42,
            -25_400_000,
            vec![("tax:DE", -6)],
        ),
        // Within the price: two vendors give of the 8 in proportion to 25 and 25.
        (
            "DE",
            false,
            vec![sold(1, 1, 25_000_000, Standard, true), sold(2, 2, 25_000_000, Standard, true)],
            vec![("S", 42, 8)],
            50,
            -21_000_000,
            vec![("tax:DE", -8)],
        ),
    ] {
        let mut service = Service::new(sales);
        service.books.tax = taxed("DE", buyer, business);
        let last = service.finalise().clone();
        let cents = |money: Money| money.micros / crate::money::MICROS_PER_MINOR;
        let seen: Vec<_> = last
            .taxes
            .iter()
            .map(|part| (part.treatment.category.code(), cents(part.taxable), cents(part.tax)))
            .collect();
        assert_eq!(seen, taxes, "{buyer}");
        assert_eq!(cents(last.total), total, "{buyer}");
        assert!(last.lines.iter().all(|line| line.tax_group.is_some()));
        let posted = service.ledger.transactions().next().expect("posted").entries();
        let of = |account: &str| posted.iter().find(|entry| entry.account.to_string() == account);
        let vendor = LedgerAccount::Revenue(VendorId(Uuid::from_u128(1))).to_string();
        assert_eq!(of(&vendor).map(|entry| entry.amount.micros), Some(revenue), "{buyer}");
        let taxes = posted.iter().filter(|entry| matches!(entry.account, LedgerAccount::Tax(_)));
        let taxes: Vec<_> = taxes.map(|entry| (entry.account.to_string(), cents(entry.amount))).collect();
        let owed: Vec<_> = owed.into_iter().map(|(account, cents)| (account.to_owned(), cents)).collect();
        assert_eq!(taxes, owed, "{buyer}");
    }
}

/// Germany lowered its rate for the second half of 2020: what is known late of June is taxed as June was.
#[test]
fn late_usage_is_taxed_at_the_rate_of_its_month() {
    let mut service =
        Service::new(vec![subscription(1, "2020-06-01T00:00:00Z", None, vec![minutes(2, 1_000_000, 0)])]);
    service.books.tax = taxed("DE", "DE", false);
    service.finalise();
    service.record(Hour::of(at("2020-06-10T00:00:00Z")), 600_000);
    service.record(Hour::of(at("2020-07-10T00:00:00Z")), 600_000);
    let july = service.finalise();
    let amounts =
        |part: &tax::Taxed| (part.treatment.rate_millionths, part.taxable.amount(), part.tax.amount());
    let seen: Vec<_> = july.taxes.iter().map(amounts).collect();
    let of = |rate, tax: &str| (rate, "0.10".to_owned(), tax.to_owned());
    assert_eq!(seen, [of(160_000, "0.02"), of(190_000, "0.02")]);
    assert_eq!(july.lines.iter().map(|line| line.tax_group).collect::<Vec<_>>(), [Some(1), Some(2)]);
    assert_eq!(july.total.amount(), "0.24");
}

#[test]
fn whoever_said_nothing_is_outside_of_all_tax() {
    let mut service = Service::new(vec![sold(1, 1, 25_550_000, Class::Standard, true)]);
    let last = service.finalise();
    assert_eq!(last.taxes, [tax::Taxed::outside(last.subtotal, last.total)]);
    assert_eq!((last.tax.micros, last.total, last.total_without_tax), (0, usd(26_000_000), usd(26_000_000)));
    assert_eq!(last.lines[0].tax_group, None);
}

proptest! {
    /// Whatever is sold to whomever: gross is net and tax, what vendors and tax offices get is what the payer owes and what
    /// is carried, and a cent at most is carried.
    #[test]
    fn a_taxed_account_balances(
        sales in prop::collection::vec((1_u128..4, 0_i64..100_000_000, 0_usize..4, any::<bool>()), 1..6),
        buyer in prop_oneof![Just("DE"), Just("DK"), Just("FI"), Just("US")],
        is_business in any::<bool>(),
    ) {
        let sales = (1..).zip(&sales).map(|(id, (vendor, micros, class, includes))| {
            sold(id, *vendor, *micros, Class::ALL[*class], *includes)
        });
        let mut service = Service::new(sales.collect());
        service.books.tax = taxed("DE", buyer, is_business);
        for _ in 0..6 {
            let last = service.finalise();
            let sum = |of: fn(&tax::Taxed) -> Money| last.taxes.iter().map(|part| of(part).micros).sum::<i64>();
            prop_assert_eq!(sum(|part| part.taxable), last.total_without_tax.micros);
            prop_assert_eq!(sum(|part| part.tax), last.tax.micros);
            prop_assert_eq!(sum(|part| part.priced), last.subtotal.micros);
            prop_assert_eq!(last.total, last.total_without_tax.plus(last.tax).expect("small"));
            prop_assert!(last.carried_out.micros.abs() <= 1_000_000);
            let on_top = last.tax_on_top().micros;
            prop_assert_eq!(
                last.subtotal.micros + last.carried_in.micros + on_top,
                last.total.micros + last.carried_out.micros
            );
        }
        prop_assert_eq!(service.ledger.imbalance(), None);
        let account = service.books.account.account_id;
        prop_assert_eq!(service.balance(LedgerAccount::Receivable(account)), service.books.owed);
        prop_assert_eq!(service.balance(LedgerAccount::Carried(account)), service.statements[5].carried_out);
    }
}

/// A coupon of a vendor's, redeemed in October 2026.
pub(crate) fn coupon(id: u128, vendor: u128, off: Off, months: Option<u32>) -> Redeemed {
    let coupon = Coupon {
        coupon_id: CouponId(Uuid::from_u128(id)),
        code: format!("CODE-{id}"),
        name: "Spring".into(),
        vendor_id: VendorId(Uuid::from_u128(vendor)),
        plans: Vec::new(),
        off,
        months,
        redemptions_max: None,
        redeem_by: None,
    };
    Redeemed { coupon, from: month("2026-10") }
}

fn amounts(statement: &Statement) -> Vec<(&'static str, i64)> {
    statement.lines.iter().map(|line| (line.kind.as_str(), line.amount.micros)).collect()
}

#[test]
fn a_discount_is_a_line_that_names_its_coupon() {
    let mut service = Service::new(vec![
        sold(1, 1, 25_000_000, Class::Standard, false),
        sold(2, 2, 10_000_000, Class::Standard, false),
    ]);
    service.books.coupons = vec![
        coupon(1, 1, Off::PercentMillionths(200_000), Some(2)),
        coupon(2, 1, Off::Amount(usd(5_000_000)), Some(1)),
        coupon(3, 2, Off::Amount(usd(70_000_000)), Some(1)),
    ];
    let october = service.finalise().clone();
    let lines = [("recurring", 25_000_000), ("recurring", 10_000_000)];
    // A fifth of 25; 5 of what is left; all of 10, and not more.
    let off = [("discount", -5_000_000), ("discount", -5_000_000), ("discount", -10_000_000)];
    assert_eq!(amounts(&october), [&lines[..], &off].concat());
    assert_eq!(october.lines[2].description, "Spring: Plan");
    assert_eq!(october.lines[2].coupon_id, Some(CouponId(Uuid::from_u128(1))));
    assert_eq!(october.lines[4].discounts, Some(october.lines[1].line_id));
    assert_eq!(october.lines[4].vendor_id, october.lines[1].vendor_id);
    assert_eq!(october.total, usd(15_000_000));
    let november = service.finalise();
    assert_eq!(amounts(november), [&lines[..], &off[..1]].concat(), "amounts were for one month");
    let december = service.finalise();
    assert_eq!(amounts(december), lines, "the share was for two");
    let sold = service.balance(LedgerAccount::Revenue(VendorId(Uuid::from_u128(2))));
    assert_eq!(sold, usd(-20_000_000), "the vendor gave the first month");
}

/// What is known late of a month gets the share that the month had, and no amount.
#[test]
fn late_usage_is_discounted_as_its_month_was() {
    let starts = "2026-10-01T00:00:00Z";
    let mut service = Service::new(vec![subscription(1, starts, None, vec![minutes(2, 1_000_000, 0)])]);
    service.books.coupons = vec![
        coupon(1, 1, Off::PercentMillionths(500_000), Some(1)),
        coupon(2, 1, Off::Amount(usd(1_000_000)), None),
    ];
    service.finalise();
    service.record(Hour::of(at("2026-10-10T00:00:00Z")), 600_000);
    let november = service.finalise();
    let seen = [("metered", 0), ("adjustment", 10_000_000), ("discount", -5_000_000)];
    assert_eq!(amounts(november), seen);
    assert_eq!(november.lines[2].for_month, Some(month("2026-10")));
}

#[test]
fn a_coupon_for_some_plans_leaves_the_others() {
    let mut service = Service::new(vec![sold(1, 1, 25_000_000, Class::Standard, false)]);
    let mut redeemed = coupon(1, 1, Off::PercentMillionths(200_000), None);
    redeemed.coupon.plans = vec![crate::ids::PlanId(Uuid::from_u128(5))];
    service.books.coupons = vec![redeemed];
    assert_eq!(service.finalise().lines.len(), 1);
    service.books.subscriptions[0].plan_id = crate::ids::PlanId(Uuid::from_u128(5));
    assert_eq!(service.finalise().lines.len(), 2);
}

#[test]
fn credits_pay_what_is_billed_and_run_out() {
    let mut service = Service::new(vec![sold(1, 1, 25_000_000, Class::Standard, false)]);
    service.books.tax = taxed("DE", "DE", false);
    service.give(1, 20, Some(at("2026-11-15T00:00:00Z")));
    service.give(2, 15, None);
    let october = service.finalise().clone();
    assert_eq!((october.total, october.payable), (usd(30_000_000), usd(0)));
    let parts =
        |parts: &[CreditPart]| parts.iter().map(|it| it.amount.micros / 1_000_000).collect::<Vec<_>>();
    assert_eq!((parts(&october.credits), parts(&october.expired_credits)), (vec![20, 10], vec![]));
    service.give(3, 7, Some(at("2026-11-15T00:00:00Z")));
    let november = service.finalise().clone();
    assert_eq!((parts(&november.credits), parts(&november.expired_credits)), (vec![5], vec![7]));
    assert_eq!(november.payable, usd(25_000_000));
    assert_eq!(november.tab.after, usd(25_000_000));
    assert_eq!(service.ledger.imbalance(), None);
    let account = service.books.account.account_id;
    assert_eq!(service.balance(LedgerAccount::Credits(account)), usd(0));
    assert_eq!(service.balance(LedgerAccount::Promotions), usd(35_000_000), "what expired was not given");
    assert_eq!(service.balance(LedgerAccount::Tax(*b"DE")), usd(-10_000_000), "all that was sold is taxed");
}

fn october() -> Vec<Subscription> {
    vec![subscription(1, "2026-10-03T07:00:00Z", None, vec![recurring(1, 25_000_000), minutes(2, 50_000, 3)])]
}

fn any_fact() -> impl Strategy<Value = Fact> {
    let first = Hour::of(at("2026-10-01T00:00:00Z")).0;
    (0_u128..4, 0_i64..744, 0_u64..600_000).prop_map(move |(leg, hour, quantity)| {
        let key = FactKey {
            leg: LegId(Uuid::from_u128(leg)),
            meter: Meter::ParticipantMs,
            hour: Hour(first + hour),
        };
        Fact { key, quantity }
    })
}

proptest! {
    #[test]
    fn the_order_of_facts_does_not_matter(
        (facts, shuffled) in prop::collection::vec(any_fact(), 0..40)
            .prop_flat_map(|facts| (Just(facts.clone()), Just(facts).prop_shuffle())),
    ) {
        let of = |facts: Vec<Fact>| {
            let books = Books { usage: Usage::of(&merge(facts)), ..books(october()) };
            draft(&books, month("2026-10"), at("2026-11-01T00:00:00Z")).expect("small")
        };
        prop_assert_eq!(of(facts), of(shuffled));
    }

    /// A run that stops anywhere and goes on later has charged the same hours as one that did not.
    #[test]
    fn however_a_billing_run_is_split_it_charges_the_same(
        facts in prop::collection::vec(any_fact(), 0..40),
        cuts in prop::collection::btree_set(0_i64..744, 0..6),
    ) {
        let usage = Usage::of(&merge(facts));
        let october = month("2026-10");
        for price in &october_plan().prices {
            let hours = |until| charge::hourly(&october_plan(), price, &usage, october, until).expect("small");
            let whole = hours(october.next().first());
            let mut run = Vec::new();
            for until in cuts.iter().map(|cut| Hour(october.first().0 + cut)).chain([october.next().first()]) {
                let seen = charge::difference(&hours(until), &run).expect("small");
                run.extend(seen);
            }
            run.sort_by_key(|charge| charge.hour);
            let spent = |charge: &&charge::Charge| !charge.amount.is_zero() || charge.quantity.is_some_and(|it| it != 0);
            prop_assert_eq!(run.iter().collect::<Vec<_>>(), whole.iter().filter(spent).collect::<Vec<_>>());
            let total = charge::total(&october_plan(), price, &usage, october, october.next().first()).expect("small");
            let sum = Money::sum(Currency::USD, whole.iter().map(|charge| charge.amount)).expect("small");
            prop_assert_eq!(Some(sum), total.map(|rated| rated.amount));
        }
    }

    /// Months pass and facts come in, some of them late. The ledger always adds to zero, what was rated is billed or
    /// carried, a statement is off by half a cent at most, and in the end late and timely facts cost the same.
    #[test]
    fn whatever_comes_late_the_books_balance(
        rate in 0_i64..3_000_000,
        sticker in 0_i64..100_000_000,
        events in prop::collection::vec(prop_oneof![
            3 => (0_i64..4_000, 0_i64..4_000_000).prop_map(Some),
            1 => Just(None),
        ], 0..40),
    ) {
        let plan = |id| subscription(id, "2026-08-15T00:00:00Z", None, vec![recurring(1, sticker), minutes(2, rate, 100)]);
        let (mut late, mut timely) = (Service::new(vec![plan(1)]), Service::new(vec![plan(1)]));
        let first = Hour::of(at("2026-08-01T00:00:00Z")).0;
        for (hour, quantity) in events.iter().flatten() {
            timely.record(Hour(first + hour), *quantity);
        }
        for event in &events {
            match event {
                Some((hour, quantity)) => late.record(Hour(first + hour), *quantity),
                None => { late.finalise(); }
            }
        }
        while late.statements.len() < 45 { late.finalise(); }
        while timely.statements.len() < 45 { timely.finalise(); }

        let account = late.books.account.account_id;
        for service in [&late, &timely] {
            prop_assert_eq!(service.ledger.imbalance(), None);
            let billed = service.balance(LedgerAccount::Receivable(account));
            let carried = service.balance(LedgerAccount::Carried(account));
            let rated = service.balance(LedgerAccount::Revenue(VendorId(Uuid::from_u128(1))));
            prop_assert_eq!(billed.plus(carried).expect("small").micros, -rated.micros);
            for it in &service.statements {
                prop_assert!(2 * it.carried_out.micros.abs() <= 1_000_000, "half a cent at most");
                prop_assert_eq!(it.total.micros % 1_000_000, 0);
                prop_assert_eq!(it.tab.after, it.tab.before.plus(it.total).expect("small"));
            }
            prop_assert_eq!(service.statements[service.statements.len() - 1].carried_out, carried);
        }
        let rated = |service: &Service| service.balance(LedgerAccount::Revenue(VendorId(Uuid::from_u128(1))));
        prop_assert_eq!(rated(&late), rated(&timely), "late or not, the same is rated");
    }
}

fn october_plan() -> Subscription {
    october().remove(0)
}
