//! The media plane: packets in, packets out, usage facts.

pub mod control;

mod addresses;
mod codec;
mod demux;
mod driver;
mod egress;
mod fast_join;
mod forward;
mod journal;
mod keeper;
mod keyframes;
mod node;
mod offer;
mod peer;
mod rewrite;
mod room;
mod shard;
mod ship;
mod slots;
mod speaker;
mod track;
mod usage;

pub use journal::JournalError;
pub use node::{Busy, Events, Handle, Node, NodeConfig, StartError};
