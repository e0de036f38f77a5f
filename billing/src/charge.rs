//! Charges: what one subscription's price cost in one hour. Derived, so they can be thrown away and made again.

use crate::{
    money::{Money, MoneyError},
    period::{Hour, Month},
    price::{Accrual, Metered, Position, Price, Pricing},
    subscription::{Stretch, Subscription},
    usage::{Tally, Usage},
};
use std::{collections::BTreeMap, ops::Range};

/// What a price cost in an hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Charge {
    /// When.
    pub hour: Hour,
    /// By how much the month's quantity grew; `None` for a recurring price.
    pub quantity: Option<i64>,
    /// The difference that the hour made.
    pub amount: Money,
}

/// What a price cost over a stretch of a month.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rated {
    /// How much of the meter, or how many hours of a recurring price; of one that counts, an hour for each one held.
    pub quantity: i64,
    /// The sum of the hours' charges.
    pub amount: Money,
}

/// The charge of each paid hour of a subscription in a month that has begun before `until`; hours that cost nothing for
/// want of usage have none.
pub fn hourly(
    subscription: &Subscription,
    price: &Price,
    usage: &Usage,
    month: Month,
    until: Hour,
) -> Result<Vec<Charge>, MoneyError> {
    let stretches = subscription.stretches(month, until);
    match &price.pricing {
        Pricing::Metered(metered) => metered_hours(price, metered, &stretches, usage, month),
        Pricing::Recurring { .. } | Pricing::Counted(_) => recurring_hours(price, &stretches, month),
    }
}

fn recurring_hours(price: &Price, stretches: &[Stretch], month: Month) -> Result<Vec<Charge>, MoneyError> {
    let Some(mut accrual) = accrual(price, stretches, month)? else { return Ok(Vec::new()) };
    let (mut charges, mut before) = (Vec::new(), accrual.due()?);
    for stretch in stretches {
        let Some((amount, _)) = price.recurring(stretch.held)? else { continue };
        for hour in each(&stretch.hours) {
            accrual.add(1, amount);
            let after = accrual.due()?;
            charges.push(Charge { hour, quantity: None, amount: after.minus(before)? });
            before = after;
        }
    }
    Ok(charges)
}

fn metered_hours(
    price: &Price,
    metered: &Metered,
    stretches: &[Stretch],
    usage: &Usage,
    month: Month,
) -> Result<Vec<Charge>, MoneyError> {
    let (mut before, mut so_far) = (Position::default(), Tally::Nothing);
    let mut hours_before = 0;
    let mut charges = Vec::new();
    for Stretch { hours, .. } in stretches {
        let mut used: BTreeMap<Hour, &Tally> = usage.hours(metered.meter, hours.clone()).collect();
        if metered.minimum.is_some() {
            // A minimum grows in hours without usage, too.
            each(hours).for_each(|hour| {
                used.entry(hour).or_insert(&Tally::Nothing);
            });
        }
        for (hour, tally) in used {
            so_far.then(tally);
            let hours = hours_before + hour.0 + 1 - hours.start.0;
            let after = Position { quantity: so_far.quantity(), hours };
            let amount = price.between(before, after, month)?;
            let quantity = after.quantity.checked_sub(before.quantity).ok_or(MoneyError::Overflow)?;
            before = after;
            charges.push(Charge { hour, quantity: Some(quantity), amount });
        }
        hours_before += length(hours);
    }
    Ok(charges)
}

