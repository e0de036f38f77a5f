//! When to ask for money: a policy, not a date. Collecting 25 ¢ by card costs 31 ¢, so small tabs wait.
//!
//! [`decide`] is a function of what is owed, of the way to collect it and of what the payer wants. [`settle`] pays a tab
//! from a wallet first; [`dunning`] says what follows when a collection failed; [`next`] puts the three together into what
//! is to be done about a payer now. What came in is laid against the oldest statements ([`allocate`]) and falls to whoever
//! earned it ([`parts`]); [`posting`] says both to the ledger.

mod allocation;
pub mod dunning;
mod fees;
pub mod posting;
mod shares;
mod turn;
mod wallet;

pub use allocation::{Bill, Standing, Stands, allocate, standings};
pub use fees::{FeeSchedule, US_BANK_DEBIT, US_CARD, price_list};
pub use shares::{Claim, Part, parts, parts_back};
pub use turn::{Failures, Next, Situation, Way, next};
pub use wallet::{Filled, Settled, TopUp, fee_of_draw, settle};

use crate::{
    currency::Currency,
    money::{Money, MoneyError},
    period::Month,
    processor::Rail,
};
use jiff::{Timestamp, ToSpan, tz::TimeZone};
use serde::Serialize;
use std::fmt;
use utoipa::ToSchema;

/// When collecting is worth its fee.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// The fee is at most this many hundredths of the amount.
    pub fee_percent_max: i64,
    /// A tab this old is collected as soon as the processor takes it at all.
    pub age_months_max: i64,
}

/// A tenth at most, a year at most.
pub const DEFAULT_POLICY: Policy = Policy { fee_percent_max: 10, age_months_max: 12 };

/// What the payer said about being asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Wish {
    /// Nothing: the policy decides.
    #[default]
    AsPolicy,
    /// To pay now, whatever the fee.
    Now,
    /// Not to be asked for less than this, short of the greatest age.
    AtLeast(Money),
}

/// What a decision depends on besides the tab.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms<'a> {
    /// What the account's way to pay costs.
    pub fees: &'a FeeSchedule,
    /// When that is worth it.
    pub policy: &'a Policy,
    /// What the payer wants.
    pub wish: Wish,
    /// The account is being closed: what waits now would wait for ever.
    pub closing: bool,
}

/// Ask for the tab, or let it grow?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Nothing is due.
    Wait,
    /// The tab is worth asking for.
    Collect,
}

/// A decision with its reason in plain words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Collect {
    /// Ask or wait.
    pub decision: Decision,
    /// For the payer to read.
    pub why: String,
}

/// What an account owes and is not yet asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owed {
    /// How much.
    pub amount: Money,
    /// When the oldest unpaid statement became final.
    pub since: Option<Timestamp>,
}

/// What to do about a tab.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Ask for the whole tab.
    Collect {
        /// So much.
        amount: Money,
        /// As the payer reads it.
        why: Reason,
    },
    /// Nothing is due.
    Wait {
        /// Until then at the longest, if nothing is added; `None` where waiting alone changes nothing.
        until: Option<Timestamp>,
        /// As the payer reads it.
        why: Reason,
    },
}

/// Why a tab is collected or waits. Displayed in plain words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Nothing to collect.
    NothingOwed,
    /// The account's way to pay takes another currency.
    NoWay(Currency),
    /// The processor refuses so little.
    BelowMinimum {
        /// What is owed.
        amount: Money,
        /// What it takes.
        minimum: Money,
    },
    /// The payer wants to pay.
    Asked,
    /// The account ends.
    Closing,
    /// The fee is a small part.
    WorthIt(Fee),
    /// It has waited long enough.
    Old {
        /// What is owed.
        amount: Money,
        /// So long.
        months: i64,
    },
    /// The payer has named no way to pay.
    NoWayYet {
        /// What is owed.
        amount: Money,
    },
    /// A payment is on its way.
    UnderWay,
    /// A payment failed for now.
    TryAgain {
        /// What is owed.
        amount: Money,
        /// When it is tried again.
        at: Timestamp,
    },
    /// A payment failed before and is due again.
    Again {
        /// What is owed.
        amount: Money,
    },
    /// The way to pay does not work any more.
    AnotherWay {
        /// What is owed.
        amount: Money,
    },
    /// Nothing that happens by itself will bring it in.
    Person {
        /// What is owed.
        amount: Money,
    },
    /// The wallet pays.
    Drawn {
        /// So much.
        amount: Money,
    },
    /// The wallet fills itself up.
    Refill {
        /// With so much.
        amount: Money,
    },
    /// The fee is too large a part, or the payer wants to be asked for more at a time.
    NotYet {
        /// What it would cost.
        fee: Fee,
        /// What the tab must reach.
        threshold: Money,
        /// Or when it is old enough.
        due: Option<Timestamp>,
    },
}

