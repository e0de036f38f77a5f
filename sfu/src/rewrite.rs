//! One slot's numbers: sequence, timestamp, picture ids and frame numbers that run on without a break while sources come and
//! go.
//!
//! A receiver that sees one continuous stream never resets its decoder, its jitter buffer or its loss recovery.
//! Nothing here touches a packet: numbers in, numbers out.

use std::collections::VecDeque;
use std::time::Instant;

/// The first sequence number of a slot. Below 65,536, so that the rollover counter starts at 0 (RFC 3711 §3.3.1).
const FIRST_SEQ: u64 = 1;

/// How many frames that were squeezed in after a switch are remembered for packets that come late.
const SQUEEZED_MAX: usize = 256;

/// How many runs of packets that were left out are remembered for packets that come late.
const GAPS_MAX: usize = 64;

/// The bits of a picture id (RFC 7741 §4.2, RFC 9628 §4.2).
pub(crate) const PICTURE_BITS: u16 = 0x7fff;

/// The bits of a VP8 key frame index (RFC 7741 §4.2).
const KEY_INDEX_BITS: u8 = 0x1f;

/// The numbers of one packet, as its source or as the slot counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Numbers {
    /// Sequence number, extended past 16 bits.
    pub(crate) seq: u64,
    /// RTP timestamp.
    pub(crate) ts: u32,
    /// `PictureID` of VP8 and VP9, 7 or 15 bits.
    pub(crate) picture_id: Option<u16>,
    /// `TL0PICIDX` of VP8 and VP9.
    pub(crate) tl0: Option<u8>,
    /// `KEYIDX` of VP8, 5 bits.
    pub(crate) key_index: Option<u8>,
    /// Frame number of a dependency descriptor.
    pub(crate) frame_number: Option<u16>,
}

/// The continuous line of numbers of one slot, for the slot's whole life.
#[derive(Debug)]
pub(crate) struct Line {
    rate_hz: u32,
    next_seq: u64,
    /// The fixed relation of time and timestamp: set by the first packet, kept for ever.
    epoch: Option<(Instant, u32)>,
    ts_last: Option<u32>,
    picture_last: Option<u16>,
    tl0_last: Option<u8>,
    key_index_last: Option<u8>,
    frame_last: Option<u16>,
    source: Option<SourceLine>,
}

/// How one source's numbers become the slot's.
#[derive(Debug)]
struct SourceLine {
    seq_first: u64,
    seq_base: u64,
    ts_add: u32,
    picture_add: u16,
    tl0_add: u8,
    key_index_add: u8,
    frame_add: u16,
    /// Packets of the source that were left out, the oldest first.
    gaps: VecDeque<Gap>,
    /// While packets from before the switch are replayed: frames already squeezed in, `(theirs, ours)`.
    squeezed: Option<VecDeque<(u32, u32)>>,
}

/// Packets of a source that have no number on the slot's line.
#[derive(Debug, Clone, Copy)]
struct Gap {
    /// The first that was left out, as the source counts.
    first: u64,
    /// The first that was not.
    end: u64,
    /// How many were left out up to there, in all.
    left_out: u64,
}

impl Line {
    /// A line for a medium with this clock rate.
    pub(crate) fn new(rate_hz: u32) -> Self {
        Line {
            rate_hz,
            next_seq: FIRST_SEQ,
            epoch: None,
            ts_last: None,
            picture_last: None,
            tl0_last: None,
            key_index_last: None,
            frame_last: None,
            source: None,
        }
    }

