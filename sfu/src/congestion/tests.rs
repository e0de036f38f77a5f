//! Stories of lines and what becomes of the calls on them, in simulated time with seeded chance.

mod downlink;
pub(crate) mod encoder;
pub(crate) mod link;
mod scenarios;
mod steadiness;
mod world;

use std::time::Instant;

#[expect(clippy::disallowed_methods, reason = "any instant will do; the test adds to it")]
pub(super) fn start() -> Instant {
    Instant::now()
}

/// Chance that repeats (xorshift64*).
#[derive(Debug, Clone)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// 0 to 1.
    pub(super) fn roll(&mut self) -> f64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) as f64 / (1u64 << 53) as f64
    }
}
