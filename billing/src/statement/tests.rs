//! What the tests of statements share: a service in memory, and prices to bill.

mod months;
mod properties;
mod reductions;
mod taxes;

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
            is_business: true,
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
        let number = format!("T-{}", self.statements.len() + 1);
        let last = Statement { statement_id: Some(id), number: Some(number), status: Status::Final, ..last };
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
