//! How long packets wait on the way: the one-way delay over the least one seen lately. The two clocks' difference cancels.
//!
//! A trend cannot see a queue that is full and stays full; this can.

/// The least delay is remembered for one to two of these, so that a longer route is believed in the end.
const MEMORY_US: u64 = 10_000_000;
/// A wait as long as this is a queue that stands.
const STANDING_US: i64 = 200_000;
/// It stands when it has done so for this long,
const STANDS_AFTER_US: u64 = 400_000;
/// and is no queue but a longer route when sending less for this long has left as much as this part of it.
const ROUTE_AFTER_US: u64 = 1_500_000;
const ROUTE: f64 = 0.9;

/// The delays to one subscriber.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    least_us: Option<i64>,
    least_before_us: Option<i64>,
    turned_us: u64,
    /// The least since the last update.
    lately_us: Option<i64>,
    wait_us: i64,
    /// Since when it stands, and how long the wait was then.
    standing: Option<(u64, i64)>,
}

impl Queue {
    /// A packet came: arrival on the receiver's clock less sending on ours.
    pub(crate) fn came(&mut self, delay_us: i64) {
        self.lately_us = Some(self.lately_us.map_or(delay_us, |least| least.min(delay_us)));
    }

    /// Takes stock, once for every feedback.
    pub(crate) fn update(&mut self, now_us: u64) {
        let Some(lately_us) = self.lately_us.take() else { return };
        if now_us.saturating_sub(self.turned_us) > MEMORY_US {
            (self.least_before_us, self.least_us) = (self.least_us, None);
            self.turned_us = now_us;
        }
        self.least_us = Some(self.least_us.map_or(lately_us, |least| least.min(lately_us)));
        let least_us = self.least_us.into_iter().chain(self.least_before_us).min();
        self.wait_us = least_us.map_or(0, |least| lately_us - least);
        if self.wait_us < STANDING_US {
            self.standing = None;
            return;
        }
        let (since_us, first_us) = *self.standing.get_or_insert((now_us, self.wait_us));
        if now_us.saturating_sub(since_us) > ROUTE_AFTER_US {
            let is_route = self.wait_us as f64 > first_us as f64 * ROUTE;
            self.standing = Some((now_us, self.wait_us));
            if is_route {
                *self = Queue { least_us: Some(lately_us), turned_us: now_us, ..Queue::default() };
            }
        }
    }

    /// The wait in microseconds.
    pub(crate) fn wait_us(&self) -> u64 {
        self.wait_us.unsigned_abs()
    }

    /// Whether a queue stands that should be drained.
    pub(crate) fn stands(&self, now_us: u64) -> bool {
        self.standing.is_some_and(|(since, _)| now_us.saturating_sub(since) >= STANDS_AFTER_US)
    }
}
