//! The sockets of the TURN server: a thread with a runtime of its own, so that sealing for those behind strict firewalls takes
//! nothing from the threads that forward.
//!
//! A connection that has no allocation is held for a few seconds and is the first to go when there are too many.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use rustix::net::{AddressFamily, SocketFlags, SocketType, ipproto, sockopt};
use rustix::process::{Resource, getrlimit};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::{Notify, mpsc};
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout, timeout_at};

use crate::driver::{monotonic_clock, wall_clock};
use crate::framing::PACKET_BYTES_MAX;
use crate::metrics::TurnLook;
use crate::node::StartError;
use crate::peer::Now;

use super::TurnConfig;
use super::certificate::Certificate;
use super::passes::Passes;
use super::reach::Reach;
use super::session::{Session, Step};
use super::stream::{Frame, Frames, MESSAGE_BYTES_MAX};

/// How long a connection may have no allocation.
const UNPROVEN_FOR: Duration = Duration::from_secs(5);
/// Connections without an allocation, at most.
const UNPROVEN_MAX: usize = 1_024;
/// Of these from one address: an office behind one address comes a few at a time.
const UNPROVEN_PER_ADDRESS_MAX: usize = 32;
/// How long one with an allocation may be silent: browsers check their way every few seconds.
const SILENT_FOR: Duration = Duration::from_secs(30);
/// Connections at most, as far as the system allows as many descriptors. Each has two.
const CONNECTIONS_MAX: usize = 4_096;
/// What is read of a connection, or written into one, at a time: one record of TLS.
const TURN_BYTES: usize = 16 * 1024;
/// Answers that wait for a connection that does not read; then it is read no further.
const ANSWERS_MAX: usize = 16;
/// What the kernel keeps unsent of a connection: the rest waits before it as datagrams, of which the kernel drops the newest.
const KERNEL_BYTES: usize = 64 * 1024;
/// After a failure to accept, such as a lack of descriptors.
const ACCEPT_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// The running server.
#[derive(Debug)]
pub(crate) struct Turn {
    pub(crate) passes: Arc<Passes>,
    #[cfg(test)]
    local_addr: SocketAddr,
    stopping: Arc<Notify>,
    counts: Arc<Counts>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What it has done.
#[derive(Debug, Default)]
struct Counts {
    connections: AtomicU64,
    allocations: AtomicU64,
    shed: AtomicU64,
}

impl Turn {
    pub(crate) fn look(&self) -> TurnLook {
        let Counts { connections, allocations, shed } = &*self.counts;
        let [connections, allocations, shed] =
            [connections, allocations, shed].map(|count| count.load(Ordering::Relaxed));
        TurnLook { connections, allocations, shed }
    }

    /// Ends all connections and joins the thread.
    pub(crate) fn stop(&self) {
        self.stopping.notify_one();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the TURN server had panicked");
        }
    }
}

/// Listens, and starts the thread.
pub(crate) fn start(config: &TurnConfig, reach: Reach) -> Result<Turn, StartError> {
    let address = config.listen;
    let refused = |source| StartError::Turn { address, source };
    let certificate = match &config.tls {
        Some(files) => Some(Certificate::read(files, monotonic_clock())?),
        None => None,
    };
    let listener = listen(address).map_err(refused)?;
    let local_addr = listener.local_addr().map_err(refused)?;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(StartError::Thread)?;
    let passes = Arc::new(Passes::new(config.url.clone(), random()));
    let (stopping, counts) = (Arc::new(Notify::new()), Arc::new(Counts::default()));
    let server = Server {
        passes: passes.clone(),
        reach: Arc::new(reach),
        counts: counts.clone(),
        crowd: Arc::default(),
        has_proxy: certificate.is_none(),
    };
    let stopped = stopping.clone();
    let run = move || {
        runtime.block_on(async {
            tokio::select! {
                () = stopped.notified() => {}
                () = server.run(listener, certificate) => {}
            }
        });
    };
    tracing::info!(address = %local_addr, url = config.url, "the TURN server listens");
    let thread = std::thread::Builder::new().name("turn".into()).spawn(run).map_err(StartError::Thread)?;
    Ok(Turn {
        passes,
        #[cfg(test)]
        local_addr,
        stopping,
        counts,
        thread: Mutex::new(Some(thread)),
    })
}

fn listen(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, Some(ipproto::TCP))?;
    // A node that starts again finds connections of before in TIME_WAIT.
    sockopt::set_socket_reuseaddr(&socket, true)?;
    rustix::net::bind(&socket, &address)?;
    rustix::net::listen(&socket, 1_024)?;
    Ok(socket.into())
}