/// A fee next to what it is paid for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fee {
    /// What collecting costs.
    pub fee: Money,
    /// In whole hundredths of the amount.
    pub percent: i128,
    /// What is collected.
    pub amount: Money,
}

/// Decides what to do about a tab.
pub fn decide(owed: Owed, now: Timestamp, terms: &Terms<'_>) -> Result<Verdict, MoneyError> {
    let Terms { fees, policy, wish, closing } = *terms;
    let amount = owed.amount;
    let wait = |why| Ok(Verdict::Wait { until: None, why });
    let collect = |why| Ok(Verdict::Collect { amount, why });
    if amount.micros <= 0 {
        return wait(Reason::NothingOwed);
    }
    if amount.currency != fees.currency {
        return wait(Reason::NoWay(amount.currency));
    }
    if !fees.takes(amount) {
        return wait(Reason::BelowMinimum { amount, minimum: fees.minimum() });
    }
    if wish == Wish::Now {
        return collect(Reason::Asked);
    }
    if closing {
        return collect(Reason::Closing);
    }
    let fee = Fee { fee: fees.fee(amount)?, percent: fees.percent(amount)?, amount };
    if fees.is_worth(amount, policy) && wish.allows(amount) {
        return collect(Reason::WorthIt(fee));
    }
    let due = owed.since.map(|since| later(since, policy.age_months_max));
    if due.is_some_and(|due| due <= now) {
        return collect(Reason::Old { amount, months: policy.age_months_max });
    }
    let threshold = wish.raise(fees.threshold(policy));
    Ok(Verdict::Wait { until: due, why: Reason::NotYet { fee, threshold, due } })
}

/// What a statement says of the tab: what the policy makes of it by the price list of the payer's way to pay. Who has named
/// none reads that it goes by that of cards.
pub fn foresee(
    owed: Owed,
    rail: Option<Rail>,
    now: Timestamp,
    policy: &Policy,
) -> Result<Collect, MoneyError> {
    let currency = owed.amount.currency;
    let Some(fees) = price_list(rail.unwrap_or(Rail::Card), currency) else {
        let why = if owed.amount.micros > 0 { Reason::NoWay(currency) } else { Reason::NothingOwed };
        return Ok(Verdict::Wait { until: None, why }.into());
    };
    let terms = Terms { fees: &fees, policy, wish: Wish::AsPolicy, closing: false };
    let verdict = decide(owed, now, &terms)?;
    let by_the_list = !matches!(verdict, Verdict::Wait { why: Reason::NothingOwed, .. });
    let Collect { decision, mut why } = verdict.into();
    if rail.is_none() && by_the_list {
        why.push_str(" This goes by the price list of cards: no way to pay is named yet.");
    }
    Ok(Collect { decision, why })
}

impl Wish {
    fn allows(self, amount: Money) -> bool {
        self.raise(amount) == amount
    }

    /// The greater of a threshold and what the payer set.
    fn raise(self, threshold: Money) -> Money {
        match self {
            Wish::AtLeast(least)
                if least.currency == threshold.currency && least.micros > threshold.micros =>
            {
                least
            }
            _ => threshold,
        }
    }
}

impl From<Verdict> for Collect {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Collect { why, .. } => Collect { decision: Decision::Collect, why: why.to_string() },
            Verdict::Wait { why, .. } => Collect { decision: Decision::Wait, why: why.to_string() },
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::NothingOwed => f.write_str("Nothing is owed."),
            Reason::NoWay(currency) => write!(f, "There is no way yet to collect {currency}."),
            Reason::BelowMinimum { amount, minimum } => {
                write!(f, "{amount} is below the {minimum} that a payment processor takes. Nothing is due.")
            }
            Reason::Asked => f.write_str("You asked to pay now."),
            Reason::Closing => f.write_str("The account is being closed."),
            Reason::WorthIt(Fee { fee, percent, amount }) => {
                write!(f, "A fee of {fee} is {percent} % of {amount}.")
            }
            Reason::Old { amount, months } => {
                write!(f, "The oldest part of {amount} has waited {months} months.")
            }
            Reason::NoWayYet { amount } => {
                write!(f, "{amount} stands on the tab. Nothing is taken before a way to pay is named.")
            }
            Reason::UnderWay => f.write_str("A payment is on its way."),
            Reason::TryAgain { amount, at } => {
                let day = at.to_zoned(TimeZone::UTC).date();
                write!(f, "{amount} could not be collected for now. The next attempt is on {day}.")
            }
            Reason::Again { amount } => {
                write!(f, "{amount} could not be collected before and is tried again.")
            }
            Reason::AnotherWay { amount } => {
                write!(f, "{amount} could not be collected. Please name another way to pay.")
            }
            Reason::Person { amount } => {
                write!(
                    f,
                    "{amount} could not be collected for three months. A person decides what becomes of it."
                )
            }
            Reason::Drawn { amount } => write!(f, "{amount} is about to be taken from the wallet."),
            Reason::Refill { amount } => write!(f, "The wallet fills itself up with {amount}."),
            Reason::NotYet { fee: Fee { fee, percent, amount }, threshold, due } => {
                write!(
                    f,
                    "A fee of {fee} would be {percent} % of {amount}. Nothing is due before the tab reaches {threshold}"
                )?;
                due.map_or(Ok(()), |due| write!(f, " or {}", Month::of(due).name()))?;
                f.write_str(".")
            }
        }
    }
}

