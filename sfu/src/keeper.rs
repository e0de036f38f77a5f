//! The thread that keeps usage: journals what the shards count and ships it to the hub.
//!
//! It stands apart from the shards so that a slow disk never holds up a packet. When its queue is full the shards keep
//! their counters and offer them again: a counter that waits loses nothing.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::Sender;
use tokio::sync::mpsc::error::TrySendError;

use crate::control::{Event, UsageFact};
use crate::driver;
use crate::journal::Journal;
use crate::metrics::JournalLook;
use crate::node::{Busy, StartError};
use crate::ship::Shipper;

/// Messages that wait for the keeper at most.
const QUEUE_MAX: usize = 4_096;
/// Facts reach the disk at least this often.
const SYNC_EVERY: Duration = Duration::from_millis(250);
/// How long the keeper sleeps when nobody calls.
const NAP: Duration = Duration::from_millis(100);
/// Counters kept in memory while the disk refuses them: about 20 MB.
const UNWRITTEN_MAX: usize = 200_000;
/// A disk that refuses is tried again after this long.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// A disk that refuses is mentioned this often.
const COMPLAIN_EVERY: Duration = Duration::from_secs(10);
/// Events that wait while the hub does not listen.
const OUTBOX_MAX: usize = 65_536;

/// What the keeper is told.
#[derive(Debug)]
pub(crate) enum Note {
    /// Counters, and an event that may be sent only once they are durable.
    Keep { facts: Vec<UsageFact>, then: Option<Event> },
    /// The hub has a batch.
    Stored(u64),
    /// Somebody asks how things stand.
    Look(SyncSender<JournalLook>),
    /// The end: everything is journaled before the thread ends.
    Stop,
}

/// Where notes enter.
#[derive(Debug, Clone)]
pub(crate) struct KeeperDoor {
    notes: SyncSender<Note>,
}

impl KeeperDoor {
    /// Hands over counters; gives them back when the keeper has no room.
    pub(crate) fn keep(&self, facts: Vec<UsageFact>, then: Option<Event>) -> Result<(), Note> {
        self.notes.try_send(Note::Keep { facts, then }).map_err(|refused| match refused {
            std::sync::mpsc::TrySendError::Full(note) | std::sync::mpsc::TrySendError::Disconnected(note) => {
                note
            }
        })
    }

    /// The hub has a batch.
    pub(crate) fn stored(&self, batch: u64) -> Result<(), Busy> {
        self.notes.try_send(Note::Stored(batch)).map_err(|_| Busy)
    }

    /// Asks how the journal stands.
    pub(crate) fn look(&self) -> Receiver<JournalLook> {
        let (answer, look) = sync_channel(1);
        // Too busy to say: the answer's other end is dropped, which says so.
        let _busy = self.notes.try_send(Note::Look(answer));
        look
    }

    /// Ends the thread after what was handed over is durable.
    pub(crate) fn stop(&self) {
        // An error means that it has ended already.
        let _ended = self.notes.send(Note::Stop);
    }
}

/// Opens the journal and starts the thread.
pub(crate) fn start(
    directory: &Path,
    events: Sender<Event>,
) -> Result<(KeeperDoor, JoinHandle<()>), StartError> {
    let (journal, found) = Journal::open(directory)?;
    let (notes, inbox) = sync_channel(QUEUE_MAX);
    let mut shipper = Shipper::default();
    shipper.note(&found);
    if !found.is_empty() {
        tracing::info!(counters = shipper.waiting(), "usage of an earlier run is sent to the hub");
    }
    let keeper = Keeper {
        journal,
        shipper,
        events,
        outbox: VecDeque::new(),
        unwritten: BTreeMap::new(),
        unsynced: Vec::new(),
        after_sync: Vec::new(),
        unwritten_since: None,
        unshipped_since: None,
        synced_at: None,
        retry_at: None,
        complained_at: None,
    };
    let thread = std::thread::Builder::new().name("usage-keeper".into());
    let thread = thread.spawn(move || keeper.run(&inbox)).map_err(StartError::Thread)?;
    Ok((KeeperDoor { notes }, thread))
}

