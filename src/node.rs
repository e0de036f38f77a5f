//! `tuppence node`: a media node without a hub, a database or pages. It dials a hub and does what that says; while the hub is
//! away its calls go on, and what they use waits in its journal.

mod link;

use crate::config::NodeConfig;
use crate::data_dir::DataDir;
use crate::metrics::{self, Sources};
use crate::serve::media_config;
use crate::stop::Stop;
use anyhow::{Context, Result};
use link::Link;
use tracing::{info, warn};

/// How long a node that stops has for its last words to the hub.
const TELLS_WITHIN: std::time::Duration = std::time::Duration::from_millis(500);

/// Runs the node until it is told to stop.
pub(crate) async fn run(config: &NodeConfig) -> Result<()> {
    let mut stop = Stop::catch()?;
    let data_dir = DataDir::open(&config.data_dir())?;
    let media = media_config(&config.media, data_dir.private_folder("journal")?);
    let legs_max = media.legs_max;
    let (handle, events) = sfu::Node::start(media).context("the media node does not start")?;
    let sources = Sources { media: Some(handle.clone()), hub: None, rooms: config.metrics.metrics_rooms };
    metrics::start(&config.metrics, sources).await?;
    let link = Link::new(&config.hub, &config.node_token, handle.clone(), events, legs_max)?;
    let told = tokio::spawn(link.keep());
    stop.told().await;
    info!("stopping");
    // The hub hears of the legs' ends while they end, if it is there.
    if tokio::task::spawn_blocking(move || handle.stop()).await.is_err() {
        warn!("the media node did not stop in order; its journal is read again at the next start");
    }
    tokio::time::timeout(TELLS_WITHIN, told).await.ok();
    drop(data_dir);
    Ok(())
}
