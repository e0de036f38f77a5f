//! How much a subscriber's line takes, found out from what becomes of the packets we send it.
//!
//! Pure: packets, feedback and time in, numbers out. The shell numbers each packet that leaves, tells
//! [`Downlink::sent`], hands over the RTCP that comes back, and calls [`Downlink::tick`] when [`Downlink::next_tick`] says.
//! Then it asks: how much ([`Downlink::estimate_bps`], for the [`allocate::Allocator`]), how fast
//! ([`Downlink::pacing_bps`], for the [`pacer::Pacer`]), and how much padding ([`Downlink::padding_bytes`]).
//!
//! | file | decides |
//! |---|---|
//! | `twcc` | what the receiver says |
//! | `history` | which packet that is about; received or lost, once |
//! | `groups`, `trend`, `aimd` | what the delay allows |
//! | `queue` | whether a queue stands that no trend shows |
//! | `loss` | what the loss allows, and which loss is the line's own |
//! | `estimate` | the least of them |
//! | `probe` | when to try more |
//! | `pacer` | when a packet may leave |
//! | `allocate` | which layer of which track |
//!
//! No packet allocates; a `Downlink` takes about 18 kB, nearly all of it the history.

use std::time::{Duration, Instant};

mod aimd;
pub(crate) mod allocate;
mod estimate;
mod groups;
mod history;
mod loss;
pub(crate) mod meter;
pub(crate) mod pacer;
mod probe;
mod queue;
#[cfg(test)]
pub(crate) mod tests;
mod trend;
mod twcc;

use estimate::Estimate;
use history::History;
use meter::RateMeter;
use probe::{Conditions, Prober};
use twcc::{Feedback, ReceiverClock};

use crate::rtcp::{self, Item};

/// The estimate before anything is known: a voice and a small picture. The first probe comes with the first feedback.
const BPS_START: f64 = 500_000.0;
/// No estimate is lower: about a voice.
const BPS_MIN: f64 = 30_000.0;
/// No estimate is higher.
const BPS_MAX: f64 = 100_000_000.0;
/// Packets leave this much faster than the estimate: a keyframe leaves soon and still makes no queue to speak of.
const PACING: f64 = 1.25;
/// Bytes of a packet of padding: small ones tell more of a line than large ones.
pub(crate) const PADDING_BYTES: usize = 250;
/// The round trip before one is measured.
const RTT_US: u64 = 100_000;
/// How fast the round trip follows.
const RTT_FOLLOW: f64 = 0.2;
/// Something was sent and nothing heard for this long, beyond a round trip: the line is gone or full.
const SILENCE_US: u64 = 700_000;
/// So long where nothing spoke against the line before: more often than it is gone, its receiver is busy.
const CALM_SILENCE_US: u64 = 1_500_000;
/// Then the estimate falls to this part, and again each time this passes.
const FADE: f64 = 0.7;
const FADE_US: u64 = 500_000;
/// A silence no longer than this may have been the receiver's own: it was busy, and the line was not. Then what was sent came
/// all the same, but for this part at most.
const BUSY_US: u64 = 3_000_000;
const BUSY_LOSS_MAX: f64 = 0.1;
/// One datagram of feedback may speak of this many packets; what goes beyond is not read.
const STATUSES_MAX: usize = 16_384;
/// When nothing is due sooner; and while probes are being sent.
const TICK: Duration = Duration::from_millis(100);
const PROBE_TICK: Duration = Duration::from_millis(5);

/// What is known about a line, for people.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Stats {
    /// What it takes, in bit/s.
    pub(crate) estimate_bps: u64,
    /// What is sent, in bit/s.
    pub(crate) sent_bps: u64,
    /// The part of all packets that is lost, 0 to 1.
    pub(crate) loss: f64,
    /// There and back, with the time that the receiver waits before it reports. `None` before the first report.
    pub(crate) rtt: Option<Duration>,
    /// How long packets wait in queues on the way.
    pub(crate) queue: Duration,
}

/// What one feedback tells in all.
#[derive(Debug, Default)]
struct Told {
    /// When the newest packet was sent that came and of which no feedback spoke before.
    newest_sent_us: Option<u64>,
    packets: u32,
    missing: u32,
}

impl Told {
    /// The part that has not come, 0 to 1.
    fn loss(&self) -> f64 {
        f64::from(self.missing) / f64::from(self.packets.max(1))
    }
}

/// What was believed of a line that then fell silent.
#[derive(Debug, Clone, Copy)]
struct Before {
    since_us: u64,
    bps: f64,
    narrow: bool,
}