/// Bytes that nobody can guess.
///
/// # Panics
/// The system has no chance to give, with which nothing in this process is safe.
fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).expect("the system gives random bytes");
    bytes
}

/// What all connections share.
#[derive(Clone)]
struct Server {
    passes: Arc<Passes>,
    reach: Arc<Reach>,
    counts: Arc<Counts>,
    crowd: Arc<Mutex<Crowd>>,
    /// All connections come from a proxy that ends TLS.
    has_proxy: bool,
}

impl Server {
    async fn run(self, listener: std::net::TcpListener, mut certificate: Option<Certificate>) {
        let listener = match TcpListener::from_std(listener) {
            Ok(listener) => listener,
            Err(error) => return tracing::error!(%error, "the TURN server cannot listen"),
        };
        loop {
            let Ok((stream, client)) = listener.accept().await else {
                tokio::time::sleep(ACCEPT_AGAIN_AFTER).await;
                continue;
            };
            let tls = certificate.as_mut().map(|certificate| certificate.acceptor(monotonic_clock()));
            let client = SocketAddr::new(client.ip().to_canonical(), client.port());
            let from = (!self.has_proxy).then(|| client.ip());
            let Some(ticket) = Ticket::take(&self, from) else { continue };
            let name = ticket.name;
            let server = self.clone();
            let task = tokio::spawn(async move {
                let mut ticket = ticket;
                let _nagle = stream.set_nodelay(true);
                let _granted = sockopt::set_socket_send_buffer_size(&stream, KERNEL_BYTES);
                match tls {
                    None => server.serve(stream, client, &mut ticket).await,
                    Some(tls) => {
                        if let Ok(Ok(sealed)) = timeout(UNPROVEN_FOR, tls.accept(stream)).await {
                            server.serve(sealed, client, &mut ticket).await;
                        }
                    }
                }
            });
            self.crowd().waits(name, task.abort_handle());
            // Whoever has to go for a newcomer goes before the next one comes.
            tokio::task::yield_now().await;
        }
    }

    fn crowd(&self) -> std::sync::MutexGuard<'_, Crowd> {
        self.crowd.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Until either side ends, is silent for too long, or has no allocation in time.
    async fn serve(&self, stream: impl AsyncRead + AsyncWrite, client: SocketAddr, ticket: &mut Ticket) {
        let session = Session::new(client, random(), self.passes.clone(), self.reach.clone());
        let session = Mutex::new(session);
        let socket = tokio::sync::OnceCell::new();
        let (mut reader, mut writer) = tokio::io::split(stream);
        let (answers, mut answered) = mpsc::channel(ANSWERS_MAX);
        let up = self.read(&mut reader, &session, &socket, &answers, ticket);
        let down = write(&mut writer, &session, &socket, &mut answered);
        tokio::select! {
            () = up => {}
            () = down => {}
        }
    }

