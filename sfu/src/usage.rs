//! What a leg used: one cumulative counter per meter and UTC hour (design: a usage fact is a counter, not an event).
//!
//! Durations come from the monotonic clock; the wall clock only says which hour they belong to.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::control::{LegId, Meter, TenantId, UsageFact};

/// Time counts only while an authenticated packet was heard this recently.
const HEARD_WITHIN: Duration = Duration::from_secs(5);

const HOUR: Duration = Duration::from_secs(3600);

/// The counters of one leg.
#[derive(Debug)]
pub(crate) struct LegUsage {
    tenant: TenantId,
    leg: LegId,
    /// Set by the click; time is counted up to here. In the future while nothing is counted yet.
    counted_until: Option<Instant>,
    heard_until: Option<Instant>,
    /// Less than a millisecond, not yet counted.
    rest: Duration,
    bytes: u64,
    messages: u64,
    quantities: BTreeMap<(Meter, i64), u64>,
    changed: BTreeSet<(Meter, i64)>,
}

impl LegUsage {
    /// Nothing used yet; nothing is counted before [`LegUsage::enter`].
    pub(crate) fn new(tenant: TenantId, leg: LegId) -> Self {
        LegUsage {
            tenant,
            leg,
            counted_until: None,
            heard_until: None,
            rest: Duration::ZERO,
            bytes: 0,
            messages: 0,
            quantities: BTreeMap::new(),
            changed: BTreeSet::new(),
        }
    }

    /// The click: counting begins then, or at a moment that is still to come.
    pub(crate) fn enter(&mut self, from: Instant) {
        self.counted_until.get_or_insert(from);
    }

    /// An authenticated packet came.
    pub(crate) fn heard(&mut self, now: Instant, wall: Timestamp) {
        if self.heard_until.is_none_or(|until| until < now) {
            self.advance(now, wall);
            self.counted_until = self.counted_until.map(|until| until.max(now));
        }
        self.heard_until = Some(now + HEARD_WITHIN);
    }

    /// A datagram of media was sent.
    pub(crate) fn sent(&mut self, bytes: usize) {
        if self.counted_until.is_some() {
            self.bytes += bytes as u64;
        }
    }

    /// A message of somebody else was put on its way to the leg.
    pub(crate) fn delivered(&mut self) {
        if self.counted_until.is_some() {
            self.messages += 1;
        }
    }

    /// Counts up to now. May be called at any time and as often as one likes: the counters come out the same.
    pub(crate) fn advance(&mut self, now: Instant, wall: Timestamp) {
        let (bytes, messages) = (std::mem::take(&mut self.bytes), std::mem::take(&mut self.messages));
        if self.counted_until.is_some_and(|until| until <= now) {
            self.add(Meter::EgressBytes, hour_of(wall), bytes);
            self.add(Meter::MessageCount, hour_of(wall), messages);
        }
        let (Some(from), Some(heard_until)) = (self.counted_until, self.heard_until) else { return };
        let until = now.min(heard_until);
        if until > from {
            self.counted_until = Some(until);
            self.count_time(until - from, wall.saturating_sub_duration(now - until));
        }
    }

    /// The counters that changed since they were last taken.
    pub(crate) fn take_changed(&mut self) -> Vec<UsageFact> {
        let changed = std::mem::take(&mut self.changed);
        let fact = |(meter, hour): (Meter, i64)| UsageFact {
            tenant: self.tenant,
            leg: self.leg,
            meter,
            hour,
            quantity: self.quantities.get(&(meter, hour)).copied().unwrap_or(0),
        };
        changed.into_iter().map(fact).collect()
    }

