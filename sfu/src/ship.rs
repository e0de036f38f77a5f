//! What the hub has yet to store: the greatest value of every counter, sent in batches until it says so.
//!
//! Reports may be lost, repeated or come late; the hub keeps the greatest, so the answer is the same.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::control::{Event, LegId, Meter, TenantId, UsageFact};
use crate::journal::Position;

/// A batch that is not stored is sent again after this long, and batches follow each other at least this far apart.
const EVERY: Duration = Duration::from_secs(1);

/// Facts in one batch at most.
const BATCH_FACTS_MAX: usize = 1_000;

type Key = (TenantId, LegId, Meter, i64);

/// The sender's side. Told of journaled facts, asked for the next batch.
#[derive(Debug, Default)]
pub(crate) struct Shipper {
    waiting: BTreeMap<Key, u64>,
    flying: Option<Batch>,
    batches: u64,
    sent_at: Option<Instant>,
}

#[derive(Debug)]
struct Batch {
    number: u64,
    facts: Vec<UsageFact>,
    /// When nothing else was waiting: everything before this place in the journal is in this batch or stored already.
    covers: Option<Position>,
}

impl Shipper {
    /// Facts that the journal has.
    pub(crate) fn note(&mut self, facts: &[UsageFact]) {
        for fact in facts {
            let key = (fact.tenant, fact.leg, fact.meter, fact.hour);
            let greatest = self.waiting.entry(key).or_default();
            *greatest = fact.quantity.max(*greatest);
        }
    }

    /// A batch to send now, if it is time. `position` is where the journal stands.
    pub(crate) fn poll(&mut self, position: Position, now: Instant) -> Option<Event> {
        if self.sent_at.is_some_and(|at| now.saturating_duration_since(at) < EVERY) {
            return None;
        }
        if self.flying.is_none() {
            self.flying = self.next_batch(position);
        }
        let batch = self.flying.as_ref()?;
        self.sent_at = Some(now);
        Some(Event::Usage { batch: batch.number, facts: batch.facts.clone() })
    }

    /// The hub has a batch. Answers how far the journal is shipped now, when that is known.
    pub(crate) fn stored(&mut self, number: u64) -> Option<Position> {
        let batch = self.flying.take_if(|batch| batch.number == number)?;
        batch.covers
    }

    /// How many counters wait.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// How many counters the hub has not confirmed, those in flight included.
    pub(crate) fn unconfirmed(&self) -> usize {
        self.waiting.len() + self.flying.as_ref().map_or(0, |batch| batch.facts.len())
    }

