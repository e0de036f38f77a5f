//! The UDP sockets of one shard, and what the kernel can do for them: many datagrams a system call, trains in one piece.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use quinn_udp::{RecvMeta, Transmit, UdpSockRef, UdpSocketState};
use rustix::net::{AddressFamily, SocketFlags, SocketType, ipproto, sockopt};

use crate::addresses;
use crate::node::NodeConfig;

/// Kernel buffers of a socket, as far as the system allows.
const SOCKET_BYTES: usize = 4 << 20;
/// Receptions of one system call.
pub(super) const BATCH: usize = 16;
/// What one reception may be: as many datagrams of one sender as the kernel joins (UDP generic receive offload).
pub(super) const RECEPTION_BYTES_MAX: usize = 65_536;
/// When no port is given: how often another free one is tried until all addresses have it.
pub(super) const PORT_TRIES: usize = 32;

/// The sockets of one shard, all on one port: one for each address that callers are told, so that every answer leaves
/// from the address it was asked at; or one for all, where those addresses are not this machine's (behind a NAT).
pub(super) struct Sockets {
    pub(super) list: Vec<Socket>,
    pub(super) candidates: Vec<SocketAddr>,
}

/// A socket, what the kernel can do for it, and the address it is bound to.
pub(super) struct Socket {
    pub(super) socket: UdpSocket,
    state: UdpSocketState,
    pub(super) local: SocketAddr,
}

impl Socket {
    fn open(address: SocketAddr) -> io::Result<Socket> {
        let socket = open_socket(address)?;
        let state = UdpSocketState::new(UdpSockRef::from(&socket))?;
        let local = socket.local_addr()?;
        Ok(Socket { socket, state, local })
    }

    /// Takes what one system call brings. Answers how many receptions that were, [`BATCH`] at most.
    pub(super) fn receive(
        &self,
        buffer: &mut [u8],
        mut take: impl FnMut(SocketAddr, &[u8]),
    ) -> io::Result<usize> {
        let mut rest = buffer.chunks_exact_mut(RECEPTION_BYTES_MAX);
        let mut places: [IoSliceMut<'_>; BATCH] =
            std::array::from_fn(|_| IoSliceMut::new(rest.next().unwrap_or_default()));
        let mut metas = [RecvMeta::default(); BATCH];
        let taken = self.state.recv(UdpSockRef::from(&self.socket), &mut places, &mut metas)?;
        for (place, meta) in places.iter().zip(&metas).take(taken) {
            let remote = SocketAddr::new(meta.addr.ip().to_canonical(), meta.addr.port());
            for datagram in place[..meta.len].chunks(meta.stride.max(1)) {
                take(remote, datagram);
            }
        }
        Ok(taken)
    }

    /// Sends or drops: UDP promises no more, and what is lost is asked for again.
    pub(super) fn send(&self, remote: SocketAddr, train: &[u8], segment: usize) {
        if train.len() <= segment {
            // A third cheaper than the general way, which says to the kernel what it would do anyway.
            let _dropped = self.socket.send_to(train, remote);
            return;
        }
        let together = segment * self.state.max_gso_segments();
        for contents in train.chunks(together.max(1)) {
            let segment_size = (contents.len() > segment).then_some(segment);
            let transmit = Transmit { destination: remote, ecn: None, contents, segment_size, src_ip: None };
            let _dropped = self.state.try_send(UdpSockRef::from(&self.socket), &transmit);
        }
    }
}

impl Sockets {
    /// Opens them on this port, or on any that is free on all addresses.
    pub(super) fn open(config: &NodeConfig, port: u16) -> io::Result<Sockets> {
        let listen = config.listen.ip();
        let told = match (&config.advertise[..], listen.is_unspecified()) {
            ([], true) => addresses::detect(),
            ([], false) => vec![listen],
            (told, _) => told.to_vec(),
        };
        let own = if listen.is_unspecified() { told.clone() } else { vec![listen] };
        match Self::open_each(&own, port) {
            Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable && listen.is_unspecified() => {
                let mut all: Vec<IpAddr> = Vec::new();
                if told.iter().any(IpAddr::is_ipv4) {
                    all.push(Ipv4Addr::UNSPECIFIED.into());
                }
                if told.iter().any(IpAddr::is_ipv6) {
                    all.push(Ipv6Addr::UNSPECIFIED.into());
                }
                Ok(Self::telling(Self::open_each(&all, port)?, &told))
            }
            opened => Ok(Self::telling(opened?, &told)),
        }
    }

    fn telling(list: Vec<Socket>, told: &[IpAddr]) -> Sockets {
        let port = list[0].local.port();
        Sockets { list, candidates: told.iter().map(|ip| SocketAddr::new(*ip, port)).collect() }
    }

    fn open_each(own: &[IpAddr], port: u16) -> io::Result<Vec<Socket>> {
        let mut tries = 0;
        loop {
            tries += 1;
            let opened = Self::open_on_one_port(own, port);
            let taken = opened.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::AddrInUse);
            if !taken || port != 0 || tries == PORT_TRIES {
                return opened;
            }
        }
    }

    fn open_on_one_port(own: &[IpAddr], port: u16) -> io::Result<Vec<Socket>> {
        let mut list: Vec<Socket> = Vec::new();
        for ip in own {
            let port = list.first().map_or(port, |first| first.local.port());
            list.push(Socket::open(SocketAddr::new(*ip, port))?);
        }
        if list.is_empty() {
            return Err(io::Error::from(io::ErrorKind::AddrNotAvailable));
        }
        Ok(list)
    }
}

fn open_socket(address: SocketAddr) -> io::Result<UdpSocket> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(family, SocketType::DGRAM, flags, Some(ipproto::UDP))?;
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    // The system may grant less; that costs packets under load, not correctness.
    let _granted = sockopt::set_socket_recv_buffer_size(&socket, SOCKET_BYTES);
    let _granted = sockopt::set_socket_send_buffer_size(&socket, SOCKET_BYTES);
    rustix::net::bind(&socket, &address)?;
    Ok(UdpSocket::from(socket))
}