/// The line to one subscriber.
#[derive(Debug)]
pub(crate) struct Downlink {
    epoch: Instant,
    history: History,
    receiver_clock: ReceiverClock,
    estimate: Estimate,
    prober: Prober,
    sent: RateMeter,
    goal_bps: f64,
    rtt_us: Option<f64>,
    /// Since when nothing is heard of what was sent.
    unheard_since_us: Option<u64>,
    faded_us: Option<u64>,
    /// What was believed before a silence lowered it.
    before: Option<Before>,
    hears_feedback: bool,
    narrow: bool,
}

impl Downlink {
    /// A line of which nothing is known.
    pub(crate) fn new(now: Instant) -> Self {
        Downlink {
            epoch: now,
            history: History::default(),
            receiver_clock: ReceiverClock::default(),
            estimate: Estimate::new(BPS_START),
            prober: Prober::default(),
            sent: RateMeter::default(),
            goal_bps: 0.0,
            rtt_us: None,
            unheard_since_us: None,
            faded_us: None,
            before: None,
            hears_feedback: false,
            narrow: false,
        }
    }

    /// A packet leaves that carries a transport-wide sequence number: media, repair or padding. `seq` counts all of these
    /// on this connection and never wraps; its low 16 bits stand in the packet. `size` is bytes of UDP payload.
    pub(crate) fn sent(&mut self, seq: u64, size: usize, now: Instant) {
        let now_us = self.us(now);
        let cluster = self.prober.sent(size, now_us);
        self.history.sent(seq, size, cluster, now_us);
        self.sent.add(size, now_us as i64);
        self.unheard_since_us.get_or_insert(now_us);
    }

    /// RTCP came, decrypted; all but the two congestion reports in it is ignored.
    pub(crate) fn feedback(&mut self, rtcp: &[u8], now: Instant) {
        let now_us = self.us(now);
        let mut statuses = 0;
        rtcp::read(rtcp, |item| match item {
            Item::Remb(bps) => self.estimate.remb(bps as f64),
            Item::Transport(body) => {
                let Some(feedback) = Feedback::parse(body) else { return };
                statuses += feedback.count();
                if statuses <= STATUSES_MAX {
                    self.hear(&feedback, now_us);
                }
            }
            _ => {}
        });
    }

    /// Packets take another way from now on: nothing is known of it, and what becomes of those on the way before says nothing.
    pub(crate) fn moved(&mut self, now: Instant) {
        self.history.forget();
        self.estimate = Estimate::new(BPS_START);
        self.prober.give_up(self.us(now));
        self.prober.hurry(self.us(now));
        (self.rtt_us, self.unheard_since_us, self.faded_us, self.before) = (None, None, None, None);
        self.narrow = false;
    }

    /// What is due with time alone.
    pub(crate) fn tick(&mut self, now: Instant) {
        let now_us = self.us(now);
        self.fade(now_us);
        let conditions = Conditions {
            estimate_bps: self.estimate.bps(),
            goal_bps: self.goal_bps,
            is_calm: self.hears_feedback && self.faded_us.is_none() && self.estimate.is_calm(now_us),
            loss: self.estimate.loss(),
            rtt_us: self.rtt_us(),
        };
        if let Some(shown) = self.prober.poll(&conditions, now_us) {
            self.estimate.probed(&shown);
            self.narrow = false;
        }
        self.narrow = (self.narrow || self.prober.was_in_vain()) && self.estimate.bps() < self.goal_bps;
    }

    /// When to tick next, at the latest.
    pub(crate) fn next_tick(&self, now: Instant) -> Instant {
        now + if self.is_probing() { PROBE_TICK } else { TICK }
    }

    /// Whether a tick is due sooner than usual.
    pub(crate) fn is_probing(&self) -> bool {
        self.prober.rate_bps().is_some() || self.prober.is_climbing()
    }

    /// As much as would be used if the line took it, in bit/s: there is no probing beyond.
    pub(crate) fn set_goal_bps(&mut self, goal_bps: u64) {
        self.goal_bps = goal_bps as f64;
    }

    /// What the line takes, in bit/s.
    pub(crate) fn estimate_bps(&self) -> u64 {
        self.estimate.bps() as u64
    }

    /// Whether a better estimate is likely within a moment, so that a choice of layers had better wait for it.
    pub(crate) fn is_climbing(&self) -> bool {
        self.prober.is_climbing()
    }

    /// Whether something speaks against more than the estimate: a train in vain, a queue, loss. Otherwise it is only as
    /// much as was tried.
    pub(crate) fn is_narrow(&self) -> bool {
        self.narrow
    }

    /// Whether the receiver reports on packets.
    pub(crate) fn hears(&self) -> bool {
        self.hears_feedback
    }

