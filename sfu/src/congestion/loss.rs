//! The loss-based bound (draft-ietf-rmcat-gcc-02 §6), with one thing added: loss that does not fall when less is sent is
//! the line's own, radio and not congestion, and no reason to send less. Each decrease is therefore an experiment.

use super::history::Sent;
use super::probe::Shown;
use super::{BPS_MAX, BPS_MIN};

/// Excess loss above which the bound falls, and below which it rises (§6).
const HIGH: f64 = 0.10;
const LOW: f64 = 0.02;
/// How much of the excess loss is taken off the rate (§6).
const DECREASE: f64 = 0.5;
/// One decrease of a line that is hardly used takes about this much: little was tried, so little is known.
const IDLE_DECREASE: f64 = 0.5;
/// Growth of the bound a second while there is no loss.
const GROWTH: f64 = 1.08;
/// A window holds this many packets, or as many as come in a second; and lasts at least a quarter of one.
const WINDOW_PACKETS: u32 = 60;
const WINDOW_US_MIN: u64 = 250_000;
const WINDOW_US_MAX: u64 = 1_000_000;
/// Fewer packets than this say nothing.
const PACKETS_MIN: u32 = 10;
/// An experiment counts when the rate of sending fell at least to this part.
const EXPERIMENT: f64 = 0.93;
/// How fast the line's own loss follows what is seen.
const FOLLOW: f64 = 0.15;
/// A line that loses more by itself is not believed to.
const OWN_MAX: f64 = 0.5;
/// Standard deviations of chance that are no excess.
const CHANCE: f64 = 2.0;
/// A window in doubt is kept open for this long.
const DOUBT_US_MAX: u64 = 2_000_000;
/// Loss beside a queue for this many windows is the queue's.
const QUEUED_WINDOWS: u32 = 3;
/// How fast the figure for people follows.
const SHOWN: f64 = 0.4;

/// What a decrease tries to find out.
#[derive(Debug, Clone, Copy)]
struct Experiment {
    /// The rate of sending and the excess loss before.
    sent_bps: f64,
    excess: f64,
    /// The bound to go back to when the loss was not ours.
    bound_bps: f64,
}

/// What else is known when a window closes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Line {
    /// The whole estimate, in bit/s.
    pub(crate) estimate_bps: f64,
    /// What was sent and what came lately, in bit/s.
    pub(crate) sent_bps: f64,
    pub(crate) acked_bps: f64,
    /// Whether a queue stands on the way: then loss is congestion.
    pub(crate) is_queued: bool,
}

/// The loss of one subscriber.
#[derive(Debug, Default)]
pub(crate) struct LossBound {
    bound_bps: Option<f64>,
    /// The part that is lost whatever is sent.
    own: f64,
    /// Up to which rate of sending that is known. Loss that comes with a higher rate is not the line's own.
    own_bps: f64,
    /// Of the last window.
    excess: f64,
    shown: f64,
    received: u32,
    lost: u32,
    since_us: Option<u64>,
    /// Packets from before it say nothing about what has changed since.
    from_us: u64,
    experiment: Option<Experiment>,
    /// Windows on end with a queue on the way.
    queued: u32,
}

impl LossBound {
    /// The most that loss allows, in bit/s.
    pub(crate) fn bps(&self) -> f64 {
        self.bound_bps.unwrap_or(BPS_MAX)
    }

    /// The part of all packets that was lost lately, 0 to 1.
    pub(crate) fn loss(&self) -> f64 {
        self.shown
    }

    /// The part that the line loses whatever is sent, 0 to 1.
    pub(crate) fn own(&self) -> f64 {
        self.own
    }

    /// A packet's fate.
    pub(crate) fn judged(&mut self, sent: &Sent, came: bool) {
        // A probe is lost for the probe's sake.
        if sent.at_us < self.from_us || sent.cluster != 0 {
            return;
        }
        if came {
            self.received += 1;
        } else {
            self.lost += 1;
        }
    }

    /// Forgets what was sent before now: the line was gone, not full.
    pub(crate) fn forget_before(&mut self, now_us: u64) {
        (self.received, self.lost, self.since_us) = (0, 0, Some(now_us));
        (self.from_us, self.experiment) = (now_us, None);
    }

