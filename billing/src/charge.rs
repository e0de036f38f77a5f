//! Charges: what one subscription's price cost in one hour. Derived, so they can be thrown away and made again.

use crate::{
    money::{Money, MoneyError},
    period::{Hour, Month},
    price::Price,
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

/// The charge of each hour of a subscription in a month that has begun before `until`; hours without usage have none.
pub fn hourly(
    subscription: &Subscription,
    price: &Price,
    usage: &Usage,
    month: Month,
    until: Hour,
) -> Result<Vec<Charge>, MoneyError> {
    let Some(hours) = subscription.hours(month, until) else { return Ok(Vec::new()) };
    let Some(meter) = price.meter() else { return recurring_hours(price, month, hours) };
    let mut used = 0_i64;
    usage
        .hours(meter, hours)
        .map(|(hour, quantity)| {
            let before = used;
            used = used.checked_add(quantity).ok_or(MoneyError::Overflow)?;
            let amount = price.between(before, used, month)?;
            Ok(Charge { hour, quantity: Some(quantity), amount })
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
    let rated = match price.meter() {
        Some(meter) => {
            let quantity = usage.total(meter, hours);
            Rated { quantity, amount: price.cumulative(quantity, month)? }
        }
        None => {
            let (before, after) = within(month, &hours);
            Rated { quantity: after - before, amount: price.between(before, after, month)? }
        }
    };
    Ok(Some(rated))
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

fn recurring_hours(price: &Price, month: Month, hours: Range<Hour>) -> Result<Vec<Charge>, MoneyError> {
    let first = month.first().0;
    (hours.start.0..hours.end.0)
        .map(|hour| {
            let amount = price.between(hour - first, hour - first + 1, month)?;
            Ok(Charge { hour: Hour(hour), quantity: None, amount })
        })
        .collect()
}

/// Hours counted from the start of the month, so that two subscriptions that share a month add up to its price, too.
fn within(month: Month, hours: &Range<Hour>) -> (i64, i64) {
    (hours.start.0 - month.first().0, hours.end.0 - month.first().0)
}