    /// From now on packets come from a source whose first usable packet is `first`, received at `arrived`.
    ///
    /// Packets of that source before `first` are dropped.
    pub(crate) fn switch(&mut self, first: &Numbers, arrived: Instant) {
        let (at, base) = *self.epoch.get_or_insert((arrived, first.ts));
        let on_line = base.wrapping_add(ticks_between(at, arrived, self.rate_hz));
        self.source = Some(SourceLine {
            seq_first: first.seq,
            seq_base: self.next_seq,
            ts_add: on_line.wrapping_sub(first.ts),
            picture_add: self.picture_last.zip(first.picture_id).map_or(0, next_u16) & PICTURE_BITS,
            tl0_add: self.tl0_last.zip(first.tl0).map_or(0, next_u8),
            key_index_add: self.key_index_last.zip(first.key_index).map_or(0, next_u8),
            frame_add: self.frame_last.zip(first.frame_number).map_or(0, next_u16),
            gaps: VecDeque::new(),
            squeezed: self.ts_last.map(|_| VecDeque::new()),
        });
    }

    /// The slot's numbers for a packet of the current source, or `None` when it belongs before the switch.
    pub(crate) fn rewrite(&mut self, packet: &Numbers) -> Option<Numbers> {
        let step = self.rate_hz / 1000;
        let source = self.source.as_mut()?;
        let seq = source.seq(packet.seq)?;
        let numbers = Numbers {
            seq,
            ts: source.place(packet.ts, self.ts_last, step)?,
            picture_id: packet.picture_id.map(|id| id.wrapping_add(source.picture_add) & PICTURE_BITS),
            tl0: packet.tl0.map(|tl0| tl0.wrapping_add(source.tl0_add)),
            key_index: packet.key_index.map(|key| key.wrapping_add(source.key_index_add) & KEY_INDEX_BITS),
            frame_number: packet.frame_number.map(|frame| frame.wrapping_add(source.frame_add)),
        };
        self.note(&numbers);
        Some(numbers)
    }

    /// Leaves a packet of the current source out: those after it close ranks. One that comes late was counted on already, and
    /// its number stays free.
    pub(crate) fn leave_out(&mut self, packet: &Numbers) {
        let next_seq = self.next_seq;
        if let Some(source) = &mut self.source {
            source.leave_out(packet.seq, next_seq);
        }
    }

    /// Forgets the source; the line stays.
    pub(crate) fn pause(&mut self) {
        self.source = None;
    }

    fn note(&mut self, numbers: &Numbers) {
        self.next_seq = self.next_seq.max(numbers.seq + 1);
        if self.ts_last.is_none_or(|last| is_after(numbers.ts, last)) {
            self.ts_last = Some(numbers.ts);
        }
        let is_newer = |id: u16, last: u16| id.wrapping_sub(last) & PICTURE_BITS < 0x4000;
        keep_newest(&mut self.picture_last, numbers.picture_id, is_newer);
        keep_newest(&mut self.tl0_last, numbers.tl0, |tl0, last| tl0.wrapping_sub(last) < 0x80);
        let is_newer = |key: u8, last: u8| key.wrapping_sub(last) & KEY_INDEX_BITS < 0x10;
        keep_newest(&mut self.key_index_last, numbers.key_index, is_newer);
        keep_newest(&mut self.frame_last, numbers.frame_number, |n, last| n.wrapping_sub(last) < 0x8000);
    }
}

impl SourceLine {
    /// The sequence number on the slot's line; `None` for what belongs before the switch or was left out.
    fn seq(&self, theirs: u64) -> Option<u64> {
        let ahead = theirs.checked_sub(self.seq_first)?;
        let oldest = self.gaps.front();
        let Some(gap) = self.gaps.iter().rev().find(|gap| theirs >= gap.first) else {
            // Before all gaps that are remembered: only if none is forgotten.
            return oldest.is_none_or(Gap::is_first).then_some(self.seq_base + ahead);
        };
        (theirs >= gap.end).then(|| self.seq_base + ahead - gap.left_out)
    }

