//! One payer's 36 months under a policy, with the service's own rules: [`decide`], [`settle`] and [`dunning`].

use std::collections::VecDeque;

use billing::{
    collection::{
        DEFAULT_POLICY, FeeSchedule, Owed, Policy, Terms, TopUp, US_BANK_DEBIT, US_CARD, Verdict, Wish,
        decide,
        dunning::{self, Failure, Step},
        settle,
    },
    currency::Currency,
    money::{MICROS_PER_MINOR, Money},
};
use jiff::{SignedDuration, Timestamp, civil::date, tz::TimeZone};

use crate::{
    chance::{Question, happens},
    population::{MONTHS, Payer, Way},
};

/// Collections of ten thousand that fail, by card and by bank.
const CARD_FAILS: u64 = 400;
const BANK_FAILS: u64 = 100;
/// Failures of ten thousand that last: the card is gone.
const FAILS_FOR_GOOD: u64 = 3_300;
/// Retries of ten thousand that succeed.
const RETRY_SUCCEEDS: u64 = 5_000;
/// Payers of ten thousand who name another way within a month of being asked.
const NAMES_ANOTHER_WAY: u64 = 3_500;
/// Card collections of ten thousand that are disputed and lost, and what the processor takes for it.
const DISPUTED: u64 = 5;
const DISPUTE_CENTS: i64 = 1_500;
/// What a bank debit costs that comes back.
const RETURNED_CENTS: i64 = 400;
/// A wallet fills itself up so often a month at most.
const TOP_UPS_A_MONTH: i64 = 4;

/// When money is asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Rule {
    /// Each subscription by itself every month, as if there were no tab.
    EachSubscription,
    /// The tab, by the service's policy.
    Tab(Policy),
}

/// What became of everybody's money, in cents.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    pub(crate) billed: i64,
    pub(crate) collected: i64,
    pub(crate) fees: i64,
    /// Still waiting when the last month began, at the end of which all accounts are closed.
    pub(crate) outstanding: i64,
    pub(crate) written_off: i64,
    pub(crate) collections: u64,
    /// Cents that were collected after so many months.
    waits: Vec<i64>,
}

impl Default for Outcome {
    fn default() -> Self {
        let waits = vec![0; MONTHS];
        Outcome { billed: 0, collected: 0, fees: 0, outstanding: 0, written_off: 0, collections: 0, waits }
    }
}

impl Outcome {
    pub(crate) fn add(&mut self, other: &Outcome) {
        self.billed += other.billed;
        self.collected += other.collected;
        self.fees += other.fees;
        self.outstanding += other.outstanding;
        self.written_off += other.written_off;
        self.collections += other.collections;
        self.waits.iter_mut().zip(&other.waits).for_each(|(wait, other)| *wait += other);
    }

    /// Months that collected money waited, on average.
    pub(crate) fn mean_wait(&self) -> f64 {
        let waited: i64 = self.waits.iter().zip(0..).map(|(cents, months)| cents * months).sum();
        waited as f64 / self.collected.max(1) as f64
    }

    /// Months after which half of the collected money had come.
    pub(crate) fn median_wait(&self) -> usize {
        let mut come = 0;
        self.waits
            .iter()
            .position(|cents| {
                come += cents;
                2 * come >= self.collected
            })
            .unwrap_or(0)
    }
}

/// Plays a payer's life, and at its end what is left: what can be collected is, the rest is written off.
pub(crate) fn play(payer: &Payer, rule: Rule) -> Outcome {
    let mut life =
        Life { payer, tab: VecDeque::new(), wallet: 0, failing_since: None, outcome: Outcome::default() };
    for month in 0..MONTHS {
        if life.failing_since.is_some_and(|since| month >= since + 3) {
            break; // Three months without a way to pay: the vendor ends it.
        }
        match rule {
            Rule::EachSubscription => life.charge_each(month),
            Rule::Tab(policy) => life.month(month, &policy),
        }
    }
    life.close()
}

struct Life<'a> {
    payer: &'a Payer,
    /// What is owed: from which month, how many cents. Oldest first.
    tab: VecDeque<(usize, i64)>,
    wallet: i64,
    /// The month in which the way to pay broke.
    failing_since: Option<usize>,
    outcome: Outcome,
}