/// The sum of [`hourly`], without making each; `None` where no hour is paid.
pub fn total(
    subscription: &Subscription,
    price: &Price,
    usage: &Usage,
    month: Month,
    until: Hour,
) -> Result<Option<Rated>, MoneyError> {
    let stretches = subscription.stretches(month, until);
    if stretches.is_empty() {
        return Ok(None);
    }
    let hours = stretches.iter().map(|stretch| length(&stretch.hours)).sum();
    if let Some(meter) = price.meter() {
        let quantity = usage.total(meter, stretches.iter().map(|stretch| stretch.hours.clone()));
        let amount = price.between(Position::default(), Position { quantity, hours }, month)?;
        return Ok(Some(Rated { quantity, amount }));
    }
    let Some(mut accrual) = accrual(price, &stretches, month)? else { return Ok(None) };
    let mut quantity = 0;
    for stretch in &stretches {
        if let Some((amount, _)) = price.recurring(stretch.held)? {
            accrual.add(length(&stretch.hours), amount);
            quantity += length(&stretch.hours) * price.counts(stretch.held);
        }
    }
    Ok(Some(Rated { quantity, amount: accrual.due()? }))
}

/// A recurring price at the first paid hour of a month.
fn accrual(price: &Price, stretches: &[Stretch], month: Month) -> Result<Option<Accrual>, MoneyError> {
    let Some(first) = stretches.first() else { return Ok(None) };
    let hour = first.hours.start.0 - month.first().0;
    let recurring = price.recurring(first.held)?;
    Ok(recurring.map(|(amount, every)| Accrual::starting(every, month, hour, amount)))
}

fn length(hours: &Range<Hour>) -> i64 {
    hours.end.0 - hours.start.0
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
        price::{Quantities, tests::any_price},
        subscription::Terms,
        usage::Meter,
    };
    use proptest::prelude::*;
    use uuid::Uuid;

    fn sum(quantity: i64) -> Tally {
        Tally::Sum(quantity)
    }

    fn maximum(quantity: i64) -> Tally {
        Tally::Maximum(quantity)
    }

    fn latest(quantity: i64) -> Tally {
        Tally::Latest(quantity)
    }

    fn unique(quantity: i64) -> Tally {
        Tally::Unique(
            (0..quantity.unsigned_abs() % 7).map(|n| u128::from(n * quantity.unsigned_abs() % 11)).collect(),
        )
    }

    fn held(quantity: i64) -> Tally {
        Tally::TimeWeighted(i128::from(quantity) * 1_234_567_891)
    }

    proptest! {
        /// Whatever the price, its minimum and its cap, and however the meter aggregates: nothing is lost between the hours,
        /// paused ones or not.
        #[test]
        fn the_hours_of_a_line_add_up_to_it(
            price in any_price(),
            starts in -5_i64..744, length in 1_i64..800,
            used in prop::collection::vec((0_i64..744, 0_i64..5_000_000_000), 0..20),
            kind in prop::sample::select(vec![sum, maximum, latest, unique, held]),
            pause in prop::option::of((0_i64..744, 1_i64..400)),
        ) {
            let month: Month = "2026-10".parse().expect("a month");
            let first = month.first().0;
            let mut usage = Usage::default();
            used.into_iter().for_each(|(hour, quantity)| usage.tally(Meter::ParticipantMs, Hour(first + hour), &kind(quantity)));
            let terms = |(from, hours): (i64, i64)| {
                [(from, false), (from + hours, true)]
                    .map(|(from, is_paid)| Terms { from: Hour(first + from), is_paid, held: Quantities::default() })
            };
            let subscription = Subscription {
                subscription_id: SubscriptionId(Uuid::nil()),
                vendor_id: VendorId(Uuid::nil()),
                plan: String::new(),
                tax: Default::default(),
                plan_id: crate::ids::PlanId(Uuid::nil()),
                starts: Hour(first + starts),
                ends: Some(Hour(first + starts + length)),
                prices: vec![price.clone()],
                terms: pause.map(terms).into_iter().flatten().collect(),
            };
            let end = month.next().first();
            let hours = hourly(&subscription, &price, &usage, month, end).expect("small");
            let sum: i64 = hours.iter().map(|charge| charge.amount.micros).sum();
            let whole = total(&subscription, &price, &usage, month, end).expect("small");
            prop_assert_eq!(sum, whole.map_or(0, |rated| rated.amount.micros));
        }
    }
}
