//! The clock that the shells pass in, so that a test or a sandbox can bring its own time.

use jiff::Timestamp;
use std::sync::Arc;

/// Tells the time. Cheap to clone; cores never hold one, they are given `now`.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// The operating system's clock, in whole microseconds: what PostgreSQL keeps, so that what is answered at once is what
    /// is read again later.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where billing and signalling read the wall clock"
    )]
    pub fn system() -> Self {
        let whole = |now: Timestamp| Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now);
        Self(Arc::new(move || whole(Timestamp::now())))
    }

    /// A clock that stands still.
    pub fn fixed(at: Timestamp) -> Self {
        Self(Arc::new(move || at))
    }

    /// The time now.
    pub fn now(&self) -> Timestamp {
        (self.0)()
    }
}

impl std::fmt::Debug for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Clock")
    }
}