    /// A probe came through: what it lost, at a higher rate than media, is the line's own.
    pub(crate) fn probed(&mut self, shown: &Shown) {
        let own = shown.loss.min(self.shown).min(OWN_MAX);
        if own >= self.own {
            (self.own, self.own_bps) = (own, shown.bps);
        }
        self.bound_bps = self.bound_bps.map(|bound| bound.max(shown.bps));
    }

    /// Whether so much is lost that no more should be sent.
    pub(crate) fn holds(&self) -> bool {
        self.excess >= LOW
    }

    /// Closes the window when there is enough in it.
    pub(crate) fn update(&mut self, line: &Line, now_us: u64) {
        let since_us = now_us.saturating_sub(*self.since_us.get_or_insert(now_us));
        let packets = self.received + self.lost;
        let is_full = since_us >= WINDOW_US_MIN && packets >= WINDOW_PACKETS;
        if !is_full && (since_us < WINDOW_US_MAX || packets < PACKETS_MIN) {
            return;
        }
        let loss = f64::from(self.lost) / f64::from(packets);
        let excess = self.excess(loss, f64::from(packets));
        let is_doubtful = excess <= HIGH && self.excess(loss, f64::INFINITY) > HIGH;
        if is_doubtful && since_us < DOUBT_US_MAX {
            return; // More packets will tell whether it was chance.
        }
        (self.received, self.lost, self.since_us, self.excess) = (0, 0, Some(now_us), excess);
        self.shown += SHOWN * (loss - self.shown);
        self.blame_queue(line);
        if !self.conclude(loss, line) {
            self.follow(line, since_us, now_us);
        }
        let is_known = loss < self.own || line.sent_bps <= self.own_bps;
        if self.excess < LOW && is_known {
            self.own = (self.own + FOLLOW * (loss - self.own)).clamp(0.0, OWN_MAX);
        }
    }

    /// Loss beyond the line's own that is more than chance, as a part of what the line itself lets through.
    fn excess(&self, loss: f64, packets: f64) -> f64 {
        let likely = loss.max(self.own);
        let chance = CHANCE * (likely * (1.0 - likely) / packets).sqrt();
        ((loss - chance - self.own) / (1.0 - self.own)).max(0.0)
    }

    fn blame_queue(&mut self, line: &Line) {
        self.queued = if line.is_queued { self.queued.saturating_add(1) } else { 0 };
        if self.queued >= QUEUED_WINDOWS {
            self.own = 0.0;
        }
    }

    /// Ends an experiment. Answers whether it has shown the loss not to be ours.
    fn conclude(&mut self, loss: f64, line: &Line) -> bool {
        let Some(before) = self.experiment.take() else { return false };
        if line.sent_bps > before.sent_bps * EXPERIMENT {
            // When there is nothing left to take away, less is no answer to loss.
            let is_least = line.estimate_bps < line.sent_bps;
            if is_least {
                (self.own, self.own_bps) = (loss.min(OWN_MAX), line.sent_bps);
            }
            return is_least;
        }
        if line.is_queued {
            return false;
        }
        let carried_bps = before.sent_bps * (1.0 - before.excess);
        let if_ours = (1.0 - carried_bps / line.sent_bps.max(1.0)).max(0.0);
        if self.excess < (before.excess + if_ours) / 2.0 {
            return false;
        }
        (self.own, self.own_bps) = (loss.min(OWN_MAX), before.sent_bps);
        self.bound_bps = Some(before.bound_bps);
        true
    }

    fn follow(&mut self, line: &Line, since_us: u64, now_us: u64) {
        let excess = self.excess;
        if excess > HIGH {
            let used_bps = line.estimate_bps.min(line.sent_bps.max(line.estimate_bps * IDLE_DECREASE));
            let bound_bps = (used_bps * (1.0 - DECREASE * excess)).max(line.acked_bps).max(BPS_MIN);
            self.bound_bps = Some(bound_bps.min(line.estimate_bps));
            self.from_us = now_us;
            self.experiment =
                Some(Experiment { sent_bps: line.sent_bps, excess, bound_bps: line.estimate_bps });
        } else if excess < LOW {
            let growth = GROWTH.powf(since_us as f64 / 1e6);
            self.bound_bps = self.bound_bps.map(|bound| bound * growth).filter(|bound| *bound < BPS_MAX);
        }
    }
}
