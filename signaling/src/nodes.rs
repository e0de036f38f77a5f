//! The media plane over several processes: the node of this one, if it has one, and those that dial in. To the rest of the
//! hub it looks like one node.
//!
//! [`fleet`] decides, [`protocol`] is what goes over the wire, `link` is the WebSocket, and here they are put together.
//! A lock stands around the fleet; packets never come near it.

pub mod fleet;
mod link;
pub mod protocol;

pub use link::routes;

use crate::media::{Commands, Happening, Happenings, MediaPlane, Reporter};
use crate::store;
use billing::clock::Clock;
use billing::db::Db;
use fleet::{Fleet, LinkId, NodeName, Output};
use sfu::control::{Command, LegId, RoomId};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use uuid::Uuid;

/// Events that wait for signalling at most; beyond it nodes wait.
const EVENTS_MAX: usize = 16_384;
/// How often leases are looked at.
const TICK: Duration = Duration::from_millis(500);
/// How often what the operator wants is looked for, and how the nodes stand is written down.
const OPERATOR_EVERY: Duration = Duration::from_secs(2);

/// The node of this process.
#[derive(Debug)]
pub struct Local {
    /// Its name in the legs' rows.
    pub name: NodeName,
    /// Where its commands go.
    pub handle: sfu::Handle,
    /// What it tells.
    pub events: sfu::Events,
    /// How many legs it takes.
    pub legs_max: usize,
}

/// All nodes of this hub. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Nodes(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    fleet: Mutex<Fleet>,
    local: Option<sfu::Handle>,
    happenings: mpsc::Sender<Happening>,
    /// What wakes the task of each socket; without it the task hangs up.
    links: Mutex<BTreeMap<LinkId, mpsc::Sender<()>>>,
    last_link: AtomicU64,
    db: Db,
    clock: Clock,
}

impl Nodes {
    /// Takes nodes from now on. Needs a tokio runtime.
    #[expect(clippy::disallowed_methods, reason = "this shell gives the process its name")]
    pub fn start(db: Db, clock: Clock, lease: Duration, local: Option<Local>) -> (Nodes, MediaPlane) {
        let (tell, happenings) = mpsc::channel(EVENTS_MAX);
        let mut fleet = Fleet::new(Uuid::new_v4(), lease);
        let mut handle = None;
        let mut own = None;
        if let Some(Local { name, handle: to, events, legs_max }) = local {
            fleet.add_local(&name, legs_max);
            handle = Some(to);
            own = Some((name, events));
        }
        let nodes = Nodes(Arc::new(Inner {
            fleet: Mutex::new(fleet),
            local: handle,
            happenings: tell,
            links: Mutex::default(),
            last_link: AtomicU64::new(0),
            db,
            clock,
        }));
        if let Some((name, events)) = own {
            tokio::spawn(nodes.clone().listen(name, events));
        }
        tokio::spawn(nodes.clone().watch());
        let media =
            MediaPlane { commands: Arc::new(nodes.clone()), happenings: Box::new(FromNodes(happenings)) };
        (nodes, media)
    }

    /// Hands on what the node of this process tells.
    async fn listen(self, name: NodeName, mut events: sfu::Events) {
        while let Some(event) = events.recv().await {
            self.change(|fleet| fleet.local_event(&name, event)).await;
        }
    }

    #[expect(clippy::disallowed_methods, reason = "this shell gives the fleet its time")]
    async fn watch(self) {
        let mut tick = tokio::time::interval(TICK);
        let mut looked_at = Instant::now();
        loop {
            tick.tick().await;
            let now = Instant::now();
            self.change(|fleet| fleet.tick(now)).await;
            if now.saturating_duration_since(looked_at) >= OPERATOR_EVERY {
                looked_at = now;
                self.do_as_the_operator_says().await;
            }
        }
    }