    /// The part of all packets that was lost lately, 0 to 1.
    pub(crate) fn loss(&self) -> f64 {
        self.estimate.loss()
    }

    /// How fast packets may follow each other, in bit/s.
    pub(crate) fn pacing_bps(&self) -> u64 {
        (self.estimate.bps() * PACING).max(self.prober.rate_bps().unwrap_or(0.0)) as u64
    }

    /// How much padding to send now, when no media waits, in packets of [`PADDING_BYTES`].
    pub(crate) fn padding_bytes(&self, now: Instant) -> usize {
        self.prober.wish_bytes(self.us(now))
    }

    /// What is known about the line.
    pub(crate) fn stats(&self, now: Instant) -> Stats {
        Stats {
            estimate_bps: self.estimate_bps(),
            sent_bps: self.sent.bps(self.us(now) as i64).unwrap_or(0.0) as u64,
            loss: self.estimate.loss(),
            rtt: self.rtt_us.map(|us| Duration::from_micros(us as u64)),
            queue: Duration::from_micros(self.estimate.wait_us()),
        }
    }

    fn hear(&mut self, feedback: &Feedback<'_>, now_us: u64) {
        let told = self.read(feedback);
        // Feedback that tells nothing new is no sign of life.
        let Some(newest_sent_us) = told.newest_sent_us else { return };
        self.heard(newest_sent_us, now_us);
        while let Some(sent) = self.history.next_lost() {
            self.prober.lost(&sent);
            self.estimate.lost(&sent);
        }
        let sent_bps = self.sent.bps(now_us as i64).unwrap_or(0.0);
        let before_bps = self.estimate.bps();
        self.estimate.update(sent_bps, self.rtt_us(), now_us);
        self.narrow |= self.estimate.bps() < before_bps;
        if let Some(before) = self.before.take().filter(|_| told.loss() <= BUSY_LOSS_MAX) {
            self.forgive(&before, now_us);
        }
    }

    fn read(&mut self, feedback: &Feedback<'_>) -> Told {
        let mut told = Told::default();
        for status in feedback.statuses(&mut self.receiver_clock) {
            told.packets += 1;
            let Some(arrived_us) = status.arrived_us else {
                self.history.missing(status.seq);
                told.missing += 1;
                continue;
            };
            if let Some(sent) = self.history.received(status.seq) {
                told.newest_sent_us = told.newest_sent_us.max(Some(sent.at_us));
                self.prober.received(&sent, arrived_us);
                self.estimate.received(&sent, arrived_us);
            }
        }
        told
    }

    /// What was sent in a silence has come: it was the receiver that could not speak.
    fn forgive(&mut self, before: &Before, now_us: u64) {
        let is_short = now_us.saturating_sub(before.since_us) <= BUSY_US;
        if is_short && self.estimate.restore(before.bps) {
            self.narrow = before.narrow;
        }
    }

    fn heard(&mut self, newest_sent_us: u64, now_us: u64) {
        let rtt_us = now_us.saturating_sub(newest_sent_us) as f64;
        self.rtt_us = Some(self.rtt_us.map_or(rtt_us, |known| known + RTT_FOLLOW * (rtt_us - known)));
        self.unheard_since_us = None;
        self.hears_feedback = true;
        if self.faded_us.take().is_some() {
            self.estimate.heard_again(now_us);
            self.prober.hurry(now_us);
        }
    }

    /// Silence lowers the estimate, step by step. Who never reported is not silent: it cannot report.
    fn fade(&mut self, now_us: u64) {
        let Some(since_us) = self.unheard_since_us else { return };
        let is_silent = now_us.saturating_sub(since_us) > self.patience_us(since_us);
        let is_due = self.faded_us.is_none_or(|at| now_us.saturating_sub(at) >= FADE_US);
        if self.hears_feedback && is_silent && is_due {
            let (bps, narrow) = (self.estimate.bps(), self.narrow);
            self.before.get_or_insert(Before { since_us, bps, narrow });
            self.estimate.fade(FADE);
            self.prober.give_up(now_us);
            self.narrow = true;
            self.faded_us = Some(now_us);
        }
    }

    /// How long a silence may last that began then.
    fn patience_us(&self, since_us: u64) -> u64 {
        let longest_us = if self.estimate.is_calm(since_us) { CALM_SILENCE_US } else { SILENCE_US };
        longest_us + self.rtt_us()
    }

    fn rtt_us(&self) -> u64 {
        self.rtt_us.map_or(RTT_US, |us| us as u64)
    }

    fn us(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.epoch).as_micros()).unwrap_or(u64::MAX)
    }
}
