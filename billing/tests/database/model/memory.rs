//! The model: everything is written down as it happened, and added up when somebody asks. Of the code under test it shares the
//! calendar and the rounding.

mod money;
mod subscription;
mod terms;
mod usage;

pub(super) use money::{FLOOR, Money, Purpose, State as PaymentState};
pub(super) use subscription::{Remembered, State};
pub(super) use terms::{AMOUNT, AMOUNT_MONTHS, CENT, SHARE_MILLIONTHS, SHARE_MONTHS, Terms};
pub(super) use usage::{Event, Meter, PEAK_MICROS, SUM_MICROS, SUM_UNIT, Used};

use billing::{
    money::round_half_even,
    period::{Hour, Month},
};
use jiff::Timestamp;
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

/// A price's part of a month.
struct Line {
    /// Sold by the business itself, not by the operator.
    is_own: bool,
    /// The final month that it adjusts.
    late: Option<Month>,
    micros: i128,
}

/// A final month.
#[derive(Debug, Clone, Copy)]
pub(super) struct Final {
    pub(super) month: Month,
    pub(super) sum: Sum,
    at: Timestamp,
    /// What was taken back of it, without tax and as tax.
    taken_back: (i64, i64),
}

impl Final {
    /// Takes a part back, or all that is left of it. False where nothing is.
    pub(super) fn take_back(&mut self, part: Option<i64>) -> bool {
        let Sum { without_tax, tax, .. } = self.sum;
        let whole = without_tax.max(0);
        let (before, _) = self.taken_back;
        let after = part.map_or(whole, |part| before + part);
        self.taken_back = (after, terms::share_of(tax.max(0), after, whole));
        after > before
    }
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
            finals: Vec::new(),
            billed: BTreeMap::new(),
        }
    }

    /// The month after the last final one.
    pub(super) fn open(&self) -> Month {
        self.finals.last().map_or(self.first.month(), |last| last.month.next())
    }

    /// What stands on the tab.
    pub(super) fn owed(&self) -> i64 {
        let billed: i64 =
            self.finals.iter().map(|it| it.sum.payable - it.taken_back.0 - it.taken_back.1).sum();
        billed - self.money.settled()
    }

    /// The part of a cent that the last rounding left.
    pub(super) fn carried(&self) -> i64 {
        self.finals.last().map_or(0, |last| last.sum.carried_out)
    }

    /// What countries are owed.
    pub(super) fn tax(&self) -> i64 {
        self.finals.iter().map(|it| it.sum.tax - it.taken_back.1).sum()
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

    /// Does with the tab what there is to do.
    pub(super) fn collect(&mut self, now: Timestamp) {
        self.money.finish();
        while let Some(step) = self.money.next(self.owed(), self.owed_since(), now) {
            self.money.take(step, now);
            self.money.finish();
        }
    }

    /// Makes every month final that is over.
    pub(super) fn close(&mut self, at: Timestamp) {
        while self.open().hours().end <= self.now {
            let month = self.open();
            let (sum, terms) = self.sum(month, month.hours().end);
            self.terms = terms;
            self.finals.push(Final { month, sum, at, taken_back: (0, 0) });
            for it in &self.finals {
                for meter in Meter::ALL {
                    let costs = self.used.costs(it.month, meter, it.month.hours().end);
                    self.billed.insert((it.month, meter), costs);
                }
            }
        }
    }

    /// The open month as it stands, or as it ends; and what is left of the credits then.
    pub(super) fn sum(&self, month: Month, until: Hour) -> (Sum, Terms) {
        let lines = self.lines(month, until);
        let all: i128 = lines.iter().map(|line| line.micros).sum();
        let subtotal = all - self.terms.discount(month, &lines);
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
        (sum, terms)
    }

    /// In the order of a statement: the plan of the business with the operator, its plan with a price on its own events, what
    /// was started later; then what became known late.
    fn lines(&self, month: Month, until: Hour) -> Vec<Line> {
        let recurring = self.subscriptions.iter().enumerate().map(|(place, it)| Line {
            is_own: place > 0,
            late: None,
            micros: it.comes_to(month, until),
        });
        let metered = Meter::ALL.into_iter().map(|meter| Line {
            is_own: meter.is_own(),
            late: None,
            micros: self.used.costs(month, meter, until),
        });
        let late = self.billed.iter().map(|((late, meter), billed)| {
            let costs = self.used.costs(*late, *meter, late.hours().end);
            Line { is_own: meter.is_own(), late: Some(*late), micros: costs - billed }
        });
        metered.chain(recurring).chain(late).collect()
    }
}
