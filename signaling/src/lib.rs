//! People and rooms: who may speak for a business, where people meet, and what happens there.
//!
//! The cores touch no socket, no database and no clock: [`room`], [`session`], [`resource`] and [`switchboard`] decide
//! about calls, [`tokens`] about who may come in, [`limits`], [`text`] and [`sdp`] about what may be asked. Around them
//! stand two shells:
//! [`socket`] for the WebSocket at `/v1/ws`, whose messages are in [`protocol`], and [`routes`] for the HTTP API, which
//! [`openapi`] describes and whose refusals are in [`problem`]. A [`hub::Hub`] is one running process of it all.

#![warn(clippy::print_stdout, clippy::print_stderr)]

pub mod admission;
pub mod api;
pub mod auth;
pub mod base64url;
pub mod bootstrap;
pub mod delivery;
mod entitled;
pub mod exchange;
pub mod hub;
pub mod idempotency;
pub mod input;
pub mod limits;
pub mod media;
pub mod metrics;
pub mod nodes;
pub mod openapi;
pub mod pass;
pub mod problem;
pub mod protocol;
pub mod proxies;
pub mod records;
pub mod refusal;
pub mod resource;
pub mod room;
pub mod routes;
pub mod sdp;
pub mod secret;
pub mod session;
pub mod socket;
pub mod store;
pub mod switchboard;
pub mod text;
pub mod tokens;
pub mod usage;

/// Everything that a hub answers: the HTTP API, the key set, the probes and the WebSocket.
pub fn router(hub: hub::Hub) -> axum::Router {
    let sockets = socket::routes(hub.clone()).layer(axum::middleware::from_fn(routes::with_headers));
    let counted = axum::middleware::from_fn_with_state(hub.clone(), metrics::count_answer);
    routes::router(api::Api::of(hub)).merge(sockets).layer(counted)
}
