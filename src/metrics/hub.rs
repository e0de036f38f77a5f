//! The hub's families.

use super::exposition::{Kind, Page};
use signaling::metrics::HubLook;
use std::fmt::Display;

/// Writes everything about a hub.
pub(super) fn write(page: &mut Page, look: &HubLook) {
    use Kind::{Counter, Gauge};
    page.family("tuppence_hub_sockets", Gauge, "Open WebSockets.").sample(&[], look.sockets);
    page.family("tuppence_hub_sockets_max", Gauge, "WebSockets that may be open.")
        .sample(&[], look.sockets_max);
    page.family("tuppence_hub_joins_total", Counter, "Pages and clients let in, into a lobby or a call.")
        .sample(&[], look.joins);
    page.family("tuppence_hub_resumes_total", Counter, "Sessions that went on over a new WebSocket.")
        .sample(&[], look.resumes);
    let mut refusals =
        page.family("tuppence_hub_refusals_total", Counter, "Refusals, by the code that was told.");
    for (code, count) in &look.refusals {
        let code = serde_json::to_value(code).unwrap_or_default();
        let code: &dyn Display = &code.as_str().unwrap_or_default().to_owned();
        refusals.sample(&[("code", code)], count);
    }
    let mut answers = page.family(
        "tuppence_hub_http_responses_total",
        Counter,
        "Answers of the HTTP API, by class of status.",
    );
    for (class, count) in (1..).zip(look.answers) {
        answers.sample(&[("class", &format_args!("{class}xx"))], count);
    }
    let database = &look.database;
    page.family("tuppence_hub_database_connections", Gauge, "Connections to the database.")
        .sample(&[("state", &"idle")], database.idle)
        .sample(&[("state", &"used")], database.open.saturating_sub(database.idle));
    page.family("tuppence_hub_database_connections_max", Gauge, "Connections to the database at most.")
        .sample(&[], database.max);
    page.family(
        "tuppence_hub_database_waiting",
        Gauge,
        "Callers that wait for a connection to the database.",
    )
    .sample(&[], database.waiting);
}
