//! What billing does by itself: every hour it makes ended months final, prepares the next ones and collects what is due; every
//! minute it seals the ledger; every second it finishes the payments that were begun.

mod tally;

pub use tally::{Job, JobLook, Tally};

use crate::{
    clock::Clock,
    collector::{Collector, Outgoing, Swept, Whom},
    db::{Db, DbError},
    ids::{AccountId, TenantId},
    period::Month,
    processor::Processor,
    statement::Summary,
    store::{self, Due, Progress, Seen, StoreError, Unfinished, Who},
};
use jiff::{SignedDuration, Timestamp};
use std::{sync::Mutex, time::Duration};
use tokio::{
    sync::Mutex as AsyncMutex,
    time::{Interval, MissedTickBehavior},
};
use uuid::Uuid;

/// How often.
const TICK: Duration = Duration::from_secs(3_600);
/// How often the ledger is sealed.
const SEAL_EVERY: Duration = Duration::from_secs(60);
/// How often payments are finished that were begun: whoever pays by hand looks at the answer a moment later.
const FINISH_EVERY: Duration = Duration::from_secs(1);
/// How often sandboxes are looked through, whose clocks may have been advanced.
const REHEARSE_EVERY: Duration = Duration::from_secs(5);
/// A month is made final this long after its end, when the nodes have reported its last hour. What comes still later
/// becomes an adjustment.
const SETTLING: SignedDuration = SignedDuration::from_hours(1);
/// Accounts that are closed in one transaction, each tenant with a lock of its own: PostgreSQL has room for 64 locks times its
/// connections.
const PAGE: i64 = 1_000;
/// Before all accounts.
const FIRST: Who = Who { tenant: TenantId(Uuid::nil()), account: AccountId(Uuid::nil()) };
/// When so many accounts have failed, it is not the accounts: the round stops.
const FAILED_MAX: usize = 1_000;
/// How often a long round says how far it is.
const TELL_EVERY: SignedDuration = SignedDuration::from_secs(10);
/// Months whose partitions exist before they begin.
const MONTHS_AHEAD: usize = 2;

/// What one round did.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Round {
    /// How many statements became final.
    pub finalised: u64,
    /// Accounts whose turn failed; the next round tries again.
    pub failed: Vec<Who>,
}

/// Runs for ever. Any number of processes may do this at the same time.
pub async fn run(db: Db, clock: Clock, collector: Collector<impl Processor>, tally: Tally) {
    let jobs = Jobs { db, clock, collector, tally };
    tokio::join!(jobs.hourly(), jobs.seal_every_minute(), jobs.finish_payments(), jobs.rehearse());
}

