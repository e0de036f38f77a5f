//! The HTTP API on a real socket and a real PostgreSQL.

mod away;
mod bootstrap;
mod caps;
mod clock;
#[path = "../../../billing/tests/database/cluster.rs"]
mod cluster;
mod coupons;
mod credit_notes;
mod documents;
mod events;
mod guests;
mod idempotency;
mod input;
#[expect(dead_code, reason = "the tests of calls use all of it")]
#[path = "../calls/media.rs"]
mod media;
mod payments;
mod service;
mod sessions;
mod subscriptions;
#[expect(dead_code, reason = "billing's tests use all of it")]
#[path = "../../../billing/tests/database/support.rs"]
mod support;
mod taxes;
mod tenancy;