    fn leave_out(&mut self, theirs: u64, next_seq: u64) {
        // Only what no later packet was counted from can be closed up.
        let is_newest = self.seq(theirs).is_some_and(|ours| ours >= next_seq);
        if !is_newest || self.gaps.back().is_some_and(|gap| theirs < gap.end) {
            return;
        }
        let left_out = self.gaps.back().map_or(0, |gap| gap.left_out) + 1;
        match self.gaps.back_mut() {
            Some(gap) if gap.end == theirs => (gap.end, gap.left_out) = (theirs + 1, left_out),
            _ => self.gaps.push_back(Gap { first: theirs, end: theirs + 1, left_out }),
        }
        if self.gaps.len() > GAPS_MAX {
            self.gaps.pop_front();
        }
    }

    /// The timestamp on the slot's line. Frames that are older than what the slot has already shown (a replay since the
    /// last keyframe) follow each other a millisecond apart, until the source catches up with the line.
    fn place(&mut self, theirs: u32, ts_last: Option<u32>, step: u32) -> Option<u32> {
        let on_line = theirs.wrapping_add(self.ts_add);
        let (Some(squeezed), Some(last)) = (&mut self.squeezed, ts_last) else { return Some(on_line) };
        if let Some((_, ours)) = squeezed.iter().find(|(frame, _)| *frame == theirs) {
            return Some(*ours);
        }
        if squeezed.back().is_some_and(|(newest, _)| !is_after(theirs, *newest)) {
            return None; // A frame that was skipped when its successors were squeezed in.
        }
        if is_after(on_line, last) {
            if squeezed.is_empty() {
                self.squeezed = None;
                return Some(on_line);
            }
            // The source has caught up; remembered frames may still get late packets.
            self.remember(theirs, on_line);
            return Some(on_line);
        }
        let ours = last.wrapping_add(step);
        self.remember(theirs, ours);
        Some(ours)
    }

    fn remember(&mut self, theirs: u32, ours: u32) {
        let on_line = theirs.wrapping_add(self.ts_add) == ours;
        let Some(squeezed) = &mut self.squeezed else { return };
        squeezed.push_back((theirs, ours));
        if squeezed.len() > SQUEEZED_MAX {
            squeezed.pop_front();
        }
        let all_on_line = squeezed.iter().all(|(t, o)| t.wrapping_add(self.ts_add) == *o);
        if on_line && all_on_line {
            self.squeezed = None;
        }
    }
}

impl Gap {
    /// Whether nothing was left out before.
    fn is_first(&self) -> bool {
        self.left_out == self.end - self.first
    }
}

/// Whether timestamp `a` is later than `b`, across the wrap.
pub(crate) fn is_after(a: u32, b: u32) -> bool {
    a != b && a.wrapping_sub(b) < 0x8000_0000
}

/// How many ticks of the media clock lie between two instants; wraps, and may be negative.
fn ticks_between(from: Instant, to: Instant, rate_hz: u32) -> u32 {
    let ticks = |nanos: u128| (nanos * u128::from(rate_hz) / 1_000_000_000) as u32;
    match to.checked_duration_since(from) {
        Some(after) => ticks(after.as_nanos()),
        None => 0u32.wrapping_sub(ticks(from.duration_since(to).as_nanos())),
    }
}

/// What to add to a new source's first number so that it follows the last.
fn next_u16((last, first): (u16, u16)) -> u16 {
    last.wrapping_add(1).wrapping_sub(first)
}

/// See [`next_u16`].
fn next_u8((last, first): (u8, u8)) -> u8 {
    last.wrapping_add(1).wrapping_sub(first)
}

