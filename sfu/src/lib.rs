//! The media plane: packets in, packets out, usage facts.
//!
//! A [`Node`] is started from a [`NodeConfig`], told what to do by [`control::Command`]s through its [`Handle`], and
//! answers with [`control::Event`]s through its [`Events`]:
//!
//! ```no_run
//! use sfu::control::{Command, Event, LegId, RoomId, TenantId};
//! # fn ids() -> (LegId, RoomId, TenantId) { unimplemented!() }
//! # async fn call(offer: String) -> Result<(), Box<dyn std::error::Error>> {
//! let (node, mut events) = sfu::Node::start(sfu::NodeConfig {
//!     listen: "0.0.0.0:3478".parse()?,
//!     advertise: Vec::new(),
//!     journal_dir: "data/usage".into(),
//!     shards: 1,
//!     legs_max: 1_000,
//!     egress: sfu::EgressKind::Own,
//!     ways: sfu::Ways::Both,
//!     turn: None,
//! })?;
//! let (leg, room, tenant) = ids();
//! node.send(Command::Join { leg, room, tenant, offer, sends: Vec::new() })?;
//! while let Some(event) = events.recv().await {
//!     match event {
//!         Event::Joined { leg, .. } => node.send(Command::Enter { leg })?, // The click.
//!         Event::Usage { batch, .. } => node.send(Command::UsageStored { batch })?,
//!         _ => {}
//!     }
//! }
//! # Ok(()) }
//! ```
//!
//! # A leg's life
//!
//! `Join` answers the offer and holds the leg in the lobby: ICE and DTLS come up, nothing is forwarded either way, nothing
//! is counted. `Enter` is the click: its slots are filled at once, with the packets since each picture's last keyframe, and
//! what it sends goes to the others as soon as its first packet has come. `TakeOver` is the click of a leg whose person
//! comes from another node, and is counted a moment later. `Leave` ends it; silence or a broken connection does so too.
//! Which track plays in which slot is told by [`control::Event::Slots`] and changes no SDP.
//!
//! # The parts
//!
//! | part | files | knows |
//! |---|---|---|
//! | shell | `driver` (sockets, clock; `driver::tcp`), `links` (between shards), `keeper` (disk), `turn` (in through TLS; its rules are pure), `node` | the machine |
//! | shard | `shard` (rooms, timers), `demux` (whose datagram), `offer`, `fast_join` | str0m, time as an argument |
//! | room | `room` and its parts, `peers`, `peer` (one str0m connection), `consent` (where it may be reached), `aead` and `dtls` (its DTLS), `sources` and `keys` (whose packet), `track`, `relay` (its parts on other shards), `slab` | packets |
//! | sending | `egress` (str0m's or ours), `srtp` (both ways), `rtcp`, `repairs` | one connection's keys and lines |
//! | view | `metrics` (what each thread counted, asked for between two turns), `quality` (how each line does), `tap` (headers of one leg, on demand) | numbers only |
//! | rules | `forward`, `messages` (between people), `framing` (packets in a stream), `rewrite`, `slots`, `demand` (what somebody is shown), `keyframes`, `gaps` (what of a stream will not come), `speaker`, `usage`, `ship`, `codec`, `dependency`, `svc`, `bits`, `allowance`, `placement`, `congestion` | numbers only |
//!
//! What must not come in: the clock or a socket outside of `driver` and `turn`; a lock, a file or the runtime on the packet path; a
//! packet into str0m from an address that no authenticated check has opened, or under an SSRC that has not proven itself; a
//! datagram to an address that was silent for 5 s; an address, a password or SDP in a log; an
//! event on the wire that says a leg has ended before its usage is on disk.

#![warn(clippy::print_stdout, clippy::print_stderr)]

pub mod control;
pub mod metrics;

mod addresses;
mod aead;
mod allowance;
#[cfg(test)]
mod attacks;
mod bits;
mod capture;
mod codec;
mod congestion;
mod consent;
mod demand;
mod demux;
mod dependency;
mod driver;
mod dtls;
mod egress;
mod fast_join;
mod forward;
mod framing;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod gaps;
mod journal;
mod keeper;
mod keyframes;
mod keys;
mod links;
mod messages;
mod node;
mod offer;
mod peer;
mod peers;
mod placement;
mod quality;
mod relay;
mod remote;
mod repairs;
mod rewrite;
mod room;
mod rtcp;
mod shard;
mod ship;
mod slab;
mod slots;
mod sources;
mod speaker;
mod srtp;
mod streams;
mod svc;
mod tap;
mod track;
mod turn;
mod usage;

pub use egress::{EgressKind, UnknownEgress};
pub use journal::JournalError;
pub use node::{Busy, Events, Handle, Node, NodeConfig, StartError, UnknownWays, Ways};
pub use turn::{CertificateError, TlsFiles, TurnConfig};
