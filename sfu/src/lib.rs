//! The media plane: packets in, packets out, usage facts.

pub mod control;
mod driver;
mod journal;
mod keeper;
mod node;

pub use journal::JournalError;
pub use node::{Busy, Events, Handle, Node, NodeConfig, StartError};
