//! What is paid, as the model remembers it, and a policy of its own: a fee of a tenth at most, or a year.

use super::CENT;
use crate::model::commands::Token;
use billing::{money::round_half_even, period::Month};
use jiff::{SignedDuration, Timestamp, ToSpan, tz::TimeZone};

/// The least that a card pays.
const LEAST: i64 = 50 * CENT;
/// What the processor takes for an objection.
const OBJECTION: i64 = 1_500 * CENT;
/// Vendors are paid no less.
pub(in crate::model) const FLOOR: i64 = 500 * CENT;
/// Days after the first failure at which it is tried again.
const AGAIN: [i64; 4] = [3, 7, 14, 28];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::model) enum Purpose {
    Collection,
    TopUp,
    Refill,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::model) enum State {
    Attempted,
    Paid,
    Failed { is_lasting: bool },
}

#[derive(Debug, Clone, Copy)]
pub(in crate::model) struct Payment {
    pub(in crate::model) purpose: Purpose,
    pub(in crate::model) amount: i64,
    pub(in crate::model) state: State,
    /// By which of the payer's ways to pay.
    way: usize,
    at: Timestamp,
    /// What has gone back, and will not come again.
    gone: i64,
    /// The payer has objected, and we have not heard.
    is_unheard: bool,
}

/// What is to be done about a tab.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::model) enum Step {
    Draw(i64),
    Charge(Purpose, i64),
}

#[derive(Debug, Clone, Default)]
pub(in crate::model) struct Money {
    ways: Vec<Token>,
    at_least: Option<i64>,
    /// With how much the wallet fills up, and how much a month.
    refill: Option<(i64, i64)>,
    pub(in crate::model) payments: Vec<Payment>,
    pub(in crate::model) draws: usize,
    /// What collections, draws and write-offs took off the tab.
    settled: i64,
    pub(in crate::model) wallet: i64,
    /// What the processor has for us.
    pub(in crate::model) processor: i64,
    pub(in crate::model) written_off: i64,
    /// A proposal to give the tab up.
    proposed: Option<i64>,
    /// Where the vendor is paid: does that work?
    pub(in crate::model) destination: Option<bool>,
}

impl Money {
    pub(in crate::model) fn settled(&self) -> i64 {
        self.settled
    }

    pub(in crate::model) fn names(&mut self, way: Token) {
        self.ways.push(way);
    }

    pub(in crate::model) fn says(&mut self, at_least: Option<i64>, refill: Option<(i64, i64)>) {
        (self.at_least, self.refill) = (at_least, refill);
    }

    fn is_under_way(&self) -> bool {
        self.payments.iter().any(|it| it.state == State::Attempted)
    }

    /// A charge begins, if it may.
    pub(in crate::model) fn asks(&mut self, purpose: Purpose, amount: i64, at: Timestamp) -> bool {
        let may = !self.ways.is_empty() && !self.is_under_way() && amount >= LEAST;
        if may {
            self.take(Step::Charge(purpose, amount), at);
        }
        may
    }

    pub(super) fn take(&mut self, step: Step, at: Timestamp) {
        match step {
            Step::Draw(amount) => {
                self.wallet -= amount;
                self.settled += amount;
                self.draws += 1;
            }
            Step::Charge(purpose, amount) => {
                let way = self.ways.len() - 1;
                let state = State::Attempted;
                self.payments.push(Payment { purpose, amount, state, way, at, gone: 0, is_unheard: false });
            }
        }
    }

    /// The processor hears of what was begun and answers.
    pub(in crate::model) fn finish(&mut self) {
        let Some(which) = self.payments.iter().position(|it| it.state == State::Attempted) else { return };
        let Payment { purpose, amount, way, .. } = self.payments[which];
        let token = self.ways[way];
        let before = self.payments[..which].iter().filter(|it| self.ways[it.way] == token).count();
        let state = match token {
            Token::CardLost => State::Failed { is_lasting: true },
            Token::NoFunds => State::Failed { is_lasting: false },
            Token::NoFundsOnce if before < 1 => State::Failed { is_lasting: false },
            Token::NoFundsTwice if before < 2 => State::Failed { is_lasting: false },
            _ => State::Paid,
        };
        let payment = &mut self.payments[which];
        payment.state = state;
        if state != State::Paid {
            return;
        }
        payment.is_unheard = matches!(token, Token::DisputeWon | Token::DisputeLost);
        self.processor += amount - fee(amount);
        match purpose {
            Purpose::Collection => self.settled += amount,
            Purpose::TopUp | Purpose::Refill => self.wallet += amount,
        }
    }

    /// What happened at the processor is heard.
    pub(in crate::model) fn hear(&mut self) {
        for payment in self.payments.iter_mut().filter(|it| it.is_unheard) {
            payment.is_unheard = false;
            self.processor -= OBJECTION;
            if self.ways[payment.way] == Token::DisputeLost {
                let rest = payment.amount - payment.gone;
                payment.gone = payment.amount;
                self.processor -= rest;
                if payment.purpose != Purpose::Collection {
                    let there = self.wallet.min(rest);
                    self.wallet -= there;
                    self.written_off += rest - there;
                }
            }
        }
    }

