//! The thread of a shard: its sockets, its queue and the clock. With [`sockets`] and [`tcp`] the only file that knows sockets, and with the
//! usage keeper, which asks here, the only one that reads the clock.

mod sockets;
mod tcp;

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use crate::control::{Command, Event, UsageFact};
use crate::egress::{Path, Wire};
use crate::keeper::{KeeperDoor, Note};
use crate::links::{Bell, Links};
use crate::metrics::ShardLook;
use crate::node::{Busy, NodeConfig, StartError, Ways};
use crate::peer::Now;
use crate::relay::Shards;
use crate::remote::{Remote, Transport};
use crate::shard::Shard;
use sockets::{BATCH, PORT_TRIES, RECEPTION_BYTES_MAX, Sockets};
use tcp::TcpPort;

/// Commands that wait for a shard at most; further ones are [`Busy`].
const COMMANDS_MAX: usize = 1_024;
/// Those who look at a shard at once; further ones see nothing of it.
const LOOKS_MAX: usize = 4;
/// Commands and datagrams are taken in turns of this many.
const TURN: usize = 64;
/// Relays of each other shard are taken in turns of this many.
const RELAYS: usize = 256;
/// What is read of one connection at a time.
const TCP_READ_BYTES: usize = 16 * 1024;
/// With this many events untaken, mere news of speakers and lines is left out.
const SPEAKERS_HELD_MAX: usize = 1_024;

/// The monotonic clock.
#[expect(clippy::disallowed_methods, reason = "the driver is the shell that reads the clock for the cores")]
pub(crate) fn monotonic_clock() -> Instant {
    Instant::now()
}

/// The wall clock: it only says which hour usage belongs to.
#[expect(clippy::disallowed_methods, reason = "the driver is the shell that reads the clock for the cores")]
pub(crate) fn wall_clock() -> Timestamp {
    Timestamp::now()
}

fn clock() -> Now {
    Now { instant: monotonic_clock(), wall: wall_clock() }
}

/// Where commands enter a shard.
#[derive(Debug, Clone)]
pub(crate) struct Door {
    commands: SyncSender<Command>,
    looks: SyncSender<SyncSender<ShardLook>>,
    bell: Bell,
    stopping: Arc<AtomicBool>,
    /// What callers are told over UDP, and what the sockets are bound to.
    told: Vec<SocketAddr>,
    bound: Vec<SocketAddr>,
}

impl Door {
    /// Queues a command and wakes the shard.
    pub(crate) fn send(&self, command: Command) -> Result<(), Busy> {
        self.commands.try_send(command).map_err(|_| Busy)?;
        self.bell.ring();
        Ok(())
    }

    /// Asks how the shard stands; it answers between two turns.
    pub(crate) fn look(&self) -> Receiver<ShardLook> {
        let (answer, look) = sync_channel(1);
        // Too many ask: the answer's other end is dropped, which says so.
        if self.looks.try_send(answer).is_ok() {
            self.bell.ring();
        }
        look
    }

    /// The address of the shard's first socket.
    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.bound[0]
    }

    /// The addresses that callers are told over UDP.
    pub(crate) fn told(&self) -> &[SocketAddr] {
        &self.told
    }

    /// The addresses that its sockets are bound to.
    pub(crate) fn bound(&self) -> &[SocketAddr] {
        &self.bound
    }

    /// Ends the thread after all legs are ended.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.bell.ring();
    }
}

/// Legs of all shards together.
#[derive(Debug, Clone, Default)]
pub(crate) struct LegCount(pub(crate) Arc<AtomicUsize>);

/// Opens the sockets of one shard and starts its thread. `port` is the one to take, 0 for any.
pub(crate) fn start(
    config: &NodeConfig,
    links: Links,
    port: u16,
    legs: &LegCount,
    events: mpsc::Sender<Event>,
    keeper: KeeperDoor,
) -> Result<(Door, JoinHandle<()>), StartError> {
    let listen = |source: io::Error| StartError::Listen { port, source };
    let now = monotonic_clock();
    let (sockets, tcp) = open_ports(config, port, now).map_err(listen)?;
    let (commands, inbox) = sync_channel(COMMANDS_MAX);
    let (looks, looking) = sync_channel(LOOKS_MAX);
    let stopping = Arc::new(AtomicBool::new(false));
    let told = |is_told: bool| if is_told { sockets.candidates.clone() } else { Vec::new() };
    let (udp, tcp_told) = (told(config.ways != Ways::Tcp), told(tcp.is_some()));
    let bound = sockets.list.iter().map(|socket| socket.local).collect();
    let (bell, told) = (links.bell.clone(), udp.clone());
    let door = Door { commands, looks, bell, stopping: stopping.clone(), told, bound };
    let shards = links.shards;
    let legs = legs.0.clone();
    let shard = Shard::new(udp, legs, config.legs_max, config.egress, shards, now).with_tcp(tcp_told);
    let driver = Driver {
        shard,
        sockets,
        tcp,
        links,
        inbox,
        looking,
        stopping,
        events,
        keeper,
        held: VecDeque::new(),
        unkept: VecDeque::new(),
        started_at: monotonic_clock(),
        slept: Duration::ZERO,
    };
    let thread = std::thread::Builder::new().name(format!("media-{}", shards.own));
    let run = move || {
        pin(shards);
        driver.run();
    };
    let thread = thread.spawn(run).map_err(StartError::Thread)?;
    Ok((door, thread))
}

