//! What is held for a time: levels that events set, each until the next.

use super::Tally;
use crate::period::Hour;
use jiff::Timestamp;
use std::{collections::BTreeMap, ops::Range};

/// Adds what one series holds to the tallies of some hours. Its changes are in order, those before the hours included: a
/// level lasts until it is changed, for years if need be.
pub fn hold(changes: &[(Timestamp, i64)], hours: Range<Hour>, tallies: &mut BTreeMap<Hour, Tally>) {
    let (first, end) = (hours.start.start(), hours.end.start());
    for (place, (from, level)) in changes.iter().enumerate() {
        let until = changes.get(place + 1).map_or(end, |(next, _)| *next).min(end);
        let mut from = (*from).max(first);
        while from < until && *level > 0 {
            let hour = Hour::of(from);
            let to = Hour(hour.0 + 1).start().min(until);
            let held = i128::from(to.as_microsecond() - from.as_microsecond()) * i128::from(*level);
            tallies.entry(hour).or_default().then(&Tally::TimeWeighted(held));
            from = to;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows: when a level is set to what; what is held at the end of each of three hours.
    #[test]
    fn a_level_lasts_until_the_next() {
        let at = |minutes: i64| Timestamp::from_second(minutes * 60).expect("a time");
        for (changes, quantities) in [
            (vec![], [0, 0, 0]),
            (vec![(0, 10)], [10, 20, 30]),
            (vec![(-6_000, 10)], [10, 20, 30]),
            (vec![(30, 10)], [5, 15, 25]),
            (vec![(30, 10), (90, 0)], [5, 10, 10]),
            (vec![(30, 10), (30, 4)], [2, 6, 10]),
            (vec![(0, 1), (20, 0), (80, 1)], [0, 1, 2]),
            (vec![(500, 10)], [0, 0, 0]),
        ] {
            let changes: Vec<_> = changes.iter().map(|(minutes, level)| (at(*minutes), *level)).collect();
            let mut tallies = BTreeMap::new();
            hold(&changes, Hour(0)..Hour(3), &mut tallies);
            let mut so_far = Tally::Nothing;
            let held = [0, 1, 2].map(|hour| {
                so_far.then(tallies.get(&Hour(hour)).unwrap_or(&Tally::Nothing));
                so_far.quantity()
            });
            assert_eq!(held, quantities, "{changes:?}");
        }
    }
}
