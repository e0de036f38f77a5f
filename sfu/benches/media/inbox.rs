//! A client's socket that says when the kernel got a datagram, which is when it came: how long it then waits for a busy
//! generator is no delay of the server's.

use std::io::IoSliceMut;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt};
use nix::sys::time::TimeSpec;

pub(crate) struct Inbox {
    pub(crate) socket: UdpSocket,
    ancillary: Vec<u8>,
}

/// A datagram that came.
pub(crate) struct Came {
    pub(crate) length: usize,
    pub(crate) from: SocketAddr,
    /// Since 1970, by the kernel.
    pub(crate) at: Duration,
}

/// Since 1970, by the clock that the kernel uses.
#[expect(clippy::disallowed_methods, reason = "a bench reads the clock")]
pub(crate) fn wall() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970")
}

impl Inbox {
    pub(crate) fn bound(ip: IpAddr) -> Self {
        let socket = UdpSocket::bind((ip, 0)).expect("a port");
        socket.set_nonblocking(true).expect("a socket can be non-blocking");
        setsockopt(&socket, sockopt::ReceiveTimestampns, &true).expect("Linux has timestamps");
        Self { socket, ancillary: nix::cmsg_space!(TimeSpec) }
    }

    /// The next datagram, if there is one.
    pub(crate) fn next(&mut self, buffer: &mut [u8]) -> Option<Came> {
        let mut parts = [IoSliceMut::new(buffer)];
        let room = Some(self.ancillary.as_mut_slice());
        let message =
            recvmsg::<SockaddrStorage>(self.socket.as_raw_fd(), &mut parts, room, MsgFlags::empty()).ok()?;
        let stamp = message.cmsgs().ok()?.find_map(|ancillary| match ancillary {
            ControlMessageOwned::ScmTimestampns(at) => Some(Duration::from(at)),
            _ => None,
        });
        let from = message.address?;
        let v4 = from.as_sockaddr_in().map(|it| SocketAddr::from((it.ip(), it.port())));
        let v6 = || from.as_sockaddr_in6().map(|it| SocketAddr::from((it.ip(), it.port())));
        Some(Came { length: message.bytes, from: v4.or_else(v6)?, at: stamp.unwrap_or_else(wall) })
    }
}
