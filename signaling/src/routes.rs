//! The routes: one resource a file, each handler with its documentation.

mod calls;
mod clock;
mod demo;
mod health;
mod keys;
mod me;
mod page;
mod rooms;
mod service;
mod sessions;
mod statements;
mod tokens;
mod usage;
mod visits;

pub(crate) use service::documented;
pub use service::router;
