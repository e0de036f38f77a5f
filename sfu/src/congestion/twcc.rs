//! What a receiver says about each packet: transport-wide congestion control feedback
//! (draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1), read without a copy and with work bounded by its length
//! and its 16-bit packet count.

/// A tick of a receive delta (§3.1.5).
const DELTA_US: i64 = 250;
/// A tick of the reference time (§3.1).
const REFERENCE_US: i64 = 64_000;
/// The reference time counts this many ticks before it starts again: 24 bits, 12.4 days.
const REFERENCE_TICKS: i64 = 1 << 24;
/// No connection lasts longer: 2,200 years.
const TICKS_MAX: i64 = 1 << 40;
/// Base number, count, reference time and the feedback's own number.
const HEADER_BYTES: usize = 8;

/// One feedback message that was found to be whole.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Feedback<'a> {
    base_seq: u16,
    count: u16,
    reference: i64,
    chunks: &'a [u8],
    deltas: &'a [u8],
}

/// What is said about one packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Status {
    /// The low 16 bits of its transport-wide sequence number.
    pub(crate) seq: u16,
    /// When it came, in microseconds of the receiver's clock; `None` while it has not come.
    pub(crate) arrived_us: Option<i64>,
}

impl<'a> Feedback<'a> {
    /// Reads what follows the two SSRCs of a transport feedback packet with FMT 15; `None` when it is cut short or uses
    /// the reserved symbol.
    pub(crate) fn parse(message: &'a [u8]) -> Option<Self> {
        let (header, body) = message.split_at_checked(HEADER_BYTES)?;
        let count = u16::from_be_bytes([header[2], header[3]]);
        let (chunk_bytes, delta_bytes) = measure(body, count)?;
        let (chunks, rest) = body.split_at_checked(chunk_bytes)?;
        Some(Feedback {
            base_seq: u16::from_be_bytes([header[0], header[1]]),
            count,
            reference: i64::from(u32::from_be_bytes([0, header[4], header[5], header[6]])),
            chunks,
            deltas: rest.get(..delta_bytes)?,
        })
    }

    /// How many packets it speaks of.
    pub(crate) fn count(&self) -> usize {
        usize::from(self.count)
    }

    /// Each packet in the order of sending. The clock carries the receiver's time over the wraps of its 24 bits.
    pub(crate) fn statuses(&self, clock: &mut ReceiverClock) -> Statuses<'a> {
        Statuses {
            seq: self.base_seq,
            left: self.count,
            chunk: Chunk(0),
            place: 0,
            chunks: self.chunks,
            deltas: self.deltas,
            at_us: clock.unwrap(self.reference) * REFERENCE_US,
        }
    }
}

/// The reference time of one receiver, counted on past 24 bits.
#[derive(Debug, Default)]
pub(crate) struct ReceiverClock {
    last: Option<i64>,
}

impl ReceiverClock {
    fn unwrap(&mut self, reference: i64) -> i64 {
        let last = self.last.unwrap_or(reference);
        let step = (reference - last).rem_euclid(REFERENCE_TICKS);
        let is_back = step >= REFERENCE_TICKS / 2;
        let now = last + if is_back { step - REFERENCE_TICKS } else { step };
        // Nobody is connected for so long; whoever says so is not to overflow what is computed from it.
        if now > TICKS_MAX {
            self.last = None;
            return reference;
        }
        self.last = Some(now.max(last));
        now
    }
}

/// The packets of one feedback message.
#[derive(Debug)]
pub(crate) struct Statuses<'a> {
    seq: u16,
    left: u16,
    chunk: Chunk,
    /// The next symbol within the chunk.
    place: u16,
    chunks: &'a [u8],
    deltas: &'a [u8],
    at_us: i64,
}

impl Iterator for Statuses<'_> {
    type Item = Status;

    fn next(&mut self) -> Option<Status> {
        self.left = self.left.checked_sub(1)?;
        while self.place >= self.chunk.len() {
            (self.chunk, self.chunks) = Chunk::split(self.chunks)?;
            self.place = 0;
        }
        let delta = self.delta(self.chunk.symbol(self.place)?)?;
        if let Some(delta) = delta {
            self.at_us += delta * DELTA_US;
        }
        let status = Status { seq: self.seq, arrived_us: delta.map(|_| self.at_us) };
        self.place += 1;
        self.seq = self.seq.wrapping_add(1);
        Some(status)
    }
}

