//! The model: everything is written down as it happened, and added up when somebody asks. Of the code under test it shares the
//! calendar, and what rounds and splits an amount.

mod bill;
mod books;
mod money;
mod subscription;
mod terms;
mod usage;

pub(super) use bill::{Final, Line};
pub(super) use books::{Account, Kind, PLATFORM_PER_MILLE, Part, Settlement};
pub(super) use money::{FLOOR, Payment, Purpose, State as PaymentState};
pub(super) use subscription::{Plan, Remembered, State};
pub(super) use terms::{AMOUNT, AMOUNT_MONTHS, CENT, SHARE_MILLIONTHS, SHARE_MONTHS, Terms};
pub(super) use usage::{Event, Meter, PEAK_MICROS, SUM_MICROS, SUM_UNIT, Used};

use billing::{
    money::round_half_even,
    period::{Hour, Month},
    statement::Status,
};
use books::Books;
use jiff::Timestamp;
use money::{Money, Step};
use std::collections::BTreeMap;

/// A month as its statement ought to say it, in micros.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sum {
    pub(super) subtotal: i64,
    pub(super) carried_in: i64,
    pub(super) without_tax: i64,
    pub(super) tax: i64,
    pub(super) payable: i64,
    pub(super) carried_out: i64,
}

/// Everything that has happened.
#[derive(Debug)]
pub(super) struct Memory {
    pub(super) first: Hour,
    pub(super) now: Hour,
    pub(super) subscriptions: Vec<Remembered>,
    pub(super) used: Used,
    pub(super) terms: Terms,
    pub(super) money: Money,
    pub(super) books: Books,
    /// What lowered the tab, in order.
    pub(super) settlements: Vec<Settlement>,
    /// What the vendor was sent, in order.
    pub(super) payouts: Vec<i64>,
    /// Final months in order.
    pub(super) finals: Vec<Final>,
    /// What usage was billed for a month, by meter, whenever it was.
    billed: BTreeMap<(Month, Meter), i128>,
}

impl Memory {
    pub(super) fn starting(first: Hour) -> Self {
        Self {
            first,
            now: first,
            subscriptions: Vec::new(),
            used: Used::default(),
            terms: Terms::default(),
            money: Money::default(),
            books: Books::default(),
            settlements: Vec::new(),
            payouts: Vec::new(),
            finals: Vec::new(),
            billed: BTreeMap::new(),
        }
    }

    /// The month after the last final one.
    pub(super) fn open_month(&self) -> Month {
        self.finals.last().map_or(self.first.month(), |last| last.month.next())
    }

    /// What stands on the tab.
    pub(super) fn owed(&self) -> i64 {
        let billed: i64 = self.finals.iter().map(|it| it.sum.payable - it.taken_back()).sum();
        billed - self.settlements.iter().map(|it| it.amount).sum::<i64>()
    }

    /// The part of a cent that the last rounding left.
    pub(super) fn carried(&self) -> i64 {
        self.finals.last().map_or(0, |last| last.sum.carried_out)
    }

    /// When the oldest statement became final of which something is owed, if what was paid paid the oldest.
    fn owed_since(&self) -> Option<Timestamp> {
        let (mut left, mut since) = (self.owed(), None);
        for it in self.finals.iter().rev().filter(|it| it.sum.payable > 0) {
            if left > 0 {
                since = Some(it.at);
                left -= it.sum.payable;
            }
        }
        since
    }

    /// What of the tab is owed for each final month: the newest ones are what is left to pay.
    pub(super) fn open(&self) -> Vec<i64> {
        let mut left = self.owed().max(0);
        let newest_first = self.finals.iter().rev().map(|it| {
            let open = it.rest().min(left);
            left -= open;
            open
        });
        let mut open: Vec<i64> = newest_first.collect();
        open.reverse();
        open
    }

    /// Where each final month stands.
    pub(super) fn statuses(&self) -> Vec<Status> {
        let stands = |(it, open): (&Final, i64)| match open > 0 {
            true if self.money.was_asked_since(it.at) => Status::Collecting,
            true => Status::Final,
            false => it.ended_as(),
        };
        self.finals.iter().zip(self.open()).map(stands).collect()
    }

    /// Does with the tab what there is to do.
    pub(super) fn collect(&mut self, now: Timestamp) {
        self.finish();
        while let Some(step) = self.money.next(self.owed(), self.owed_since(), now) {
            match step {
                Step::Draw(amount) => {
                    let fee = self.money.draw(amount);
                    self.settle(Kind::Wallet, amount, fee);
                }
                Step::Charge(purpose, amount) => self.money.charge(purpose, amount, now),
            }
            self.finish();
        }
    }

    /// The processor hears of what was begun and answers.
    pub(super) fn finish(&mut self) {
        let Some((which, purpose, amount, fee)) = self.money.finish() else { return };
        self.books.add(Account::Processor, amount - fee);
        self.books.add(Account::Fees, fee);
        if purpose == Purpose::Collection {
            let parts = self.settle(Kind::Collection, amount, fee);
            self.money.payments[which].parts = parts;
        }
    }

