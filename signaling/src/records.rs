//! Writes down what happened in calls, a moment later: a bounded queue in front of the database that keeps its order
//! and waits while the database is away. Nothing here is money: usage has a way of its own, with a journal.

mod repair;

pub use repair::close_lost;

use crate::room::{CallId, Record};
use billing::TenantId;
use billing::db::{Db, DbError, Transaction};
use jiff::Timestamp;
use sfu::control;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// How many records may wait. While the database is away nobody new comes in, so that this is many hours of talk;
/// beyond it a record is dropped and said so in the log, and the next start closes what stayed open.
const WAITING_MAX: usize = 65_536;
/// How many records go into one transaction.
const BATCH_MAX: usize = 128;
/// How long to wait for a database that is away, at first and at most.
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// A record, and of when and what it is.
#[derive(Debug, Clone)]
pub struct Stamped {
    /// Whose call.
    pub tenant: control::TenantId,
    /// Which call.
    pub call: CallId,
    /// When it happened.
    pub at: Timestamp,
    /// What happened.
    pub record: Record,
}

enum Item {
    Record(Stamped),
    /// Answer when everything before is written.
    Flush(oneshot::Sender<()>),
}

/// The near end of the queue. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Records(mpsc::Sender<Item>);

impl Records {
    /// Starts the writer.
    pub fn start(db: Db) -> Self {
        let (near, far) = mpsc::channel(WAITING_MAX);
        tokio::spawn(write_all(db, far));
        Self(near)
    }

    /// Queues a record; never waits.
    pub fn push(&self, record: Stamped) {
        if let Err(error) = self.0.try_send(Item::Record(record)) {
            tracing::error!(%error, "a record of a call is lost: too many wait for the database");
        }
    }

    /// Waits until everything queued so far is written.
    pub async fn flush(&self) {
        let (done, written) = oneshot::channel();
        if self.0.send(Item::Flush(done)).await.is_ok() {
            written.await.ok();
        }
    }
}

async fn write_all(db: Db, mut queue: mpsc::Receiver<Item>) {
    let mut items = Vec::with_capacity(BATCH_MAX);
    while queue.recv_many(&mut items, BATCH_MAX).await > 0 {
        let mut batch: Vec<Stamped> = Vec::new();
        for item in items.drain(..) {
            match item {
                Item::Record(record) => {
                    if batch.last().is_some_and(|last| last.tenant != record.tenant) {
                        write(&db, std::mem::take(&mut batch)).await;
                    }
                    batch.push(record);
                }
                Item::Flush(done) => {
                    write(&db, std::mem::take(&mut batch)).await;
                    done.send(()).ok();
                }
            }
        }
        write(&db, batch).await;
    }
}

/// Writes one tenant's records, and again until the database takes them. What it will never take is logged.
async fn write(db: &Db, batch: Vec<Stamped>) {
    let mut pause = PAUSE_MIN;
    while let Err(error) = try_write(db, &batch).await {
        if !error.is_transient() {
            tracing::error!(%error, "a batch of call records is refused; its records are written one by one");
            return write_singly(db, batch).await;
        }
        tracing::warn!(%error, waiting = batch.len(), "call records wait for the database");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

async fn write_singly(db: &Db, batch: Vec<Stamped>) {
    for record in batch {
        let mut pause = PAUSE_MIN;
        while let Err(error) = try_write(db, std::slice::from_ref(&record)).await {
            if !error.is_transient() {
                tracing::error!(%error, ?record, "a call record is refused by the database");
                break;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }
}

async fn try_write(db: &Db, batch: &[Stamped]) -> Result<(), DbError> {
    let Some(first) = batch.first() else { return Ok(()) };
    let tx = db.tenant(TenantId(first.tenant.0)).await?;
    for stamped in batch {
        write_one(&tx, stamped).await?;
    }
    tx.commit().await
}

async fn write_one(tx: &Transaction, stamped: &Stamped) -> Result<(), DbError> {
    let (call, at) = (&stamped.call.0, &stamped.at);
    let changed = match &stamped.record {
        Record::CallStarted => tx.run(CALL_STARTED, &[call, at]).await?,
        Record::CallEnded => tx.run(CALL_ENDED, &[call, at]).await?,
        Record::Entered { participant, leg, name } => {
            tx.run(LEG_ENTERED, &[&leg.0, at]).await?;
            tx.run(PARTICIPANT_JOINED, &[&participant.0, at, name]).await?
        }
        Record::Renamed { participant, name } => tx.run(PARTICIPANT_RENAMED, &[&participant.0, name]).await?,
        Record::Left { participant, leg, reason } => {
            tx.run(LEG_ENDED, &[&leg.0, at, &reason.as_str()]).await?;
            tx.run(PARTICIPANT_LEFT, &[&participant.0, at]).await?
        }
        Record::LegEnded { leg, reason } => {
            let reason = reason.map_or("refused", |reason| reason.as_str());
            tx.run(LEG_ENDED, &[&leg.0, at, &reason]).await?
        }
    };
    if changed != 1 {
        tracing::error!(?stamped, changed, "a call record fits no row");
    }
    Ok(())
}

/// The first click starts a call; a click after everyone had left goes on with it.
const CALL_STARTED: &str = "update call c set ended_at = null, started_at = case when exists (
         select from participant p
         where p.tenant_id = c.tenant_id and p.call_id = c.call_id and p.joined_at is not null
       ) then c.started_at else $2 end
     where tenant_id = tuppence_tenant() and call_id = $1";
const CALL_ENDED: &str = "update call set ended_at = coalesce(ended_at, greatest(started_at, $2))
     where tenant_id = tuppence_tenant() and call_id = $1";
const LEG_ENTERED: &str =
    "update leg set entered_at = $2 where tenant_id = tuppence_tenant() and leg_id = $1";
const LEG_ENDED: &str = "update leg set ended_at = greatest(entered_at, created_at, $2), end_reason = $3
     where tenant_id = tuppence_tenant() and leg_id = $1";
const PARTICIPANT_JOINED: &str = "update participant
     set joined_at = coalesce(joined_at, $2), left_at = null, name = $3
     where tenant_id = tuppence_tenant() and participant_id = $1";
const PARTICIPANT_RENAMED: &str =
    "update participant set name = $2 where tenant_id = tuppence_tenant() and participant_id = $1";
const PARTICIPANT_LEFT: &str = "update participant set left_at = greatest(joined_at, $2)
     where tenant_id = tuppence_tenant() and participant_id = $1";
