//! The TCP side of a shard (RFC 6544): callers connect to passive candidates, and packets come and go in frames.
//!
//! One epoll instance watches listeners and connections, so that the shard's thread waits for one descriptor more. A
//! connection that has not proven itself by a check with the right integrity is held for a few seconds and is the first to
//! go when there are too many; its first packet is that check, or it is closed.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Read, Write};
use std::mem::MaybeUninit;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::net::{AddressFamily, SocketFlags, SocketType, ipproto, sockopt};
use rustix::process::{Resource, getrlimit};

use crate::framing::{Backlog, Unframer};
use crate::remote::ConnectionId;

/// Connections that have proven nothing yet, at most, as far as the system allows as many descriptors.
const UNPROVEN_MAX: usize = 20_000;
/// How long one may prove nothing.
const UNPROVEN_FOR: Duration = Duration::from_secs(5);
/// How long a proven one may bring nothing of a leg's: a leg that is silent for as long is lost.
const SILENT_FOR: Duration = Duration::from_secs(15);
/// How often that is looked after.
const SWEEP_EVERY: Duration = Duration::from_secs(1);
/// Connections that are taken, and events that are handled, in one turn.
const TURN: usize = 64;
/// What the kernel keeps unsent: the rest waits with us, where something can be left out.
const KERNEL_BYTES: usize = 64 * 1024;
/// Waiting to be accepted.
const BACKLOG: i32 = 1_024;
/// Names below this are listeners.
const FIRST_CONNECTION: u64 = 64;

/// Takes a packet of a connection; answers whether it was let in.
pub(super) type Take<'a> = dyn FnMut(SocketAddr, ConnectionId, SocketAddr, &[u8]) -> bool + 'a;

/// Listeners and connections of one shard.
pub(super) struct TcpPort {
    epoll: OwnedFd,
    listeners: Vec<(TcpListener, SocketAddr)>,
    connections: BTreeMap<u64, Connection>,
    /// In the order in which they came. Some are proven or gone since.
    unproven: VecDeque<u64>,
    unproven_count: usize,
    unproven_max: usize,
    connections_max: usize,
    next: u64,
    /// Those that were sent something in this turn.
    waiting: Vec<u64>,
    sweep_at: Instant,
}

struct Connection {
    stream: TcpStream,
    local: SocketAddr,
    remote: SocketAddr,
    incoming: Unframer,
    outgoing: Backlog,
    /// The kernel takes no more for now, and will say when it does.
    full: bool,
    proven: bool,
    /// When it came, or last brought something that was let in.
    heard_at: Instant,
}

/// What became of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Stays,
    Ends,
}

