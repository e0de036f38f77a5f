//! Subscriptions that were changed: worked out hour by hour, asking for each what the last decision about it says.

use super::{
    events,
    evidence::{Evidence, PriceRow, Sold},
    price::{Stretch, held, micros},
};
use crate::money::round_half_even;
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

/// A decision as its row says.
#[derive(Debug, Clone)]
pub struct Decision {
    /// Its place among the decisions about the subscription; 0 is how it began.
    pub sequence: i32,
    /// The first hour that it is about.
    pub from: Timestamp,
    /// `trial`, `active`, `paused` or `ended`.
    pub state: String,
    /// On which plan version.
    pub plan_version: Uuid,
    /// Who pays.
    pub payer: Uuid,
    /// How many seats, rooms and mailboxes are held.
    pub held: [i32; 3],
}

/// A month, and the hours of it that have begun.
pub(super) struct Span {
    pub(super) first: Timestamp,
    pub(super) until: Timestamp,
    pub(super) length: i64,
    pub(super) index: i64,
}

/// Quantity and micros that a price comes to in the hours that the account pays.
pub(super) fn owed(evidence: &Evidence, sold: &Sold, price: &PriceRow, span: &Span) -> Option<(i64, i64)> {
    let mut paid: Vec<(i64, Timestamp, [i32; 3])> = Vec::new();
    let mut hour = span.first;
    for place in 0.. {
        if hour >= span.until {
            break;
        }
        let known = sold.decisions.iter().filter(|it| it.from <= hour);
        if let Some(last) = known.max_by_key(|it| (it.sequence, it.from))
            && (last.state.as_str(), last.plan_version, last.payer)
                == ("active", sold.plan_version, evidence.account)
        {
            paid.push((place, hour, last.held));
        }
        hour = hour.checked_add(SignedDuration::from_hours(1)).ok()?;
    }
    match &price.meter {
        Some(meter) => {
            let hours: Vec<Timestamp> = paid.iter().map(|(_, hour, _)| *hour).collect();
            let used = events::used(evidence, meter, &hours)?;
            let hours = i64::try_from(paid.len()).ok()?;
            let stretch = Stretch { from: 0, to: hours, length: span.length, index: span.index };
            Some((used, micros(price, used, stretch)?))
        }
        None => recurring(price, &paid, span),
    }
}

/// Adds up what each hour weighs, and divides once.
fn recurring(price: &PriceRow, paid: &[(i64, Timestamp, [i32; 3])], span: &Span) -> Option<(i64, i64)> {
    let (months, before) = match price.unit.as_str() {
        "month" => (1, 0),
        "year" => (12, span.index.rem_euclid(12)),
        _ => return None,
    };
    let Some((first, _, begins_with)) = paid.first() else { return Some((0, 0)) };
    let (mut weight, mut quantity) = (0_i128, 0_i64);
    for (_, _, counts) in paid {
        let (count, amount) = held(price, *counts)?;
        (weight, quantity) = (weight + amount, quantity + count);
    }
    let whole = i128::from(months * span.length);
    let (_, amount) = held(price, *begins_with)?;
    let begun = amount * i128::from(before * span.length + first);
    let micros = round_half_even(begun + weight, whole) - round_half_even(begun, whole);
    Some((quantity, i64::try_from(micros).ok()?))
}

#[cfg(test)]
mod tests {
    use super::super::{examine, tests::kept::any_changed_books};
    use proptest::prelude::*;

    proptest! {
        /// However a subscription was changed: the auditor, who goes hour by hour, finds nothing.
        #[test]
        fn the_audit_agrees_about_changed_subscriptions(evidence in any_changed_books()) {
            prop_assert_eq!(examine(&evidence), []);
        }

        /// And a decision that somebody edits afterwards is found, unless nothing was paid.
        #[test]
        fn a_decision_that_was_edited_is_found(evidence in any_changed_books()) {
            let mut evidence = evidence;
            let billed = |it: &super::super::Line| it.amount != 0;
            if !evidence.statements.iter().any(|it| it.lines.iter().any(billed)) {
                return Ok(());
            }
            for sold in &mut evidence.sold {
                sold.decisions.iter_mut().for_each(|decision| decision.state = "paused".into());
            }
            prop_assert_ne!(examine(&evidence), []);
        }
    }
}
