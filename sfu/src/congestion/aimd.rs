//! The delay-based rate: rises slowly near where it last was too much, faster elsewhere; falls to below what came through
//! (draft-ietf-rmcat-gcc-02 §5.5).

use super::trend::Usage;
use super::{BPS_MAX, BPS_MIN};

/// Growth a second, far from any known limit.
const GROWTH: f64 = 1.08;
/// What remains of the rate that came through, when that was too much.
const DECREASE: f64 = 0.85;
/// One decrease of a line that carries far less than the estimate takes at most this much of the estimate: a jolt while
/// only a voice plays says little about how much video would fit.
const IDLE_DECREASE: f64 = 0.5;
/// The estimate grows beyond what came through by this factor and amount only: more was never tried. Above it, probes
/// find out; growth by itself would end in a picture that the line does not carry.
const UNTRIED: f64 = 1.15;
const UNTRIED_BPS: f64 = 10_000.0;
/// Near a limit, one packet more per response time; a response takes a round trip and the detector's time.
const PACKET_BITS: f64 = 9_600.0;
const DETECTION_US: f64 = 100_000.0;
/// Slowest additive growth in bit/s per second.
const ADDITION_BPS_MIN: f64 = 4_000.0;
/// At most one decrease in this time, or in a round trip when that is longer but within bounds.
const DECREASE_US_MIN: u64 = 100_000;
const DECREASE_US_MAX: u64 = 300_000;

/// What came through lately, in bit/s, when that is known.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Carried {
    /// At its highest: while a queue stands, this is what the line takes.
    pub(crate) peak_bps: Option<f64>,
    /// With what the line loses by itself; `None` while a probe flatters it.
    pub(crate) grown_bps: Option<f64>,
}

/// The rate that delay allows.
#[derive(Debug)]
pub(crate) struct Aimd {
    bps: f64,
    rises: bool,
    knee: Knee,
    updated_us: Option<u64>,
    decreased_us: Option<u64>,
}

impl Aimd {
    /// Starts at a guess.
    pub(crate) fn new(bps: f64) -> Self {
        Aimd { bps, rises: true, knee: Knee::default(), updated_us: None, decreased_us: None }
    }

    /// The rate in bit/s.
    pub(crate) fn bps(&self) -> f64 {
        self.bps
    }

    /// When delay last asked for less.
    pub(crate) fn decreased_us(&self) -> Option<u64> {
        self.decreased_us
    }

    /// Follows the detector: once for every feedback, with what came through lately.
    pub(crate) fn update(&mut self, usage: Usage, carried: &Carried, rtt_us: u64, now_us: u64) {
        let since_us = self.updated_us.map_or(0, |at| now_us.saturating_sub(at)).min(1_000_000);
        self.updated_us = Some(now_us);
        match usage {
            Usage::Over => self.decrease(carried.peak_bps, rtt_us, now_us),
            // A queue drains: more now would keep it from doing so.
            Usage::Under => self.rises = false,
            Usage::Normal if !self.rises => self.rises = true,
            Usage::Normal => self.increase(carried.grown_bps, rtt_us, since_us),
        }
    }

    /// A probe came through at this rate.
    pub(crate) fn raise_to(&mut self, bps: f64) {
        self.bps = self.bps.max(bps.min(BPS_MAX));
    }

    /// Nothing is heard: what was known is worth less every moment.
    pub(crate) fn fade_to(&mut self, bps: f64) {
        self.bps = self.bps.min(bps).max(BPS_MIN);
        self.rises = false;
    }

    fn decrease(&mut self, peak_bps: Option<f64>, rtt_us: u64, now_us: u64) {
        let pause_us = rtt_us.clamp(DECREASE_US_MIN, DECREASE_US_MAX);
        let Some(peak_bps) = peak_bps else { return };
        if self.decreased_us.is_some_and(|at| now_us.saturating_sub(at) < pause_us) {
            return;
        }
        let carried_bps = peak_bps.max(self.bps * IDLE_DECREASE);
        self.knee.learn(peak_bps);
        self.bps = (carried_bps * DECREASE).min(self.bps).max(BPS_MIN);
        self.decreased_us = Some(now_us);
        self.rises = false;
    }

    fn increase(&mut self, grown_bps: Option<f64>, rtt_us: u64, since_us: u64) {
        let Some(grown_bps) = grown_bps else { return };
        let since_s = since_us as f64 / 1e6;
        if self.knee.is_exceeded_by(grown_bps) {
            self.knee = Knee::default();
        }
        let grown = if self.knee.is_near(self.bps) {
            let response_s = (rtt_us as f64 + DETECTION_US) / 1e6;
            self.bps + (PACKET_BITS / response_s).max(ADDITION_BPS_MIN) * since_s
        } else {
            self.bps * GROWTH.powf(since_s)
        };
        let tried_bps = grown_bps * UNTRIED + UNTRIED_BPS;
        self.bps = grown.min(tried_bps.max(self.bps)).min(BPS_MAX);
    }
}

/// The rate at which the line was last seen to be full, and how sure that is.
#[derive(Debug, Default)]
struct Knee {
    bps: Option<f64>,
    /// Variance over the mean.
    spread: f64,
}

impl Knee {
    const WEIGHT: f64 = 0.05;
    /// The smallest and the largest spread, in kbit/s.
    const SPREAD_MIN: f64 = 0.4;
    const SPREAD_MAX: f64 = 2.5;

    fn learn(&mut self, acked_bps: f64) {
        if self.is_exceeded_by(acked_bps) || self.is_far_above(acked_bps) {
            *self = Knee::default();
        }
        let mean = self.bps.map_or(acked_bps, |bps| bps + Knee::WEIGHT * (acked_bps - bps));
        let error_kbps = (mean - acked_bps) / 1e3;
        let seen = error_kbps * error_kbps / (mean / 1e3).max(1.0);
        let spread = self.spread + Knee::WEIGHT * (seen - self.spread);
        *self = Knee { bps: Some(mean), spread: spread.clamp(Knee::SPREAD_MIN, Knee::SPREAD_MAX) };
    }

    /// Three standard deviations around the mean.
    fn margin_bps(&self, bps: f64) -> f64 {
        3.0 * (self.spread * bps / 1e3).sqrt() * 1e3
    }

    fn is_near(&self, bps: f64) -> bool {
        self.bps.is_some_and(|knee| bps > knee * DECREASE - self.margin_bps(knee))
    }

    fn is_exceeded_by(&self, bps: f64) -> bool {
        self.bps.is_some_and(|knee| bps > knee + self.margin_bps(knee))
    }

    fn is_far_above(&self, bps: f64) -> bool {
        self.bps.is_some_and(|knee| bps < knee - self.margin_bps(knee))
    }
}
