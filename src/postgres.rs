//! The private PostgreSQL: made and run from the system's own programs, inside the data directory.
//!
//! It listens on a Unix socket only and knows us by our system user, so it needs neither a port nor a password. As root we run it as an
//! unprivileged user. It is stopped with us; after a kill -9 of `tuppence` it runs on, and the next start adopts it; when it dies
//! itself, it is started again. Layout of the data directory:
//!
//! - `lock` held while a `tuppence` uses the directory ([`crate::data_dir`])
//! - `postgres/` the cluster, `postgresql.log` what the server says
//! - `pg_hba.conf`, `pg_ident.conf` who may connect, written anew at each start
//! - `run/` the socket, unless that path is too long for one ([`socket`])

mod binaries;
mod cluster;
mod error;
mod postmaster;
mod socket;
mod user;

use crate::config::DatabaseConfig;
use crate::data_dir::DataDir;
use cluster::{Access, Cluster};
use postmaster::Postmaster;
use std::path::Path;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::{error, info};

use binaries::MAJOR_MIN;
pub(crate) use error::PostgresError;

/// Between two tries to bring back a server that died: the first wait and the longest.
const RESTART_AFTER: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// A private PostgreSQL that is kept running until it is told to stop.
#[derive(Debug)]
pub(crate) struct PrivatePostgres {
    access: Access,
    stop: watch::Sender<bool>,
    keeper: JoinHandle<()>,
}

impl PrivatePostgres {
    /// Makes, adopts or starts it, and returns when it answers. The caller keeps `data_dir`, and so its lock, while it runs.
    pub(crate) async fn start(data_dir: &DataDir, config: &DatabaseConfig) -> Result<Self, PostgresError> {
        let cluster =
            Cluster::prepare(data_dir.path(), config.postgres_bin.as_deref(), &config.postgres_user).await?;
        let (postmaster, access) = cluster.run().await?;
        info!(pid = postmaster.pid(), "PostgreSQL is ready");
        let (stop, stopping) = watch::channel(false);
        let keeper = tokio::spawn(keep(cluster, postmaster, stopping));
        Ok(Self { access, stop, keeper })
    }

    /// The connection URL of one that another `tuppence` keeps running, for a look beside it.
    pub(crate) fn url_of_running(data_dir: &Path) -> Option<String> {
        let socket_dir = Postmaster::socket_of_running(&data_dir.join("postgres"))?;
        Some(Access::at(&socket_dir).url())
    }

    /// The connection URL of the role that owns the schema.
    pub(crate) fn url(&self) -> String {
        self.access.url()
    }

    /// The connection URL of its superuser, for a look at everything.
    pub(crate) fn admin_url(&self) -> String {
        self.access.admin_url()
    }

    /// Stops it and waits until it has.
    pub(crate) async fn stop(self) {
        self.stop.send_replace(true);
        let _ = self.keeper.await;
        info!("PostgreSQL has stopped");
    }
}

/// Brings the server back when it dies, until it is to stop.
async fn keep(cluster: Cluster, mut postmaster: Postmaster, mut stopping: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            _ = stopping.changed() => return postmaster.stop().await,
            () = postmaster.ended() => error!("PostgreSQL has died and is started again"),
        }
        tokio::select! {
            _ = stopping.changed() => return,
            again = restart(&cluster) => postmaster = again,
        }
    }
}

async fn restart(cluster: &Cluster) -> Postmaster {
    let (mut wait, longest) = RESTART_AFTER;
    loop {
        match cluster.run().await {
            Ok((postmaster, _)) => {
                info!(pid = postmaster.pid(), "PostgreSQL is ready again");
                return postmaster;
            }
            Err(reason) => error!(%reason, retry_in_ms = wait.as_millis(), "PostgreSQL does not start"),
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(longest);
    }
}
