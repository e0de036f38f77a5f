//! Does the line take more? A short train of packets at a higher rate, filled up with padding, tells; waiting for media to
//! grow would not, because media only grows once the line is known to take it.

use super::PADDING_BYTES;
use super::history::Sent;

/// A train lasts this long and has this many packets, whichever is later.
const TRAIN_US: u64 = 60_000;
/// The first one is shorter: it may be many times too fast, and all of it would wait in a queue.
const FIRST_TRAIN_US: u64 = 30_000;
const TRAIN_PACKETS: u32 = 10;
/// No more of a train is sent at once, however late the shell is.
const BURST_US: f64 = 20_000.0;
/// A train that nobody fills is given up.
const TRAIN_US_MAX: u64 = 1_000_000;
/// The rate of a train over the estimate: at first, and later.
const FIRST_STEP: f64 = 4.0;
const STEP: f64 = 2.0;
/// A train that loses more than this beyond what is lost anyway was too fast.
const LOSS_MAX: f64 = 0.1;
/// A train that comes at less than this part of its rate has met the line's limit,
const STRETCHED: f64 = 0.9;
/// of which this part is used, so that what queued up can drain.
const USABLE: f64 = 0.9;
/// A train that shows less growth than this has shown none.
const GROWTH_MIN: f64 = 1.02;
/// A train that aims at the goal goes beyond it by this, for what is measured falls a little short.
const BEYOND: f64 = 1.15;
/// How long to wait after a train in vain: at first, and at most.
const WAIT_US: u64 = 1_000_000;
const WAIT_US_MAX: u64 = 4_000_000;
/// Results are waited for this long beyond a round trip.
const RESULT_US: u64 = 400_000;

/// What is known when a train might start.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Conditions {
    /// The estimate, in bit/s.
    pub(crate) estimate_bps: f64,
    /// As much as would be used, in bit/s.
    pub(crate) goal_bps: f64,
    /// Nothing speaks against trying.
    pub(crate) is_calm: bool,
    /// The part that is lost anyway.
    pub(crate) loss: f64,
    /// In microseconds.
    pub(crate) rtt_us: u64,
}

/// What a train has shown.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Shown {
    /// The rate that the line was seen to carry, in bit/s.
    pub(crate) bps: f64,
    /// The part of the train that was lost, 0 to 1.
    pub(crate) loss: f64,
}

/// Sends trains, one at a time.
#[derive(Debug, Default)]
pub(crate) struct Prober {
    train: Option<Train>,
    id: u8,
    next_us: u64,
    wait_us: u64,
    trains: u32,
    /// Nothing has spoken against more since a train came through, or since the line began or was back.
    climbs: bool,
}

#[derive(Debug)]
struct Train {
    id: u8,
    bps: f64,
    since_us: u64,
    /// How long it lasts.
    lasts_us: u64,
    sent_bytes: u64,
    sent_packets: u32,
    /// When it was complete.
    done_us: Option<u64>,
    arrivals: Arrivals,
    lost: u32,
}

/// The packets of a train that came.
#[derive(Debug, Default)]
struct Arrivals {
    packets: u32,
    bytes: u64,
    sent: Slope,
    arrived: Slope,
}

/// Time over bytes: the rate of a least-squares line, which a few packets held up by chance do not bend. The bytes are
/// exact and the times are not, so the line is drawn through the times.
#[derive(Debug, Default)]
struct Slope {
    first_us: Option<i64>,
    points: f64,
    sum_x: f64,
    sum_y: f64,
    sum_yy: f64,
    sum_xy: f64,
}

impl Prober {
    /// A packet leaves. Answers the train it belongs to, 0 for none: media counts as well as padding.
    pub(crate) fn sent(&mut self, size: usize, now_us: u64) -> u8 {
        let Some(train) = self.train.as_mut().filter(|train| train.done_us.is_none()) else { return 0 };
        train.sent_bytes += size as u64;
        train.sent_packets += 1;
        if train.sent_packets >= TRAIN_PACKETS && now_us >= train.since_us + train.lasts_us {
            train.done_us = Some(now_us);
        }
        train.id
    }

    /// A packet of a train came.
    pub(crate) fn received(&mut self, sent: &Sent, arrived_us: i64) {
        if let Some(train) = self.train.as_mut().filter(|train| train.id == sent.cluster) {
            train.arrivals.push(sent, arrived_us);
        }
    }

    /// A packet of a train is lost.
    pub(crate) fn lost(&mut self, sent: &Sent) {
        if let Some(train) = self.train.as_mut().filter(|train| train.id == sent.cluster) {
            train.lost += 1;
        }
    }

    /// The rate of the train that is being sent, in bit/s.
    pub(crate) fn rate_bps(&self) -> Option<f64> {
        self.train.as_ref().filter(|train| train.done_us.is_none()).map(|train| train.bps)
    }

    /// Whether trains follow each other that may well show more.
    pub(crate) fn is_climbing(&self) -> bool {
        self.climbs
    }

    /// Whether the last train has shown nothing more.
    pub(crate) fn was_in_vain(&self) -> bool {
        self.wait_us > 0
    }

