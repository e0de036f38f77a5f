//! Does the queue on the way grow? A line through the last delays, against a threshold that adapts to how noisy the path
//! is (draft-ietf-rmcat-gcc-02 §5.3 and §5.4, with the least-squares filter that browsers use in place of the Kalman one).

use std::collections::VecDeque;

use super::groups::Delta;

/// Groups in the line.
const WINDOW: usize = 20;
/// How much of the past counts in a smoothed delay.
const SMOOTHING: f64 = 0.9;
/// A slope counts more the more groups stand behind it, up to this many.
const GROUPS_MAX: f64 = 60.0;
/// Brings the slope to the scale of the threshold.
const GAIN: f64 = 4.0;
/// The threshold at first and its bounds, in ms.
const THRESHOLD_MS: f64 = 12.5;
const THRESHOLD_MS_MIN: f64 = 6.0;
const THRESHOLD_MS_MAX: f64 = 600.0;
/// How fast the threshold follows, upwards and downwards (§5.6).
const FOLLOW_UP: f64 = 0.0087;
const FOLLOW_DOWN: f64 = 0.039;
/// What exceeds the threshold by more than this is an event, not noise to get used to.
const EVENT_MS: f64 = 15.0;
/// Over the threshold for at least this long.
const OVERUSE_MS: f64 = 10.0;
/// The longest step that the threshold adapts by at once.
const STEP_MS_MAX: f64 = 100.0;

/// What the delays say about the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Usage {
    /// No queue grows.
    #[default]
    Normal,
    /// More is sent than leaves.
    Over,
    /// A queue drains.
    Under,
}

/// The delays of one subscriber.
#[derive(Debug)]
pub(crate) struct Trend {
    /// Arrival and smoothed delay, both in ms.
    points: VecDeque<(f64, f64)>,
    groups: f64,
    delay_ms: f64,
    smoothed_ms: f64,
    threshold_ms: f64,
    adapted_at_ms: Option<f64>,
    slope: f64,
    over_ms: Option<f64>,
    over_groups: u32,
    usage: Usage,
}

impl Default for Trend {
    fn default() -> Self {
        Trend {
            points: VecDeque::with_capacity(WINDOW + 1),
            groups: 0.0,
            delay_ms: 0.0,
            smoothed_ms: 0.0,
            threshold_ms: THRESHOLD_MS,
            adapted_at_ms: None,
            slope: 0.0,
            over_ms: None,
            over_groups: 0,
            usage: Usage::Normal,
        }
    }
}

impl Trend {
    /// Adds the change of delay between two groups.
    pub(crate) fn push(&mut self, delta: Delta) {
        self.groups += 1.0;
        self.delay_ms += delta.arrived_ms - delta.sent_ms;
        self.smoothed_ms = SMOOTHING * self.smoothed_ms + (1.0 - SMOOTHING) * self.delay_ms;
        self.points.push_back((delta.at_ms, self.smoothed_ms));
        if self.points.len() > WINDOW {
            self.points.pop_front();
        }
        let slope = if self.points.len() == WINDOW { slope(&self.points) } else { None };
        self.judge(slope.unwrap_or(self.slope), delta);
    }

    /// What the delays say now.
    pub(crate) fn usage(&self) -> Usage {
        self.usage
    }

    /// Starts the line anew; what was learned about the path's noise stays.
    pub(crate) fn reset(&mut self) {
        *self = Trend { threshold_ms: self.threshold_ms, ..Trend::default() };
    }

    fn judge(&mut self, slope: f64, delta: Delta) {
        let score_ms = self.groups.min(GROUPS_MAX) * slope * GAIN;
        if score_ms > self.threshold_ms {
            let over_ms = self.over_ms.map_or(delta.sent_ms / 2.0, |over_ms| over_ms + delta.sent_ms);
            self.over_ms = Some(over_ms);
            self.over_groups += 1;
            if over_ms > OVERUSE_MS && self.over_groups > 1 && slope >= self.slope {
                self.usage = Usage::Over;
            }
        } else {
            (self.over_ms, self.over_groups) = (None, 0);
            self.usage = if score_ms < -self.threshold_ms { Usage::Under } else { Usage::Normal };
        }
        self.slope = slope;
        self.adapt(score_ms, delta.at_ms);
    }

    fn adapt(&mut self, score_ms: f64, at_ms: f64) {
        let since_ms = (at_ms - self.adapted_at_ms.unwrap_or(at_ms)).clamp(0.0, STEP_MS_MAX);
        self.adapted_at_ms = Some(at_ms);
        let distance_ms = score_ms.abs() - self.threshold_ms;
        if distance_ms > EVENT_MS {
            return;
        }
        let follow = if distance_ms < 0.0 { FOLLOW_DOWN } else { FOLLOW_UP };
        let threshold_ms = self.threshold_ms + follow * distance_ms * since_ms;
        self.threshold_ms = threshold_ms.clamp(THRESHOLD_MS_MIN, THRESHOLD_MS_MAX);
    }
}

/// The least-squares slope; `None` when all points share one moment.
fn slope(points: &VecDeque<(f64, f64)>) -> Option<f64> {
    let count = points.len() as f64;
    let (sum_x, sum_y) = points.iter().fold((0.0, 0.0), |(x, y), point| (x + point.0, y + point.1));
    let (mean_x, mean_y) = (sum_x / count, sum_y / count);
    let above: f64 = points.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    let below: f64 = points.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
    (below > 0.0).then(|| above / below)
}