impl TcpPort {
    /// Listens at each address on one port. `shards` of them share the process' descriptors.
    pub(super) fn open(addresses: &[IpAddr], port: u16, shards: usize, now: Instant) -> io::Result<TcpPort> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let mut listeners = Vec::new();
        for (ip, name) in addresses.iter().zip(0..FIRST_CONNECTION) {
            let listener = listen(SocketAddr::new(*ip, port))?;
            epoll::add(&epoll, &listener, EventData::new_u64(name), EventFlags::IN)?;
            let local = listener.local_addr()?;
            listeners.push((listener, local));
        }
        let connections_max = connections_max(shards);
        Ok(TcpPort {
            epoll,
            listeners,
            connections: BTreeMap::new(),
            unproven: VecDeque::new(),
            unproven_count: 0,
            unproven_max: UNPROVEN_MAX.min(connections_max / 2),
            connections_max,
            next: FIRST_CONNECTION,
            waiting: Vec::new(),
            sweep_at: now + SWEEP_EVERY,
        })
    }

    /// Takes what has come. Answers whether there may be more.
    pub(super) fn receive(&mut self, now: Instant, buffer: &mut [u8], take: &mut Take<'_>) -> bool {
        let mut places = [const { MaybeUninit::<Event>::uninit() }; TURN];
        let found = epoll::wait(&self.epoll, &mut places, Some(&Timespec::default()));
        // A wait that was interrupted found nothing.
        let events = found.map_or(&mut [][..], |(events, _)| events);
        for event in events.iter() {
            let (name, flags) = (event.data.u64(), event.flags);
            match usize::try_from(name).ok().filter(|_| name < FIRST_CONNECTION) {
                Some(listener) => self.accept(listener, now),
                None => self.serve(name, flags, now, buffer, take),
            }
        }
        if now >= self.sweep_at {
            self.sweep_at = now + SWEEP_EVERY;
            self.sweep(now);
        }
        events.len() == TURN
    }

    /// Puts a train of packets into a connection's backlog.
    pub(super) fn send(&mut self, to: ConnectionId, train: &[u8], segment: usize) {
        let Some(connection) = self.connections.get_mut(&to.0) else { return };
        if connection.outgoing.is_empty() {
            self.waiting.push(to.0);
        }
        for packet in train.chunks(segment.max(1)) {
            connection.outgoing.push(packet);
        }
    }

    /// Writes what was sent in this turn, as far as the kernel takes it.
    pub(super) fn flush(&mut self) {
        for name in std::mem::take(&mut self.waiting) {
            self.write(name);
        }
    }

    /// Ends a connection that is nobody's any more.
    pub(super) fn end(&mut self, connection: ConnectionId) {
        self.close(connection.0);
    }

    fn accept(&mut self, listener: usize, now: Instant) {
        for _ in 0..TURN {
            let Some((listener, local)) = self.listeners.get(listener) else { return };
            // Whoever is gone again, or cannot be taken, is not waited for.
            let Ok((stream, remote)) = listener.accept() else { return };
            let local = *local;
            if stream.set_nonblocking(true).is_ok() {
                self.admit(stream, local, remote, now);
            }
        }
    }

    fn admit(&mut self, stream: TcpStream, local: SocketAddr, remote: SocketAddr, now: Instant) {
        if self.connections.len() >= self.connections_max || self.unproven_count >= self.unproven_max {
            self.shed();
        }
        if self.connections.len() >= self.connections_max {
            return;
        }
        let _nagle = stream.set_nodelay(true);
        let _granted = sockopt::set_socket_send_buffer_size(&stream, KERNEL_BYTES);
        let name = self.next;
        if epoll::add(&self.epoll, &stream, EventData::new_u64(name), EventFlags::IN).is_err() {
            return;
        }
        self.next += 1;
        let remote = SocketAddr::new(remote.ip().to_canonical(), remote.port());
        let (incoming, outgoing) = (Unframer::default(), Backlog::default());
        let connection = Connection {
            stream,
            local,
            remote,
            incoming,
            outgoing,
            full: false,
            proven: false,
            heard_at: now,
        };
        self.connections.insert(name, connection);
        self.unproven.push_back(name);
        self.unproven_count += 1;
    }

    /// Ends the one that has proven nothing for longest.
    fn shed(&mut self) {
        while let Some(oldest) = self.unproven.pop_front() {
            if self.connections.get(&oldest).is_some_and(|connection| !connection.proven) {
                return self.close(oldest);
            }
        }
    }

    fn serve(&mut self, name: u64, flags: EventFlags, now: Instant, buffer: &mut [u8], take: &mut Take<'_>) {
        if flags.contains(EventFlags::OUT) {
            self.write(name);
        }
        let Some(connection) = self.connections.get_mut(&name) else { return };
        if !flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
            return;
        }
        let was_proven = connection.proven;
        let fate = connection.read(ConnectionId(name), now, buffer, take);
        if !was_proven && connection.proven {
            self.unproven_count -= 1;
        }
        if fate == Fate::Ends {
            self.close(name);
        }
    }

    fn write(&mut self, name: u64) {
        let Some(connection) = self.connections.get_mut(&name) else { return };
        let was_full = connection.full;
        if connection.write() == Fate::Ends {
            return self.close(name);
        }
        if connection.full != was_full {
            let flags = if connection.full { EventFlags::IN | EventFlags::OUT } else { EventFlags::IN };
            let _watched = epoll::modify(&self.epoll, &connection.stream, EventData::new_u64(name), flags);
        }
    }

    fn sweep(&mut self, now: Instant) {
        let silent = |connection: &Connection| {
            let patience = if connection.proven { SILENT_FOR } else { UNPROVEN_FOR };
            now.saturating_duration_since(connection.heard_at) >= patience
        };
        let ended: Vec<u64> = self
            .connections
            .iter()
            .filter(|(_, connection)| silent(connection))
            .map(|(name, _)| *name)
            .collect();
        for name in ended {
            self.close(name);
        }
        let connections = &self.connections;
        self.unproven.retain(|name| connections.get(name).is_some_and(|connection| !connection.proven));
    }

    /// The kernel stops watching what is closed.
    fn close(&mut self, name: u64) {
        if let Some(connection) = self.connections.remove(&name)
            && !connection.proven
        {
            self.unproven_count -= 1;
        }
    }
}

impl AsFd for TcpPort {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

impl Connection {
    fn read(&mut self, id: ConnectionId, now: Instant, buffer: &mut [u8], take: &mut Take<'_>) -> Fate {
        let come = match self.stream.read(buffer) {
            Ok(0) => return Fate::Ends,
            Ok(come) => come,
            Err(error) if is_for_later(&error) => return Fate::Stays,
            Err(_) => return Fate::Ends,
        };
        let (local, remote) = (self.local, self.remote);
        let (mut proven, mut refused, mut heard) = (self.proven, false, false);
        let read = self.incoming.read(&buffer[..come], |packet| {
            if refused {
                return;
            }
            let let_in = take(local, id, remote, packet);
            heard |= let_in;
            proven |= let_in;
            // Before it has proven itself it has one try.
            refused = !proven;
        });
        self.proven = proven;
        if heard {
            self.heard_at = now;
        }
        if read.is_err() || refused { Fate::Ends } else { Fate::Stays }
    }

    fn write(&mut self) -> Fate {
        self.full = false;
        while !self.outgoing.is_empty() {
            match self.stream.write_vectored(&self.outgoing.next()) {
                Ok(0) => return Fate::Ends,
                Ok(bytes) => self.outgoing.written(bytes),
                Err(error) if is_for_later(&error) => {
                    self.full = true;
                    return Fate::Stays;
                }
                Err(_) => return Fate::Ends,
            }
        }
        Fate::Stays
    }
}

fn is_for_later(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, Some(ipproto::TCP))?;
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    // A node that starts again finds connections of before in TIME_WAIT.
    sockopt::set_socket_reuseaddr(&socket, true)?;
    rustix::net::bind(&socket, &address)?;
    rustix::net::listen(&socket, BACKLOG)?;
    Ok(TcpListener::from(socket))
}

/// Half of the process' descriptors, shared by the shards: the other half is for everything else.
fn connections_max(shards: usize) -> usize {
    let descriptors = getrlimit(Resource::Nofile).current.and_then(|most| usize::try_from(most).ok());
    descriptors.unwrap_or(usize::MAX) / 2 / shards.max(1)
}
