//! When to ask for money: a policy, not a date. Collecting 25 ¢ by card costs 31 ¢, so small tabs wait.

use crate::{
    currency::Currency,
    money::{MICROS_PER_MINOR, Money, MoneyError, round_half_even},
    period::Month,
};
use jiff::{Timestamp, ToSpan, tz::TimeZone};
use serde::Serialize;
use utoipa::ToSchema;

/// What one collection costs and what the processor takes at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeeSchedule {
    /// In which currency the fixed parts are.
    pub currency: Currency,
    /// Thousandths of the amount: 29 is 2.9 %.
    pub share_per_mille: i64,
    /// On top, each time.
    pub fixed_micros: i64,
    /// The processor refuses less.
    pub minimum_micros: i64,
}

/// When collecting is worth its fee.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// The fee is at most this many hundredths of the amount.
    pub fee_percent_max: i64,
    /// A tab this old is collected as soon as the processor takes it at all.
    pub age_months_max: i64,
}

/// The price list of US cards.
pub const US_CARD: FeeSchedule = FeeSchedule {
    currency: Currency::USD,
    share_per_mille: 29,
    fixed_micros: 30 * MICROS_PER_MINOR,
    minimum_micros: 50 * MICROS_PER_MINOR,
};

/// A tenth at most, a year at most.
pub const DEFAULT_POLICY: Policy = Policy { fee_percent_max: 10, age_months_max: 12 };

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

/// Decides what to do about a tab.
pub fn decide(
    owed: Owed,
    now: Timestamp,
    fees: &FeeSchedule,
    policy: &Policy,
) -> Result<Collect, MoneyError> {
    let Owed { amount, since } = owed;
    if amount.micros <= 0 {
        return Ok(wait("Nothing is owed.".to_owned()));
    }
    if amount.currency != fees.currency {
        return Ok(wait(format!("There is no way yet to collect {}.", amount.currency)));
    }
    let minimum = Money::micros(fees.minimum_micros, fees.currency);
    if amount.micros < minimum.micros {
        return Ok(wait(format!(
            "{amount} is below the {minimum} that a card processor takes. Nothing is due."
        )));
    }
    let fee = fees.fee(amount)?;
    let percent = fees.percent(amount)?;
    if fees.is_worth(amount, policy) {
        return Ok(collect(format!("A card fee of {fee} is {percent} % of {amount}.")));
    }
    let age_max = policy.age_months_max;
    match since.map(|since| later(since, age_max)) {
        Some(due) if due <= now => {
            Ok(collect(format!("The oldest part of {amount} has waited {age_max} months.")))
        }
        due => {
            let threshold = fees.threshold(policy);
            let until = due.map(|due| format!(" or {}", Month::of(due).name())).unwrap_or_default();
            Ok(wait(format!(
                "A card fee of {fee} would be {percent} % of {amount}. Nothing is due before the tab reaches {threshold}{until}."
            )))
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

impl FeeSchedule {
    /// What collecting an amount costs, to the minor unit.
    pub fn fee(&self, amount: Money) -> Result<Money, MoneyError> {
        let share = round_half_even(i128::from(amount.micros) * i128::from(self.share_per_mille), 1_000);
        let share = i64::try_from(share).map_err(|_| MoneyError::Overflow)?;
        let fee =
            Money::micros(share, self.currency).plus(Money::micros(self.fixed_micros, self.currency))?;
        Ok(fee.to_minor_unit())
    }

    /// Is the exact fee a small enough part of the amount?
    fn is_worth(&self, amount: Money, policy: &Policy) -> bool {
        let fee_mille = i128::from(amount.micros) * i128::from(self.share_per_mille)
            + i128::from(self.fixed_micros) * 1_000;
        fee_mille <= i128::from(amount.micros) * i128::from(policy.fee_percent_max) * 10
    }

    /// The fee in whole hundredths of the amount, rounded.
    fn percent(&self, amount: Money) -> Result<i128, MoneyError> {
        let fee = self.fee(amount)?;
        Ok(round_half_even(i128::from(fee.micros) * 100, i128::from(amount.micros).max(1)))
    }

    /// The smallest whole amount that is worth its fee.
    pub fn threshold(&self, policy: &Policy) -> Money {
        let per_mille = (policy.fee_percent_max * 10 - self.share_per_mille).max(1);
        let micros = i128::from(self.fixed_micros) * 1_000 / i128::from(per_mille);
        let minor = micros.unsigned_abs().div_ceil(MICROS_PER_MINOR.unsigned_abs().into());
        let micros = i64::try_from(minor).unwrap_or(i64::MAX).saturating_mul(MICROS_PER_MINOR);
        Money::micros(micros, self.currency)
    }
}

/// The same day so many months later, at the end of what a timestamp holds at most.
fn later(since: Timestamp, months: i64) -> Timestamp {
    let zoned = since.to_zoned(TimeZone::UTC);
    zoned.checked_add(months.months()).map_or(Timestamp::MAX, |later| later.timestamp())
}

fn wait(why: String) -> Collect {
    Collect { decision: Decision::Wait, why }
}

fn collect(why: String) -> Collect {
    Collect { decision: Decision::Collect, why }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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
            let answer = decide(owed, at(now), &US_CARD, &DEFAULT_POLICY).expect("small");
            assert_eq!(answer.decision, decision, "{owed:?}: {}", answer.why);
            assert!(answer.why.contains(why), "{owed:?}: {}", answer.why);
        }
    }

    proptest! {
        /// No fee above a tenth, unless the tab is a year old, and never below what the processor takes.
        #[test]
        fn nothing_is_collected_that_is_not_worth_it(micros in -1_000_000_i64..2_000_000_000, age_days in 0_i64..800) {
            let now: Timestamp = "2026-10-05T00:00:00Z".parse().expect("a time");
            let since = now - jiff::SignedDuration::from_hours(24 * age_days);
            let amount = Money::micros(micros, Currency::USD);
            let owed = Owed { amount, since: Some(since) };
            let answer = decide(owed, now, &US_CARD, &DEFAULT_POLICY).expect("small");
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