/// When the oldest of the statements became final that what is owed belongs to: payments settle the oldest first.
/// The statements come oldest first.
pub fn oldest_unpaid(
    statements: impl DoubleEndedIterator<Item = (Timestamp, Money)>,
    owed: Money,
) -> Option<Timestamp> {
    let mut left = owed.micros;
    let mut oldest = None;
    for (finalized_at, total) in statements.rev() {
        if left <= 0 {
            break;
        }
        if total.micros > 0 {
            oldest = Some(finalized_at);
            left = left.saturating_sub(total.micros);
        }
    }
    oldest
}

/// The same day so many months later, at the end of what a timestamp holds at most.
fn later(since: Timestamp, months: i64) -> Timestamp {
    let zoned = since.to_zoned(TimeZone::UTC);
    zoned.checked_add(months.months()).map_or(Timestamp::MAX, |later| later.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::MICROS_PER_MINOR;
    use proptest::prelude::*;

    fn default_terms() -> Terms<'static> {
        Terms { fees: &US_CARD, policy: &DEFAULT_POLICY, wish: Wish::AsPolicy, closing: false }
    }

    fn cents(cents: i64) -> Money {
        Money::micros(cents * MICROS_PER_MINOR, Currency::USD)
    }

    /// Rows: what is owed, since when, now, what to do and a part of the reason.
    #[test]
    fn collecting_waits_until_it_is_worth_its_fee() {
        for (owed, since, now, decision, why) in [
            (0, None, "2026-10-05", Decision::Wait, "Nothing is owed"),
            (-5, None, "2026-10-05", Decision::Wait, "Nothing is owed"),
            (37, Some("2020-01-01"), "2026-10-05", Decision::Wait, "below the 0.50 USD"),
            (50, Some("2026-10-01"), "2026-10-05", Decision::Wait, "reaches 4.23 USD or October 2027"),
            (422, Some("2026-10-01"), "2026-10-05", Decision::Wait, "0.42 USD would be 10 % of 4.22 USD"),
            (423, Some("2026-10-01"), "2026-10-05", Decision::Collect, "0.42 USD is 10 % of 4.23 USD"),
            (50, Some("2025-10-05"), "2026-10-05", Decision::Collect, "waited 12 months"),
            (50, Some("2025-10-06"), "2026-10-05", Decision::Wait, "October 2026"),
            (50, None, "2026-10-05", Decision::Wait, "reaches 4.23 USD."),
        ] {
            let at = |date: &str| format!("{date}T00:00:00Z").parse::<Timestamp>().expect(date);
            let owed = Owed { amount: cents(owed), since: since.map(at) };
            let answer = Collect::from(decide(owed, at(now), &default_terms()).expect("small"));
            assert_eq!(answer.decision, decision, "{owed:?}: {}", answer.why);
            assert!(answer.why.contains(why), "{owed:?}: {}", answer.why);
        }
    }

    /// Rows: by what the payer pays, what is owed in which currency's minor units, what to do, and the reason.
    #[test]
    fn a_statement_speaks_of_the_way_by_which_its_payer_pays() {
        let now: Timestamp = "2026-10-05T00:00:00Z".parse().expect("a time");
        let card = Some(Rail::Card);
        let by_default = " This goes by the price list of cards: no way to pay is named yet.";
        for (rail, minor, code, decision, why) in [
            (
                card,
                37,
                "USD",
                Decision::Wait,
                "0.37 USD is below the 0.50 USD that a payment processor takes. Nothing is due.",
            ),
            (
                card,
                29,
                "GBP",
                Decision::Wait,
                "0.29 GBP is below the 0.30 GBP that a payment processor takes. Nothing is due.",
            ),
            (card, 423, "USD", Decision::Collect, "A fee of 0.42 USD is 10 % of 4.23 USD."),
            (card, 300, "EUR", Decision::Collect, "A fee of 0.30 EUR is 10 % of 3.00 EUR."),
            (Some(Rail::BankDebit), 100, "USD", Decision::Collect, "A fee of 0.05 USD is 5 % of 1.00 USD."),
            (Some(Rail::BankDebit), 100, "EUR", Decision::Wait, "There is no way yet to collect EUR."),
            (card, 100, "XPF", Decision::Wait, "There is no way yet to collect XPF."),
            (Some(Rail::BankDebit), 0, "EUR", Decision::Wait, "Nothing is owed."),
            (None, 0, "XPF", Decision::Wait, "Nothing is owed."),
            (None, 0, "JPY", Decision::Wait, "Nothing is owed."),
            (
                None,
                423,
                "USD",
                Decision::Collect,
                &format!("A fee of 0.42 USD is 10 % of 4.23 USD.{by_default}"),
            ),
            (
                None,
                40,
                "JPY",
                Decision::Wait,
                &format!(
                    "40 JPY is below the 50 JPY that a payment processor takes. Nothing is due.{by_default}"
                ),
            ),
            (None, 100, "XPF", Decision::Wait, "There is no way yet to collect XPF."),
        ] {
            let amount = Money::micros(minor * MICROS_PER_MINOR, code.parse().expect(code));
            let owed = Owed { amount, since: Some(now) };
            let said = foresee(owed, rail, now, &DEFAULT_POLICY).expect("small");
            assert_eq!((said.decision, said.why.as_str()), (decision, why), "{rail:?}");
        }
    }

    /// Rows: what is owed, what the payer wants, whether the account ends, and what follows.
    #[test]
    fn a_payer_may_pay_now_or_less_often_and_a_closing_account_pays_what_can_be_collected() {
        let now: Timestamp = "2026-10-05T00:00:00Z".parse().expect("a time");
        for (owed, wish, closing, decision, why) in [
            (50, Wish::Now, false, Decision::Collect, "asked"),
            (49, Wish::Now, false, Decision::Wait, "below the 0.50 USD"),
            (500, Wish::AtLeast(cents(1_000)), false, Decision::Wait, "reaches 10.00 USD or October 2027"),
            (1_000, Wish::AtLeast(cents(1_000)), false, Decision::Collect, "6 % of 10.00 USD"),
            (100, Wish::AtLeast(cents(100)), false, Decision::Wait, "reaches 4.23 USD"),
            (50, Wish::AsPolicy, true, Decision::Collect, "closed"),
            (49, Wish::AsPolicy, true, Decision::Wait, "below the 0.50 USD"),
        ] {
            let terms = Terms { wish, closing, ..default_terms() };
            let owed = Owed { amount: cents(owed), since: Some(now) };
            let answer = Collect::from(decide(owed, now, &terms).expect("small"));
            assert_eq!(answer.decision, decision, "{owed:?}: {}", answer.why);
            assert!(answer.why.contains(why), "{owed:?}: {}", answer.why);
        }
    }

    proptest! {
        /// No fee above a tenth, unless the tab is a year old, and never below what the processor takes. A tab is whole minor
        /// units, as is what it is worth to collect.
        #[test]
        fn nothing_is_collected_that_is_not_worth_it(cents in -1_i64..2_000, age_days in 0_i64..800) {
            let now: Timestamp = "2026-10-05T00:00:00Z".parse().expect("a time");
            let since = now - jiff::SignedDuration::from_hours(24 * age_days);
            let amount = Money::micros(cents * MICROS_PER_MINOR, Currency::USD);
            let owed = Owed { amount, since: Some(since) };
            let answer = Collect::from(decide(owed, now, &default_terms()).expect("small"));
            let worth = amount.micros >= US_CARD.threshold(&DEFAULT_POLICY).micros;
            let old = age_days >= 366 && amount.micros >= US_CARD.minimum_micros;
            match answer.decision {
                Decision::Collect => prop_assert!(worth || amount.micros >= US_CARD.minimum_micros && age_days >= 365),
                Decision::Wait => prop_assert!(!worth && !old),
            }
        }
    }

    #[test]
    fn payments_settle_the_oldest_statement_first() {
        let at = |month: i64| Timestamp::from_second(month * 2_592_000).expect("a time");
        let statements = [(at(1), cents(25)), (at(2), cents(0)), (at(3), cents(30)), (at(4), cents(25))];
        for (owed, oldest) in [
            (80, Some(at(1))),
            (56, Some(at(1))),
            (55, Some(at(3))),
            (26, Some(at(3))),
            (25, Some(at(4))),
            (0, None),
        ] {
            assert_eq!(oldest_unpaid(statements.into_iter(), cents(owed)), oldest, "{owed}");
        }
    }
}
