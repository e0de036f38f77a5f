//! What is missing of a publisher's stream: for how long it may still come, and whether a picture must go on without it.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// What is missing for longer does not come any more: by then str0m has asked for it as often as it does, a round trip
/// apart, but for the last time or two where a round trip is long.
const COMES_WITHIN: Duration = Duration::from_millis(500);

/// Nor is it taken any more once so many newer packets have come (str0m's window).
const OVERTAKEN_MAX: u64 = 100;

/// The gaps in one stream.
#[derive(Debug, Default)]
pub(crate) struct Gaps {
    /// The number after the newest packet's.
    next: Option<u64>,
    /// What has not come, in order, and since when that is known.
    missing: VecDeque<(u64, Instant)>,
    /// The picture that needs no other, by its timestamp.
    keyframe: Option<u32>,
    /// Since then something was given up.
    broken: bool,
}

impl Gaps {
    /// A packet came, for the first time or again.
    pub(crate) fn note(&mut self, seq: u64, now: Instant) {
        let next = self.next.unwrap_or(seq);
        if seq < next {
            self.missing.retain(|(missing, _)| *missing != seq);
            return;
        }
        self.next = Some(seq + 1);
        let taken_from = seq.saturating_sub(OVERTAKEN_MAX);
        self.broken |= next < taken_from;
        while self.missing.pop_front_if(|(missing, _)| *missing < taken_from).is_some() {
            self.broken = true;
        }
        self.missing.extend((next.max(taken_from)..seq).map(|missing| (missing, now)));
    }

    /// A packet that begins a keyframe came: what is missing before it matters to nobody.
    pub(crate) fn begin_keyframe(&mut self, seq: u64, ts: u32) {
        // It may say so in several packets.
        if self.keyframe.replace(ts) != Some(ts) {
            self.missing.retain(|(missing, _)| *missing > seq);
            self.broken = false;
        }
    }

    /// Whether a picture stands still for want of what will not come.
    pub(crate) fn are_for_good(&mut self, now: Instant) -> bool {
        let is_over = |since: Instant| now.saturating_duration_since(since) >= COMES_WITHIN;
        while self.missing.pop_front_if(|(_, since)| is_over(*since)).is_some() {
            self.broken = true;
        }
        self.broken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forward::tests::start;

    /// What happens to a stream, after so many milliseconds.
    enum Step {
        Comes(u64),
        Keyframe(u64),
        Waits(u64),
    }
    use Step::{Comes, Keyframe, Waits};

    /// Whether its picture stands still for good in the end.
    fn plays(script: &[Step]) -> bool {
        let (mut gaps, mut now) = (Gaps::default(), start());
        for step in script {
            match *step {
                Waits(ms) => now += Duration::from_millis(ms),
                Comes(seq) => gaps.note(seq, now),
                Keyframe(seq) => {
                    gaps.note(seq, now);
                    gaps.begin_keyframe(seq, seq as u32 / 10);
                }
            }
        }
        gaps.are_for_good(now)
    }

    #[test]
    fn a_gap_is_for_good_unless_it_is_filled_in_time_or_a_keyframe_follows() {
        for (story, script, is_for_good) in [
            ("nothing is missing", vec![Comes(7), Comes(8), Waits(9_000), Comes(9)], false),
            ("there is still time", vec![Comes(7), Comes(9), Waits(499)], false),
            ("there is none left", vec![Comes(7), Comes(9), Waits(500)], true),
            ("it is filled", vec![Comes(7), Comes(9), Waits(499), Comes(8), Waits(9_000)], false),
            ("half of it is", vec![Comes(7), Comes(10), Comes(8), Waits(500)], true),
            ("a keyframe follows", vec![Comes(7), Comes(9), Keyframe(10), Waits(500)], false),
            ("a keyframe follows late", vec![Comes(7), Comes(9), Waits(900), Keyframe(10)], false),
            ("the keyframe has a gap", vec![Comes(7), Keyframe(10), Comes(12), Waits(500)], true),
            (
                "a keyframe that says twice that it begins has a gap",
                vec![Comes(7), Keyframe(10), Keyframe(12), Waits(500)],
                true,
            ),
            ("too many newer ones have come", vec![Comes(7), Comes(9), Comes(109)], true),
            ("not quite", vec![Comes(7), Comes(9), Comes(108)], false),
            ("all were lost for a while", vec![Comes(7), Comes(9_000)], true),
            ("what came before the first matters to nobody", vec![Comes(7), Comes(3), Waits(500)], false),
        ] {
            assert_eq!(plays(&script), is_for_good, "{story}");
        }
    }

    #[test]
    fn no_more_is_kept_than_can_still_come() {
        let (mut gaps, now) = (Gaps::default(), start());
        (0..1_000_000).step_by(2).for_each(|seq| gaps.note(seq, now));
        assert!(gaps.missing.len() <= OVERTAKEN_MAX as usize);
    }
}
