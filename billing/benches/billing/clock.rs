//! The bench's own clock.

use std::time::Instant;

#[expect(clippy::disallowed_methods, reason = "a bench measures")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