type Key = (crate::control::LegId, crate::control::Meter, i64);

struct Keeper {
    journal: Journal,
    shipper: Shipper,
    events: Sender<Event>,
    outbox: VecDeque<Event>,
    /// Refused by the disk so far; the greatest of each.
    unwritten: BTreeMap<Key, UsageFact>,
    /// Written but not yet durable; written again when an fsync fails.
    unsynced: Vec<UsageFact>,
    /// To be told once everything before is durable.
    after_sync: Vec<Event>,
    /// Since when something waits for the disk and nothing has reached it.
    unwritten_since: Option<Instant>,
    /// Since when something waits for the hub and it has confirmed nothing.
    unshipped_since: Option<Instant>,
    synced_at: Option<Instant>,
    retry_at: Option<Instant>,
    complained_at: Option<Instant>,
}

impl Keeper {
    fn run(mut self, inbox: &Receiver<Note>) {
        loop {
            let mut stop = false;
            match inbox.recv_timeout(NAP) {
                Ok(note) => stop |= self.take(note),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => stop = true,
            }
            while let Ok(note) = inbox.try_recv() {
                stop |= self.take(note);
            }
            self.write();
            self.ship();
            self.note_lags();
            self.flush_outbox();
            if stop {
                return;
            }
        }
    }

    fn take(&mut self, note: Note) -> bool {
        match note {
            Note::Keep { facts, then } => {
                // Shipped even when the disk refuses: the hub is the better place for it.
                self.shipper.note(&facts);
                for fact in facts {
                    self.remember(fact);
                }
                self.after_sync.extend(then);
            }
            Note::Stored(batch) => {
                self.unshipped_since = None;
                if let Some(position) = self.shipper.stored(batch) {
                    let marked = self.journal.mark_shipped(position, driver::wall_clock());
                    if let Err(error) = marked {
                        self.complain(&error);
                    }
                }
            }
            Note::Look(answer) => {
                // Whoever asked has given up waiting.
                let _gone = answer.try_send(self.look());
            }
            Note::Stop => return true,
        }
        false
    }

    /// Remembers since when there is no progress.
    fn note_lags(&mut self) {
        let now = driver::monotonic_clock();
        let since = |waits: bool, since: Option<Instant>| waits.then(|| since.unwrap_or(now));
        let unwritten = !self.unwritten.is_empty() || !self.unsynced.is_empty();
        self.unwritten_since = since(unwritten, self.unwritten_since);
        self.unshipped_since = since(self.shipper.unconfirmed() > 0, self.unshipped_since);
    }

    fn look(&self) -> JournalLook {
        let now = driver::monotonic_clock();
        let age_ms = |since: Option<Instant>| {
            since.map_or(0, |since| now.saturating_duration_since(since).as_millis() as u64)
        };
        JournalLook {
            unwritten: self.unwritten.len() + self.unsynced.len(),
            unwritten_ms: age_ms(self.unwritten_since),
            unshipped: self.shipper.unconfirmed(),
            unshipped_ms: age_ms(self.unshipped_since),
        }
    }

    fn remember(&mut self, fact: UsageFact) {
        let key = (fact.leg, fact.meter, fact.hour);
        let room = self.unwritten.len() < UNWRITTEN_MAX;
        if !room && !self.unwritten.contains_key(&key) {
            // Memory is bounded; the counter comes again with the leg's next change.
            tracing::error!("usage is being lost: the journal refuses writes and memory for it is full");
            return;
        }
        let kept = self.unwritten.entry(key).or_insert(fact);
        kept.quantity = fact.quantity.max(kept.quantity);
    }