    /// What the client sends: answers to it, and datagrams to this node.
    async fn read(
        &self,
        reader: &mut (impl AsyncRead + Unpin),
        session: &Mutex<Session>,
        socket: &tokio::sync::OnceCell<UdpSocket>,
        answers: &mpsc::Sender<Vec<u8>>,
        ticket: &mut Ticket,
    ) {
        let proven_by = Instant::now() + UNPROVEN_FOR;
        let (mut frames, mut buffer) = (Frames::default(), vec![0; TURN_BYTES]);
        loop {
            let ends_at = lock(session).ends_at();
            let silent_at = Instant::now() + SILENT_FOR;
            let until = ends_at.map_or(proven_by, |ends_at| silent_at.min(ends_at.into()));
            let Ok(Ok(come @ 1..)) = timeout_at(until, reader.read(&mut buffer)).await else { return };
            let now = Now { instant: monotonic_clock(), wall: wall_clock() };
            let mut said = Vec::new();
            let take = |frame: Frame<'_>| {
                let mut open = |ip: IpAddr| {
                    let opened = std::net::UdpSocket::bind(SocketAddr::new(ip, 0))?;
                    opened.set_nonblocking(true)?;
                    let local = opened.local_addr()?;
                    let _first = socket.set(UdpSocket::from_std(opened)?);
                    Ok(local)
                };
                match lock(session).take(frame, now, &mut open) {
                    Step::Answer(answer) => said.push(answer),
                    Step::Forward { to, packet } => {
                        // Dropped where the node does not keep up, as by any network.
                        let _sent = socket.get().map(|socket| socket.try_send_to(packet, to));
                    }
                    Step::Nothing => {}
                }
            };
            if frames.read(&buffer[..come], take).is_err() {
                return;
            }
            if socket.initialized() {
                ticket.proven();
            }
            for answer in said {
                if answers.send(answer).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// What goes to the client: answers, and what this node sends to its allocation. While the connection takes no more, datagrams
/// wait in the kernel, as many as fit.
async fn write(
    writer: &mut (impl AsyncWrite + Unpin),
    session: &Mutex<Session>,
    socket: &tokio::sync::OnceCell<UdpSocket>,
    answers: &mut mpsc::Receiver<Vec<u8>>,
) {
    let mut buffer = vec![0; PACKET_BYTES_MAX];
    loop {
        let mut stream = Vec::with_capacity(TURN_BYTES);
        let packet = async {
            match socket.get() {
                Some(socket) => socket.recv_from(&mut buffer).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            answer = answers.recv() => match answer {
                Some(answer) => stream.extend(answer),
                None => return,
            },
            received = packet => {
                let Ok((length, from)) = received else { return };
                lock(session).relayed(from, &buffer[..length], random, &mut stream);
                // What else has come goes into the same record.
                while stream.len() + MESSAGE_BYTES_MAX <= TURN_BYTES
                    && let Some(Ok((length, from))) = socket.get().map(|socket| socket.try_recv_from(&mut buffer))
                {
                    lock(session).relayed(from, &buffer[..length], random, &mut stream);
                }
            }
        }
        if writer.write_all(&stream).await.is_err() || writer.flush().await.is_err() {
            return;
        }
    }
}

fn lock(session: &Mutex<Session>) -> std::sync::MutexGuard<'_, Session> {
    session.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Who has come and has nothing yet.
#[derive(Debug, Default)]
struct Crowd {
    next: u64,
    connections: usize,
    /// In the order in which they came. Some are proven or gone since.
    unproven: VecDeque<(u64, Option<AbortHandle>)>,
    by_address: HashMap<IpAddr, usize>,
}

impl Crowd {
    fn waits(&mut self, name: u64, task: AbortHandle) {
        if let Some((_, held)) = self.unproven.iter_mut().rev().find(|(of, _)| *of == name) {
            *held = Some(task);
        }
    }

    /// Ends the one that has had nothing for longest.
    fn shed(&mut self) {
        if let Some((_, Some(task))) = self.unproven.pop_front() {
            task.abort();
        }
    }
}

/// A connection's place. It is given back when the connection ends, however it does.
struct Ticket {
    name: u64,
    from: Option<IpAddr>,
    is_proven: bool,
    crowd: Arc<Mutex<Crowd>>,
    counts: Arc<Counts>,
}

impl Ticket {
    /// A place for a newcomer, for whom the one that has waited longest may have to go.
    fn take(server: &Server, from: Option<IpAddr>) -> Option<Ticket> {
        let mut crowd = server.crowd();
        if crowd.unproven.len() >= UNPROVEN_MAX {
            crowd.shed();
        }
        if crowd.connections >= connections_max() {
            return None;
        }
        if let Some(from) = from {
            let held = crowd.by_address.entry(from).or_default();
            if *held >= UNPROVEN_PER_ADDRESS_MAX {
                return None;
            }
            *held += 1;
        }
        crowd.next += 1;
        crowd.connections += 1;
        let name = crowd.next;
        crowd.unproven.push_back((name, None));
        server.counts.connections.fetch_add(1, Ordering::Relaxed);
        let (crowd, counts) = (server.crowd.clone(), server.counts.clone());
        Some(Ticket { name, from, is_proven: false, crowd, counts })
    }

    /// It has an allocation.
    fn proven(&mut self) {
        if !self.is_proven {
            self.is_proven = true;
            self.counts.allocations.fetch_add(1, Ordering::Relaxed);
            self.leave_the_crowd();
        }
    }

    fn leave_the_crowd(&mut self) {
        let mut crowd = self.crowd.lock().unwrap_or_else(PoisonError::into_inner);
        crowd.unproven.retain(|(name, _)| *name != self.name);
        let Some(from) = self.from.take() else { return };
        if let Some(held) = crowd.by_address.get_mut(&from) {
            *held -= 1;
            if *held == 0 {
                crowd.by_address.remove(&from);
            }
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.is_proven {
            self.leave_the_crowd();
            self.counts.shed.fetch_add(1, Ordering::Relaxed);
        }
        self.crowd.lock().unwrap_or_else(PoisonError::into_inner).connections -= 1;
        self.counts.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// An eighth of the process' descriptors, two for each: the others are for calls that come without this.
fn connections_max() -> usize {
    let descriptors = getrlimit(Resource::Nofile).current.and_then(|most| usize::try_from(most).ok());
    CONNECTIONS_MAX.min(descriptors.unwrap_or(usize::MAX) / 16)
}

#[cfg(test)]
mod tests;