/// Keeps this thread on a processor of its own, where there are as many: its caches stay warm. One that is alone is left
/// to the system.
fn pin(shards: Shards) {
    let Ok(allowed) = sched_getaffinity(None) else { return };
    let processors: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|cpu| allowed.is_set(*cpu)).collect();
    if shards.count == 1 || shards.count > processors.len() {
        return;
    }
    let mut own = CpuSet::new();
    own.set(processors[shards.own]);
    if let Err(error) = sched_setaffinity(None, &own) {
        tracing::warn!(%error, "a media thread could not be pinned");
    }
}

/// The sockets, and on the same port the listeners.
fn open_ports(config: &NodeConfig, port: u16, now: Instant) -> io::Result<(Sockets, Option<TcpPort>)> {
    let mut tries = 0;
    loop {
        tries += 1;
        let sockets = Sockets::open(config, port)?;
        if config.ways == Ways::Udp {
            return Ok((sockets, None));
        }
        let addresses: Vec<IpAddr> = sockets.list.iter().map(|socket| socket.local.ip()).collect();
        match TcpPort::open(&addresses, sockets.list[0].local.port(), config.shards, now) {
            // Somebody else's on TCP only: there are other numbers.
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && port == 0 && tries < PORT_TRIES => {}
            tcp => return Ok((sockets, Some(tcp?))),
        }
    }
}

struct Driver {
    shard: Shard,
    sockets: Sockets,
    tcp: Option<TcpPort>,
    links: Links,
    inbox: Receiver<Command>,
    looking: Receiver<SyncSender<ShardLook>>,
    stopping: Arc<AtomicBool>,
    events: mpsc::Sender<Event>,
    keeper: KeeperDoor,
    /// Events that the hub has no room for. While there are any, no command is taken.
    held: VecDeque<Event>,
    /// Usage that the keeper has no room for. While there is any, no checkpoint is made.
    unkept: VecDeque<(Vec<UsageFact>, Option<Event>)>,
    started_at: Instant,
    /// How long the thread had nothing to do since then.
    slept: Duration,
}

impl Driver {
    fn run(mut self) {
        let mut buffer = vec![0; BATCH * RECEPTION_BYTES_MAX];
        loop {
            let stopping = self.stopping.load(Ordering::Acquire);
            let busy = self.take_commands()
                | self.take_datagrams(&mut buffer)
                | self.take_frames(&mut buffer)
                | self.take_relays();
            let now = clock();
            self.shard.time(now);
            if stopping {
                self.shard.stop(now);
            }
            if self.unkept.is_empty() {
                let facts = self.shard.checkpoint(now);
                if !facts.is_empty() {
                    self.unkept.push_back((facts, None));
                }
            }
            self.flush();
            if stopping {
                self.keep_all();
                return;
            }
            self.show(now.instant);
            if !busy {
                self.sleep(now.instant);
            }
        }
    }

    /// Answers whether there may be more.
    fn take_commands(&mut self) -> bool {
        if !self.held.is_empty() {
            return false;
        }
        for _ in 0..TURN {
            let Ok(command) = self.inbox.try_recv() else { return false };
            self.shard.command(command, clock());
        }
        true
    }

    /// Answers whether there may be more.
    fn take_datagrams(&mut self, buffer: &mut [u8]) -> bool {
        let mut more = false;
        for socket in &self.sockets.list {
            for turn in 0..TURN / BATCH {
                let now = clock();
                let taken = socket.receive(buffer, |remote, datagram| {
                    self.shard.datagram(socket.local, remote.into(), datagram, now);
                });
                match taken {
                    Ok(taken) => more |= taken == BATCH && turn + 1 == TURN / BATCH,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    // An earlier datagram of ours was refused at the other end (ICMP); there may be more to read.
                    Err(_) => continue,
                }
                // What came together leaves together; but a batch is enough to wait for.
                self.links.send(self.shard.out.relays.drain(..));
                self.shard.write(now, &mut Outlet { sockets: &self.sockets, tcp: self.tcp.as_mut() });
            }
        }
        more
    }