    /// Adds a span that ended at `end`, each part to its own hour.
    fn count_time(&mut self, span: Duration, end: Timestamp) {
        let mut end = end;
        let mut left = span + std::mem::take(&mut self.rest);
        while left > Duration::ZERO {
            let hour = hour_of(end);
            let in_hour = since_hour(end);
            // A span that ends exactly on the hour belongs to the hour before.
            let (hour, in_hour) = if in_hour.is_zero() { (hour - 1, HOUR) } else { (hour, in_hour) };
            let part = left.min(in_hour);
            let whole = Duration::from_millis(part.as_millis() as u64);
            left -= part;
            if left.is_zero() {
                self.rest = part - whole;
            } else {
                left += part - whole;
            }
            self.add(Meter::ParticipantMs, hour, whole.as_millis() as u64);
            end = end.saturating_sub_duration(in_hour);
        }
    }

    fn add(&mut self, meter: Meter, hour: i64, quantity: u64) {
        if quantity > 0 {
            *self.quantities.entry((meter, hour)).or_default() += quantity;
            self.changed.insert((meter, hour));
        }
    }
}

/// Whole hours since 1970-01-01T00:00Z.
pub(crate) fn hour_of(wall: Timestamp) -> i64 {
    wall.as_second().div_euclid(3600)
}

fn since_hour(wall: Timestamp) -> Duration {
    let nanos = wall.as_nanosecond().rem_euclid(HOUR.as_nanos() as i128);
    Duration::from_nanos(nanos as u64)
}

/// Time before: a leg cannot be older than time itself, so running out of range only means the beginning.
trait Before {
    fn saturating_sub_duration(self, span: Duration) -> Self;
}

