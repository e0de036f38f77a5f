//! Charges: what one subscription's price cost in one hour. Derived, so they can be thrown away and made again.

use crate::{
    money::{Money, MoneyError},
    period::{Hour, Month},
    price::{Position, Price, Pricing},
    subscription::Subscription,
    usage::Usage,
};
use std::{collections::BTreeMap, ops::Range};

/// What a price cost in an hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Charge {
    /// When.
    pub hour: Hour,
    /// How much of the meter; `None` for a recurring price.
    pub quantity: Option<i64>,
    /// The difference that the hour made.
    pub amount: Money,
}

/// What a price cost over a stretch of a month.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rated {
    /// How much of the meter, or how many hours of a recurring price.
    pub quantity: i64,
    /// The sum of the hours' charges.
    pub amount: Money,
}

/// The charge of each hour of a subscription in a month that has begun before `until`; hours that cost nothing for want
/// of usage have none.
pub fn hourly(
    subscription: &Subscription,
    price: &Price,
    usage: &Usage,
    month: Month,
    until: Hour,
) -> Result<Vec<Charge>, MoneyError> {
    let Some(hours) = subscription.hours(month, until) else { return Ok(Vec::new()) };
    let mut before = start(price, month, &hours);
    let steps: Vec<(Hour, Option<i64>)> = match &price.pricing {
        Pricing::Recurring { .. } => each(&hours).map(|hour| (hour, None)).collect(),
        // A minimum grows in hours without usage, too.
        Pricing::Metered(metered) if metered.minimum.is_some() => {
            each(&hours).map(|hour| (hour, Some(usage.at(metered.meter, hour)))).collect()
        }
        Pricing::Metered(metered) => {
            usage.hours(metered.meter, hours.clone()).map(|(hour, used)| (hour, Some(used))).collect()
        }
    };
    steps
        .into_iter()
        .map(|(hour, quantity)| {
            let used = before.quantity.checked_add(quantity.unwrap_or(1)).ok_or(MoneyError::Overflow)?;
            let after = Position { quantity: used, hours: hour.0 + 1 - hours.start.0 };
            let amount = price.between(before, after, month)?;
            before = after;
            Ok(Charge { hour, quantity, amount })
        })
        .collect()
}

/// The sum of [`hourly`], without making each.
pub fn total(
    subscription: &Subscription,
    price: &Price,
    usage: &Usage,
    month: Month,
    until: Hour,
) -> Result<Option<Rated>, MoneyError> {
    let Some(hours) = subscription.hours(month, until) else { return Ok(None) };
    let before = start(price, month, &hours);
    let length = hours.end.0 - hours.start.0;
    let quantity = price.meter().map_or(length, |meter| usage.total(meter, hours));
    let used = before.quantity.checked_add(quantity).ok_or(MoneyError::Overflow)?;
    let after = Position { quantity: used, hours: length };
    Ok(Some(Rated { quantity, amount: price.between(before, after, month)? }))
}

/// Where a subscription begins in a month. Hours of a recurring price are counted from the start of the month, so that
/// two subscriptions that share a month add up to its price, too.
fn start(price: &Price, month: Month, hours: &Range<Hour>) -> Position {
    let quantity = if price.meter().is_some() { 0 } else { hours.start.0 - month.first().0 };
    Position { quantity, hours: 0 }
}

fn each(hours: &Range<Hour>) -> impl Iterator<Item = Hour> + use<> {
    (hours.start.0..hours.end.0).map(Hour)
}

/// What each hour is charged now, less what it was charged before; hours without a difference have none.
/// Usage that becomes known late changes the hours after it, too: they find less of the allowance left.
pub fn difference(now: &[Charge], before: &[Charge]) -> Result<Vec<Charge>, MoneyError> {
    let mut hours: BTreeMap<Hour, Charge> = now.iter().map(|charge| (charge.hour, *charge)).collect();
    for Charge { hour, quantity, amount } in before {
        let nothing =
            Charge { hour: *hour, quantity: quantity.map(|_| 0), amount: Money::zero(amount.currency) };
        let charge = hours.entry(*hour).or_insert(nothing);
        charge.amount = charge.amount.minus(*amount)?;
        charge.quantity = charge.quantity.zip(*quantity).map(|(now, before)| now - before);
    }
    hours.retain(|_, charge| {
        !charge.amount.is_zero() || charge.quantity.is_some_and(|quantity| quantity != 0)
    });
    Ok(hours.into_values().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ids::{SubscriptionId, VendorId},
        price::tests::any_price,
        usage::Meter,
    };
    use proptest::prelude::*;
    use uuid::Uuid;

    proptest! {
        /// Whatever the price, its minimum and its cap: nothing is lost between the hours.
        #[test]
        fn the_hours_of_a_line_add_up_to_it(
            price in any_price(),
            starts in -5_i64..744, length in 1_i64..800,
            used in prop::collection::vec((0_i64..744, 0_i64..5_000_000_000), 0..20),
        ) {
            let month: Month = "2026-10".parse().expect("a month");
            let first = month.first().0;
            let mut usage = Usage::default();
            used.into_iter().for_each(|(hour, quantity)| usage.add(Meter::ParticipantMs, Hour(first + hour), quantity));
            let subscription = Subscription {
                subscription_id: SubscriptionId(Uuid::nil()),
                vendor_id: VendorId(Uuid::nil()),
                plan: String::new(),
                starts: Hour(first + starts),
                ends: Some(Hour(first + starts + length)),
                prices: vec![price.clone()],
            };
            let end = month.next().first();
            let hours = hourly(&subscription, &price, &usage, month, end).expect("small");
            let sum: i64 = hours.iter().map(|charge| charge.amount.micros).sum();
            let whole = total(&subscription, &price, &usage, month, end).expect("small");
            prop_assert_eq!(sum, whole.map_or(0, |rated| rated.amount.micros));
        }
    }
}
