//! What was used. Our nodes report facts, which are counters, not events: the greatest wins, so reports may be lost, repeated
//! or out of order. What a business counts itself comes as events: see [`crate::event`].

mod level;
mod meter;
mod tally;

pub use level::hold;
pub use meter::{Meter, MeterName, UnknownMeter};
pub use tally::Tally;

use crate::{ids::LegId, period::Hour};
use std::{collections::BTreeMap, ops::Range};

/// Which counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FactKey {
    /// Whose.
    pub leg: LegId,
    /// Of what.
    pub meter: Meter,
    /// When.
    pub hour: Hour,
}

/// What a counter had reached when it was reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fact {
    /// Which counter.
    pub key: FactKey,
    /// Cumulative within the hour; never falls.
    pub quantity: u64,
}

/// Many reports as one: for each counter the greatest.
pub fn merge(facts: impl IntoIterator<Item = Fact>) -> BTreeMap<FactKey, u64> {
    let mut greatest = BTreeMap::new();
    for fact in facts {
        let seen = greatest.entry(fact.key).or_insert(0);
        *seen = fact.quantity.max(*seen);
    }
    greatest
}

/// What an account used of each meter in each hour.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usage(BTreeMap<(Meter, Hour), Tally>);

impl Usage {
    /// What merged facts say.
    pub fn of(facts: &BTreeMap<FactKey, u64>) -> Self {
        let mut usage = Self::default();
        for (key, quantity) in facts {
            usage.add(key.meter, key.hour, i64::try_from(*quantity).unwrap_or(i64::MAX));
        }
        usage
    }

    /// Adds to an hour of a meter that sums.
    pub fn add(&mut self, meter: Meter, hour: Hour, quantity: i64) {
        self.tally(meter, hour, &Tally::Sum(quantity));
    }

    /// Adds to an hour of any meter.
    pub fn tally(&mut self, meter: Meter, hour: Hour, tally: &Tally) {
        self.0.entry((meter, hour)).or_default().then(tally);
    }

    /// What was used in one hour, looked at alone.
    pub fn at(&self, meter: Meter, hour: Hour) -> i64 {
        self.0.get(&(meter, hour)).map_or(0, Tally::quantity)
    }

    /// The hours of a range in which anything was used, in order.
    pub fn hours(&self, meter: Meter, range: Range<Hour>) -> impl Iterator<Item = (Hour, &Tally)> {
        // An upside-down range holds nothing; a map would panic on it.
        let end = range.end.max(range.start);
        self.0.range((meter, range.start)..(meter, end)).map(|((_, hour), tally)| (*hour, tally))
    }

    /// What was used in ranges that follow each other.
    pub fn total(&self, meter: Meter, ranges: impl IntoIterator<Item = Range<Hour>>) -> i64 {
        let mut total = Tally::Nothing;
        for range in ranges {
            self.hours(meter, range).for_each(|(_, tally)| total.then(tally));
        }
        total.quantity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use uuid::Uuid;

    fn any_fact() -> impl Strategy<Value = Fact> {
        let meter = prop::sample::select(vec![Meter::ParticipantMs, Meter::EgressBytes, Meter::MessageCount]);
        (0_u128..3, meter, 0_i64..4, 0_u64..1_000).prop_map(|(leg, meter, hour, quantity)| Fact {
            key: FactKey { leg: LegId(Uuid::from_u128(leg)), meter, hour: Hour(hour) },
            quantity,
        })
    }

    /// What a node's journal holds at the end: a counter that only grew.
    fn counted(reports: &[Fact]) -> BTreeMap<FactKey, u64> {
        let mut counters = BTreeMap::new();
        for report in reports {
            let counter = counters.entry(report.key).or_insert(0);
            *counter = report.quantity.max(*counter);
        }
        counters
    }

    proptest! {
        /// A node reports its counters as they grow. Some reports are lost, some come twice, all come in any order;
        /// it restarts and sends its journal again. The sum is as if nothing had happened.
        #[test]
        fn loss_repetition_order_and_restart_change_nothing(
            (reports, arrived) in prop::collection::vec(any_fact(), 0..60).prop_flat_map(|reports| {
                let twice: Vec<Fact> = reports.iter().chain(&reports).copied().collect();
                let some = prop::sample::subsequence(twice.clone(), 0..=twice.len()).prop_shuffle();
                (Just(reports), some)
            }),
            splits in prop::collection::vec(0_usize..120, 0..5),
        ) {
            let journal = counted(&reports);
            let redelivered = journal.iter().map(|(key, quantity)| Fact { key: *key, quantity: *quantity });
            let mut stored = BTreeMap::new();
            let mut at = 0;
            for split in splits.into_iter().chain([arrived.len()]) {
                let end = split.clamp(at, arrived.len());
                let batch = merge(arrived[at..end].iter().copied());
                stored = merge(as_facts(&stored).chain(as_facts(&batch)));
                at = end;
            }
            stored = merge(redelivered.chain(as_facts(&stored)));
            prop_assert_eq!(Usage::of(&stored), Usage::of(&journal));
        }
    }

    fn as_facts(merged: &BTreeMap<FactKey, u64>) -> impl Iterator<Item = Fact> {
        merged.iter().map(|(key, quantity)| Fact { key: *key, quantity: *quantity })
    }

    #[test]
    fn an_upside_down_range_holds_nothing() {
        let mut usage = Usage::default();
        usage.add(Meter::EgressBytes, Hour(5), 1);
        assert_eq!(usage.total(Meter::EgressBytes, [Hour(9)..Hour(1)]), 0);
        assert_eq!(usage.total(Meter::EgressBytes, [Hour(5)..Hour(6)]), 1);
    }
}
