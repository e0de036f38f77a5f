//! `tuppence serve`: starts the roles in the order in which they need each other, and stops them in the reverse order.

use crate::announce::Announcement;
use crate::config::{Config, HttpConfig, MediaConfig};
use crate::data_dir::DataDir;
use crate::metrics::{self, Sources};
use crate::pages;
use crate::postgres::PrivatePostgres;
use crate::stop::Stop;
use anyhow::{Context, Result};
use axum::Router;
use axum::serve::ListenerExt;
use billing::clock::Clock;
use billing::collector::Collector;
use billing::db::Db;
use billing::jobs::Tally;
use billing::processor::Sandbox;
use signaling::hub::{Hub, HubConfig};
use signaling::nodes::{self, Local, Nodes};
use signaling::proxies::Proxies;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::{info, warn};

/// How long requests and sockets may take to end when the service stops.
const ENDS_WITHIN: Duration = Duration::from_secs(5);

/// Runs the service until it is told to stop.
pub(crate) async fn serve(config: &Config) -> Result<()> {
    let mut stop = Stop::catch()?;
    tokio::select! {
        started = Service::start(config) => {
            let service = started?;
            stop.told().await;
            service.stop().await;
        }
        _ = stop.told() => info!("told to stop before the start was complete"),
    }
    Ok(())
}

/// Runs only the private PostgreSQL until we are told to stop.
pub(crate) async fn postgres_alone(config: &Config) -> Result<()> {
    let mut stop = Stop::catch()?;
    let data_dir = DataDir::open(&config.database.data_dir())?;
    tokio::select! {
        started = PrivatePostgres::start(&data_dir, &config.database) => {
            let postgres = started?;
            println!("{}", postgres.url());
            stop.told().await;
            postgres.stop().await;
        }
        _ = stop.told() => {}
    }
    Ok(())
}

/// Everything that runs, in the order of its start.
struct Service {
    data_dir: DataDir,
    postgres: Option<PrivatePostgres>,
    roles: Roles,
}

/// What stands on the database.
struct Roles {
    media: Option<sfu::Handle>,
    hub: Hub,
    billing: JoinHandle<()>,
    http: Http,
}

impl Service {
    async fn start(config: &Config) -> Result<Self> {
        // The two refusals that people meet most come first, within milliseconds: the port and the directory are taken.
        let listener = listen(&config.http).await?;
        let data_dir = DataDir::open(&config.database.data_dir())?;
        let (postgres, url) = match &config.database.database_url {
            Some(url) => (None, url.clone()),
            None => {
                let postgres = PrivatePostgres::start(&data_dir, &config.database).await?;
                let url = postgres.url();
                (Some(postgres), url)
            }
        };
        match Roles::start(config, listener, &data_dir, &url, postgres.as_ref()).await {
            Ok(roles) => Ok(Self { data_dir, postgres, roles }),
            Err(error) => {
                stop_postgres(postgres).await;
                Err(error)
            }
        }
    }

    async fn stop(self) {
        info!("stopping");
        self.roles.stop().await;
        stop_postgres(self.postgres).await;
        drop(self.data_dir);
    }
}

async fn stop_postgres(postgres: Option<PrivatePostgres>) {
    if let Some(postgres) = postgres {
        postgres.stop().await;
    }
}