/// At once, and then so often.
fn every(period: Duration) -> Interval {
    let mut ticks = tokio::time::interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

struct Jobs<P> {
    db: Db,
    clock: Clock,
    collector: Collector<P>,
    tally: Tally,
}

impl<P: Processor> Jobs<P> {
    async fn hourly(&self) {
        let mut ticks = every(TICK);
        loop {
            ticks.tick().await;
            self.close().await;
            self.collect().await;
            self.pay_out().await;
        }
    }

    async fn seal_every_minute(&self) {
        let mut ticks = every(SEAL_EVERY);
        loop {
            ticks.tick().await;
            self.seal().await;
        }
    }

    async fn finish_payments(&self) {
        let mut ticks = every(FINISH_EVERY);
        loop {
            ticks.tick().await;
            self.finish().await;
        }
    }

    async fn rehearse(&self) {
        let mut ticks = every(REHEARSE_EVERY);
        loop {
            ticks.tick().await;
            // What fails is logged; the operator's tabs are what is counted.
            let _swept = self.sweep(Whom::Sandboxes).await;
        }
    }

    async fn close(&self) {
        let told = |who: Who, summary: &Summary| {
            let Who { tenant, account } = who;
            tracing::debug!(%tenant, %account, number = %summary.number, total = %summary.total, "a statement became final");
            self.tally.finalised();
        };
        let round = round(&self.db, &self.clock, told).await;
        if let Err(error) = &round {
            tracing::warn!(%error, "a round of billing failed; the next one is in an hour");
        }
        self.ended(Job::Close, round.map(|round| round.failed.len() as u64));
    }

    async fn collect(&self) {
        let swept = self.sweep(Whom::All).await;
        self.ended(Job::Collect, swept.map(|swept| swept.failed));
    }

    async fn sweep(&self, whom: Whom) -> Result<Swept, DbError> {
        let swept = self.collector.sweep(whom).await;
        match &swept {
            Ok(Swept { acted: 0, failed: 0, .. }) => {}
            Ok(Swept { payers, acted, failed }) => {
                tracing::info!(payers, acted, failed, "tabs were looked through");
            }
            Err(error) => tracing::warn!(%error, "tabs were not looked through; the next round tries again"),
        }
        swept
    }

    async fn pay_out(&self) {
        let paid = self.collector.pay_out().await;
        match &paid {
            Ok(0) => {}
            Ok(payouts) => tracing::info!(payouts, "vendors were paid"),
            Err(error) => tracing::warn!(%error, "vendors were not paid; the next round tries again"),
        }
        self.ended(Job::PayOut, paid.map(|_| 0));
    }

    /// What was posted becomes part of the chain of blocks in which tampering shows.
    async fn seal(&self) {
        let sealed = store::seal_ledger(&self.db, &self.clock).await;
        match &sealed {
            Ok(0) => {}
            Ok(blocks) => tracing::debug!(blocks, "the ledger was sealed"),
            Err(error) => tracing::warn!(%error, "the ledger was not sealed; the next try is in a minute"),
        }
        self.ended(Job::Seal, sealed.map(|_| 0));
    }

    async fn finish(&self) {
        let finished = finish(&self.collector).await;
        if let Ok(unfinished) = self.unfinished().await {
            self.tally.unfinished_is(unfinished);
        }
        if let Err(error) = &finished {
            tracing::warn!(%error, "payments were not finished; the next try is in a second");
        }
        self.ended(Job::Finish, finished.map(|()| 0));
    }

    async fn unfinished(&self) -> Result<Unfinished, DbError> {
        let tx = self.db.collecting().await?;
        let unfinished = store::unfinished(&tx).await?;
        tx.rollback().await?;
        Ok(unfinished)
    }

    /// Counts a round: how many accounts it left out, or that it failed.
    fn ended<E>(&self, job: Job, left_out: Result<u64, E>) {
        match left_out {
            Ok(left_out) => self.tally.done(job, left_out, self.clock.now()),
            Err(_) => self.tally.failed(job),
        }
    }
}

async fn finish(collector: &Collector<impl Processor>) -> Result<(), StoreError> {
    collector.resume().await?;
    collector.resume_outgoing(Outgoing::Refunds).await?;
    collector.resume_outgoing(Outgoing::Payouts).await?;
    collector.hear().await?;
    Ok(())
}

/// One round over all accounts, page by page. An account whose turn fails does not keep the others waiting. Tells of each
/// statement once it is final; remembers none, so that a million need no more memory than a thousand.
pub async fn round(db: &Db, clock: &Clock, told: impl FnMut(Who, &Summary)) -> Result<Round, DbError> {
    prepare_months(db, clock.now()).await;
    let close = Close {
        db,
        clock,
        cursor: AsyncMutex::new(Some(FIRST)),
        progress: AsyncMutex::new(None),
        state: Mutex::new(State { round: Round::default(), told, unseen: 0, said_at: clock.now() }),
    };
    // Three pages at once: while one waits for the disk or for its numbers, the others read and add up.
    let (one, two, three) = tokio::join!(close.work(), close.work(), close.work());
    one.and(two).and(three)?;
    close.end().await
}

/// A round that is going on.
struct Close<'a, Told> {
    db: &'a Db,
    clock: &'a Clock,
    /// The last account that somebody has taken; none when all are taken.
    cursor: AsyncMutex<Option<Who>>,
    /// Begun with the first ended month.
    progress: AsyncMutex<Option<Progress>>,
    state: Mutex<State<Told>>,
}

struct State<Told> {
    round: Round,
    told: Told,
    /// Accounts looked at that no progress tells of yet.
    unseen: u64,
    said_at: Timestamp,
}