impl Life<'_> {
    fn month(&mut self, month: usize, policy: &Policy) {
        if month + 1 == MONTHS {
            self.outcome.outstanding = self.owed();
        }
        self.bill(month);
        let closing = month + 1 == self.payer.end();
        if !self.is_mended(month) {
            return;
        }
        if let Way::Wallet(top_up) = self.payer.way {
            return self.pay_from_wallet(month, top_up, closing);
        }
        let fees = self.fees();
        let owed =
            Owed { amount: cents(self.owed()), since: self.tab.front().map(|(from, _)| end_of(*from)) };
        let terms = Terms { fees, policy, wish: Wish::AsPolicy, closing };
        if let Verdict::Collect { amount, .. } = decide(owed, end_of(month), &terms).expect("small sums")
            && self.collect(amount, month)
        {
            self.settle(amount.micros / MICROS_PER_MINOR, month);
        }
    }

    fn bill(&mut self, month: usize) {
        let bill = self.payer.bill(month);
        if bill > 0 {
            self.tab.push_back((month, bill));
            self.outcome.billed += bill;
        }
    }

    /// The wallet pays; when its owner leaves, what is left in it is theirs and goes back.
    fn pay_from_wallet(&mut self, month: usize, size: i64, closing: bool) {
        let ceiling = cents(TOP_UPS_A_MONTH * size);
        let top_up = TopUp { amount: cents(size), monthly_ceiling: ceiling, this_month: cents(0) };
        // Somebody who leaves fills nothing up: what is owed is charged by itself where it can be.
        let top_up = (!closing).then_some(top_up);
        let owed = cents(self.owed());
        let mut settled = settle(owed, cents(self.wallet), top_up, &US_CARD).expect("small sums");
        if let Some(amount) = settled.topped_up
            && !self.collect(amount, month)
        {
            settled = settle(owed, cents(self.wallet), None, &US_CARD).expect("small sums");
        }
        self.wallet = settled.balance.micros / MICROS_PER_MINOR;
        self.settle(settled.drawn.micros / MICROS_PER_MINOR, month);
        if closing && US_CARD.takes(settled.owed) && self.collect(settled.owed, month) {
            self.settle(settled.owed.micros / MICROS_PER_MINOR, month);
        }
    }

    /// What everybody does who has no tab: a charge for each subscription, which the processor refuses if it is small.
    fn charge_each(&mut self, month: usize) {
        for one in &self.payer.subscriptions {
            if (one.from..one.to).contains(&month) {
                self.outcome.billed += one.cents;
                if US_CARD.takes(cents(one.cents))
                    && self.is_mended(month)
                    && self.collect(cents(one.cents), month)
                {
                    self.outcome.collected += one.cents;
                    self.outcome.waits[0] += one.cents;
                } else {
                    self.outcome.written_off += one.cents;
                }
            }
        }
    }

    /// One collection with its retries. Pays the fee if it succeeds.
    fn collect(&mut self, amount: Money, month: usize) -> bool {
        self.outcome.collections += 1;
        let is_bank = self.payer.way == Way::Bank;
        let fails = if is_bank { BANK_FAILS } else { CARD_FAILS };
        if self.happens(Question::Failure(month as u64), fails) && !self.retry(amount, month) {
            self.failing_since = Some(month);
            return false;
        }
        if !is_bank && self.happens(Question::Dispute(month as u64), DISPUTED) {
            self.outcome.fees += DISPUTE_CENTS;
            return false;
        }
        // A debit's own fee: the part for returns is only reckoned with, the returns themselves are paid as they come.
        let fees = if is_bank { FeeSchedule { fixed_micros: 0, ..US_BANK_DEBIT } } else { US_CARD };
        self.outcome.fees += fees.fee(amount).expect("small sums").micros / MICROS_PER_MINOR;
        true
    }

    fn retry(&mut self, amount: Money, month: usize) -> bool {
        let is_bank = self.payer.way == Way::Bank;
        let lasts = self.happens(Question::Lasting(month as u64), FAILS_FOR_GOOD);
        let failure = if lasts { Failure::Lasting } else { Failure::Passing };
        let since = end_of(month);
        for failures in 1.. {
            self.outcome.fees += if is_bank { RETURNED_CENTS } else { 0 };
            match dunning::next(amount, self.fees(), failure, failures, since, since) {
                Step::Retry(_)
                    if self.happens(Question::Retry(month as u64, failures as u64), RETRY_SUCCEEDS) =>
                {
                    return true;
                }
                Step::Retry(_) => {}
                Step::Drop | Step::AskForAnotherWay | Step::Decide => return false,
            }
        }
        false
    }

    /// Whether there is a way to pay; somebody without one is asked for another every month.
    fn is_mended(&mut self, month: usize) -> bool {
        let asked = self.failing_since.is_some_and(|since| since < month);
        if asked && self.happens(Question::NewWay(month as u64), NAMES_ANOTHER_WAY) {
            self.failing_since = None;
        }
        self.failing_since.is_none()
    }

    /// Payments settle the oldest first.
    fn settle(&mut self, paid: i64, month: usize) {
        let mut left = paid;
        self.outcome.collected += paid;
        while left > 0
            && let Some((from, owed)) = self.tab.front_mut()
        {
            let part = left.min(*owed);
            self.outcome.waits[month - *from] += part;
            (*owed, left) = (*owed - part, left - part);
            if *owed == 0 {
                self.tab.pop_front();
            }
        }
    }

    fn close(mut self) -> Outcome {
        self.outcome.written_off += self.owed();
        self.outcome
    }

    fn owed(&self) -> i64 {
        self.tab.iter().map(|(_, cents)| cents).sum()
    }

    fn fees(&self) -> &'static FeeSchedule {
        if self.payer.way == Way::Bank { &US_BANK_DEBIT } else { &US_CARD }
    }

    fn happens(&self, question: Question, in_ten_thousand: u64) -> bool {
        happens(self.payer.name, question, in_ten_thousand)
    }
}

/// The service's own.
pub(crate) const DEFAULT: Rule = Rule::Tab(DEFAULT_POLICY);

fn cents(cents: i64) -> Money {
    Money::micros(cents * MICROS_PER_MINOR, Currency::USD)
}

/// When the statement of a month becomes final; the months are about as long as real ones.
fn end_of(month: usize) -> Timestamp {
    let first = date(2026, 1, 1).to_zoned(TimeZone::UTC).expect("a date of ours").timestamp();
    first + SignedDuration::from_hours(730 * (month as i64 + 1))
}
