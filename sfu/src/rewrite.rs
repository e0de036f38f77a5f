//! One slot's numbers: sequence, timestamp and VP8 picture ids that run on without a break while sources come and go.
//!
//! A receiver that sees one continuous stream never resets its decoder, its jitter buffer or its loss recovery.
//! Nothing here touches a packet: numbers in, numbers out.

use std::collections::VecDeque;
use std::time::Instant;

/// The first sequence number of a slot. Below 65,536, so that the rollover counter starts at 0 (RFC 3711 §3.3.1).
const FIRST_SEQ: u64 = 1;

/// How many frames that were squeezed in after a switch are remembered for packets that come late.
const SQUEEZED_MAX: usize = 256;

/// The bits of a VP8 picture id (RFC 7741 §4.2).
const PICTURE_BITS: u16 = 0x7fff;

/// The numbers of one packet, as its source counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Numbers {
    /// Sequence number, extended past 16 bits.
    pub(crate) seq: u64,
    /// RTP timestamp.
    pub(crate) ts: u32,
    /// VP8 `PictureID`, 7 or 15 bits.
    pub(crate) picture_id: Option<u16>,
    /// VP8 `TL0PICIDX`.
    pub(crate) tl0: Option<u8>,
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
    /// While packets from before the switch are replayed: frames already squeezed in, `(theirs, ours)`.
    squeezed: Option<VecDeque<(u32, u32)>>,
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
            source: None,
        }
    }

    /// From now on packets come from a source whose first usable packet is `first`, received at `arrived`.
    ///
    /// Packets of that source before `first` are dropped.
    pub(crate) fn switch(&mut self, first: &Numbers, arrived: Instant) {
        let (at, base) = *self.epoch.get_or_insert((arrived, first.ts));
        let on_line = base.wrapping_add(ticks_between(at, arrived, self.rate_hz));
        let picture_next = self.picture_last.map(|last| last.wrapping_add(1));
        let tl0_next = self.tl0_last.map(|last| last.wrapping_add(1));
        self.source = Some(SourceLine {
            seq_first: first.seq,
            seq_base: self.next_seq,
            ts_add: on_line.wrapping_sub(first.ts),
            picture_add: offset_u16(picture_next, first.picture_id),
            tl0_add: offset_u8(tl0_next, first.tl0),
            squeezed: self.ts_last.map(|_| VecDeque::new()),
        });
    }

    /// The slot's numbers for a packet of the current source, or `None` when it belongs before the switch.
    pub(crate) fn rewrite(&mut self, packet: &Numbers) -> Option<Numbers> {
        let step = self.rate_hz / 1000;
        let source = self.source.as_mut()?;
        let ahead = packet.seq.checked_sub(source.seq_first)?;
        let seq = source.seq_base + ahead;
        let ts = source.place(packet.ts, self.ts_last, step)?;
        let picture_id = packet.picture_id.map(|id| id.wrapping_add(source.picture_add) & PICTURE_BITS);
        let tl0 = packet.tl0.map(|tl0| tl0.wrapping_add(source.tl0_add));
        self.note(seq, ts, picture_id, tl0);
        Some(Numbers { seq, ts, picture_id, tl0 })
    }

    /// Forgets the source; the line stays.
    pub(crate) fn pause(&mut self) {
        self.source = None;
    }

    fn note(&mut self, seq: u64, ts: u32, picture_id: Option<u16>, tl0: Option<u8>) {
        self.next_seq = self.next_seq.max(seq + 1);
        if self.ts_last.is_none_or(|last| is_after(ts, last)) {
            self.ts_last = Some(ts);
        }
        if let Some(id) = picture_id
            && self.picture_last.is_none_or(|last| id.wrapping_sub(last) & PICTURE_BITS < 0x4000)
        {
            self.picture_last = Some(id);
        }
        if let Some(tl0) = tl0
            && self.tl0_last.is_none_or(|last| tl0.wrapping_sub(last) < 0x80)
        {
            self.tl0_last = Some(tl0);
        }
    }
}

impl SourceLine {
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

/// Whether timestamp `a` is later than `b`, across the wrap.
fn is_after(a: u32, b: u32) -> bool {
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

fn offset_u16(next: Option<u16>, first: Option<u16>) -> u16 {
    match (next, first) {
        (Some(next), Some(first)) => next.wrapping_sub(first) & PICTURE_BITS,
        _ => 0,
    }
}

fn offset_u8(next: Option<u8>, first: Option<u8>) -> u8 {
    match (next, first) {
        (Some(next), Some(first)) => next.wrapping_sub(first),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    const RATE: u32 = 90_000;
    const FRAME: u32 = 3_000;

    fn numbers(seq: u64, ts: u32, id: u16, tl0: u8) -> Numbers {
        Numbers { seq, ts, picture_id: Some(id & PICTURE_BITS), tl0: Some(tl0) }
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
        assert_eq!(line.rewrite(&first), Some(Numbers { seq: 1, ts: 7, picture_id: Some(5), tl0: Some(9) }));
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
        assert_eq!(out, Numbers { seq: 2, ts: 100 + RATE, picture_id: Some(0), tl0: Some(0) });
        let out = line.rewrite(&numbers(65_536, FRAME - 1, 78, 4)).unwrap();
        assert_eq!(out, Numbers { seq: 3, ts: 100 + RATE + FRAME, picture_id: Some(1), tl0: Some(1) });
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

    proptest! {
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
