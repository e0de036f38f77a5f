//! How much one subscriber's line takes: the least of what delay, loss and the receiver itself allow.

use super::aimd::{Aimd, Carried};
use super::groups::Groups;
use super::history::Sent;
use super::loss::{Line, LossBound};
use super::meter::RateMeter;
use super::probe::Shown;
use super::queue::Queue;
use super::trend::{Trend, Usage};
use super::{BPS_MAX, BPS_MIN};

/// A probe is not followed by another, and nothing is raised, this soon after congestion.
const CALM_US: u64 = 1_000_000;
/// For this long after a probe, what comes through is more than what media uses.
const PROBED_US: i64 = 450_000;
/// Less than this part of the estimate came through: more was not asked of the line.
const IDLE: f64 = 0.9;
/// Loss beside a wait longer than this is taken for congestion.
const QUEUED_US: u64 = 30_000;
/// A wait this short is the noise of any way.
const NONE_US: u64 = 15_000;
/// A queue as short as this is none to speak of.
const SHORT_US: u64 = 60_000;

/// The estimate of one subscriber. Told of each packet's fate, updated once for every feedback.
#[derive(Debug)]
pub(crate) struct Estimate {
    groups: Groups,
    trend: Trend,
    aimd: Aimd,
    loss: LossBound,
    queue: Queue,
    acked: RateMeter,
    /// When the newest packet came, on the receiver's clock.
    newest_us: i64,
    /// When a packet of a probe last came, on the receiver's clock.
    probed_us: Option<i64>,
    remb_bps: Option<f64>,
    /// Whether the fate of any packet was ever told.
    hears: bool,
}

impl Estimate {
    /// Starts at a guess.
    pub(crate) fn new(bps: f64) -> Self {
        Estimate {
            groups: Groups::default(),
            trend: Trend::default(),
            aimd: Aimd::new(bps),
            loss: LossBound::default(),
            queue: Queue::default(),
            acked: RateMeter::default(),
            newest_us: 0,
            probed_us: None,
            remb_bps: None,
            hears: false,
        }
    }

    /// The estimate in bit/s. A receiver that never reports packets is believed whatever it estimates itself.
    pub(crate) fn bps(&self) -> f64 {
        if !self.hears {
            return self.remb_bps.unwrap_or(self.aimd.bps()).clamp(BPS_MIN, BPS_MAX);
        }
        let bps = self.aimd.bps().min(self.loss.bps()).min(self.remb_bps.unwrap_or(BPS_MAX));
        bps.max(BPS_MIN)
    }

    /// The part of all packets that was lost lately, 0 to 1.
    pub(crate) fn loss(&self) -> f64 {
        self.loss.loss()
    }

    /// How long packets wait on the way, in microseconds.
    pub(crate) fn wait_us(&self) -> u64 {
        self.queue.wait_us()
    }

    /// Whether the line is quiet enough to try more.
    pub(crate) fn is_calm(&self, now_us: u64) -> bool {
        let congested = self.aimd.decreased_us().is_some_and(|at| now_us.saturating_sub(at) < CALM_US);
        !congested && self.trend.usage() != Usage::Over && self.queue.wait_us() < SHORT_US
    }

    /// A packet came.
    pub(crate) fn received(&mut self, sent: &Sent, arrived_us: i64) {
        let sent_us = i64::try_from(sent.at_us).unwrap_or(i64::MAX);
        self.hears = true;
        self.newest_us = self.newest_us.max(arrived_us);
        self.acked.add(usize::from(sent.size), arrived_us);
        self.loss.judged(sent, true);
        self.queue.came(arrived_us - sent_us);
        if sent.cluster != 0 {
            // A probe makes a queue of its own, which would look as if the media had.
            self.groups.reset();
            self.probed_us = Some(arrived_us);
        } else if let Some(delta) = self.groups.push(sent_us, arrived_us) {
            self.trend.push(delta);
        }
    }

    /// A packet is lost.
    pub(crate) fn lost(&mut self, sent: &Sent) {
        self.loss.judged(sent, false);
    }

    /// Draws the conclusions from a feedback.
    pub(crate) fn update(&mut self, sent_bps: f64, rtt_us: u64, now_us: u64) {
        self.queue.update(now_us);
        let acked_bps = self.acked.bps(self.newest_us);
        let (estimate_bps, carried) = (self.bps(), self.carried(acked_bps));
        self.aimd.update(self.usage(&carried, now_us), &carried, rtt_us, now_us);
        if let Some(acked_bps) = acked_bps {
            let is_queued = self.queue.wait_us() > QUEUED_US;
            self.loss.update(&Line { estimate_bps, sent_bps, acked_bps, is_queued }, now_us);
        }
    }

    /// The trend, corrected by the wait itself.
    fn usage(&self, carried: &Carried, now_us: u64) -> Usage {
        let is_short = self.queue.wait_us() < SHORT_US;
        let is_none = self.queue.wait_us() < NONE_US;
        let is_idle = carried.peak_bps.is_none_or(|peak_bps| peak_bps < self.aimd.bps() * IDLE);
        match self.trend.usage() {
            _ if self.queue.stands(now_us) => Usage::Over,
            // Packets were jolted, and there is no queue; nor a long one where too little is sent to make one.
            Usage::Over if is_none || is_idle && is_short => Usage::Normal,
            // A queue that grows too slowly for the trend, or one too short to hold anything.
            Usage::Normal if !is_short || self.loss.holds() => Usage::Under,
            usage => usage,
        }
    }

    fn carried(&self, acked_bps: Option<f64>) -> Carried {
        let is_flattered = self.probed_us.is_some_and(|at| self.newest_us - at < PROBED_US);
        let grown_bps = acked_bps.filter(|_| !is_flattered).map(|bps| bps / (1.0 - self.loss.own()));
        Carried { peak_bps: self.acked.risen_bps(self.newest_us), grown_bps }
    }

    /// The receiver's own estimate, an upper bound.
    pub(crate) fn remb(&mut self, bps: f64) {
        self.remb_bps = Some(bps);
    }

    /// A probe came through.
    pub(crate) fn probed(&mut self, shown: &Shown) {
        self.aimd.raise_to(shown.bps);
        self.loss.probed(shown);
    }

    /// Nothing is heard of what is sent.
    pub(crate) fn fade(&mut self, factor: f64) {
        self.aimd.fade_to(self.bps() * factor);
    }

    /// Gives back what a silence took, unless there is a queue to explain it. Answers whether it did.
    pub(crate) fn restore(&mut self, bps: f64) -> bool {
        let is_short = self.queue.wait_us() < SHORT_US;
        if is_short {
            self.aimd.raise_to(bps);
        }
        is_short
    }

    /// Something is heard again.
    pub(crate) fn heard_again(&mut self, now_us: u64) {
        self.groups.reset();
        self.trend.reset();
        self.loss.forget_before(now_us);
    }
}
