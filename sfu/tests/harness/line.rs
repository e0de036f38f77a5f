//! The ways to a node: UDP, and TCP in frames (RFC 4571).

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};

use str0m::Candidate;
use str0m::net::{Protocol, TcpType};

/// One socket of a client.
pub(crate) enum Line {
    Udp(UdpSocket),
    Tcp {
        stream: TcpStream,
        /// What has come and was not taken yet.
        come: Vec<u8>,
    },
}

impl Line {
    pub(crate) fn udp(from: &str) -> Line {
        let address: std::net::IpAddr = from.parse().unwrap();
        let socket = UdpSocket::bind((address, 0)).unwrap();
        socket.set_nonblocking(true).unwrap();
        Line::Udp(socket)
    }

    pub(crate) fn tcp(to: SocketAddr) -> Line {
        let stream = TcpStream::connect(to).unwrap();
        stream.set_nonblocking(true).unwrap();
        stream.set_nodelay(true).unwrap();
        Line::Tcp { stream, come: Vec::new() }
    }

    pub(crate) fn local(&self) -> SocketAddr {
        match self {
            Line::Udp(socket) => socket.local_addr().unwrap(),
            Line::Tcp { stream, .. } => stream.local_addr().unwrap(),
        }
    }

    pub(crate) fn protocol(&self) -> Protocol {
        match self {
            Line::Udp(_) => Protocol::Udp,
            Line::Tcp { .. } => Protocol::Tcp,
        }
    }

    pub(crate) fn candidate(&self) -> Candidate {
        let candidate = match self {
            Line::Udp(_) => Candidate::builder().udp().host(self.local()).build(),
            Line::Tcp { .. } => {
                Candidate::builder().tcp().host(self.local()).tcptype(TcpType::Active).build()
            }
        };
        candidate.unwrap()
    }

    pub(crate) fn send(&self, packet: &[u8], to: SocketAddr) {
        match self {
            Line::Udp(socket) => {
                let _dropped = socket.send_to(packet, to);
            }
            Line::Tcp { stream, .. } => {
                let frame = [&(packet.len() as u16).to_be_bytes()[..], packet].concat();
                let mut rest = frame.as_slice();
                while !rest.is_empty() {
                    match (&*stream).write(rest) {
                        Ok(written) => rest = &rest[written..],
                        Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::yield_now(),
                        Err(_) => return,
                    }
                }
            }
        }
    }

    /// The next packet, and where it came from.
    pub(crate) fn receive(&mut self) -> Option<(Vec<u8>, SocketAddr)> {
        match self {
            Line::Udp(socket) => {
                let mut buffer = [0; 2_000];
                let (length, source) = socket.recv_from(&mut buffer).ok()?;
                Some((buffer[..length].to_vec(), source))
            }
            Line::Tcp { stream, come } => {
                let mut buffer = [0; 16_384];
                if let Ok(length) = stream.read(&mut buffer) {
                    come.extend_from_slice(&buffer[..length]);
                }
                let length = usize::from(u16::from_be_bytes(*come.first_chunk()?));
                let packet = come.get(2..2 + length)?.to_vec();
                come.drain(..2 + length);
                Some((packet, stream.peer_addr().ok()?))
            }
        }
    }
}
