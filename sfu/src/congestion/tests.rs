//! Stories of lines and what becomes of the calls on them, in simulated time with seeded chance.

pub(super) mod encoder;

use std::time::Instant;

#[expect(clippy::disallowed_methods, reason = "any instant will do; the test adds to it")]
pub(super) fn start() -> Instant {
    Instant::now()
}