    /// Answers whether there may be more.
    fn take_frames(&mut self, buffer: &mut [u8]) -> bool {
        let Some(tcp) = &mut self.tcp else { return false };
        let now = clock();
        tcp.receive(now.instant, &mut buffer[..TCP_READ_BYTES], &mut |local, connection, address, packet| {
            let remote = Remote { address, transport: Transport::Tcp(connection) };
            self.shard.datagram(local, remote, packet, now)
        })
    }

    /// Answers whether there may be more.
    fn take_relays(&mut self) -> bool {
        let now = clock();
        self.links.take(RELAYS, |from, relay| self.shard.relayed(from, relay, now))
    }

    fn flush(&mut self) {
        self.shard.write(clock(), &mut Outlet { sockets: &self.sockets, tcp: self.tcp.as_mut() });
        if let Some(tcp) = &mut self.tcp {
            tcp.flush();
            self.shard.orphans().for_each(|connection| tcp.end(connection));
        }
        self.links.send(self.shard.out.relays.drain(..));
        self.unkept.extend(self.shard.out.usage.drain(..));
        while let Some((facts, then)) = self.unkept.pop_front() {
            if let Err(Note::Keep { facts, then }) = self.keeper.keep(facts, then) {
                self.unkept.push_front((facts, then));
                break;
            }
        }
        for event in self.shard.out.events.drain(..) {
            let is_news = matches!(event, Event::Speakers { .. } | Event::Quality { .. });
            if !is_news || self.held.len() < SPEAKERS_HELD_MAX {
                self.held.push_back(event);
            }
        }
        while let Some(event) = self.held.pop_front() {
            if let Err(TrySendError::Full(event)) = self.events.try_send(event) {
                self.held.push_front(event);
                break;
            }
        }
    }

    /// At the end: the keeper is still there and makes room.
    fn keep_all(&mut self) {
        while !self.unkept.is_empty() {
            std::thread::sleep(Duration::from_millis(1));
            self.flush();
        }
    }

    /// Answers whoever looks.
    fn show(&self, now: Instant) {
        while let Ok(answer) = self.looking.try_recv() {
            let running = now.saturating_duration_since(self.started_at);
            let look = ShardLook {
                busy_ns: running.saturating_sub(self.slept).as_nanos() as u64,
                running_ns: running.as_nanos() as u64,
                events_held: self.held.len(),
                usage_held: self.unkept.len(),
                ..self.shard.look()
            };
            // Whoever asked has given up waiting.
            let _gone = answer.try_send(look);
        }
    }

    fn sleep(&mut self, now: Instant) {
        let wait = self.shard.deadline().saturating_duration_since(now);
        // What is held is offered again soon: the hub does not ring when it has room.
        let wait = if self.held.is_empty() { wait } else { wait.min(Duration::from_millis(5)) };
        let timeout = Timespec { tv_sec: wait.as_secs() as i64, tv_nsec: i64::from(wait.subsec_nanos()) };
        let mut fds: Vec<PollFd<'_>> =
            self.sockets.list.iter().map(|socket| PollFd::new(&socket.socket, PollFlags::IN)).collect();
        fds.push(PollFd::new(&self.links.bell, PollFlags::IN));
        fds.extend(self.tcp.as_ref().map(|tcp| PollFd::new(tcp, PollFlags::IN)));
        // Interrupted or not, everything is looked at again.
        let begun = monotonic_clock();
        let _ready = poll(&mut fds, Some(&timeout));
        self.slept += monotonic_clock().saturating_duration_since(begun);
        self.links.bell.silence();
    }
}

/// The way out of a shard.
struct Outlet<'a> {
    sockets: &'a Sockets,
    tcp: Option<&'a mut TcpPort>,
}

impl Wire for Outlet<'_> {
    fn send(&mut self, path: Path, train: &[u8], segment: usize) {
        if let Transport::Tcp(connection) = path.remote.transport {
            if let Some(tcp) = &mut self.tcp {
                tcp.send(connection, train, segment);
            }
            return;
        }
        let (sockets, remote) = (&self.sockets.list, path.remote.address);
        let exact = sockets.iter().find(|socket| socket.local == path.local);
        let family = || sockets.iter().find(|socket| socket.local.is_ipv4() == remote.is_ipv4());
        if let Some(socket) = exact.or_else(family) {
            socket.send(remote, train, segment);
        }
    }
}