impl Statuses<'_> {
    /// The ticks since the packet before, of a packet that came.
    fn delta(&mut self, symbol: Symbol) -> Option<Option<i64>> {
        let (bytes, rest) = self.deltas.split_at_checked(symbol.delta_bytes())?;
        self.deltas = rest;
        Some(match *bytes {
            [small] => Some(i64::from(small)),
            [high, low] => Some(i64::from(i16::from_be_bytes([high, low]))),
            _ => None,
        })
    }
}

/// §3.1.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Symbol {
    Missing,
    Small,
    Large,
}

impl Symbol {
    fn from_bits(bits: u16) -> Option<Self> {
        match bits {
            0 => Some(Symbol::Missing),
            1 => Some(Symbol::Small),
            2 => Some(Symbol::Large),
            _ => None,
        }
    }

    fn delta_bytes(self) -> usize {
        match self {
            Symbol::Missing => 0,
            Symbol::Small => 1,
            Symbol::Large => 2,
        }
    }
}

/// Sixteen bits that hold many symbols (§3.1.2).
#[derive(Debug, Clone, Copy)]
struct Chunk(u16);

impl Chunk {
    /// The first chunk and the rest.
    fn split(chunks: &[u8]) -> Option<(Self, &[u8])> {
        let (first, rest) = chunks.split_at_checked(2)?;
        Some((Chunk(u16::from_be_bytes([first[0], first[1]])), rest))
    }

    fn is_vector(self) -> bool {
        self.0 & 0x8000 != 0
    }

    fn has_wide_symbols(self) -> bool {
        self.0 & 0x4000 != 0
    }

    /// How many symbols it holds: a run of up to 8,191 (§3.1.3), or a vector of 7 or 14 (§3.1.4).
    fn len(self) -> u16 {
        match (self.is_vector(), self.has_wide_symbols()) {
            (false, _) => self.0 & 0x1fff,
            (true, true) => 7,
            (true, false) => 14,
        }
    }

    fn symbol(self, place: u16) -> Option<Symbol> {
        Symbol::from_bits(match (self.is_vector(), self.has_wide_symbols()) {
            (false, _) => self.0 >> 13,
            (true, true) => self.0 >> (12 - 2 * place) & 3,
            (true, false) => self.0 >> (13 - place) & 1,
        })
    }

    /// The bytes of deltas that its first symbols need.
    fn delta_bytes(self, symbols: u16) -> Option<usize> {
        if self.is_vector() {
            return (0..symbols).map(|place| self.symbol(place).map(Symbol::delta_bytes)).sum();
        }
        Some(self.symbol(0)?.delta_bytes() * usize::from(symbols))
    }
}

