//! `tuppence node`: a media node without a hub, a database or pages. It dials a hub and does what that says; while the hub is
//! away its calls go on, and what they use waits in its journal.

mod dial;
mod link;

use crate::config::NodeConfig;
use crate::data_dir::DataDir;
use crate::metrics::{self, Sources};
use crate::serve::media_config;
use crate::stop::{Stop, Told};
use anyhow::{Context, Result};
use link::{Link, Remains};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

/// How long a node that stops has for its last words to the hub.
const TELLS_WITHIN: Duration = Duration::from_millis(500);
/// How often an empty node looks whether the hub has its usage.
const LOOKS_EVERY: Duration = Duration::from_millis(100);

/// Runs the node until it is told to stop.
pub(crate) async fn run(config: &NodeConfig) -> Result<()> {
    let mut stop = Stop::catch()?;
    let data_dir = DataDir::open(&config.data_dir())?;
    let media = media_config(&config.media, data_dir.private_folder("journal")?);
    let legs_max = media.legs_max;
    let (handle, events) = sfu::Node::start(media).context("the media node does not start")?;
    let rooms = config.metrics.metrics_rooms;
    let sources = Sources { media: Some(handle.clone()), hub: None, billing: None, rooms };
    metrics::start(&config.metrics, sources).await?;
    let (link, leaving, remains) = Link::new(config, handle.clone(), events, legs_max)?;
    let told = tokio::spawn(link.keep());
    if stop.told().await == Told::Terminate {
        info!("leaving: the calls here go over to other nodes; a second signal stops at once");
        leaving.send_replace(true);
        tokio::select! {
            () = emptied(remains, &handle) => info!("nothing is left here"),
            () = sleep(Duration::from_secs(config.drain_within_s)) => warn!("what is left here ends now"),
            _ = stop.told() => {}
        }
    }
    info!("stopping");
    // The hub hears of the legs' ends while they end, if it is there.
    if tokio::task::spawn_blocking(move || handle.stop()).await.is_err() {
        warn!("the media node did not stop in order; its journal is read again at the next start");
    }
    timeout(TELLS_WITHIN, told).await.ok();
    drop(data_dir);
    Ok(())
}

/// Returns when nobody is here and the hub has what they used.
async fn emptied(mut remains: watch::Receiver<Remains>, node: &sfu::Handle) {
    loop {
        if remains.wait_for(Remains::is_nothing).await.is_err() {
            return; // The media node has stopped.
        }
        let node = node.clone();
        let look = tokio::task::spawn_blocking(move || node.look()).await;
        let journal = look.ok().and_then(|look| look.journal);
        if journal.is_some_and(|journal| journal.unshipped == 0 && journal.unwritten == 0) {
            return;
        }
        sleep(LOOKS_EVERY).await;
    }
}
