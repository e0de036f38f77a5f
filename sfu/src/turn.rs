//! A way in through TLS, for networks that let nothing else out: a TURN server (RFC 8656, over TCP or TLS) that relays to this
//! node's own media and to nowhere else.
//!
//! Browsers speak TLS to media by TURN only. What an allocation may reach is a list of this node's addresses, not all but a
//! list of forbidden ones, so that it opens no way into the network behind it. Its pass names a leg and is made by the node for
//! each answer. Inside it is an ordinary UDP address on this machine: shards know nothing of it, and whoever reaches them
//! otherwise pays nothing for it.

mod certificate;
mod listener;
pub(crate) mod message;
pub(crate) mod passes;
pub(crate) mod reach;
pub(crate) mod session;
pub(crate) mod stream;

use std::net::SocketAddr;
use std::path::PathBuf;

pub use certificate::CertificateError;
pub(crate) use listener::{Turn, start};

/// Where the TURN server listens, and what callers are told of it.
#[derive(Debug, Clone)]
pub struct TurnConfig {
    /// TCP. Port 0 means any free port.
    pub listen: SocketAddr,
    /// What browsers are told, such as `turns:turn.example.com:443?transport=tcp` (RFC 7065).
    pub url: String,
    /// With it the server speaks TLS; without it plain TCP, for a proxy that ends TLS before it.
    pub tls: Option<TlsFiles>,
}

/// A certificate and its key, both PEM. They are read again when they change.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// The chain, the server's own first.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}
