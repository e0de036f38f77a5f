//! What a price row comes to over a stretch of a month, worked out from its definition and not as a difference.

use super::evidence::PriceRow;
use crate::money::round_half_even;

/// A stretch of a month: hours `from` to `to` of `length`, in the `index`th month of any row of months.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stretch {
    pub(super) from: i64,
    pub(super) to: i64,
    pub(super) length: i64,
    pub(super) index: i64,
}

/// Micros; `None` for a row that cannot be read or a sum that is too large.
pub(super) fn micros(row: &PriceRow, used: i64, stretch: Stretch) -> Option<i64> {
    let exact = match row.meter {
        None => recurring(row, stretch)?,
        Some(_) => {
            let usage = metered(row, i128::from(used.saturating_sub(row.included)).max(0))?;
            let hours = i128::from(stretch.to - stretch.from);
            let least = i128::from(row.minimum.unwrap_or(0)) * hours;
            let least = round_half_even(least, i128::from(stretch.length));
            row.cap.map_or(usage.max(least), |cap| usage.max(least).min(cap.into()))
        }
    };
    i64::try_from(exact).ok()
}

/// How many are held of what a recurring price counts, and what that many cost for a whole period.
pub(super) fn held(row: &PriceRow, [seats, rooms, mailboxes]: [i32; 3]) -> Option<(i64, i128)> {
    let count = match row.per.as_str() {
        "subscription" => return Some((1, (*row.rates.first()?).into())),
        "seat" => seats,
        "room" => rooms,
        "mailbox" => mailboxes,
        _ => return None,
    };
    let price = metered(row, (i128::from(count) - i128::from(row.included)).max(0))?;
    let least = price.max(row.minimum.unwrap_or(0).into());
    Some((count.into(), row.cap.map_or(least, |cap| least.min(cap.into()))))
}

/// Where the hours of the stretch lie on the way from nothing to the amount: in its month, or among the twelve of a year.
fn recurring(row: &PriceRow, Stretch { from, to, length, index }: Stretch) -> Option<i128> {
    let amount = i128::from(*row.rates.first()?);
    let (months, month) = match row.unit.as_str() {
        "month" => (1, 0),
        "year" => (12, index.rem_euclid(12)),
        _ => return None,
    };
    let place = |hour: i64| i128::from(month * length + hour) * amount;
    let whole = i128::from(months * length);
    let begun = round_half_even(i128::from(month * length) * amount, whole);
    Some((round_half_even(place(to), whole) - begun) - (round_half_even(place(from), whole) - begun))
}

fn metered(row: &PriceRow, used: i128) -> Option<i128> {
    let (size, rate) = (i128::from(row.unit_size), i128::from(*row.rates.first()?));
    Some(match row.model.as_str() {
        "flat" if used == 0 => 0,
        "flat" => rate,
        "per_unit" => round_half_even(used * rate, size),
        "package" => rate * (used / size + i128::from(used % size > 0)),
        "percentage" => round_half_even(used * rate, 1_000_000),
        "volume" => {
            let passed = row.up_to.iter().filter(|end| i128::from(**end) < used).count();
            round_half_even(used * i128::from(*row.rates.get(passed)?), size)
        }
        "graduated" => round_half_even(graduated(row, used)?, size),
        _ => return None,
    })
}

/// From the top: everything at the first rate, and for each bound passed the rest at what its tier adds.
fn graduated(row: &PriceRow, used: i128) -> Option<i128> {
    let mut sum = used * i128::from(*row.rates.first()?);
    for (bound, rates) in row.up_to.iter().zip(row.rates.windows(2)) {
        let above = (used - i128::from(*bound)).max(0);
        sum += above * (i128::from(rates[1]) - i128::from(rates[0]));
    }
    Some(sum)
}
