//! From facts to lines: what each price of each subscription ought to have billed for each month.

use super::{
    Findings, Rule,
    changed::{self, Span},
    discounts, events,
    evidence::{Evidence, Line, PriceRow, Sold},
    price::{Stretch, micros},
};
use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// Which price of which subscription, in which month.
type Key = (Uuid, Uuid, Date);

pub(super) fn examine(evidence: &Evidence, found: &mut Findings) {
    for leg in &evidence.unknown_legs {
        found.add(Rule::UsageHasALeg, format!("leg {leg}"), "a leg that is known", "facts of it");
    }
    let billed = billed(evidence.statements.iter().flat_map(|statement| &statement.lines));
    let finals: BTreeSet<Date> = evidence.statements.iter().map(|statement| day(statement.starts)).collect();
    for month in &finals {
        // A month that facts came for since is right only together with the draft that bills them.
        if evidence.late.contains(month) {
            never_falls(evidence, *month, &billed, found);
        } else {
            compare(evidence, *month, end(*month), &billed, Rule::LineBillsUsage, found);
        }
    }
    if let Some((month, as_of, lines)) = &evidence.draft {
        discounts::examine(evidence, *month, lines, "draft", found);
        draft(evidence, (*month, *as_of, lines), &billed, found);
    }
}

/// Counters only grow: what was billed once has been used for ever. Events may be corrected.
fn never_falls(evidence: &Evidence, month: Date, billed: &BTreeMap<Key, (i64, i64)>, found: &mut Findings) {
    for sold in &evidence.sold {
        let is_counter =
            |price: &&PriceRow| !evidence.meters.iter().any(|it| price.meter.as_ref() == Some(&it.name));
        for price in sold.prices.iter().filter(is_counter) {
            let key = (sold.subscription, price.price, month);
            let (quantity, _) = billed.get(&key).copied().unwrap_or_default();
            let used = owed(evidence, sold, price, month, end(month)).map_or(0, |(used, _)| used);
            if used < quantity {
                let place = format!("subscription {}, price {}, {month}", sold.subscription, price.price);
                found.add(Rule::UsageNeverFalls, place, format!("at least {quantity}"), used);
            }
        }
    }
}

/// The draft bills its own month, and what late facts changed in the months before.
fn draft(
    evidence: &Evidence,
    (month, as_of, lines): (Date, Timestamp, &[Line]),
    billed: &BTreeMap<Key, (i64, i64)>,
    found: &mut Findings,
) {
    let drafted = self::billed(lines);
    compare(evidence, month, as_of.min(end(month)), &drafted, Rule::DraftBillsUsage, found);
    for late in evidence.late.iter().filter(|late| **late < month) {
        let mut both = billed.clone();
        for (key, (quantity, amount)) in drafted.iter().filter(|((_, _, of), _)| of == late) {
            let sum = both.entry(*key).or_default();
            *sum = (sum.0 + quantity, sum.1 + amount);
        }
        compare(evidence, *late, end(*late), &both, Rule::DraftBillsUsage, found);
    }
}

/// Compares what every price comes to in a month before `until` with what lines say about it.
fn compare(
    evidence: &Evidence,
    month: Date,
    until: Timestamp,
    billed: &BTreeMap<Key, (i64, i64)>,
    rule: Rule,
    found: &mut Findings,
) {
    for sold in &evidence.sold {
        for price in &sold.prices {
            let key = (sold.subscription, price.price, month);
            let place = format!("subscription {}, price {}, {month}", sold.subscription, price.price);
            let expected = owed(evidence, sold, price, month, until);
            let (quantity, amount) = billed.get(&key).copied().unwrap_or_default();
            match expected {
                Some((used, micros)) => {
                    found.compare(rule, format!("{place}, micros"), micros, amount);
                    // Usage that comes late and costs nothing makes no line.
                    if !(evidence.late.contains(&month) && micros == amount) {
                        found.compare(rule, format!("{place}, quantity"), used, quantity);
                    }
                }
                None => found.add(rule, place, "a price that can be read", format!("{price:?}")),
            }
        }
    }
}

/// Quantity and micros that a price comes to in a month before `until`.
fn owed(
    evidence: &Evidence,
    sold: &Sold,
    price: &PriceRow,
    month: Date,
    until: Timestamp,
) -> Option<(i64, i64)> {
    let (first, last) = (start(month), end(month));
    let index = i64::from(month.year()) * 12 + i64::from(month.month()) - 1;
    if !sold.decisions.is_empty() {
        let until = begun(until).min(last);
        return changed::owed(
            evidence,
            sold,
            price,
            &Span { first, until, length: hours(first, last), index },
        );
    }
    let starts = sold.starts.max(first);
    let ends = sold.ends.map_or(last, |ends| ends.min(last)).min(begun(until));
    if starts >= ends {
        return Some((0, 0));
    }
    let used = match &price.meter {
        None => hours(starts, ends),
        Some(meter) => events::used(evidence, meter, &each_hour(starts, ends))?,
    };
    let stretch =
        Stretch { from: hours(first, starts), to: hours(first, ends), length: hours(first, last), index };
    Some((used, micros(price, used, stretch)?))
}

/// What lines say about each price of each subscription in each month.
fn billed<'a>(lines: impl IntoIterator<Item = &'a Line>) -> BTreeMap<Key, (i64, i64)> {
    let mut billed: BTreeMap<Key, (i64, i64)> = BTreeMap::new();
    for line in lines.into_iter().filter(|line| line.discount.is_none()) {
        let sum = billed.entry((line.subscription, line.price, line.month)).or_default();
        *sum = (sum.0.saturating_add(line.quantity.unwrap_or(0)), sum.1.saturating_add(line.amount));
    }
    billed
}

/// The end of the hour that an instant lies in: an hour that has begun is counted.
fn begun(until: Timestamp) -> Timestamp {
    let seconds = until.as_second();
    let whole = seconds.rem_euclid(3_600) == 0 && until.subsec_nanosecond() == 0;
    let next = seconds.div_euclid(3_600) * 3_600 + 3_600;
    if whole { until } else { Timestamp::from_second(next).unwrap_or(Timestamp::MAX) }
}

fn each_hour(from: Timestamp, to: Timestamp) -> Vec<Timestamp> {
    let hour = |hours| from.checked_add(SignedDuration::from_hours(hours)).ok();
    (0..hours(from, to)).filter_map(hour).collect()
}

fn hours(from: Timestamp, to: Timestamp) -> i64 {
    (to.as_second() - from.as_second()) / 3_600
}

/// The first day of the month that an instant lies in.
pub(super) fn day(at: Timestamp) -> Date {
    at.to_zoned(TimeZone::UTC).date().first_of_month()
}

/// A month's first instant.
pub(super) fn start(month: Date) -> Timestamp {
    month.to_zoned(TimeZone::UTC).map_or(Timestamp::MIN, |zoned| zoned.timestamp())
}

/// The first instant after it.
pub(super) fn end(month: Date) -> Timestamp {
    let next = month.last_of_month().tomorrow();
    next.map_or(Timestamp::MAX, start)
}
