//! What is paid, as the model remembers it, and a policy of its own: a fee of a tenth at most, or a year.

use super::{CENT, books::Part};
use crate::model::commands::Token;
use billing::{money::round_half_even, period::Month};
use jiff::{SignedDuration, Timestamp, ToSpan, tz::TimeZone};

/// The least that a card pays.
const LEAST: i64 = 50 * CENT;
/// What the processor takes for an objection.
pub(super) const OBJECTION: i64 = 1_500 * CENT;
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

#[derive(Debug, Clone)]
pub(in crate::model) struct Payment {
    pub(in crate::model) purpose: Purpose,
    pub(in crate::model) amount: i64,
    pub(in crate::model) state: State,
    /// By which of the payer's ways to pay.
    way: usize,
    at: Timestamp,
    /// Whose it is.
    pub(super) parts: Vec<Part>,
    /// What has gone back, and will not come again.
    pub(in crate::model) gone: i64,
    /// The payer has objected, and we have not heard.
    is_unheard: bool,
}

impl Payment {
    /// When it was begun.
    pub(in crate::model) fn month(&self) -> Month {
        Month::of(self.at)
    }
}

/// What filled the wallet, and what it cost.
#[derive(Debug, Clone)]
struct Filled {
    amount: i64,
    fee: i64,
    /// So much of it has been drawn.
    drawn: i64,
}

impl Filled {
    /// What of the fee falls to what has been drawn, in whole micros.
    fn borne(&self) -> i64 {
        let micros = i128::from(self.fee) * i128::from(self.drawn) / i128::from(self.amount);
        i64::try_from(micros).expect("a part of the fee")
    }
}

/// What is to be done about a tab.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
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
    filled: Vec<Filled>,
    /// Of how many top-ups each draw took something.
    pub(in crate::model) draws: Vec<usize>,
    pub(in crate::model) wallet: i64,
    /// A proposal to give the tab up.
    proposed: Option<i64>,
    /// Where the vendor is paid: does that work?
    pub(in crate::model) destination: Option<bool>,
}

impl Money {
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
            self.charge(purpose, amount, at);
        }
        may
    }

    pub(super) fn was_asked_since(&self, at: Timestamp) -> bool {
        self.payments.iter().any(|it| it.purpose == Purpose::Collection && it.at >= at)
    }

    pub(super) fn charge(&mut self, purpose: Purpose, amount: i64, at: Timestamp) {
        let (way, state, parts) = (self.ways.len() - 1, State::Attempted, Vec::new());
        self.payments.push(Payment { purpose, amount, state, way, at, parts, gone: 0, is_unheard: false });
    }

    /// What was filled in first is drawn first. Tells what of its fees falls to the draw.
    pub(super) fn draw(&mut self, amount: i64) -> i64 {
        self.wallet -= amount;
        let (mut left, mut fee, mut some) = (amount, 0, 0);
        for it in &mut self.filled {
            let (before, part) = (it.borne(), left.min(it.amount - it.drawn));
            it.drawn += part;
            left -= part;
            fee += it.borne() - before;
            some += usize::from(part > 0);
        }
        self.draws.push(some);
        fee
    }

    /// The processor hears of what was begun and answers. Tells which payment paid what for what, and what it cost.
    pub(super) fn finish(&mut self) -> Option<(usize, Purpose, i64, i64)> {
        let which = self.payments.iter().position(|it| it.state == State::Attempted)?;
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
            return None;
        }
        payment.is_unheard = matches!(token, Token::DisputeWon | Token::DisputeLost);
        let fee = fee(amount);
        if purpose != Purpose::Collection {
            self.wallet += amount;
            self.filled.push(Filled { amount, fee, drawn: 0 });
        }
        Some((which, purpose, amount, fee))
    }

    /// The objections that are heard: of which payment, and whether they are lost.
    pub(super) fn hear(&mut self) -> Vec<(usize, bool)> {
        let mut heard = Vec::new();
        for (which, payment) in self.payments.iter_mut().enumerate().filter(|(_, it)| it.is_unheard) {
            payment.is_unheard = false;
            heard.push((which, self.ways[payment.way] == Token::DisputeLost));
        }
        heard
    }

    /// No more goes back than came, and of what filled the wallet no more than is in it.
    pub(super) fn may_refund(&self, which: usize, amount: i64) -> bool {
        let payment = &self.payments[which];
        let is_there = payment.state == State::Paid && payment.gone + amount <= payment.amount;
        is_there && (payment.purpose == Purpose::Collection || self.wallet >= amount)
    }

    pub(in crate::model) fn propose(&mut self, owed: i64) -> bool {
        let may = owed > 0 && self.proposed.is_none();
        if may {
            self.proposed = Some(owed);
        }
        may
    }

    /// Ends a proposal, and tells about how much it was; nothing where it may not be ended so.
    pub(super) fn decide(&mut self, approve: bool, is_same: bool, owed: i64) -> Option<i64> {
        let amount = self.proposed?;
        if approve && (is_same || owed < amount || self.is_under_way()) {
            return None;
        }
        self.proposed = None;
        Some(amount)
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
