//! Usage facts: counters, not events. The greatest wins, so reports may be lost, repeated or out of order.

use crate::{ids::LegId, period::Hour};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt, ops::Range, str::FromStr};
use utoipa::ToSchema;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Meter {
    /// Milliseconds of one participant in a call, from the click.
    ParticipantMs,
    /// Bytes sent to a participant.
    EgressBytes,
    /// Messages of others relayed to a participant.
    MessageCount,
}

/// A meter that this version does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no meter {0:?}")]
pub struct UnknownMeter(pub String);

impl Meter {
    /// The name in facts, prices and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Meter::ParticipantMs => "participant_ms",
            Meter::EgressBytes => "egress_bytes",
            Meter::MessageCount => "message_count",
        }
    }
}

impl FromStr for Meter {
    type Err = UnknownMeter;

    fn from_str(name: &str) -> Result<Self, UnknownMeter> {
        match name {
            "participant_ms" => Ok(Meter::ParticipantMs),
            "egress_bytes" => Ok(Meter::EgressBytes),
            "message_count" => Ok(Meter::MessageCount),
            other => Err(UnknownMeter(other.to_owned())),
        }
    }
}

impl fmt::Display for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

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

/// How much of each meter an account used in each hour.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usage(BTreeMap<(Meter, Hour), i64>);

impl Usage {
    /// What merged facts say.
    pub fn of(facts: &BTreeMap<FactKey, u64>) -> Self {
        let mut usage = Self::default();
        for (key, quantity) in facts {
            usage.add(key.meter, key.hour, i64::try_from(*quantity).unwrap_or(i64::MAX));
        }
        usage
    }

    /// Adds to an hour.
    pub fn add(&mut self, meter: Meter, hour: Hour, quantity: i64) {
        let sum = self.0.entry((meter, hour)).or_insert(0);
        *sum = sum.saturating_add(quantity);
    }

    /// What was used in one hour.
    pub fn at(&self, meter: Meter, hour: Hour) -> i64 {
        self.0.get(&(meter, hour)).copied().unwrap_or(0)
    }

    /// The hours of a range in which anything was used, in order.
    pub fn hours(&self, meter: Meter, range: Range<Hour>) -> impl Iterator<Item = (Hour, i64)> {
        // An upside-down range holds nothing; a map would panic on it.
        let end = range.end.max(range.start);
        self.0.range((meter, range.start)..(meter, end)).map(|((_, hour), quantity)| (*hour, *quantity))
    }

    /// What was used in a range.
    pub fn total(&self, meter: Meter, range: Range<Hour>) -> i64 {
        self.hours(meter, range).fold(0, |sum, (_, quantity)| sum.saturating_add(quantity))
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
        assert_eq!(usage.total(Meter::EgressBytes, Hour(9)..Hour(1)), 0);
        assert_eq!(usage.total(Meter::EgressBytes, Hour(5)..Hour(6)), 1);
    }
}
