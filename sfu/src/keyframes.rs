//! Keyframes: asked for once on behalf of many, and kept with what follows them so that a late joiner sees at once.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::rewrite::is_after;

/// A publisher's line is asked for a keyframe at most this often (the first time at once).
const REQUEST_EVERY: Duration = Duration::from_secs(1);

/// Packets since the last keyframe are replayed while they are no older than this.
const REPLAY_AGE_MAX: Duration = Duration::from_secs(4);

/// And no more than this.
const REPLAY_BYTES_MAX: usize = 1 << 20;

/// And no more packets than this.
const REPLAY_PACKETS_MAX: usize = 1024;

/// Merges the keyframe requests of all subscribers of one published line.
#[derive(Debug, Default)]
pub(crate) struct RequestGate {
    asked_at: Option<Instant>,
    wanted: bool,
}

impl RequestGate {
    /// Somebody needs a keyframe.
    pub(crate) fn want(&mut self) {
        self.wanted = true;
    }

    /// A keyframe came: whoever waited has it.
    pub(crate) fn satisfied(&mut self) {
        self.wanted = false;
    }

    /// Whether to ask the publisher now.
    pub(crate) fn ask(&mut self, now: Instant) -> bool {
        let open = self.asked_at.is_none_or(|at| now.saturating_duration_since(at) >= REQUEST_EVERY);
        let ask = self.wanted && open;
        if ask {
            self.asked_at = Some(now);
            self.wanted = false;
        }
        ask
    }
}

/// What the replay needs to know of a packet.
pub(crate) trait Replayed {
    /// Extended sequence number.
    fn seq(&self) -> u64;
    /// RTP timestamp: which frame it belongs to.
    fn ts(&self) -> u32;
    /// When it came.
    fn arrived(&self) -> Instant;
    /// Whether it ends its frame.
    fn ends(&self) -> bool;
    /// Its payload's size.
    fn size(&self) -> usize;
}

/// A number of ticks of a picture's clock, as time.
fn ticks(count: u32) -> Duration {
    Duration::from_nanos(u64::from(count) * 100_000 / 9)
}

/// What has come of a layer since its newest keyframe began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Arrival {
    /// When the keyframe's first packet came.
    pub(crate) began: Instant,
    /// When it would have come had it been as quick on its way as the quickest packet since: a large keyframe takes long.
    pub(crate) due: Instant,
    /// All of the keyframe is here.
    pub(crate) is_whole: bool,
    /// And some of what follows it.
    pub(crate) flows: bool,
}

/// The packets of one layer since its last keyframe, bounded in bytes, packets and age.
#[derive(Debug)]
pub(crate) struct Replay<P> {
    packets: VecDeque<P>,
    bytes: usize,
}

impl<P> Default for Replay<P> {
    fn default() -> Self {
        Replay { packets: VecDeque::new(), bytes: 0 }
    }
}

impl<P: Replayed> Replay<P> {
    /// Keeps a packet. A keyframe's first packet throws away what came before it; outgrowing a bound throws away all,
    /// until the next keyframe.
    pub(crate) fn push(&mut self, packet: P, starts_keyframe: bool) {
        if starts_keyframe {
            self.start(packet);
        } else if self.packets.front().is_some_and(|first| packet.seq() > first.seq()) {
            self.insert(packet);
        }
    }

    /// The packets since the last keyframe, that one first; nothing when they are too old.
    pub(crate) fn packets(&self, now: Instant) -> impl Iterator<Item = &P> {
        self.packets.iter().take(if self.is_fresh(now) { usize::MAX } else { 0 })
    }

    /// Whether there is anything to replay.
    pub(crate) fn is_fresh(&self, now: Instant) -> bool {
        let age = |first: &P| now.saturating_duration_since(first.arrived());
        self.packets.front().is_some_and(|first| age(first) <= REPLAY_AGE_MAX)
    }

    /// How far its newest keyframe has come.
    pub(crate) fn arrival(&self) -> Option<Arrival> {
        let first = self.packets.front()?;
        let unbroken = || (first.seq()..).zip(&self.packets).take_while(|(seq, packet)| packet.seq() == *seq);
        let flows = unbroken().any(|(_, packet)| packet.ts() != first.ts());
        let is_whole = flows || unbroken().any(|(_, packet)| packet.ends());
        let later = self.packets.iter().filter(|packet| is_after(packet.ts(), first.ts()));
        let due = |packet: &P| packet.arrived().checked_sub(ticks(packet.ts().wrapping_sub(first.ts())));
        let due = later.filter_map(due).chain([first.arrived()]).min()?;
        Some(Arrival { began: first.arrived(), due, is_whole, flows })
    }