impl Roles {
    async fn start(
        config: &Config,
        listener: TcpListener,
        data_dir: &DataDir,
        database_url: &str,
        private: Option<&PrivatePostgres>,
    ) -> Result<Self> {
        let public_url = config.http.public_url(listener.local_addr()?.port());
        let clock = Clock::system();
        let db = Db::connect(database_url).await.context("the database does not let us in")?;
        db.migrate().await.context("the database's schema cannot be brought up to date")?;
        let demo = match config.http.demo {
            true => Some(signaling::bootstrap::ensure_demo(&db, &clock, &public_url).await?),
            false => None,
        };
        let local = match config.fleet.media_node {
            true => Some(start_media(&config.media, data_dir.private_folder("journal")?)?),
            false => None,
        };
        let media = local.as_ref().map(|local| local.handle.clone());
        let lease = Duration::from_secs(config.fleet.node_lease_s);
        let (nodes, plane) = Nodes::start(db.clone(), clock.clone(), lease, local);
        let hub = Hub::start(HubConfig {
            resume_within: Duration::from_secs(config.signaling.resume_within_s),
            heartbeat: Duration::from_secs(config.signaling.heartbeat_s),
            proxies: Proxies::new(config.http.trusted_proxies.clone()),
            ..HubConfig::new(&public_url, db.clone(), clock.clone(), plane)
        })
        .await
        .context("signalling does not start")?;
        let tally = Tally::default();
        let sources = Sources {
            media: media.clone(),
            hub: Some(hub.clone()),
            billing: Some(tally.clone()),
            rooms: config.metrics.metrics_rooms,
        };
        metrics::start(&config.metrics, sources).await?;
        let collector =
            Collector::new(db.clone(), clock.clone(), Sandbox::new(db.clone()), config.billing.terms());
        info!(processor = "sandbox", "payments are rehearsed: no money moves");
        let billing = tokio::spawn(billing::jobs::run(db, clock, collector, tally));
        let secure = public_url.starts_with("https://");
        let router = signaling::router(hub.clone()).merge(nodes::routes(nodes)).merge(pages::router(secure));
        let http = Http::start(listener, router);
        let announcement =
            Announcement::new(&public_url, demo.as_ref(), private.map(PrivatePostgres::admin_url));
        announcement.write(config.log.announce.as_deref())?;
        announcement.print();
        Ok(Self { media, hub, billing, http })
    }

    /// Callers are told first, then the packets stop and usage is journaled, then the last requests end.
    async fn stop(self) {
        self.hub.shutdown().await;
        if let Some(media) = self.media
            && tokio::task::spawn_blocking(move || media.stop()).await.is_err()
        {
            warn!("the media node did not stop in order; its journal is read again at the next start");
        }
        self.billing.abort();
        self.http.stop().await;
    }
}

/// The HTTP server, which takes no new connection once it is told to stop.
struct Http {
    stop: watch::Sender<bool>,
    task: JoinHandle<std::io::Result<()>>,
}

impl Http {
    fn start(listener: TcpListener, router: Router) -> Self {
        let (stop, mut stopping) = watch::channel(false);
        let stopped = async move {
            let _ = stopping.changed().await;
        };
        // A message of a call must not wait for the next to fill its packet.
        let listener = listener.tap_io(|connection| {
            let _ = connection.set_nodelay(true);
        });
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        let server = axum::serve(listener, service).with_graceful_shutdown(stopped);
        Self { stop, task: tokio::spawn(server.into_future()) }
    }

    async fn stop(self) {
        self.stop.send_replace(true);
        if tokio::time::timeout(ENDS_WITHIN, self.task).await.is_err() {
            warn!("connections were still open and are cut");
        }
    }
}

/// Takes the port; where the machine has no IPv6, "every address" is every address of IPv4.
async fn listen(config: &HttpConfig) -> Result<TcpListener> {
    let bound = match TcpListener::bind(config.listen).await {
        Err(error) if config.listens_everywhere() && lacks_ipv6(&error) => {
            TcpListener::bind((Ipv4Addr::UNSPECIFIED, config.listen.port())).await
        }
        other => other,
    };
    bound.with_context(|| match config.listen.port() {
        0 => format!("cannot listen on {}", config.listen),
        port => format!(
            "cannot listen on TCP port {port}; another program may have it: choose another with --listen"
        ),
    })
}

fn lacks_ipv6(error: &std::io::Error) -> bool {
    error.kind() == ErrorKind::AddrNotAvailable
        || error.raw_os_error() == Some(rustix::io::Errno::AFNOSUPPORT.raw_os_error())
}

/// The name of this process' own node in the legs' rows.
const LOCAL: &str = "local";

fn start_media(config: &MediaConfig, journal_dir: PathBuf) -> Result<Local> {
    let config = media_config(config, journal_dir);
    let legs_max = config.legs_max;
    let (handle, events) = sfu::Node::start(config).context("the media node does not start")?;
    Ok(Local { name: LOCAL.into(), handle, events, legs_max })
}

/// What a media node is started with.
pub(crate) fn media_config(media: &MediaConfig, journal_dir: PathBuf) -> sfu::NodeConfig {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    sfu::NodeConfig {
        listen: media.media_listen,
        advertise: media.media_advertise.clone(),
        journal_dir,
        shards: if media.media_shards == 0 { cores } else { media.media_shards },
        legs_max: media.media_legs_max,
        egress: media.media_egress,
        ways: media.media_ways,
        turn: media.turn.server(),
    }
}
