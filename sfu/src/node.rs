//! The node as its owner sees it: started from a [`NodeConfig`], told by a [`Handle`], heard through [`Events`].

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::control::{Command, Event, LegId, RoomId};
use crate::driver::{self, Door, LegCount};
use crate::egress::EgressKind;
use crate::journal::JournalError;
use crate::keeper::{self, KeeperDoor};
use crate::links;
use crate::metrics::NodeLook;
use crate::placement::Placement;
use crate::turn::passes::Passes;
use crate::turn::reach::Reach;
use crate::turn::{self, CertificateError, Turn, TurnConfig};

/// How many events wait for a slow receiver before commands are refused.
const EVENTS_MAX: usize = 16_384;

/// How long whoever looks waits for a thread that is busy.
const LOOK_WITHIN: Duration = Duration::from_millis(500);

/// What a node is started with.
#[derive(Debug, Clone)]
pub struct NodeConfig {
    /// Where the first shard listens, UDP and TCP. Port 0 means any free port; shard `n` takes `port + n`.
    pub listen: SocketAddr,
    /// The addresses that callers are told. Empty: all addresses of the machine that are not loopback, and loopback
    /// too when there is no other or when `listen` is loopback.
    pub advertise: Vec<IpAddr>,
    /// Where usage is journaled. Created when missing; one node at a time.
    pub journal_dir: PathBuf,
    /// How many threads forward packets. At least 1.
    pub shards: usize,
    /// How many legs the node takes in all; further ones are refused with [`crate::control::Refusal::Full`].
    pub legs_max: usize,
    /// How packets leave.
    pub egress: EgressKind,
    /// How callers reach the node.
    pub ways: Ways,
    /// The way in through TLS for those whose network lets nothing else out, if there is one. It leads to UDP inside, so it
    /// is of no use with [`Ways::Tcp`].
    pub turn: Option<TurnConfig>,
}

/// How callers reach the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ways {
    /// By UDP, and where that is blocked by TCP, on ports of the same number.
    #[default]
    Both,
    /// By UDP only.
    Udp,
    /// By TCP only (RFC 6544).
    Tcp,
}

impl FromStr for Ways {
    type Err = UnknownWays;

    fn from_str(name: &str) -> Result<Self, UnknownWays> {
        match name {
            "udp+tcp" => Ok(Ways::Both),
            "udp" => Ok(Ways::Udp),
            "tcp" => Ok(Ways::Tcp),
            _ => Err(UnknownWays),
        }
    }
}

/// There are no ways of this name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the ways are `udp+tcp`, `udp` or `tcp`")]
pub struct UnknownWays;