    /// Lays what came in, or what is given up, against the oldest months of which something is open, and tells whose it is.
    fn settle(&mut self, kind: Kind, amount: i64, fee: i64) -> Vec<Part> {
        let (mut left, mut laid) = (amount, Vec::new());
        for (open, it) in self.open().into_iter().zip(&mut self.finals) {
            let part = open.min(left);
            if part > 0 {
                left -= part;
                laid.push((it.month, part, it.earned()));
                match kind {
                    Kind::WriteOff => it.given_up += part,
                    Kind::Collection | Kind::Wallet => it.paid += part,
                }
            }
        }
        let parts = match kind {
            Kind::WriteOff => Vec::new(),
            Kind::Collection | Kind::Wallet => books::take_apart(amount, fee, &laid),
        };
        self.books.pass_on(&parts);
        let laid = laid.into_iter().map(|(month, part, _)| (month, part)).collect();
        self.settlements.push(Settlement { kind, amount, fee, laid, parts: parts.clone() });
        parts
    }

    /// What happened at the processor is heard.
    pub(super) fn hear(&mut self) {
        for (which, is_lost) in self.money.hear() {
            self.books.add(Account::Processor, -money::OBJECTION);
            self.books.add(Account::Fees, money::OBJECTION);
            if is_lost {
                let rest = self.money.payments[which].amount - self.money.payments[which].gone;
                self.goes_back(which, rest);
            }
        }
    }

    /// A part of a payment is to go back. False where it may not.
    pub(super) fn refund(&mut self, which: usize, amount: i64) -> bool {
        let may = self.money.may_refund(which, amount);
        if may {
            self.goes_back(which, amount);
        }
        may
    }

    fn goes_back(&mut self, which: usize, amount: i64) {
        self.books.add(Account::Processor, -amount);
        let payment = &mut self.money.payments[which];
        let before = payment.gone;
        payment.gone += amount;
        if payment.purpose == Purpose::Collection {
            self.books.go_back(&payment.parts, before, payment.gone);
        } else {
            let there = self.money.wallet.min(amount);
            self.money.wallet -= there;
            self.books.add(Account::WrittenOff, amount - there);
        }
    }

    /// A proposal to give the tab up is approved or rejected. False where that may not be.
    pub(super) fn decide(&mut self, approve: bool, is_same: bool) -> bool {
        let Some(amount) = self.money.decide(approve, is_same, self.owed()) else { return false };
        if approve {
            self.books.add(Account::WrittenOff, amount);
            self.settle(Kind::WriteOff, amount, 0);
        }
        true
    }

    /// The vendor is sent what it is owed in whole cents, if that is enough and it has said where to. Tells how much.
    pub(super) fn pay_out(&mut self) -> Option<i64> {
        let owed = -self.books.on(Account::Payable);
        if owed < FLOOR || self.money.destination != Some(true) {
            return None;
        }
        let amount = owed - owed % CENT;
        self.books.add(Account::Payable, amount);
        self.books.add(Account::Processor, -amount);
        self.payouts.push(amount);
        Some(amount)
    }

    /// Takes so much of a line back, or all that is left of a final month. Otherwise what is left of that.
    pub(super) fn take_back(&mut self, which: usize, part: Option<(usize, i64)>) -> Result<(), i64> {
        self.finals[which].take_back(part).map(|back| self.books.earn(back.map(|micros| -micros)))
    }

    /// Makes every month final that is over.
    pub(super) fn close(&mut self, at: Timestamp) {
        while self.open_month().hours().end <= self.now {
            let month = self.open_month();
            let (sum, terms, lines) = self.sum(month, month.hours().end);
            self.terms = terms;
            let closed = Final::new(month, sum, at, lines);
            self.books.earn(closed.earned());
            self.finals.push(closed);
            for it in &self.finals {
                for meter in Meter::ALL {
                    let costs = self.used.costs(it.month, meter, it.month.hours().end);
                    self.billed.insert((it.month, meter), costs);
                }
            }
        }
    }

    /// The open month as it stands, or as it ends; what is left of the credits then; and of what it is made.
    pub(super) fn sum(&self, month: Month, until: Hour) -> (Sum, Terms, Vec<Line>) {
        let lines = self.lines(month, until);
        let subtotal = lines.iter().map(|line| line.left).sum::<i128>();
        let carried_in = i128::from(self.carried());
        let cents = round_half_even(subtotal + carried_in, CENT.into());
        let small = |micros: i128| i64::try_from(micros).expect("small");
        let without_tax = small(cents) * CENT;
        let mut terms = self.terms.clone();
        let tax = terms.tax(without_tax, month.end());
        let payable = without_tax + tax - terms.spend(without_tax + tax, month.end());
        let sum = Sum {
            subtotal: small(subtotal),
            carried_in: small(carried_in),
            without_tax,
            tax,
            payable,
            carried_out: small(subtotal + carried_in) - without_tax,
        };
        (sum, terms, lines)
    }

    /// In the order of a statement: subscription after subscription, the oldest first, each with its price a month and then by
    /// its meters; then in the same order what became known late, month after month; less what coupons take off.
    fn lines(&self, month: Month, until: Hour) -> Vec<Line> {
        let mut held: Vec<&Remembered> = self.subscriptions.iter().collect();
        held.sort_by_key(|it| it.age());
        let mut lines = Vec::new();
        for it in &held {
            let recurring = it.is_recurring().then(|| it.comes_to(month, until));
            let metered = it.meters().iter().map(|meter| self.used.costs(month, *meter, until));
            lines.extend(recurring.into_iter().chain(metered).map(|micros| Line::of(it, None, micros)));
        }
        for late in self.finals.iter().map(|it| it.month) {
            for it in &held {
                lines.extend(it.meters().iter().map(|meter| {
                    let costs = self.used.costs(late, *meter, late.hours().end);
                    Line::of(it, Some(late), costs - self.billed[&(late, *meter)])
                }));
            }
        }
        self.terms.discount(month, &mut lines);
        lines
    }
}