impl<Told: FnMut(Who, &Summary)> Close<'_, Told> {
    /// Takes page after page until there are no more.
    async fn work(&self) -> Result<(), DbError> {
        while let Some(mut due) = self.next_page().await? {
            while !due.is_empty() && !self.is_broken() {
                due = self.close(due).await?;
            }
        }
        Ok(())
    }

    /// Who is due of the next page.
    async fn next_page(&self) -> Result<Option<Vec<Due>>, DbError> {
        let mut cursor = self.cursor.lock().await;
        let Some(after) = *cursor else { return Ok(None) };
        let tx = self.db.closing().await?;
        let page = store::due_after(&tx, after, PAGE, self.clock.now(), SETTLING).await?;
        tx.rollback().await?;
        *cursor = page.last;
        self.with(|state| state.unseen += page.accounts);
        Ok(page.last.map(|_| page.due))
    }

    /// Closes a month of each, together if that works, else one by one. Answers with those that are due again.
    async fn close(&self, due: Vec<Due>) -> Result<Vec<Due>, DbError> {
        let progress = self.progress().await?;
        let seen =
            Seen { accounts: self.with(|state| std::mem::take(&mut state.unseen)), at: self.clock.now() };
        match store::close_ended(self.db, &due, SETTLING, progress, seen).await {
            Ok(closed) => {
                closed.finalised.iter().for_each(|(who, summary)| self.finalised(*who, summary));
                closed.failed.iter().for_each(|(who, error)| self.failed(*who, error));
                Ok(closed.still_due)
            }
            Err(error) => {
                tracing::warn!(%error, accounts = due.len(), "months could not be made final together");
                self.with(|state| state.unseen += seen.accounts);
                self.one_by_one(due).await;
                Ok(Vec::new())
            }
        }
    }

    /// Each in a transaction of its own, so that nobody waits for the one that cannot be closed.
    async fn one_by_one(&self, due: Vec<Due>) {
        for Due { who, at } in due {
            if self.is_broken() {
                return;
            }
            match turn(self.db, who, at).await {
                Ok(finalised) => finalised.iter().for_each(|summary| self.finalised(who, summary)),
                Err(error) => self.failed(who, &error),
            }
        }
    }

    async fn progress(&self) -> Result<Progress, DbError> {
        let mut progress = self.progress.lock().await;
        if let Some(begun) = *progress {
            return Ok(begun);
        }
        let tx = self.db.closing().await?;
        let begun = Progress::begin(&tx, self.clock.now()).await?;
        tx.commit().await?;
        Ok(*progress.insert(begun))
    }

    async fn end(self) -> Result<Round, DbError> {
        let state = self.state.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(progress) = self.progress.into_inner() {
            let tx = self.db.closing().await?;
            let failed = state.round.failed.len() as u64;
            progress.finish(&tx, Seen { accounts: state.unseen, at: self.clock.now() }, failed).await?;
            tx.commit().await?;
            tracing::info!(statements = state.round.finalised, failed, "ended months are final");
        }
        Ok(state.round)
    }

    fn finalised(&self, who: Who, summary: &Summary) {
        let now = self.clock.now();
        self.with(|state| {
            state.round.finalised += 1;
            (state.told)(who, summary);
            if now.duration_since(state.said_at) >= TELL_EVERY {
                state.said_at = now;
                let (statements, last) = (state.round.finalised, &summary.number);
                tracing::info!(statements, %last, "months are being made final");
            }
        });
    }

    fn failed(&self, who: Who, error: &StoreError) {
        let Who { tenant, account } = who;
        tracing::error!(%tenant, %account, %error, "a month could not be made final");
        self.with(|state| state.round.failed.push(who));
    }

    fn is_broken(&self) -> bool {
        self.with(|state| state.round.failed.len() >= FAILED_MAX)
    }

    fn with<T>(&self, change: impl FnOnce(&mut State<Told>) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}

/// One account's ended months.
async fn turn(db: &Db, who: Who, at: Timestamp) -> Result<Vec<Summary>, StoreError> {
    let tx = db.tenant(who.tenant).await?;
    let ended_by = at.checked_sub(SETTLING).unwrap_or(at);
    let finalised = store::finalise_account(&tx, who, ended_by, at).await?;
    tx.commit().await?;
    Ok(finalised)
}

/// Without its partition a month lands in the default one: slower to archive, not wrong.
async fn prepare_months(db: &Db, now: Timestamp) {
    let months = std::iter::successors(Some(Month::of(now)), |month| Some(month.next()));
    for month in months.take(MONTHS_AHEAD + 1) {
        let made = async {
            let service = db.service().await?;
            store::make_partitions(&service, month).await?;
            service.commit().await
        };
        if let Err(error) = made.await {
            tracing::warn!(%month, %error, "no partition was made");
        }
    }
}