impl Before for Timestamp {
    fn saturating_sub_duration(self, span: Duration) -> Self {
        self.checked_sub(span).unwrap_or(Timestamp::MIN)
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

    fn usage() -> LegUsage {
        LegUsage::new(TenantId(Uuid::nil()), LegId(Uuid::nil()))
    }

    fn total(usage: &LegUsage, meter: Meter) -> u64 {
        usage.quantities.iter().filter(|((m, _), _)| *m == meter).map(|(_, quantity)| quantity).sum()
    }

    const AT: i64 = 1_700_000_000 / 3600 * 3600 + 3590; // ten seconds before an hour

    fn wall(ms: u64) -> Timestamp {
        Timestamp::from_millisecond(AT * 1000 + ms as i64).unwrap()
    }

    #[test]
    fn whoever_takes_over_from_another_leg_is_counted_from_its_end() {
        let (mut usage, t0) = (usage(), start());
        usage.enter(t0 + Duration::from_secs(2));
        for ms in (0..=5_000).step_by(250) {
            let now = t0 + Duration::from_millis(ms);
            usage.heard(now, wall(ms));
            usage.advance(now, wall(ms));
            usage.sent(1000);
        }
        assert_eq!(total(&usage, Meter::ParticipantMs), 3_000);
        usage.advance(t0 + Duration::from_millis(5_001), wall(5_001));
        // What was sent just before counting began waits for the next look, and is counted with it.
        assert_eq!(total(&usage, Meter::EgressBytes), 14_000);
    }

    #[test]
    fn the_lobby_is_free() {
        let (mut usage, t0) = (usage(), start());
        usage.heard(t0, wall(0));
        usage.sent(1000);
        usage.advance(t0 + Duration::from_secs(3), wall(3_000));
        assert!(usage.take_changed().is_empty());
    }

    #[test]
    fn time_is_split_at_the_hour() {
        let (mut usage, t0) = (usage(), start());
        usage.enter(t0);
        for ms in (0..=20_000).step_by(1_000) {
            usage.heard(t0 + Duration::from_millis(ms), wall(ms));
        }
        usage.advance(t0 + Duration::from_millis(20_000), wall(20_000));
        let facts = usage.take_changed();
        let hour = AT / 3600;
        let time: Vec<_> = facts.iter().map(|fact| (fact.hour - hour, fact.quantity)).collect();
        assert_eq!(time, [(0, 10_000), (1, 10_000)]);
    }

    #[test]
    fn silence_is_counted_for_five_seconds_only() {
        let (mut usage, t0) = (usage(), start());
        usage.enter(t0);
        usage.heard(t0, wall(0));
        usage.advance(t0 + Duration::from_secs(60), wall(60_000));
        assert_eq!(total(&usage, Meter::ParticipantMs), 5_000);
        usage.heard(t0 + Duration::from_secs(100), wall(100_000));
        usage.advance(t0 + Duration::from_secs(101), wall(101_000));
        assert_eq!(total(&usage, Meter::ParticipantMs), 6_000);
    }

    #[test]
    fn nothing_counts_before_the_first_packet() {
        let (mut usage, t0) = (usage(), start());
        usage.enter(t0);
        usage.advance(t0 + Duration::from_secs(2), wall(2_000));
        usage.heard(t0 + Duration::from_secs(3), wall(3_000));
        usage.advance(t0 + Duration::from_secs(4), wall(4_000));
        assert_eq!(total(&usage, Meter::ParticipantMs), 1_000);
    }

    proptest! {
        /// A wall clock that jumps moves time into other hours; there is not a millisecond more or less of it.
        #[test]
        fn a_clock_that_is_set_back_or_forward_in_a_call_changes_no_sum(
            looks in proptest::collection::vec((1u64..4_000_000, -7_200_000i64..7_200_000), 1..60),
        ) {
            let (mut usage, t0) = (usage(), start());
            usage.enter(t0);
            usage.heard(t0, wall(0));
            let (mut us, mut off_ms) = (0, 0);
            for (gap, jump) in &looks {
                us += gap;
                off_ms += jump;
                let at = Timestamp::from_microsecond(AT * 1_000_000 + off_ms * 1_000 + us as i64).unwrap();
                usage.sent(100);
                usage.heard(t0 + Duration::from_micros(us), at);
                usage.advance(t0 + Duration::from_micros(us), at);
            }
            prop_assert_eq!(total(&usage, Meter::ParticipantMs), us / 1_000);
            prop_assert_eq!(total(&usage, Meter::EgressBytes), 100 * looks.len() as u64);
        }

        /// However often and whenever the counters are advanced, they say the same in the end.
        #[test]
        fn counting_often_and_counting_once_agree(
            heard in proptest::collection::vec(1u64..9_000_000, 1..30),
            looks in proptest::collection::vec(1u64..300_000_000, 0..60),
        ) {
            let t0 = start();
            let at = |us: u64| (t0 + Duration::from_micros(us), Timestamp::from_microsecond(AT * 1_000_000 + us as i64).unwrap());
            let mut packets: Vec<u64> = heard.iter().scan(0, |sum, gap| { *sum += gap; Some(*sum) }).collect();
            packets.sort_unstable();
            let end = packets.last().copied().unwrap_or(0).max(300_000_000);
            let run = |looks: &[u64]| {
                let mut events: Vec<(u64, bool)> = packets.iter().map(|us| (*us, true)).collect();
                events.extend(looks.iter().map(|us| (*us, false)));
                events.sort_unstable();
                let mut usage = usage();
                usage.enter(t0);
                for (us, is_packet) in events {
                    let (now, wall) = at(us);
                    if is_packet { usage.sent(100); usage.heard(now, wall); } else { usage.advance(now, wall); }
                }
                let (now, wall) = at(end);
                usage.advance(now, wall);
                usage
            };
            let (once, often) = (run(&[]), run(&looks));
            prop_assert_eq!(total(&once, Meter::ParticipantMs), total(&often, Meter::ParticipantMs));
            prop_assert_eq!(total(&once, Meter::EgressBytes), total(&often, Meter::EgressBytes));
            // By hour too, but for the millisecond that may fall on either side of the full hour.
            let time = |usage: &LegUsage| -> Vec<i64> {
                usage.quantities.iter().filter(|((m, _), _)| *m == Meter::ParticipantMs).map(|(_, q)| *q as i64).collect()
            };
            for (a, b) in time(&once).iter().zip(time(&often)) {
                prop_assert!((a - b).abs() <= 1, "{a} and {b}");
            }
        }
    }
}