fn keep_newest<T: Copy>(kept: &mut Option<T>, number: Option<T>, is_newer: impl Fn(T, T) -> bool) {
    if let Some(number) = number
        && kept.is_none_or(|kept| is_newer(number, kept))
    {
        *kept = Some(number);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    const RATE: u32 = 90_000;
    const FRAME: u32 = 3_000;

    /// No numbers but the zeroes that every packet has.
    pub(crate) fn blank() -> Numbers {
        Numbers { seq: 0, ts: 0, picture_id: None, tl0: None, key_index: None, frame_number: None }
    }

    fn numbers(seq: u64, ts: u32, id: u16, tl0: u8) -> Numbers {
        Numbers { seq, ts, picture_id: Some(id & PICTURE_BITS), tl0: Some(tl0), ..blank() }
    }

    #[expect(clippy::disallowed_methods, reason = "any instant will do; the test adds to it")]
    fn start() -> Instant {
        Instant::now()
    }

    #[test]
    fn the_first_source_keeps_its_timestamps() {
        let mut line = Line::new(RATE);
        let first = numbers(40_000, 7, 5, 9);
        line.switch(&first, start());
        assert_eq!(line.rewrite(&first), Some(numbers(1, 7, 5, 9)));
        assert_eq!(
            line.rewrite(&numbers(40_002, 7 + FRAME, 6, 10)).map(|n| (n.seq, n.ts)),
            Some((3, 7 + FRAME))
        );
    }

    #[test]
    fn a_switch_goes_on_where_the_old_source_was() {
        let mut line = Line::new(RATE);
        let t0 = start();
        line.switch(&numbers(10, 100, 0x7fff, 255), t0);
        line.rewrite(&numbers(10, 100, 0x7fff, 255));
        line.switch(&numbers(65_535, u32::MAX, 77, 3), t0 + Duration::from_secs(1));
        let out = line.rewrite(&numbers(65_535, u32::MAX, 77, 3)).unwrap();
        assert_eq!(out, numbers(2, 100 + RATE, 0, 0));
        let out = line.rewrite(&numbers(65_536, FRAME - 1, 78, 4)).unwrap();
        assert_eq!(out, numbers(3, 100 + RATE + FRAME, 1, 1));
    }

    #[test]
    fn packets_before_the_switch_are_dropped() {
        let mut line = Line::new(RATE);
        line.switch(&numbers(10, 100, 0, 0), start());
        assert_eq!(line.rewrite(&numbers(9, 100, 0, 0)), None);
    }

    #[test]
    fn a_replay_is_squeezed_in_and_then_joins_the_line() {
        let mut line = Line::new(RATE);
        let t0 = start();
        line.switch(&numbers(1, 0, 1, 1), t0);
        for n in 0..=30u32 {
            line.rewrite(&numbers(1 + u64::from(n), n * FRAME, 1 + n as u16, 1));
        }
        // The keyframe came 500 ms before the switch at t0 + 1 s; the slot has shown everything up to then.
        line.switch(&numbers(500, 9_000_000, 1, 1), t0 + Duration::from_millis(500));
        let outs: Vec<u32> = (0..20u32)
            .map(|n| line.rewrite(&numbers(500 + u64::from(n), 9_000_000 + n * FRAME, 1, 1)).unwrap().ts)
            .collect();
        assert_eq!(outs[0], 90_090, "a millisecond after the last frame of the old source");
        assert_eq!(outs[19], 45_000 + 19 * FRAME, "on the line again");
        assert!(outs.windows(2).all(|pair| is_after(pair[1], pair[0])));
        // A late packet of a squeezed frame gets its frame's timestamp.
        assert_eq!(line.rewrite(&numbers(500, 9_000_000, 1, 1)).map(|n| n.ts), Some(90_090));
    }

    /// What is left out of a source whose first packet is 10; answers the slot's numbers of the others.
    fn leave_out(left_out: impl Fn(u64) -> bool, order: impl IntoIterator<Item = u64>) -> Vec<(u64, u64)> {
        let mut line = Line::new(RATE);
        line.switch(&numbers(10, 0, 0, 0), start());
        let mut sent = Vec::new();
        for seq in order {
            let packet = numbers(seq, 0, 0, 0);
            if left_out(seq) {
                line.leave_out(&packet);
            } else if let Some(ours) = line.rewrite(&packet) {
                sent.push((seq, ours.seq));
            }
        }
        sent
    }

    #[test]
    fn packets_that_are_left_out_leave_no_hole() {
        let odd = |seq: u64| seq % 2 == 1;
        assert_eq!(leave_out(odd, 10..17), [(10, 1), (12, 2), (14, 3), (16, 4)]);
        let many = leave_out(|seq| seq % 3 > 0, 10..10 + 3 * GAPS_MAX as u64 * 2);
        assert!(many.iter().map(|(_, ours)| *ours).eq(1..=many.len() as u64));
    }

    #[test]
    fn late_packets_keep_the_place_that_was_kept_for_them() {
        let between = |seq: u64| (12..14).contains(&seq);
        assert_eq!(leave_out(between, [10, 12, 13, 15, 11, 14]), [(10, 1), (15, 4), (11, 2), (14, 3)]);
        let late = leave_out(|seq| seq == 12, [10, 13, 12, 14]);
        assert_eq!(late, [(10, 1), (13, 4), (14, 5)], "13 had counted on 12");
    }

    proptest! {
        /// Whatever is left out, lost and reordered: no number is used twice, and order stays order.
        #[test]
        fn left_out_packets_never_break_the_line(
            left_out in proptest::collection::vec(any::<bool>(), 300),
            lost in proptest::collection::vec(0u8..8, 300),
            swaps in proptest::collection::vec(0usize..5, 300),
        ) {
            let mut order: Vec<u64> = (10..310).filter(|seq| *seq == 10 || lost[*seq as usize - 10] > 0).collect();
            let last = order.len() - 1;
            for (n, swap) in swaps.iter().enumerate().take(last).skip(1) {
                order.swap(n, (n + swap).min(last));
            }
            let sent = leave_out(|seq| seq > 10 && left_out[seq as usize - 10], order);
            let ours: std::collections::BTreeMap<u64, u64> = sent.iter().copied().collect();
            prop_assert_eq!(ours.len(), sent.len());
            prop_assert!(ours.values().is_sorted_by(|a, b| a < b));
        }

        /// Whatever is lost, reordered or switched, over all wraps: a slot never sends two packets under one number,
        /// order of sequence numbers is order of the source, and timestamps never run back from frame to frame.
        #[test]
        fn the_line_never_breaks(
            sources in proptest::collection::vec((any::<u32>(), any::<u32>(), any::<u16>(), any::<u8>(), 1usize..60), 1..8),
            lost in proptest::collection::vec(any::<bool>(), 500),
            swaps in proptest::collection::vec(0usize..4, 500),
        ) {
            let mut line = Line::new(RATE);
            let mut now = start();
            let mut seen = std::collections::BTreeMap::new();
            let mut step = 0;
            for (seq, ts, id, tl0, frames) in sources {
                let mut packets: Vec<Numbers> = (0..frames)
                    .map(|n| numbers(
                        u64::from(seq) + n as u64,
                        ts.wrapping_add(n as u32 * FRAME),
                        id.wrapping_add(n as u16),
                        tl0.wrapping_add(n as u8),
                    ))
                    .collect();
                line.switch(&packets[0], now);
                let first = packets.remove(0);
                let floor = seen.keys().next_back().copied();
                let out = line.rewrite(&first).unwrap();
                prop_assert!(floor.is_none_or(|floor| out.seq > floor));
                seen.insert(out.seq, out);
                for n in 0..packets.len() {
                    step += 1;
                    let other = (n + swaps[step % swaps.len()]).min(packets.len() - 1);
                    packets.swap(n, other);
                    now += Duration::from_millis(33);
                    if lost[step % lost.len()] { continue; }
                    if let Some(out) = line.rewrite(&packets[n]) {
                        prop_assert!(seen.insert(out.seq, out).is_none(), "a number was used twice");
                    }
                }
                now += Duration::from_millis(40);
            }
            let all: Vec<_> = seen.values().collect();
            for pair in all.windows(2) {
                prop_assert!(is_after(pair[1].ts, pair[0].ts));
                let id = pair[1].picture_id.unwrap().wrapping_sub(pair[0].picture_id.unwrap()) & PICTURE_BITS;
                prop_assert!(id > 0 && id < 0x4000);
            }
        }
    }
}
