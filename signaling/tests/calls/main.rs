//! Pages on real WebSockets, a real PostgreSQL, and a media plane that says yes.

mod away;
#[path = "../../../billing/tests/database/cluster.rs"]
mod cluster;
mod joining;
mod media;
mod page;
mod records;
mod refusals;
mod resources;
mod resuming;
mod service;
#[expect(dead_code, reason = "billing's tests use all of it")]
#[path = "../../../billing/tests/database/support.rs"]
mod support;