/// The bytes of chunks for this many packets, and the bytes of deltas that these ask for.
fn measure(body: &[u8], count: u16) -> Option<(usize, usize)> {
    let (mut rest, mut left, mut delta_bytes) = (body, count, 0);
    while left > 0 {
        let (chunk, after) = Chunk::split(rest)?;
        let symbols = chunk.len().min(left);
        delta_bytes += chunk.delta_bytes(symbols)?;
        left -= symbols;
        rest = after;
    }
    Some((body.len() - rest.len(), delta_bytes))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::encoder;
    use super::*;

    /// What follows the SSRCs, without the padding.
    fn message(rtcp: &[u8]) -> &[u8] {
        let padding = if rtcp[0] & 0x20 == 0 { 0 } else { usize::from(rtcp[rtcp.len() - 1]) };
        &rtcp[12..rtcp.len() - padding]
    }

    fn read(rtcp: &[u8]) -> Option<Vec<(u16, Option<i64>)>> {
        let feedback = Feedback::parse(message(rtcp))?;
        let statuses = feedback.statuses(&mut ReceiverClock::default());
        Some(statuses.map(|status| (status.seq, status.arrived_us)).collect())
    }

    /// Gaps in ticks of 250 µs, some negative, some lost, some long runs of the same.
    fn arrivals() -> impl Strategy<Value = Vec<Option<i64>>> {
        let gap = prop_oneof![Just(None), (0i64..=255).prop_map(Some), (-900i64..8_000).prop_map(Some)];
        let runs = proptest::collection::vec((gap, 1usize..40), 1..30);
        (runs, 10_000i64..2_000_000).prop_map(|(runs, start)| {
            let mut at = start;
            let gaps = runs.into_iter().flat_map(|(gap, count)| std::iter::repeat_n(gap, count));
            gaps.map(|gap| {
                at += gap?;
                Some(at)
            })
            .collect()
        })
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(base: u16, arrivals in arrivals(), kinds in proptest::collection::vec(0u8..3, 1..20)) {
            let mut kind = kinds.iter().cycle().copied();
            let rtcp = encoder::feedback(base, 0, &arrivals, || kind.next().unwrap_or(0));
            let seqs = (0..arrivals.len()).map(|n| base.wrapping_add(n as u16));
            let expected: Vec<_> = seqs.zip(arrivals.iter().map(|ticks| ticks.map(|ticks| ticks * 250))).collect();
            prop_assert_eq!(read(&rtcp), Some(expected));
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Some(feedback) = Feedback::parse(&bytes) {
                prop_assert_eq!(feedback.statuses(&mut ReceiverClock::default()).count(), feedback.count());
            }
        }

        #[test]
        fn what_is_cut_short_is_refused(arrivals in arrivals(), cut in 1usize..50) {
            let rtcp = encoder::feedback(1, 0, &arrivals, || 1);
            let whole = message(&rtcp);
            prop_assert!(Feedback::parse(&whole[..whole.len() - cut.min(whole.len())]).is_none());
        }
    }

    /// A message by hand, with the figures of the draft.
    fn by_hand(count: u16, rest: &[u8]) -> Vec<u8> {
        let mut message = vec![0xff, 0xfe, (count >> 8) as u8, count as u8, 0, 0, 2, 7];
        message.extend(rest);
        message
    }

    /// Reads a message by hand; packets that came give the milliseconds since the reference time.
    fn check(name: &str, count: u16, rest: &[u8], expected: &[Option<f64>]) {
        let message = by_hand(count, rest);
        let feedback = Feedback::parse(&message).expect(name);
        let statuses: Vec<Status> = feedback.statuses(&mut ReceiverClock::default()).collect();
        let arrived: Vec<Option<i64>> = statuses.iter().map(|status| status.arrived_us).collect();
        let expected: Vec<Option<i64>> =
            expected.iter().map(|ms| Some(128_000 + ((*ms)? * 1e3) as i64)).collect();
        assert_eq!(arrived, expected, "{name}");
        assert_eq!(statuses[0].seq, 0xfffe, "{name}");
    }

    #[test]
    fn each_kind_of_chunk_is_read() {
        check("a run of small deltas", 2, &[0x20, 2, 4, 8], &[Some(1.0), Some(3.0)]);
        check("a run that is longer than the count", 1, &[0x20, 9, 4], &[Some(1.0)]);
        check("one bit each", 3, &[0b1010_1000, 0, 4, 4], &[Some(1.0), None, Some(2.0)]);
        check("two bits each", 3, &[0b1101_0010, 0, 40, 0xff, 0xfc], &[Some(10.0), None, Some(9.0)]);
    }

    #[test]
    fn the_reserved_symbol_is_refused() {
        assert!(Feedback::parse(&by_hand(1, &[0x60, 1, 0, 0])).is_none(), "in a run");
        assert!(Feedback::parse(&by_hand(1, &[0xf0, 0, 0, 0])).is_none(), "in a vector");
        assert!(Feedback::parse(&by_hand(1, &[0xcf, 0, 0, 0])).is_some(), "not after the last packet");
    }

    #[test]
    fn the_reference_time_runs_on_past_24_bits() {
        let mut clock = ReceiverClock::default();
        let last = REFERENCE_TICKS - 1;
        assert_eq!(clock.unwrap(last), last);
        assert_eq!(clock.unwrap(1), last + 2);
        assert_eq!(clock.unwrap(last), last, "from before the wrap, late");
        assert_eq!(clock.unwrap(3), last + 4);
        for _ in 0..1_000_000 {
            let step = clock.last.unwrap_or(0) + REFERENCE_TICKS / 2 - 1;
            assert!(clock.unwrap(step.rem_euclid(REFERENCE_TICKS)) <= TICKS_MAX);
        }
    }
}
