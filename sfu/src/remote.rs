//! Where somebody is reached: an address, and the way there.

use std::net::SocketAddr;

use str0m::net::Protocol;

/// One TCP connection of a shard; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ConnectionId(pub(crate) u64);

/// The way to an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Transport {
    /// Datagrams.
    Udp,
    /// Frames in a connection that came from there.
    Tcp(ConnectionId),
}

/// The other end of a 5-tuple.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Remote {
    pub(crate) address: SocketAddr,
    pub(crate) transport: Transport,
}

impl Remote {
    /// As ICE names the way.
    pub(crate) fn protocol(self) -> Protocol {
        match self.transport {
            Transport::Udp => Protocol::Udp,
            Transport::Tcp(_) => Protocol::Tcp,
        }
    }
}

/// Over UDP.
impl From<SocketAddr> for Remote {
    fn from(address: SocketAddr) -> Remote {
        Remote { address, transport: Transport::Udp }
    }
}