/// Why a node did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The port is taken or not ours, with UDP or with TCP.
    #[error("cannot listen on UDP and TCP port {port}")]
    Listen {
        /// Which port.
        port: u16,
        /// What the system says.
        source: std::io::Error,
    },
    /// The TURN server's port is taken or not ours.
    #[error("cannot listen on TCP {address} for TURN")]
    Turn {
        /// Where.
        address: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// The TURN server leads to UDP, and the node takes none.
    #[error("TURN leads to the media's UDP, which `tcp` as the only way turns off")]
    TurnWithoutUdp,
    /// The TURN server's certificate cannot be used.
    #[error("the TURN server has no certificate")]
    Certificate(#[from] CertificateError),
    /// The journal's directory cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A thread could not be started.
    #[error("cannot start a thread")]
    Thread(#[source] std::io::Error),
}

/// The node did not take a command: its queue is full, or it has stopped. Nothing was changed; try later or refuse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the media node is busy")]
pub struct Busy;

/// The media plane of one process.
#[derive(Debug)]
pub struct Node;

impl Node {
    /// Opens the sockets and the journal and starts the threads.
    pub fn start(config: NodeConfig) -> Result<(Handle, Events), StartError> {
        if config.turn.is_some() && config.ways == Ways::Tcp {
            return Err(StartError::TurnWithoutUdp);
        }
        let (events_in, events_out) = mpsc::channel(EVENTS_MAX);
        let (keeper, keeper_thread) = keeper::start(&config.journal_dir, events_in.clone())?;
        let mut shards = Vec::new();
        let mut threads = Vec::new();
        let legs = LegCount::default();
        let mut reach = Reach::default();
        let count = config.shards.max(1);
        for (index, links) in links::mesh(count).map_err(StartError::Thread)?.into_iter().enumerate() {
            let first = config.listen.port();
            // Past the last port there is none: that one is taken already, and the start says so.
            let port = if first == 0 { 0 } else { first.saturating_add(index as u16) };
            let (shard, thread) =
                driver::start(&config, links, port, &legs, events_in.clone(), keeper.clone())?;
            reach.add(shard.told(), shard.bound());
            shards.push(shard);
            threads.push(thread);
        }
        let turn = config.turn.as_ref().map(|turn| turn::start(turn, reach)).transpose()?;
        let passes = turn.as_ref().map(|turn| turn.passes.clone());
        let placement = Arc::new(Mutex::new(Placement::new(count)));
        let inner = Inner {
            shards,
            turn,
            keeper,
            placement: placement.clone(),
            events: events_in.downgrade(),
            legs_max: config.legs_max,
            threads: Mutex::new(Some(Threads { shards: threads, keeper: keeper_thread })),
        };
        Ok((Handle { inner: Arc::new(inner) }, Events { receiver: events_out, placement, passes }))
    }
}

#[derive(Debug)]
struct Inner {
    shards: Vec<Door>,
    turn: Option<Turn>,
    keeper: KeeperDoor,
    placement: Arc<Mutex<Placement>>,
    /// Only to see how full it is; weak, so that receivers learn of the end.
    events: mpsc::WeakSender<Event>,
    legs_max: usize,
    threads: Mutex<Option<Threads>>,
}

#[derive(Debug)]
struct Threads {
    shards: Vec<JoinHandle<()>>,
    keeper: JoinHandle<()>,
}

/// Tells the node what to do. Cheap to clone; the node stops when [`Handle::stop`] is called or the last clone is dropped.
#[derive(Debug, Clone)]
pub struct Handle {
    inner: Arc<Inner>,
}

impl Handle {
    /// Queues a command. Commands of one leg are done in the order they are sent.
    ///
    /// Answers [`Busy`] when the queue is full, the node has stopped, or a join names a leg that is here; never waits.
    pub fn send(&self, command: Command) -> Result<(), Busy> {
        match &command {
            Command::UsageStored { batch } => return self.inner.keeper.stored(*batch),
            Command::Join { leg, room, .. } => {
                let (leg, room) = (*leg, *room);
                return self.join(leg, room, command);
            }
            _ => {}
        }
        let leg = leg_of(&command);
        let index = leg.and_then(|leg| lock(&self.inner.placement).shard_of(leg));
        match index {
            Some(index) => self.inner.shards[index].send(command),
            None => Ok(()), // A leg that is not here any more: an event has said so.
        }
    }

    /// The answer may come before this returns, so the leg is known before it is sent.
    fn join(&self, leg: LegId, room: RoomId, command: Command) -> Result<(), Busy> {
        // None for the name of somebody who is here: letting it through could end that one.
        let index = lock(&self.inner.placement).place(leg, room).ok_or(Busy)?;
        let sent = self.inner.shards[index].send(command);
        if sent.is_err() {
            lock(&self.inner.placement).forget(leg);
        }
        sent
    }

    /// The address of the first shard's socket; its port is the real one when the configuration said 0.
    pub fn local_addr(&self) -> SocketAddr {
        self.inner.shards[0].local_addr()
    }

    /// How the node stands. Blocks for half a second at most, while a thread is busy.
    pub fn look(&self) -> NodeLook {
        let asked: Vec<_> = self.inner.shards.iter().map(Door::look).collect();
        let journal = self.inner.keeper.look();
        NodeLook {
            shards: asked.iter().map(|look| look.recv_timeout(LOOK_WITHIN).ok()).collect(),
            journal: journal.recv_timeout(LOOK_WITHIN).ok(),
            turn: self.inner.turn.as_ref().map(Turn::look),
            events_waiting: self.inner.events.upgrade().map_or(0, |events| EVENTS_MAX - events.capacity()),
            legs_max: self.inner.legs_max,
        }
    }

    /// Ends all legs, journals their usage and joins the threads. Blocks for a moment; further calls do nothing.
    pub fn stop(&self) {
        self.inner.stop();
    }
}

impl Inner {
    fn stop(&self) {
        let Some(threads) = lock(&self.threads).take() else { return };
        for shard in &self.shards {
            shard.stop();
        }
        if let Some(turn) = &self.turn {
            turn.stop();
        }
        for thread in threads.shards {
            if thread.join().is_err() {
                tracing::error!("a media thread had panicked");
            }
        }
        self.keeper.stop();
        if threads.keeper.join().is_err() {
            tracing::error!("the usage keeper had panicked");
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.stop();
    }
}

/// What the node tells. Keep receiving: a node whose events nobody takes refuses commands.
#[derive(Debug)]
pub struct Events {
    receiver: mpsc::Receiver<Event>,
    placement: Arc<Mutex<Placement>>,
    passes: Option<Arc<Passes>>,
}

impl Events {
    /// The next event, or `None` once the node has stopped and all events are taken. Safe to cancel.
    pub async fn recv(&mut self) -> Option<Event> {
        let event = self.receiver.recv().await?;
        Some(self.heard(event))
    }

    /// The next event from a thread outside of any runtime.
    pub fn blocking_recv(&mut self) -> Option<Event> {
        let event = self.receiver.blocking_recv()?;
        Some(self.heard(event))
    }

    /// What only the owner's side adds: a leg's place is given up, and a pass is made for whoever is answered.
    fn heard(&self, mut event: Event) -> Event {
        self.forget(&event);
        if let (Event::Joined { leg, turn, .. }, Some(passes)) = (&mut event, &self.passes) {
            *turn = Some(Box::new(passes.issue(*leg, driver::wall_clock())));
        }
        event
    }

    fn forget(&self, event: &Event) {
        if let Event::Left { leg } | Event::Lost { leg } | Event::Refused { leg, .. } = event {
            lock(&self.placement).forget(*leg);
        }
    }
}

fn leg_of(command: &Command) -> Option<LegId> {
    match command {
        Command::Join { leg, .. }
        | Command::Enter { leg }
        | Command::TakeOver { leg, .. }
        | Command::Limit { leg, .. }
        | Command::Offer { leg, .. }
        | Command::Mute { leg, .. }
        | Command::View { leg, .. }
        | Command::Tap { leg, .. }
        | Command::Leave { leg } => Some(*leg),
        Command::UsageStored { .. } => None,
    }
}

/// A poisoned lock only means that another thread panicked between two whole changes of a map.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
