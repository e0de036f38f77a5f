//! How fast a page may talk.

use std::time::{Duration, Instant};

/// A token bucket in the form of the generic cell rate algorithm (ITU-T I.371): one instant instead of a counter.
#[derive(Debug)]
pub(super) struct Limit {
    every: Duration,
    burst: Duration,
    /// When the bucket will be full again.
    full_at: Instant,
}

impl Limit {
    /// `per_second` in the long run and `burst` at once.
    pub(super) fn new(per_second: u32, burst: u32, now: Instant) -> Self {
        let every = Duration::from_secs(1) / per_second;
        Self { every, burst: every * burst, full_at: now }
    }

    /// Takes one message; `false` when that is more than allowed.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        let full_at = self.full_at.max(now) + self.every;
        let allowed = full_at <= now + self.burst;
        if allowed {
            self.full_at = full_at;
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_then_the_rate() {
        #[expect(clippy::disallowed_methods, reason = "any instant will do as the beginning")]
        let start = Instant::now();
        let mut limit = Limit::new(50, 200, start);
        let at_once = (0..1000).filter(|_| limit.take(start)).count();
        assert_eq!(at_once, 200);
        let later = (1..=1000).filter(|ms| limit.take(start + Duration::from_millis(*ms))).count();
        assert_eq!(later, 50);
        let rested = start + Duration::from_secs(60);
        assert_eq!((0..1000).filter(|_| limit.take(rested)).count(), 200);
    }
}
