//! What is to be done about a payer now: a function of everything that is known about the payer's money.

use super::{
    FeeSchedule, Owed, Policy, Reason, Terms, TopUp, Verdict, Wish, decide,
    dunning::{self, Failure, Step},
    settle,
};
use crate::money::{Money, MoneyError};
use jiff::Timestamp;

/// A way to pay, as far as deciding needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Way {
    /// What charging it costs.
    pub fees: FeeSchedule,
    /// What went wrong with it since it last worked.
    pub failures: Option<Failures>,
}

/// Charges that failed in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failures {
    /// How many, at least one.
    pub count: usize,
    /// When the first of them was tried.
    pub since: Timestamp,
    /// Why the last one failed.
    pub last: Failure,
}

/// Everything about a payer's money that a decision depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Situation {
    /// The tab.
    pub owed: Owed,
    /// What was paid ahead.
    pub wallet: Money,
    /// How the wallet fills itself up, if it does.
    pub refill: Option<TopUp>,
    /// How to charge the payer, where that was said.
    pub way: Option<Way>,
    /// What the payer wants.
    pub wish: Wish,
    /// All subscriptions are over and their last month is final.
    pub closing: bool,
    /// A payment was begun whose outcome is not known yet.
    pub under_way: bool,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Take so much from the wallet.
    Draw(Money),
    /// Charge so much into the wallet.
    Refill(Money, Reason),
    /// Charge the whole tab.
    Collect(Money, Reason),
    /// Nothing, until then at the longest.
    Wait(Option<Timestamp>, Reason),
}

impl Next {
    /// As the payer reads it.
    pub fn why(&self) -> Reason {
        match *self {
            Next::Draw(amount) => Reason::Drawn { amount },
            Next::Refill(_, why) | Next::Collect(_, why) | Next::Wait(_, why) => why,
        }
    }
}

/// Decides. One thing at a time: whoever has done it asks again.
pub fn next(situation: &Situation, policy: &Policy, now: Timestamp) -> Result<Next, MoneyError> {
    let amount = situation.owed.amount;
    if situation.under_way {
        return Ok(Next::Wait(None, Reason::UnderWay));
    }
    if amount.micros <= 0 {
        return Ok(Next::Wait(None, Reason::NothingOwed));
    }
    let refill = refill(situation)?;
    let failed = situation.way.and_then(|way| Some((way.fees, way.failures?)));
    // Somebody who asks to pay now is not put off because the last attempt failed.
    if let Some((fees, failures)) = failed.filter(|_| situation.wish != Wish::Now) {
        return Ok(match draw(situation)? {
            Some(drawn) => Next::Draw(drawn),
            None => after_failure(amount, refill, &fees, failures, now),
        });
    }
    match (refill, draw(situation)?, situation.way) {
        (Some(amount), ..) => Ok(Next::Refill(amount, Reason::Refill { amount })),
        (None, Some(drawn), _) => Ok(Next::Draw(drawn)),
        (None, None, None) => Ok(Next::Wait(None, Reason::NoWayYet { amount })),
        (None, None, Some(way)) => by_policy(situation, &way.fees, policy, now),
    }
}

/// What the wallet fills itself up with before it pays. Somebody who leaves fills nothing up.
fn refill(situation: &Situation) -> Result<Option<Money>, MoneyError> {
    let Some((way, rule)) = situation.way.zip(situation.refill).filter(|_| !situation.closing) else {
        return Ok(None);
    };
    Ok(settle(situation.owed.amount, situation.wallet, Some(rule), &way.fees)?.topped_up)
}

/// What the wallet can pay of the tab, if it can pay anything.
fn draw(situation: &Situation) -> Result<Option<Money>, MoneyError> {
    let micros = situation.owed.amount.micros.min(situation.wallet.micros);
    let drawn = Money { micros, ..situation.owed.amount };
    Ok((drawn.plus(Money::zero(situation.wallet.currency))?.micros > 0).then_some(drawn))
}

fn by_policy(
    situation: &Situation,
    fees: &FeeSchedule,
    policy: &Policy,
    now: Timestamp,
) -> Result<Next, MoneyError> {
    let Situation { owed, wish, closing, .. } = *situation;
    Ok(match decide(owed, now, &Terms { fees, policy, wish, closing })? {
        Verdict::Collect { amount, why } => Next::Collect(amount, why),
        Verdict::Wait { until, why } => Next::Wait(until, why),
    })
}