    /// How many bytes are missing now for the train to keep its rate.
    pub(crate) fn wish_bytes(&self, now_us: u64) -> usize {
        let Some(train) = self.train.as_ref().filter(|train| train.done_us.is_none()) else { return 0 };
        let due = train.bps * (now_us.saturating_sub(train.since_us)) as f64 / 8e6;
        let burst = (train.bps * BURST_US / 8e6).max(PADDING_BYTES as f64);
        (due - train.sent_bytes as f64).clamp(0.0, burst) as usize
    }

    /// Starts a train when it is time, ends one, and answers what it has shown, if that is more than is known.
    pub(crate) fn poll(&mut self, conditions: &Conditions, now_us: u64) -> Option<Shown> {
        let Some(train) = &self.train else {
            self.start(conditions, now_us);
            return None;
        };
        let Some(done_us) = train.done_us else {
            if now_us > train.since_us + TRAIN_US_MAX {
                self.end(false, now_us);
            }
            return None;
        };
        let is_over = now_us > done_us + conditions.rtt_us + RESULT_US || train.is_judged();
        if !is_over {
            return None;
        }
        let shown = train.shown(conditions.loss);
        let shown = shown.filter(|shown| shown.bps > conditions.estimate_bps * GROWTH_MIN);
        self.end(shown.is_some(), now_us);
        shown
    }

    /// Tries soon: the line may have changed.
    pub(crate) fn hurry(&mut self, now_us: u64) {
        (self.next_us, self.wait_us) = (self.next_us.min(now_us), 0);
    }

    /// The line was gone while the train was under way.
    pub(crate) fn give_up(&mut self, now_us: u64) {
        if self.train.is_some() {
            self.end(false, now_us);
        }
    }

    fn start(&mut self, conditions: &Conditions, now_us: u64) {
        let wants_more = conditions.goal_bps > conditions.estimate_bps;
        if !wants_more || !conditions.is_calm || now_us < self.next_us {
            self.climbs = false;
            return;
        }
        self.climbs = self.wait_us == 0;
        self.id = self.id.checked_add(1).unwrap_or(1);
        let (step, lasts_us) = if self.trains == 0 { (FIRST_STEP, FIRST_TRAIN_US) } else { (STEP, TRAIN_US) };
        self.trains = self.trains.saturating_add(1);
        self.train = Some(Train {
            id: self.id,
            bps: (conditions.estimate_bps * step).min(conditions.goal_bps * BEYOND),
            since_us: now_us,
            lasts_us,
            sent_bytes: 0,
            sent_packets: 0,
            done_us: None,
            arrivals: Arrivals::default(),
            lost: 0,
        });
    }

    fn end(&mut self, has_shown_more: bool, now_us: u64) {
        self.train = None;
        self.climbs = has_shown_more;
        self.wait_us = if has_shown_more { 0 } else { (self.wait_us * 2).clamp(WAIT_US, WAIT_US_MAX) };
        self.next_us = now_us + self.wait_us;
    }
}

impl Train {
    fn is_judged(&self) -> bool {
        self.arrivals.packets + self.lost >= self.sent_packets
    }

    fn shown(&self, usual_loss: f64) -> Option<Shown> {
        let judged = self.arrivals.packets + self.lost;
        // Feedback gets lost as well; half a train tells enough.
        if judged < (self.sent_packets / 2).max(1) {
            return None;
        }
        let loss = f64::from(self.lost) / f64::from(judged);
        let (sent_bps, arrived_bps) = self.arrivals.rates_bps()?;
        let is_stretched = arrived_bps < sent_bps * STRETCHED;
        let bps = if is_stretched { arrived_bps * USABLE } else { arrived_bps.min(sent_bps) };
        (loss <= usual_loss + LOSS_MAX).then_some(Shown { bps, loss })
    }
}

impl Arrivals {
    fn push(&mut self, sent: &Sent, arrived_us: i64) {
        self.packets += 1;
        self.bytes += u64::from(sent.size);
        self.sent.push(sent.at_us as i64, self.bytes);
        self.arrived.push(arrived_us, self.bytes);
    }

    /// How fast they were sent and how fast they came.
    fn rates_bps(&self) -> Option<(f64, f64)> {
        Some((self.sent.bps()?, self.arrived.bps()?))
    }
}

impl Slope {
    fn push(&mut self, at_us: i64, bytes: u64) {
        let x = (at_us - *self.first_us.get_or_insert(at_us)) as f64 / 1e6;
        let y = bytes as f64 * 8.0;
        self.points += 1.0;
        self.sum_x += x;
        self.sum_y += y;
        self.sum_yy += y * y;
        self.sum_xy += x * y;
    }

    /// Bit/s; `None` when all passed at one moment.
    fn bps(&self) -> Option<f64> {
        let above = self.points * self.sum_yy - self.sum_y * self.sum_y;
        let below = self.points * self.sum_xy - self.sum_x * self.sum_y;
        (below > 0.0 && above > 0.0).then(|| above / below)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_train_at_the_lowest_rate_asks_for_whole_packets_of_padding() {
        let mut prober = Prober::default();
        let conditions = Conditions {
            estimate_bps: 30_000.0,
            goal_bps: 500_000.0,
            is_calm: true,
            loss: 0.0,
            rtt_us: 50_000,
        };
        prober.trains = 1;
        prober.poll(&conditions, 0);
        assert_eq!(prober.rate_bps(), Some(60_000.0));
        assert!((1..10).any(|n| prober.wish_bytes(n * 5_000) >= PADDING_BYTES));
    }
}
