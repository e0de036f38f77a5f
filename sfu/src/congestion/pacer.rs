//! When a packet may leave: a budget of bytes that fills at the pacing rate. A voice never waits; repairs go before new
//! pictures. Padding is nobody's: it is sent when nothing waits.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Packets that may wait in each class: a keyframe of 600 kB.
const WAITING_MAX: usize = 512;
/// Rather than let a packet wait longer than about this, more is sent at once.
const WAIT: Duration = Duration::from_millis(250);
/// Unused budget is kept for this long: the granularity of the shell's timers.
const UNUSED: Duration = Duration::from_millis(10);

/// What a packet is, the most urgent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Class {
    /// Never waits, and counts against the others' budget.
    Audio,
    /// A picture waits for it already.
    Retransmission,
    /// New pictures.
    Video,
}

/// The packets of one subscriber that wait for their turn.
#[derive(Debug)]
pub(crate) struct Pacer<T> {
    audio: VecDeque<(usize, T)>,
    retransmissions: VecDeque<(usize, T)>,
    video: VecDeque<(usize, T)>,
    waiting_bytes: usize,
    rate_bps: f64,
    /// As much as empties the lines in time; 0 when they are empty.
    burst_bps: f64,
    /// Bytes that may be sent; below zero when too much was.
    budget: f64,
    /// Unused budget that is kept however slow the rate is.
    burst_bytes: f64,
    filled_at: Instant,
}

impl<T> Pacer<T> {
    /// Nothing waits.
    pub(crate) fn new(rate_bps: u64, now: Instant) -> Self {
        Pacer {
            audio: VecDeque::new(),
            retransmissions: VecDeque::new(),
            video: VecDeque::new(),
            waiting_bytes: 0,
            rate_bps: rate_bps as f64,
            burst_bps: 0.0,
            budget: 0.0,
            burst_bytes: 0.0,
            filled_at: now,
        }
    }

    /// Sends at this rate from now on. After a pause as much as `burst_bytes` may leave at once.
    pub(crate) fn set_pace(&mut self, rate_bps: u64, burst_bytes: usize, now: Instant) {
        self.fill(now);
        self.rate_bps = rate_bps as f64;
        self.burst_bytes = burst_bytes as f64;
    }

    /// Whether a packet may leave at once, past all lines: nothing waits, and the budget is not overdrawn. It is paid for.
    pub(crate) fn admits(&mut self, class: Class, bytes: usize, now: Instant) -> bool {
        if !self.is_empty() {
            return false;
        }
        self.fill(now);
        let admits = class == Class::Audio || self.budget >= 0.0;
        self.budget -= if admits { bytes as f64 } else { 0.0 };
        admits
    }

    /// Puts a packet in line; gives it back when too many wait. A part of a picture is then missing, and the caller should
    /// ask for a keyframe.
    pub(crate) fn push(&mut self, class: Class, bytes: usize, packet: T) -> Result<(), T> {
        let line = self.line(class);
        if line.len() >= WAITING_MAX {
            return Err(packet);
        }
        line.push_back((bytes, packet));
        self.waiting_bytes += bytes;
        self.burst_bps = self.burst_bps.max(self.waiting_bytes as f64 * 8.0 / WAIT.as_secs_f64());
        Ok(())
    }