    /// While the database is away, everybody stays.
    async fn do_as_the_operator_says(&self) {
        let connected = self.fleet().far_nodes();
        if connected.is_empty() {
            return;
        }
        let Ok(known) = store::nodes::list(&self.0.db).await else { return };
        let is_allowed = |name: &NodeName| known.iter().any(|node| node.name == *name);
        for name in connected.into_iter().filter(|name| !is_allowed(name)) {
            tracing::warn!(node = name, "a node's token is revoked; its people are placed elsewhere");
            self.change(|fleet| fleet.expel(&name)).await;
        }
        let drained = known.into_iter().filter(|node| node.draining_since.is_some()).map(|node| node.name);
        self.change(|fleet| fleet.set_drained(drained.collect())).await;
        let standings = self.fleet().standings();
        if let Err(error) = store::nodes::note(&self.0.db, &standings, self.0.clock.now()).await {
            tracing::debug!(%error, "how the nodes stand is not written down");
        }
    }

    /// Changes the fleet, does what it answers, and waits until signalling has room for what it tells.
    async fn change<T>(&self, change: impl FnOnce(&mut Fleet) -> T) -> T {
        let (answer, happenings) = {
            let mut fleet = self.fleet();
            let answer = change(&mut fleet);
            let mut happenings = Vec::new();
            while let Some(output) = fleet.poll_output() {
                match output {
                    Output::Event(event) => happenings.push(Happening::Event(event)),
                    Output::Move(room) => happenings.push(Happening::Move(room)),
                    Output::Stay(room) => happenings.push(Happening::Stay(room)),
                    // A leave of a leg that the node of this process no longer has.
                    output => drop(self.obey(&mut fleet, output)),
                }
            }
            (answer, happenings)
        };
        for happening in happenings {
            self.0.happenings.send(happening).await.ok();
        }
        answer
    }

    fn obey(&self, fleet: &mut Fleet, output: Output) -> Result<(), sfu::Busy> {
        match output {
            Output::Local(command) => {
                let Some(local) = &self.0.local else { return Ok(()) };
                local.send(command.clone()).inspect_err(|_| fleet.refused(&command))
            }
            Output::Speak(link) => {
                // A full channel has been rung already.
                self.links().get(&link).map(|bell| bell.try_send(()));
                Ok(())
            }
            Output::HangUp(link) => {
                self.links().remove(&link);
                Ok(())
            }
            // Commands make none.
            Output::Event(_) | Output::Move(_) | Output::Stay(_) => Ok(()),
        }
    }

    fn fleet(&self) -> MutexGuard<'_, Fleet> {
        self.0.fleet.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn links(&self) -> MutexGuard<'_, BTreeMap<LinkId, mpsc::Sender<()>>> {
        self.0.links.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A name for a new socket, and what wakes its task.
    fn new_link(&self) -> (LinkId, mpsc::Receiver<()>) {
        let link = LinkId(self.0.last_link.fetch_add(1, Ordering::Relaxed));
        let (bell, rung) = mpsc::channel(1);
        self.links().insert(link, bell);
        (link, rung)
    }
}

impl Commands for Nodes {
    fn send(&self, command: Command) -> Result<(), sfu::Busy> {
        let mut fleet = self.fleet();
        fleet.command(command)?;
        let mut done = Ok(());
        while let Some(output) = fleet.poll_output() {
            done = done.and(self.obey(&mut fleet, output));
        }
        done
    }

    fn node_for(&self, room: RoomId) -> Option<String> {
        self.fleet().node_for(room)
    }

    fn reporter(&self, batch: u64) -> Reporter {
        self.fleet().reporter(batch)
    }

    fn is_fenced(&self, leg: LegId) -> bool {
        self.fleet().is_fenced(leg)
    }
}

struct FromNodes(mpsc::Receiver<Happening>);

impl Happenings for FromNodes {
    fn recv(&mut self) -> Pin<Box<dyn Future<Output = Option<Happening>> + Send + '_>> {
        Box::pin(self.0.recv())
    }
}