    /// Appends what waits and makes it durable when it is time or somebody waits for it.
    fn write(&mut self) {
        let now = driver::monotonic_clock();
        if !self.unwritten.is_empty() && self.retry_at.is_none_or(|at| now >= at) {
            let facts: Vec<UsageFact> = self.unwritten.values().copied().collect();
            match self.journal.append(&facts) {
                Ok(()) => {
                    self.unsynced.extend(facts);
                    self.unwritten.clear();
                    self.retry_at = None;
                }
                Err(error) => {
                    self.retry_at = Some(now + RETRY_AFTER);
                    self.complain(&error);
                }
            }
        }
        let due = self.synced_at.is_none_or(|at| now.saturating_duration_since(at) >= SYNC_EVERY);
        if !self.after_sync.is_empty() || (due && !self.unsynced.is_empty()) {
            self.sync(now);
        }
    }

    fn sync(&mut self, now: Instant) {
        self.synced_at = Some(now);
        match self.journal.sync() {
            Ok(()) => {
                self.unwritten_since = None;
                self.unsynced.clear();
            }
            Err(error) => {
                self.complain(&error);
                for fact in std::mem::take(&mut self.unsynced) {
                    self.remember(fact);
                }
            }
        }
        // The counters live on in memory and with the shipper; nobody waits for a broken disk.
        self.outbox.extend(self.after_sync.drain(..));
    }

    fn ship(&mut self) {
        if self.outbox.len() < OUTBOX_MAX
            && let Some(event) = self.shipper.poll(self.journal.position(), driver::monotonic_clock())
        {
            self.outbox.push_back(event);
        }
    }

    fn flush_outbox(&mut self) {
        while let Some(event) = self.outbox.pop_front() {
            match self.events.try_send(event) {
                Ok(()) => {}
                Err(TrySendError::Full(event)) => {
                    self.outbox.push_front(event);
                    return;
                }
                Err(TrySendError::Closed(_)) => return,
            }
        }
    }

    fn complain(&mut self, error: &std::io::Error) {
        let now = driver::monotonic_clock();
        if self.complained_at.is_none_or(|at| now.saturating_duration_since(at) >= COMPLAIN_EVERY) {
            self.complained_at = Some(now);
            tracing::error!(
                %error,
                counters = self.unwritten.len(),
                "the usage journal cannot be written; calls go on and usage is kept in memory"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::control::{LegId, Meter, TenantId};

    fn fact(quantity: u64) -> UsageFact {
        let (tenant, leg) = (TenantId(Uuid::nil()), LegId(Uuid::nil()));
        UsageFact { tenant, leg, meter: Meter::ParticipantMs, hour: 1, quantity }
    }

    #[test]
    fn a_disk_that_refuses_holds_up_nobody_and_gets_everything_later() {
        let parent = tempfile::tempdir().unwrap();
        let directory = parent.path().join("usage");
        let (events, mut told) = tokio::sync::mpsc::channel(100);
        let (door, thread) = start(&directory, events).unwrap();
        std::fs::remove_dir_all(&directory).unwrap();
        let left = Event::Left { leg: LegId(Uuid::nil()) };
        door.keep(vec![fact(10)], Some(left.clone())).unwrap();
        let heard = [told.blocking_recv().unwrap(), told.blocking_recv().unwrap()];
        assert!(heard.contains(&left), "the call goes on: {heard:?}");
        assert!(
            heard.iter().any(|event| matches!(event, Event::Usage { facts, .. } if facts == &[fact(10)]))
        );
        std::fs::create_dir(&directory).unwrap();
        door.keep(vec![fact(11)], None).unwrap();
        std::thread::sleep(RETRY_AFTER + NAP * 3);
        door.stop();
        thread.join().unwrap();
        let (_, found) = Journal::open(&directory).unwrap();
        assert_eq!(found, [fact(11)], "the greatest of what was refused");
    }

    #[test]
    fn a_full_queue_gives_the_counters_back() {
        let (notes, _inbox) = sync_channel(1);
        let door = KeeperDoor { notes };
        door.keep(vec![fact(1)], None).unwrap();
        assert!(
            matches!(door.keep(vec![fact(2)], None), Err(Note::Keep { facts, .. }) if facts == [fact(2)])
        );
    }
}