    /// Size of all payloads.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.packets.clear();
        self.bytes = 0;
    }

    fn start(&mut self, packet: P) {
        if self.packets.front().is_some_and(|first| packet.ts() == first.ts()) {
            // A keyframe may say several times that it starts (H.264 parameter sets before the picture).
            self.insert(packet);
            return;
        }
        let newer = self.packets.front().is_none_or(|first| packet.seq() > first.seq());
        if newer {
            // Packets of the same frame may have overtaken its first one.
            self.packets.retain(|kept| kept.seq() > packet.seq() && kept.ts() == packet.ts());
            self.packets.push_front(packet);
            self.bytes = self.packets.iter().map(Replayed::size).sum();
        }
    }

    fn insert(&mut self, packet: P) {
        let place = self.packets.partition_point(|kept| kept.seq() < packet.seq());
        if self.packets.get(place).is_some_and(|kept| kept.seq() == packet.seq()) {
            return;
        }
        self.bytes += packet.size();
        self.packets.insert(place, packet);
        if self.bytes > REPLAY_BYTES_MAX || self.packets.len() > REPLAY_PACKETS_MAX {
            self.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Clone, Copy, PartialEq)]
    struct P(u64, Instant, usize);

    impl Replayed for P {
        fn seq(&self) -> u64 {
            self.0
        }
        fn ts(&self) -> u32 {
            (self.0 / 10) as u32
        }
        fn arrived(&self) -> Instant {
            self.1
        }
        fn ends(&self) -> bool {
            self.0 % 10 == 9
        }
        fn size(&self) -> usize {
            self.2
        }
    }

    #[expect(clippy::disallowed_methods, reason = "any instant will do; the test adds to it")]
    fn start() -> Instant {
        Instant::now()
    }

    fn kept(replay: &Replay<P>, now: Instant) -> Vec<u64> {
        replay.packets(now).map(|p| p.0).collect()
    }

    #[test]
    fn requests_are_merged_to_one_a_second_and_the_first_goes_at_once() {
        let mut gate = RequestGate::default();
        let t0 = start();
        let mut asked = Vec::new();
        for ms in 0..3_000u64 {
            gate.want();
            if gate.ask(t0 + Duration::from_millis(ms)) {
                asked.push(ms);
            }
        }
        assert_eq!(asked, [0, 1_000, 2_000]);
    }

    #[test]
    fn a_keyframe_answers_those_who_waited() {
        let mut gate = RequestGate::default();
        gate.want();
        assert!(gate.ask(start()));
        gate.want();
        gate.satisfied();
        assert!(!gate.ask(start() + Duration::from_secs(5)));
    }

    #[test]
    fn replay_starts_at_the_last_keyframe_in_order() {
        let (mut replay, t) = (Replay::default(), start());
        replay.push(P(5, t, 1), false);
        assert!(kept(&replay, t).is_empty(), "nothing before a keyframe");
        for (seq, key) in
            [(10, true), (12, false), (11, false), (12, false), (20, true), (19, false), (21, false)]
        {
            replay.push(P(seq, t, 1), key);
        }
        assert_eq!(kept(&replay, t), [20, 21]);
    }

    #[test]
    fn a_keyframe_overtaken_by_its_own_packets_keeps_them() {
        let (mut replay, t) = (Replay::default(), start());
        for (seq, key) in [(10, true), (22, false), (21, false), (20, true)] {
            replay.push(P(seq, t, 1), key);
        }
        assert_eq!(kept(&replay, t), [20, 21, 22]);
    }

    /// Rows: which packets of frames of ten came, the first of the keyframe being 20; whether it is whole, and whether the
    /// next frame is here.
    #[test]
    fn a_keyframe_is_whole_when_nothing_of_it_is_missing_and_flows_with_what_follows() {
        let t = start();
        for (came, is_whole, flows) in [
            (vec![20], false, false),
            (vec![20, 21, 29], false, false),
            ((20..29).collect(), false, false),
            ((20..30).collect(), true, false),
            ([20].into_iter().chain((21..30).rev()).collect(), true, false),
            ((20..31).collect(), true, true),
            ((20..32).filter(|seq| *seq != 25).collect(), false, false),
            ((20..32).filter(|seq| *seq != 30).collect(), true, false),
        ] {
            let mut replay = Replay::default();
            came.iter().for_each(|seq| replay.push(P(*seq, t, 1), *seq == 20));
            let arrival = replay.arrival().expect("a keyframe began");
            assert_eq!((arrival.began, arrival.is_whole, arrival.flows), (t, is_whole, flows), "{came:?}");
        }
        assert_eq!(Replay::<P>::default().arrival(), None);
    }

    #[test]
    fn a_keyframe_that_was_long_on_its_way_was_due_as_what_follows_says() {
        let (mut replay, t) = (Replay::default(), start());
        let at = |ms| t + Duration::from_millis(ms);
        // Frames are a tick apart here, and the second one came no later than the first.
        for (seq, at, key) in [(20, at(300), true), (29, at(400), false), (30, at(300), false)] {
            replay.push(P(seq, at, 1), key);
        }
        let due = replay.arrival().expect("a keyframe began").due;
        assert_eq!((at(300) - due).as_micros(), 11);
    }

    #[test]
    fn replay_is_bounded_in_size_and_age() {
        let (mut replay, t) = (Replay::default(), start());
        replay.push(P(1, t, 1), true);
        assert_eq!(kept(&replay, t + Duration::from_secs(4)), [1]);
        assert!(kept(&replay, t + Duration::from_secs(5)).is_empty());
        replay.push(P(2, t, REPLAY_BYTES_MAX), false);
        assert!(kept(&replay, t).is_empty());
        for seq in 10..10 + REPLAY_PACKETS_MAX as u64 + 1 {
            replay.push(P(seq, t, 1), seq == 10);
        }
        assert!(kept(&replay, t).is_empty());
    }
}
