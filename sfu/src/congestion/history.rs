//! What was sent to one subscriber and what became of it: a ring by transport-wide sequence number. Each packet is judged
//! once, received or lost, however often and in whatever order feedback speaks of it.

/// Packets remembered: 2 s of a good picture and a voice. What falls out unjudged is never judged.
const CAPACITY: usize = 1_024;

/// A packet said to be missing is lost once one that was sent this much later has come; before that it may have been
/// overtaken.
const OVERTAKEN_US: u64 = 60_000;

/// A sent packet, as far as congestion control cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sent {
    /// When, in microseconds of our clock.
    pub(crate) at_us: u64,
    /// The low half of the sequence number; a place in the ring tells the rest.
    seq: u32,
    /// Bytes on the wire.
    pub(crate) size: u16,
    /// Which probe it was a part of; 0 for none.
    pub(crate) cluster: u8,
    fate: Fate,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Unknown,
    /// Feedback says that it has not come yet.
    Missing,
    Judged,
}

const NEVER: Sent = Sent { at_us: 0, seq: 0, size: 0, cluster: 0, fate: Fate::Judged };

/// The last packets to one subscriber.
#[derive(Debug)]
pub(crate) struct History {
    ring: Box<[Sent]>,
    /// After the newest; 0 before the first.
    next: u64,
    /// All before it are judged or given up.
    swept: u64,
    /// When the newest packet was sent that came.
    came_us: u64,
}

impl Default for History {
    fn default() -> Self {
        History { ring: vec![NEVER; CAPACITY].into(), next: 0, swept: 0, came_us: 0 }
    }
}

impl History {
    /// Takes note of a packet. Numbers rise; one that does not is ignored, gaps are allowed.
    pub(crate) fn sent(&mut self, seq: u64, size: usize, cluster: u8, at_us: u64) {
        if seq < self.next {
            return;
        }
        if self.next == 0 {
            self.swept = seq;
        }
        self.next = seq + 1;
        self.swept = self.swept.max(self.next.saturating_sub(CAPACITY as u64));
        let size = u16::try_from(size).unwrap_or(u16::MAX);
        self.ring[place(seq)] = Sent { at_us, seq: seq as u32, size, cluster, fate: Fate::Unknown };
    }

    /// What becomes of all that was sent until now does not matter any more.
    pub(crate) fn forget(&mut self) {
        self.swept = self.next;
    }

    /// Feedback says that a packet came. Answers it the first time only.
    pub(crate) fn received(&mut self, seq: u16) -> Option<Sent> {
        let sent = self.unjudged(seq)?;
        sent.fate = Fate::Judged;
        let sent = *sent;
        self.came_us = self.came_us.max(sent.at_us);
        Some(sent)
    }

    /// Feedback says that a packet has not come. It may yet.
    pub(crate) fn missing(&mut self, seq: u16) {
        if let Some(sent) = self.unjudged(seq) {
            sent.fate = Fate::Missing;
        }
    }

    /// The next packet that is now known to be lost, each one once. A packet of which no feedback spoke, because the
    /// feedback itself was lost, is passed over.
    pub(crate) fn next_lost(&mut self) -> Option<Sent> {
        while self.swept < self.next {
            let seq = self.swept;
            let sent = &mut self.ring[place(seq)];
            if sent.seq == seq as u32 && sent.at_us + OVERTAKEN_US > self.came_us {
                return None;
            }
            self.swept += 1;
            if sent.seq == seq as u32 && sent.fate == Fate::Missing {
                sent.fate = Fate::Judged;
                return Some(*sent);
            }
        }
        None
    }

    /// The remembered packet that these 16 bits name, unless it was judged or given up.
    fn unjudged(&mut self, seq: u16) -> Option<&mut Sent> {
        let newest = self.next.checked_sub(1)?;
        let seq = newest.checked_sub(u64::from((newest as u16).wrapping_sub(seq)))?;
        if seq < self.swept {
            return None;
        }
        let sent = &mut self.ring[place(seq)];
        (sent.seq == seq as u32 && sent.fate != Fate::Judged).then_some(sent)
    }
}

fn place(seq: u64) -> usize {
    seq as usize % CAPACITY
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000;

    /// Packets of 100 bytes, 10 ms apart, from `first` on.
    fn history(first: u64, count: u64) -> History {
        let mut history = History::default();
        for n in 0..count {
            history.sent(first + n, 100, 0, n * 10 * MS);
        }
        history
    }

    fn lost(history: &mut History) -> Vec<u64> {
        std::iter::from_fn(|| history.next_lost()).map(|sent| sent.at_us / MS).collect()
    }

    #[test]
    fn each_packet_is_judged_once() {
        let mut history = history(0, 20);
        assert_eq!(history.received(3).map(|sent| sent.at_us), Some(30 * MS));
        assert_eq!(history.received(3), None, "told twice");
        history.missing(4);
        history.missing(4);
        history.missing(3);
        history.received(19);
        assert_eq!(lost(&mut history), [40]);
        assert_eq!(history.received(4), None, "came after all, too late");
        assert!(lost(&mut history).is_empty());
    }

    #[test]
    fn a_packet_that_was_overtaken_is_not_lost() {
        let mut history = history(0, 20);
        history.missing(4);
        history.received(9);
        assert!(lost(&mut history).is_empty(), "it may yet come");
        assert!(history.received(4).is_some());
        history.received(19);
        assert!(lost(&mut history).is_empty());
    }

    #[test]
    fn what_no_feedback_spoke_of_is_not_lost() {
        let mut history = history(0, 20);
        history.received(19);
        assert!(lost(&mut history).is_empty());
    }

    #[test]
    fn sixteen_bits_wrap() {
        let mut history = history(65_530, 20);
        assert_eq!(history.received(65_535).map(|sent| sent.at_us), Some(50 * MS));
        history.missing(0);
        assert_eq!(history.received(1).map(|sent| sent.at_us), Some(70 * MS));
        assert_eq!(history.received(13).map(|sent| sent.at_us), Some(190 * MS));
        assert_eq!(lost(&mut history), [60]);
    }

    #[test]
    fn nobody_speaks_of_packets_that_were_not_sent() {
        let mut history = history(1_000, 20);
        for seq in [0, 999, 1_020, 40_000, u16::MAX] {
            assert_eq!(history.received(seq), None, "{seq}");
            history.missing(seq);
        }
        history.received(1_019);
        assert!(lost(&mut history).is_empty());
        assert_eq!(History::default().received(0), None);
    }

    #[test]
    fn numbers_may_have_gaps_but_not_fall() {
        let mut history = history(0, 5);
        history.sent(100_000, 100, 0, 900 * MS);
        history.sent(100_000, 7, 0, 901 * MS);
        history.sent(4, 7, 0, 902 * MS);
        assert_eq!(history.received((100_000 % 65_536) as u16).map(|sent| sent.size), Some(100));
        assert_eq!(history.received(4), None, "given up");
        assert!(lost(&mut history).is_empty());
    }

    #[test]
    fn the_oldest_make_room() {
        let count = CAPACITY as u64 + 10;
        let mut history = history(0, count);
        assert_eq!(history.received(9), None);
        assert!(history.received(10).is_some());
        (0..count as u16).for_each(|seq| history.missing(seq));
        history.received((count - 1) as u16);
        assert_eq!(
            lost(&mut history).len(),
            CAPACITY - 2 - 5,
            "all but two that came and what may have been overtaken"
        );
    }
}
