//! The routes: one resource a file, each handler with its documentation.

mod accounts;
mod calls;
mod caps;
mod captures;
mod clock;
mod coupons;
mod credit_notes;
mod credits;
mod demo;
mod entitlements;
mod events;
mod giving_back;
mod health;
mod keys;
mod me;
mod meters;
mod page;
mod payments;
mod payouts;
mod plans;
mod quality;
mod resources;
mod rooms;
mod service;
mod sessions;
mod statements;
mod subscriptions;
mod taxes;
mod tokens;
mod usage;
mod vendors;
mod visits;
mod whep;
mod whip;

pub use service::router;
pub(crate) use service::{documented, with_headers};
