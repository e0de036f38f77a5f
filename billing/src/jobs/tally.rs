//! What the jobs count, for whoever watches over the service.

use crate::store::Unfinished;
use jiff::Timestamp;
use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicI64, AtomicU64, Ordering},
};

/// What billing does by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Job {
    /// Makes ended months final.
    Close,
    /// Looks through tabs.
    Collect,
    /// Pays vendors.
    PayOut,
    /// Seals the ledger.
    Seal,
    /// Finishes payments, refunds and payouts that were begun, and hears the processor's news.
    Finish,
}

impl Job {
    /// All of them.
    pub const ALL: [Job; 5] = [Job::Close, Job::Collect, Job::PayOut, Job::Seal, Job::Finish];

    /// The name in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Job::Close => "close",
            Job::Collect => "collect",
            Job::PayOut => "pay_out",
            Job::Seal => "seal",
            Job::Finish => "finish",
        }
    }
}

/// A job at one moment, since the process began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JobLook {
    /// Which.
    pub job: Job,
    /// Rounds that came to their end.
    pub done: u64,
    /// Rounds that did not; the next one tries again.
    pub failed: u64,
    /// Accounts that were left out of rounds because their own turn failed.
    pub left_out: u64,
    /// When the last round came to its end.
    pub done_at: Option<Timestamp>,
}

/// The counts of a process's jobs. Clones count together.
#[derive(Debug, Clone, Default)]
pub struct Tally(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    jobs: [JobCounts; Job::ALL.len()],
    statements: AtomicU64,
    /// As last looked at; none before that.
    unfinished: Mutex<Option<Unfinished>>,
}

#[derive(Debug, Default)]
struct JobCounts {
    done: AtomicU64,
    failed: AtomicU64,
    left_out: AtomicU64,
    /// In milliseconds since 1970; 0 before the first.
    done_at: AtomicI64,
}

impl Tally {
    /// The jobs as they stand.
    pub fn look(&self) -> [JobLook; Job::ALL.len()] {
        Job::ALL.map(|job| {
            let JobCounts { done, failed, left_out, done_at } = self.of(job);
            let [done, failed, left_out] =
                [done, failed, left_out].map(|count| count.load(Ordering::Relaxed));
            let done_at = Some(done_at.load(Ordering::Relaxed)).filter(|at| *at != 0);
            let done_at = done_at.and_then(|at| Timestamp::from_millisecond(at).ok());
            JobLook { job, done, failed, left_out, done_at }
        })
    }

    /// How many statements became final.
    pub fn statements(&self) -> u64 {
        self.0.statements.load(Ordering::Relaxed)
    }

    /// What was begun and is not finished, as the last round of [`Job::Finish`] left it.
    pub fn unfinished(&self) -> Option<Unfinished> {
        *self.0.unfinished.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// So much is left.
    pub(super) fn unfinished_is(&self, unfinished: Unfinished) {
        *self.0.unfinished.lock().unwrap_or_else(PoisonError::into_inner) = Some(unfinished);
    }

    /// A statement became final.
    pub(super) fn finalised(&self) {
        self.0.statements.fetch_add(1, Ordering::Relaxed);
    }

    /// A round came to its end, but for some accounts.
    pub(super) fn done(&self, job: Job, left_out: u64, at: Timestamp) {
        let counts = self.of(job);
        counts.done.fetch_add(1, Ordering::Relaxed);
        counts.left_out.fetch_add(left_out, Ordering::Relaxed);
        counts.done_at.store(at.as_millisecond(), Ordering::Relaxed);
    }

    /// A round did not come to its end.
    pub(super) fn failed(&self, job: Job) {
        self.of(job).failed.fetch_add(1, Ordering::Relaxed);
    }

    fn of(&self, job: Job) -> &JobCounts {
        &self.0.jobs[job as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_job_is_counted_by_itself_and_clones_count_together() {
        let (tally, at) = (Tally::default(), Timestamp::from_second(1_700_000_000).expect("a time"));
        let other = tally.clone();
        other.done(Job::Close, 2, at);
        other.done(Job::Close, 1, at);
        tally.failed(Job::Finish);
        tally.finalised();
        other.finalised();
        assert_eq!(tally.statements(), 2);
        assert_eq!(tally.unfinished(), None);
        let unfinished = Unfinished { payments: 3, ..Unfinished::default() };
        other.unfinished_is(unfinished);
        assert_eq!(tally.unfinished(), Some(unfinished));
        let none = |job| JobLook { job, done: 0, failed: 0, left_out: 0, done_at: None };
        for look in other.look() {
            let expected = match look.job {
                Job::Close => JobLook { done: 2, left_out: 3, done_at: Some(at), ..none(Job::Close) },
                Job::Finish => JobLook { failed: 1, ..none(Job::Finish) },
                job => none(job),
            };
            assert_eq!(look, expected);
        }
    }
}
