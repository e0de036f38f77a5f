//! What happens after a collection failed: a few more attempts on a schedule, then a person decides.
//!
//! Nobody is dunned for a sum that could not be collected anyway, and no account is suspended for one.

use super::FeeSchedule;
use crate::money::Money;
use jiff::{SignedDuration, Timestamp};

/// Why a processor did not collect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// For now: no funds, a network away. Trying again may help.
    Passing,
    /// For good: the card is lost, the account closed. Only the payer can help.
    Lasting,
}

/// What to do next about a tab that could not be collected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Nothing was to be collected in the first place.
    Drop,
    /// Try again then.
    Retry(Timestamp),
    /// Ask the payer for another way to pay; the tab goes on.
    AskForAnotherWay,
    /// Put it before a person of the vendor: further waiting, or a write-off.
    Decide,
}

/// Days after the first failure at which it is tried again: banks pay wages at the end of weeks and months.
const RETRY_AFTER_DAYS: [i64; 4] = [3, 7, 14, 28];
/// So long the payer has to name another way.
const PATIENCE_DAYS: i64 = 90;

/// The next step for what failed first at `since` and now for the `failures`th time.
pub fn next(
    owed: Money,
    fees: &FeeSchedule,
    failure: Failure,
    failures: usize,
    since: Timestamp,
    now: Timestamp,
) -> Step {
    let days =
        |days: i64| since.saturating_add(SignedDuration::from_hours(24 * days)).unwrap_or(Timestamp::MAX);
    let retry = failures.checked_sub(1).and_then(|made| RETRY_AFTER_DAYS.get(made));
    match (failure, retry) {
        _ if !fees.takes(owed) => Step::Drop,
        (Failure::Passing, Some(after)) => Step::Retry(days(*after).max(now)),
        _ if now < days(PATIENCE_DAYS) => Step::AskForAnotherWay,
        _ => Step::Decide,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{collection::US_CARD, currency::Currency, money::MICROS_PER_MINOR};

    /// Rows: owed, why it failed, how often, on which day; then the step, a retry by its day.
    #[test]
    fn a_failed_collection_is_tried_again_on_a_schedule_and_never_for_too_little() {
        let since: Timestamp = "2026-10-05T00:00:00Z".parse().expect("a time");
        let day = |days: i64| since + SignedDuration::from_hours(24 * days);
        for (owed, failure, failures, on, step) in [
            (500, Failure::Passing, 1, 0, Step::Retry(day(3))),
            (500, Failure::Passing, 2, 3, Step::Retry(day(7))),
            (500, Failure::Passing, 4, 14, Step::Retry(day(28))),
            (500, Failure::Passing, 4, 40, Step::Retry(day(40))), // nobody tried in time: now
            (500, Failure::Passing, 5, 28, Step::AskForAnotherWay),
            (500, Failure::Lasting, 1, 0, Step::AskForAnotherWay),
            (500, Failure::Lasting, 1, 89, Step::AskForAnotherWay),
            (500, Failure::Lasting, 1, 90, Step::Decide),
            (49, Failure::Passing, 1, 0, Step::Drop),
            (49, Failure::Lasting, 1, 400, Step::Drop),
        ] {
            let owed = Money::micros(owed * MICROS_PER_MINOR, Currency::USD);
            assert_eq!(
                next(owed, &US_CARD, failure, failures, since, day(on)),
                step,
                "{failures} on day {on}"
            );
        }
    }
}
