//! `/metrics` for Prometheus, on an address of its own: what the media node, the hub and billing count, under the names that
//! `docs/operating.md` explains.

mod billing;
mod exposition;
mod hub;
mod media;

use crate::config::MetricsConfig;
use ::billing::jobs::Tally;
use anyhow::{Context, Result};
use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use exposition::{Kind, Page};
use signaling::hub::Hub;
use tokio::net::TcpListener;

/// Whom the numbers come from.
#[derive(Clone)]
pub(crate) struct Sources {
    /// The media node of this process.
    pub media: Option<sfu::Handle>,
    /// The hub of this process.
    pub hub: Option<Hub>,
    /// Billing's jobs in this process.
    pub billing: Option<Tally>,
    /// How many rooms have lines of their own.
    pub rooms: usize,
}

/// Listens, if that is wanted, until the process ends.
pub(crate) async fn start(config: &MetricsConfig, sources: Sources) -> Result<()> {
    let Some(address) = config.metrics_listen else { return Ok(()) };
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address} for /metrics"))?;
    let router = Router::new().route("/metrics", get(show)).with_state(sources);
    tokio::spawn(axum::serve(listener, router).into_future());
    Ok(())
}

async fn show(State(sources): State<Sources>) -> Response {
    // The media threads answer within half a second, and meanwhile this one waits.
    let page = tokio::task::spawn_blocking(move || page(&sources)).await;
    match page {
        Ok(text) => ([(CONTENT_TYPE, exposition::CONTENT_TYPE)], text).into_response(),
        Err(_) => axum::http::StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

fn page(sources: &Sources) -> String {
    let mut page = Page::default();
    page.family("tuppence_build_info", Kind::Gauge, "The version that runs.")
        .sample(&[("version", &env!("CARGO_PKG_VERSION"))], 1);
    if let Some(media) = &sources.media {
        media::write(&mut page, &media.look(), sources.rooms);
    }
    if let Some(hub) = &sources.hub {
        hub::write(&mut page, &hub.look());
    }
    if let Some(billing) = &sources.billing {
        billing::write(&mut page, billing);
    }
    page.finish()
}