    /// A part of a payment goes back, if it may.
    pub(in crate::model) fn refund(&mut self, which: usize, amount: i64) -> bool {
        let payment = &mut self.payments[which];
        let is_wallet = payment.purpose != Purpose::Collection;
        let is_there = payment.state == State::Paid && payment.gone + amount <= payment.amount;
        if !is_there || is_wallet && self.wallet < amount {
            return false;
        }
        payment.gone += amount;
        self.processor -= amount;
        if is_wallet {
            self.wallet -= amount;
        }
        true
    }

    pub(in crate::model) fn propose(&mut self, owed: i64) -> bool {
        let may = owed > 0 && self.proposed.is_none();
        if may {
            self.proposed = Some(owed);
        }
        may
    }

    pub(in crate::model) fn decide(&mut self, approve: bool, is_same: bool, owed: i64) -> bool {
        let Some(amount) = self.proposed else { return false };
        if approve && (is_same || owed < amount || self.is_under_way()) {
            return false;
        }
        self.proposed = None;
        if approve {
            self.settled += amount;
            self.written_off += amount;
        }
        true
    }

    /// A vendor was sent so much.
    pub(in crate::model) fn pays_out(&mut self, amount: i64) {
        self.processor -= amount;
    }

    /// What to do about a tab, if anything.
    pub(super) fn next(&self, owed: i64, since: Option<Timestamp>, now: Timestamp) -> Option<Step> {
        if self.is_under_way() || owed <= 0 {
            return None;
        }
        let draw = Some(owed.min(self.wallet)).filter(|amount| *amount > 0).map(Step::Draw);
        let refill = self.refills(owed, now).map(|amount| Step::Charge(Purpose::Refill, amount));
        let collect = Step::Charge(Purpose::Collection, owed);
        if self.ways.is_empty() {
            return draw;
        }
        if let Some(failed) = self.failed() {
            return draw
                .or_else(|| Some(refill.unwrap_or(collect)).filter(|step| failed.retries(*step, now)));
        }
        let is_due =
            owed >= LEAST && (self.is_worth(owed) || since.is_some_and(|since| a_year_after(since) <= now));
        refill.or(draw).or(is_due.then_some(collect))
    }

    fn is_worth(&self, amount: i64) -> bool {
        i128::from(amount) * 29 + 30_000 * i128::from(CENT) <= i128::from(amount) * 100
            && self.at_least.is_none_or(|least| amount >= least)
    }

    fn refills(&self, owed: i64, now: Timestamp) -> Option<i64> {
        let (amount, ceiling) = self.refill?;
        let missing = owed - self.wallet;
        let amount = amount.max(missing);
        let is_of_month = |it: &&Payment| {
            it.purpose == Purpose::Refill
                && it.at >= Month::of(now).start()
                && !matches!(it.state, State::Failed { .. })
        };
        let filled: i64 = self.payments.iter().filter(is_of_month).map(|it| it.amount).sum();
        (missing > 0 && filled + amount <= ceiling && amount >= LEAST).then_some(amount)
    }

    /// What went wrong with the way to pay since it last worked.
    fn failed(&self) -> Option<Failed> {
        let by_it: Vec<&Payment> = self.payments.iter().filter(|it| it.way + 1 == self.ways.len()).collect();
        let worked = by_it.iter().rposition(|it| it.state == State::Paid).map_or(0, |place| place + 1);
        let failed: Vec<&&Payment> =
            by_it[worked..].iter().filter(|it| it.purpose != Purpose::TopUp).collect();
        let (first, last) = (failed.first()?, failed.last()?);
        Some(Failed {
            times: failed.len(),
            since: first.at,
            is_lasting: last.state == State::Failed { is_lasting: true },
        })
    }
}

struct Failed {
    times: usize,
    since: Timestamp,
    is_lasting: bool,
}

impl Failed {
    fn retries(&self, step: Step, now: Timestamp) -> bool {
        let amount = match step {
            Step::Draw(amount) | Step::Charge(_, amount) => amount,
        };
        let after = AGAIN.get(self.times - 1).filter(|_| !self.is_lasting && amount >= LEAST);
        after.is_some_and(|days| self.since + SignedDuration::from_hours(24 * days) <= now)
    }
}

fn a_year_after(since: Timestamp) -> Timestamp {
    (since.to_zoned(TimeZone::UTC) + 12.months()).timestamp()
}

/// 2.9 % and 30 cents, to the cent.
fn fee(amount: i64) -> i64 {
    let cents = round_half_even(i128::from(amount / CENT) * 29 + 30_000, 1_000);
    i64::try_from(cents).expect("small") * CENT
}