    fn next_batch(&mut self, position: Position) -> Option<Batch> {
        let mut facts = Vec::new();
        while facts.len() < BATCH_FACTS_MAX
            && let Some(((tenant, leg, meter, hour), quantity)) = self.waiting.pop_first()
        {
            facts.push(UsageFact { tenant, leg, meter, hour, quantity });
        }
        if facts.is_empty() {
            return None;
        }
        self.batches += 1;
        let covers = self.waiting.is_empty().then_some(position);
        Some(Batch { number: self.batches, facts, covers })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    #[expect(clippy::disallowed_methods, reason = "any instant will do; the test adds to it")]
    fn start() -> Instant {
        Instant::now()
    }

    fn fact(leg: u128, quantity: u64) -> UsageFact {
        UsageFact {
            tenant: TenantId(Uuid::nil()),
            leg: LegId(Uuid::from_u128(leg)),
            meter: Meter::ParticipantMs,
            hour: 1,
            quantity,
        }
    }

    fn batch(event: Option<Event>) -> Option<(u64, Vec<UsageFact>)> {
        match event {
            Some(Event::Usage { batch, facts }) => Some((batch, facts)),
            _ => None,
        }
    }

    #[test]
    fn a_batch_is_repeated_until_it_is_stored() {
        let (mut shipper, t0, place) = (Shipper::default(), start(), Position::default());
        shipper.note(&[fact(1, 5)]);
        let first = batch(shipper.poll(place, t0));
        assert_eq!(first, Some((1, vec![fact(1, 5)])));
        assert_eq!(shipper.poll(place, t0 + Duration::from_millis(999)), None);
        shipper.note(&[fact(1, 6)]);
        assert_eq!(batch(shipper.poll(place, t0 + EVERY)), first);
        assert_eq!(shipper.stored(1), Some(place));
        assert_eq!(shipper.stored(1), None);
        assert_eq!(batch(shipper.poll(place, t0 + EVERY * 2)), Some((2, vec![fact(1, 6)])));
    }

    #[test]
    fn a_long_backlog_moves_the_mark_only_at_its_end() {
        let (mut shipper, t0, place) = (Shipper::default(), start(), Position::default());
        let facts: Vec<UsageFact> = (0..1_500).map(|leg| fact(leg, 1)).collect();
        shipper.note(&facts);
        assert_eq!(batch(shipper.poll(place, t0)).map(|(_, facts)| facts.len()), Some(1_000));
        assert_eq!(shipper.stored(1), None);
        assert_eq!(batch(shipper.poll(place, t0 + EVERY)).map(|(_, facts)| facts.len()), Some(500));
        assert_eq!(shipper.stored(2), Some(place));
    }

    /// What happens to one report on its way.
    #[derive(Debug, Clone, Copy)]
    enum Fate {
        Stored,
        StoredButAnswerLost,
        Lost,
        Delayed,
    }

    proptest! {
        // Each case writes and fsyncs.
        #![proptest_config(ProptestConfig::with_cases(48))]

        /// Any loss, repetition, reordering and restart of reports leaves the hub with what no loss would have given it.
        #[test]
        fn the_hub_ends_with_the_greatest_whatever_happens(
            counts in proptest::collection::vec((0u128..4, 1u64..100), 1..60),
            fates in proptest::collection::vec(prop_oneof![
                Just(Fate::Stored), Just(Fate::StoredButAnswerLost), Just(Fate::Lost), Just(Fate::Delayed)
            ], 1..40),
            restarts in proptest::collection::vec(any::<bool>(), 60),
        ) {
            let dir = tempfile::tempdir().unwrap();
            let mut hub: BTreeMap<u128, u64> = BTreeMap::new();
            let mut truth: BTreeMap<u128, u64> = BTreeMap::new();
            let mut late: Vec<Vec<UsageFact>> = Vec::new();
            let (mut journal, _) = crate::journal::Journal::open(dir.path()).unwrap();
            let mut shipper = Shipper::default();
            let mut now = start();
            let store = |hub: &mut BTreeMap<u128, u64>, facts: &[UsageFact]| for fact in facts {
                let kept = hub.entry(fact.leg.0.as_u128()).or_default();
                *kept = fact.quantity.max(*kept);
            };
            for (n, (leg, more)) in counts.iter().enumerate() {
                let total = truth.entry(*leg).or_default();
                *total += more;
                let facts = [fact(*leg, *total)];
                journal.append(&facts).unwrap();
                shipper.note(&facts);
                if restarts[n % restarts.len()] && n % 5 == 0 {
                    drop(journal);
                    let (again, found) = crate::journal::Journal::open(dir.path()).unwrap();
                    journal = again;
                    shipper = Shipper::default();
                    shipper.note(&found);
                }
                now += EVERY;
                let Some((number, facts)) = batch(shipper.poll(journal.position(), now)) else { continue };
                let fate = fates[n % fates.len()];
                match fate {
                    Fate::Lost => {}
                    Fate::Delayed => late.push(facts),
                    Fate::Stored | Fate::StoredButAnswerLost => store(&mut hub, &facts),
                }
                if matches!(fate, Fate::Stored) && let Some(position) = shipper.stored(number) {
                    journal.mark_shipped(position, jiff::Timestamp::UNIX_EPOCH).unwrap();
                }
            }
            // The network heals.
            for _ in 0..3 {
                now += EVERY;
                if let Some((number, facts)) = batch(shipper.poll(journal.position(), now)) {
                    store(&mut hub, &facts);
                    shipper.stored(number);
                }
            }
            for facts in late.into_iter().rev() {
                store(&mut hub, &facts);
            }
            prop_assert_eq!(hub, truth);
        }
    }
}
