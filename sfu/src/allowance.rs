//! How much may be sent: of media far above what a browser sends, far below what would crowd out the others.

use std::time::{Duration, Instant};

/// A 4K screen at 30 Mbit/s, three layers of camera, repairs, and half as much again.
const BYTES_PER_S: u64 = 6_250_000;
/// The same in datagrams, for those who send small ones.
const DATAGRAMS_PER_S: u64 = 8_000;
/// Messages of one leg, in bytes and in number.
const MESSAGE_BYTES_PER_S: u64 = 64 * 1024;
const MESSAGES_PER_S: u64 = 50;
/// What becomes of the messages of one room: as many bytes and messages may leave for all its legs together.
const FAN_OUT_BYTES_PER_S: u64 = 4 << 20;
const FAN_OUT_PER_S: u64 = 5_000;
/// How far above a plan's limit pictures may be: a browser that keeps to it is above it for a moment now and then.
const PICTURES_OVER_PERCENT: u64 = 25;
/// What may come at once: a second's worth. A keyframe of a large screen is a few megabytes.
const BURST: Duration = Duration::from_secs(1);

/// An account. Only what has proven to be a leg's own is charged, so that nobody can spend it under a forged address.
#[derive(Debug)]
pub(crate) struct Allowance {
    bytes: Bucket,
    datagrams: Bucket,
}

impl Allowance {
    /// For the datagrams of a leg. Nothing is spent.
    pub(crate) fn new(now: Instant) -> Self {
        Allowance::of(BYTES_PER_S, DATAGRAMS_PER_S, now)
    }

    /// For the messages that a leg sends.
    pub(crate) fn for_messages(now: Instant) -> Self {
        Allowance::of(MESSAGE_BYTES_PER_S, MESSAGES_PER_S, now)
    }

    /// For the messages that the legs of a room are sent.
    pub(crate) fn for_fan_out(now: Instant) -> Self {
        Allowance::of(FAN_OUT_BYTES_PER_S, FAN_OUT_PER_S, now)
    }

    /// For the pictures of somebody whose plan has a limit, in kbit/s.
    pub(crate) fn for_pictures(kbps: u32, now: Instant) -> Self {
        let bytes_per_s = u64::from(kbps) * 1_000 / 8 * (100 + PICTURES_OVER_PERCENT) / 100;
        Allowance::of(bytes_per_s.min(BYTES_PER_S), DATAGRAMS_PER_S, now)
    }

    fn of(bytes_per_s: u64, datagrams_per_s: u64, now: Instant) -> Self {
        Allowance { bytes: Bucket::new(bytes_per_s, now), datagrams: Bucket::new(datagrams_per_s, now) }
    }

    /// Whether anything may come in now.
    pub(crate) fn is_left(&mut self, now: Instant) -> bool {
        self.bytes.is_left(now) && self.datagrams.is_left(now)
    }

    /// A datagram, or a message, of so many bytes.
    pub(crate) fn spend(&mut self, bytes: usize) {
        self.bytes.spend(bytes as u64);
        self.datagrams.spend(1);
    }
}

/// Virtual scheduling: the time at which the account will be whole again.
#[derive(Debug)]
struct Bucket {
    cost: Duration,
    whole_at: Instant,
}

impl Bucket {
    fn new(per_s: u64, now: Instant) -> Self {
        Bucket { cost: Duration::from_nanos(1_000_000_000 / per_s), whole_at: now }
    }

    fn is_left(&mut self, now: Instant) -> bool {
        self.whole_at = self.whole_at.max(now);
        self.whole_at - now < BURST
    }

    fn spend(&mut self, units: u64) {
        self.whole_at += self.cost * u32::try_from(units).unwrap_or(u32::MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::disallowed_methods, reason = "any instant will do; the test adds to it")]
    fn start() -> Instant {
        Instant::now()
    }

    /// Datagrams of this size let in within ten seconds, when this many come each millisecond.
    fn let_in(bytes: usize, per_ms: usize) -> u64 {
        let (t0, mut admitted) = (start(), 0);
        let mut allowance = Allowance::new(t0);
        for ms in 0..10_000 {
            for _ in 0..per_ms {
                if allowance.is_left(t0 + Duration::from_millis(ms)) {
                    allowance.spend(bytes);
                    admitted += 1;
                }
            }
        }
        admitted
    }

    #[test]
    fn a_large_screen_is_let_in_whole() {
        assert_eq!(let_in(1_200, 4), 40_000, "38 Mbit/s");
    }

    #[test]
    fn ten_seconds_of_excess_are_worth_eleven() {
        let (bytes, datagrams) = (let_in(1_200, 50) * 1_200, let_in(100, 50));
        assert!((10 * BYTES_PER_S..=11 * BYTES_PER_S + 10_000).contains(&bytes), "{bytes}");
        assert!((10 * DATAGRAMS_PER_S..=11 * DATAGRAMS_PER_S + 10).contains(&datagrams), "{datagrams}");
    }
}