    /// The next packet that may leave now.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<T> {
        self.fill(now);
        let classes: &[Class] = if self.budget >= 0.0 {
            &[Class::Audio, Class::Retransmission, Class::Video]
        } else {
            &[Class::Audio]
        };
        let (bytes, packet) = classes.iter().find_map(|class| self.line(*class).pop_front())?;
        self.waiting_bytes -= bytes;
        self.budget -= bytes as f64;
        if self.is_empty() {
            self.burst_bps = 0.0;
        }
        Some(packet)
    }

    /// Takes out of line what is not to be kept.
    pub(crate) fn retain(&mut self, mut keeps: impl FnMut(&T) -> bool) {
        let waiting_bytes = &mut self.waiting_bytes;
        for line in [&mut self.audio, &mut self.retransmissions, &mut self.video] {
            line.retain(|(bytes, packet)| {
                let is_kept = keeps(packet);
                *waiting_bytes -= if is_kept { 0 } else { *bytes };
                is_kept
            });
        }
        self.burst_bps = self.waiting_bytes as f64 * 8.0 / WAIT.as_secs_f64();
    }

    /// Padding left, which waits in no line.
    pub(crate) fn padded(&mut self, bytes: usize, now: Instant) {
        self.fill(now);
        self.budget -= bytes as f64;
    }

    /// Whether nothing waits, so that padding may be sent.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting_bytes == 0
    }

    /// When to ask again, if something waits.
    pub(crate) fn next_deadline(&self, now: Instant) -> Option<Instant> {
        if self.is_empty() {
            return None;
        }
        let missing = if self.audio.is_empty() { -self.budget } else { 0.0 };
        let wait_s = (missing * 8.0 / self.effective_bps()).clamp(0.0, 1.0);
        Some(self.filled_at.max(now) + Duration::from_secs_f64(wait_s))
    }

    fn line(&mut self, class: Class) -> &mut VecDeque<(usize, T)> {
        match class {
            Class::Audio => &mut self.audio,
            Class::Retransmission => &mut self.retransmissions,
            Class::Video => &mut self.video,
        }
    }

    fn effective_bps(&self) -> f64 {
        self.rate_bps.max(self.burst_bps).max(1.0)
    }

    fn fill(&mut self, now: Instant) {
        if now <= self.filled_at {
            return;
        }
        let since = now - self.filled_at;
        self.filled_at = now;
        let bytes_per_s = self.effective_bps() / 8.0;
        let most = (bytes_per_s * UNUSED.as_secs_f64()).max(self.burst_bytes);
        self.budget = (self.budget + bytes_per_s * since.as_secs_f64()).min(most);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[expect(clippy::disallowed_methods, reason = "any instant will do; the test adds to it")]
    fn start() -> Instant {
        Instant::now()
    }

    fn drain(pacer: &mut Pacer<&'static str>, now: Instant) -> Vec<&'static str> {
        std::iter::from_fn(|| pacer.pop(now)).collect()
    }

    #[test]
    fn a_voice_never_waits_and_repairs_go_before_pictures() {
        let t0 = start();
        let mut pacer = Pacer::new(80_000, t0);
        for (class, name) in [(Class::Video, "v1"), (Class::Video, "v2"), (Class::Retransmission, "r")] {
            pacer.push(class, 1_000, name).expect("room");
        }
        pacer.push(Class::Audio, 100, "a1").expect("room");
        assert_eq!(drain(&mut pacer, t0), ["a1"]);
        assert_eq!(drain(&mut pacer, t0 + Duration::from_millis(10)), ["r"]);
        pacer.push(Class::Audio, 100, "a2").expect("room");
        assert_eq!(drain(&mut pacer, t0 + Duration::from_millis(11)), ["a2"], "over budget, and still");
        assert_eq!(drain(&mut pacer, t0 + Duration::from_millis(200)), ["v1"]);
    }

    #[test]
    fn a_long_line_leaves_within_a_quarter_of_a_second() {
        let t0 = start();
        let mut pacer = Pacer::new(100_000, t0);
        for _ in 0..100 {
            pacer.push(Class::Video, 1_000, "v").expect("room");
        }
        let left: usize = (0..52).map(|n| drain(&mut pacer, t0 + Duration::from_millis(5) * n).len()).sum();
        assert_eq!(left, 100, "8 s at the pacing rate");
        assert!(pacer.is_empty());
    }

    #[test]
    fn a_frame_leaves_at_once_where_bursts_may_and_the_rate_is_kept() {
        let t0 = start();
        let mut pacer = Pacer::new(800_000, t0);
        pacer.set_pace(800_000, 4_000, t0);
        let mut frame = |ms: u64| {
            for _ in 0..6 {
                pacer.push(Class::Video, 1_000, "v").expect("room");
            }
            drain(&mut pacer, t0 + Duration::from_millis(ms)).len()
        };
        assert_eq!(frame(100), 5, "what was saved up, and one more");
        assert_eq!(frame(110), 1, "then as the rate has it");
    }

    proptest! {
        /// Nothing leaves sooner or later than it would if it waited in line first.
        #[test]
        fn past_the_lines_is_as_good_as_through_them(
            packets in proptest::collection::vec((0u64..4, 0usize..3, 50usize..1_400), 1..200),
        ) {
            const CLASSES: [Class; 3] = [Class::Audio, Class::Retransmission, Class::Video];
            let t0 = start();
            let (mut past, mut through) = (Pacer::new(1_000_000, t0), Pacer::new(1_000_000, t0));
            let mut now = t0;
            for (n, (ms, class, bytes)) in packets.into_iter().enumerate() {
                now += Duration::from_millis(ms);
                let (mut left, mut expected) = (Vec::new(), Vec::new());
                left.extend(std::iter::from_fn(|| past.pop(now)));
                expected.extend(std::iter::from_fn(|| through.pop(now)));
                if past.admits(CLASSES[class], bytes, now) {
                    left.push(n);
                } else {
                    past.push(CLASSES[class], bytes, n).expect("room");
                }
                through.push(CLASSES[class], bytes, n).expect("room");
                left.extend(std::iter::from_fn(|| past.pop(now)));
                expected.extend(std::iter::from_fn(|| through.pop(now)));
                prop_assert_eq!(left, expected);
            }
        }
    }

    #[test]
    fn what_is_of_no_use_any_more_takes_nobodys_turn() {
        let t0 = start();
        let mut pacer = Pacer::new(80_000, t0);
        for (class, name) in [(Class::Video, "old"), (Class::Retransmission, "old"), (Class::Video, "new")] {
            pacer.push(class, 1_000, name).expect("room");
        }
        pacer.retain(|name| *name == "new");
        assert_eq!(drain(&mut pacer, t0), ["new"]);
        assert!(pacer.is_empty());
    }

    #[test]
    fn a_full_line_gives_the_packet_back() {
        let mut pacer = Pacer::new(100_000, start());
        for _ in 0..WAITING_MAX {
            pacer.push(Class::Video, 1_000, "v").expect("room");
        }
        assert_eq!(pacer.push(Class::Video, 1_000, "one too many"), Err("one too many"));
        assert_eq!(pacer.push(Class::Audio, 100, "a"), Ok(()));
    }

    #[test]
    fn the_deadline_is_when_the_next_packet_may_leave() {
        let t0 = start();
        let mut pacer = Pacer::new(800_000, t0);
        assert_eq!(pacer.next_deadline(t0), None);
        for name in ["v1", "v2"] {
            pacer.push(Class::Video, 1_000, name).expect("room");
        }
        assert_eq!(pacer.pop(t0), Some("v1"));
        let due = pacer.next_deadline(t0).expect("one waits");
        assert_eq!(pacer.pop(due - Duration::from_millis(1)), None);
        assert_eq!(pacer.pop(due + Duration::from_micros(1)), Some("v2"));
    }
}
