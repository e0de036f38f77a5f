//! What a subscriber's line is sent, and when: each packet that leaves is numbered and remembered, what comes back about it
//! says how much the line takes, and what would be too much at once waits here.

use std::time::{Duration, Instant};

use crate::congestion::allocate::Capacity;
use crate::congestion::pacer::{Class, Pacer};
use crate::congestion::{Downlink, PADDING_BYTES, Stats};

use super::train;

/// Who has not reported by then will not, and is sent what it shows as if its line had no end.
const REPORTS_WITHIN: Duration = Duration::from_secs(1);
/// What leaves at once on a line of which nothing says that it is narrow: a train, or an ordinary frame.
const BURST_BYTES: usize = train::SEGMENTS_MAX * 1_200;

/// The shaping of one line. `T` is what waits.
#[derive(Debug)]
pub(super) struct Shaper<T> {
    downlink: Downlink,
    pacer: Pacer<T>,
    /// Of the next packet, over all streams (transport-wide congestion control); the low 16 bits travel.
    seq: u64,
    begun: Instant,
    tick_at: Instant,
}

impl<T> Shaper<T> {
    /// A line on which nothing was sent yet.
    pub(super) fn new(now: Instant) -> Self {
        let downlink = Downlink::new(now);
        let pacer = Pacer::new(downlink.pacing_bps(), now);
        Shaper { downlink, pacer, seq: 0, begun: now, tick_at: now }
    }

    /// The number that the next packet carries.
    pub(super) fn seq(&self) -> u16 {
        self.seq as u16
    }

    /// A packet with that number leaves.
    pub(super) fn sent(&mut self, bytes: usize, now: Instant) {
        self.downlink.sent(self.seq, bytes, now);
        self.seq += 1;
    }

    /// The receiver has spoken, decrypted.
    pub(super) fn feedback(&mut self, rtcp: &[u8], now: Instant) {
        self.downlink.feedback(rtcp, now);
        self.set_pace(now);
    }

    /// The way to the receiver is another one now.
    pub(super) fn moved(&mut self, now: Instant) {
        self.downlink.moved(now);
        self.set_pace(now);
    }

    /// Lets time pass.
    pub(super) fn tick(&mut self, now: Instant) {
        if now >= self.tick_at {
            self.downlink.tick(now);
            self.tick_at = self.downlink.next_tick(now);
            self.set_pace(now);
        }
    }

    /// Whether a packet may leave at once. While nothing is known of a line there is nothing to wait for, and the picture
    /// that a newcomer is shown first comes at once.
    pub(super) fn admits(&mut self, class: Class, bytes: usize, now: Instant) -> bool {
        !self.downlink.hears() || self.pacer.admits(class, bytes, now)
    }

    /// Puts a packet in line; gives it back when too many wait.
    pub(super) fn push(&mut self, class: Class, bytes: usize, packet: T) -> Result<(), T> {
        self.pacer.push(class, bytes, packet)
    }

    /// The next packet that may leave now.
    pub(super) fn pop(&mut self, now: Instant) -> Option<T> {
        self.pacer.pop(now)
    }

    /// Takes everything out of line, unsent. Answers how many packets that were.
    pub(super) fn clear(&mut self) -> usize {
        let mut waited = 0;
        self.pacer.retain(|_| {
            waited += 1;
            false
        });
        waited
    }

    /// Takes out of line what is not to be kept.
    pub(super) fn retain(&mut self, keeps: impl FnMut(&T) -> bool) {
        self.pacer.retain(keeps);
    }

    /// Whether a packet of padding is to leave now; it is accounted for.
    pub(super) fn pads(&mut self, now: Instant) -> bool {
        let is_due = self.pacer.is_empty() && self.downlink.padding_bytes(now) >= PADDING_BYTES;
        if is_due {
            self.pacer.padded(PADDING_BYTES, now);
        }
        is_due
    }

    /// When something has to be done before the next ordinary tick.
    pub(super) fn wake_at(&self, now: Instant) -> Option<Instant> {
        let probe = self.downlink.is_probing().then_some(self.tick_at);
        self.pacer.next_deadline(now).into_iter().chain(probe).min()
    }

    /// As much as would be used if the line took it.
    pub(super) fn set_goal_bps(&mut self, goal_bps: u64) {
        self.downlink.set_goal_bps((goal_bps as f64 / (1.0 - self.loss())) as u64);
    }

    /// What there is to share out; what is sent again for what is lost has its part already. `None` for a receiver that
    /// does not report.
    pub(super) fn capacity(&self, now: Instant) -> Option<Capacity> {
        if !self.downlink.hears() && now.saturating_duration_since(self.begun) > REPORTS_WITHIN {
            return None;
        }
        Some(Capacity {
            bps: (self.downlink.estimate_bps() as f64 * (1.0 - self.loss())) as u64,
            climbs: self.downlink.is_climbing(),
            is_narrow: self.downlink.is_narrow(),
        })
    }

    /// The part of what is sent that is lost, 0 to 1.
    pub(super) fn loss(&self) -> f64 {
        self.downlink.loss()
    }

    /// What is known about the line, for people.
    pub(super) fn stats(&self, now: Instant) -> Stats {
        self.downlink.stats(now)
    }

    fn set_pace(&mut self, now: Instant) {
        let burst_bytes = if self.downlink.is_narrow() { 0 } else { BURST_BYTES };
        self.pacer.set_pace(self.downlink.pacing_bps(), burst_bytes, now);
    }
}