/// What could not be charged is tried again as the schedule says, whatever the policy thinks by now.
fn after_failure(
    owed: Money,
    refill: Option<Money>,
    fees: &FeeSchedule,
    failures: Failures,
    now: Timestamp,
) -> Next {
    let below = Reason::BelowMinimum { amount: owed, minimum: fees.minimum() };
    let charge = refill.unwrap_or(owed);
    match dunning::next(charge, fees, failures.last, failures.count, failures.since, now) {
        Step::Retry(at) if at <= now => match refill {
            Some(amount) => Next::Refill(amount, Reason::Refill { amount }),
            None => Next::Collect(owed, Reason::Again { amount: owed }),
        },
        Step::Retry(at) => Next::Wait(Some(at), Reason::TryAgain { amount: charge, at }),
        // A wallet that cannot be filled is no reason to ask for a tab that could not be collected either.
        Step::AskForAnotherWay | Step::Decide if !fees.takes(owed) => Next::Wait(None, below),
        Step::AskForAnotherWay => Next::Wait(None, Reason::AnotherWay { amount: owed }),
        Step::Decide => Next::Wait(None, Reason::Person { amount: owed }),
        Step::Drop => Next::Wait(None, below),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        collection::{DEFAULT_POLICY, US_CARD},
        currency::Currency,
        money::MICROS_PER_MINOR,
    };
    use jiff::SignedDuration;

    fn cents(cents: i64) -> Money {
        Money::micros(cents * MICROS_PER_MINOR, Currency::USD)
    }

    fn now() -> Timestamp {
        "2026-10-05T00:00:00Z".parse().expect("a time")
    }

    /// By card, since this month, nothing paid ahead, nothing failed.
    fn owing(owed: i64) -> Situation {
        Situation {
            owed: Owed { amount: cents(owed), since: Some(now()) },
            wallet: cents(0),
            refill: None,
            way: Some(Way { fees: US_CARD, failures: None }),
            wish: Wish::AsPolicy,
            closing: false,
            under_way: false,
        }
    }

    fn failed(count: usize, days_ago: i64, last: Failure) -> Option<Way> {
        let since = now() - SignedDuration::from_hours(24 * days_ago);
        Some(Way { fees: US_CARD, failures: Some(Failures { count, since, last }) })
    }

    /// Rows: a situation, and what to do: c collect, d draw, r refill with cents, or w wait with a part of the reason.
    #[test]
    fn one_thing_is_done_at_a_time_and_nothing_that_is_not_due() {
        let refill =
            Some(TopUp { amount: cents(1_000), monthly_ceiling: cents(2_000), this_month: cents(0) });
        let spent = refill.map(|rule| TopUp { this_month: cents(1_500), ..rule });
        for (situation, expected) in [
            (owing(0), "w Nothing is owed"),
            (owing(-5), "w Nothing is owed"),
            (owing(37), "w below the 0.50 USD"),
            (owing(423), "c 423"),
            (Situation { under_way: true, ..owing(423) }, "w on its way"),
            (Situation { way: None, ..owing(423) }, "w before a way to pay is named"),
            (Situation { wallet: cents(100), ..owing(37) }, "d 37"),
            (Situation { wallet: cents(100), way: None, ..owing(423) }, "d 100"),
            (Situation { wallet: cents(10), refill, ..owing(37) }, "r 1000"),
            (Situation { wallet: cents(10), refill, closing: true, ..owing(37) }, "d 10"),
            (Situation { wallet: cents(10), refill: spent, ..owing(37) }, "d 10"),
            (Situation { refill: spent, ..owing(37) }, "w below the 0.50 USD"),
            (Situation { refill, way: None, ..owing(37) }, "w before a way to pay is named"),
            (Situation { closing: true, ..owing(60) }, "c 60"),
            (Situation { wish: Wish::Now, ..owing(60) }, "c 60"),
            (Situation { way: failed(1, 2, Failure::Passing), ..owing(423) }, "w attempt is on 2026-10-06"),
            (Situation { way: failed(1, 3, Failure::Passing), ..owing(423) }, "c 423"),
            (Situation { way: failed(1, 3, Failure::Passing), refill, ..owing(37) }, "r 1000"),
            (Situation { way: failed(1, 0, Failure::Lasting), refill, ..owing(37) }, "w below the 0.50 USD"),
            (Situation { way: failed(1, 0, Failure::Lasting), ..owing(423) }, "w another way"),
            (Situation { way: failed(1, 0, Failure::Lasting), wallet: cents(5), ..owing(423) }, "d 5"),
            (Situation { way: failed(1, 0, Failure::Lasting), wish: Wish::Now, ..owing(423) }, "c 423"),
            (Situation { way: failed(1, 90, Failure::Lasting), ..owing(423) }, "w A person decides"),
            (Situation { way: failed(5, 90, Failure::Passing), ..owing(49) }, "w below the 0.50 USD"),
        ] {
            let minor = |amount: Money| amount.micros / MICROS_PER_MINOR;
            let said = match next(&situation, &DEFAULT_POLICY, now()).expect("small") {
                Next::Draw(amount) => format!("d {}", minor(amount)),
                Next::Refill(amount, _) => format!("r {}", minor(amount)),
                Next::Collect(amount, _) => format!("c {}", minor(amount)),
                Next::Wait(_, why) => format!("w {why}"),
            };
            let (word, rest) = expected.split_once(' ').expect("a word and the rest");
            assert!(said.starts_with(word) && said.contains(rest), "{situation:?}: {said}, not {expected}");
        }
    }
}
