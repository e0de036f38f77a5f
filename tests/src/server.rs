//! The real binary on a directory of its own.

use crate::processes::{Killed, inhabitants, kill_everything, signal};
use crate::{Api, eventually};
use anyhow::{Context, Result, bail, ensure};
use rustix::process::Signal;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;

/// Where a service lives: its data directory, its ports and its key outlast each of its lives. Removed with the last clone.
#[derive(Debug, Clone)]
pub struct Home(Arc<Place>);

#[derive(Debug)]
struct Place {
    dir: TempDir,
    http: SocketAddr,
    media: SocketAddr,
    metrics: SocketAddr,
    secret_key: Mutex<Option<String>>,
    settings: Mutex<Vec<(String, String)>>,
}

/// What the binary writes to `TUPPENCE_ANNOUNCE` when it is ready.
#[derive(Debug, Clone, Deserialize)]
pub struct Announced {
    /// Where pages and API are.
    pub url: String,
    /// The one-time way into the console.
    pub owner_link: String,
    /// The demo tenant's secret key; told at its first start only, when the database keeps just its hash.
    pub secret_key: Option<String>,
    /// The demo tenant's publishable key.
    pub publishable_key: Option<String>,
    /// The demo tenant.
    pub tenant_id: String,
    /// The private PostgreSQL, for counting rows.
    #[serde(default)]
    pub database_url: Option<String>,
}

impl Drop for Place {
    fn drop(&mut self) {
        // A story that failed half way may have left a PostgreSQL alone in here.
        for pid in inhabitants(self.dir.path()) {
            signal(pid, Signal::KILL);
        }
    }
}

/// A running service. Dropping it kills everything it started.
#[derive(Debug)]
pub struct Service {
    child: Child,
    home: Home,
    log: PathBuf,
    /// Nothing of it is left to be killed, or on purpose.
    over: bool,
    /// What it said when it was ready.
    pub announced: Announced,
    /// The API with the demo tenant's secret key.
    pub api: Api,
}

impl Home {
    /// An empty home on free ports.
    ///
    /// # Errors
    /// No directory or no port can be had.
    pub fn new() -> Result<Home> {
        let dir = TempDir::with_prefix("tuppence-")?;
        // The private PostgreSQL of a service that runs as root is another user, who must be able to enter.
        fs::set_permissions(dir.path(), Permissions::from_mode(0o755))?;
        let (http, media, metrics) = (free_tcp_port()?, free_udp_port()?, free_tcp_port()?);
        Ok(Home(Arc::new(Place {
            dir,
            http,
            media,
            metrics,
            secret_key: Mutex::new(None),
            settings: Mutex::default(),
        })))
    }

    /// Sets an environment variable for every start from now on.
    pub fn set(&self, variable: &str, value: &str) {
        let mut settings = self.0.settings.lock().expect("no test panics while it holds the settings");
        settings.push((variable.to_owned(), value.to_owned()));
    }

    /// The data directory.
    pub fn data(&self) -> PathBuf {
        self.0.dir.path().join("data")
    }

    /// Processes that live in the data directory.
    pub fn inhabitants(&self) -> Vec<u32> {
        inhabitants(&self.data())
    }

    /// Starts the service and waits until it takes calls.
    ///
    /// # Errors
    /// It exits, or is not ready within a minute (the first start makes a database).
    pub async fn start(&self) -> Result<Service> {
        let announce = self.0.dir.path().join("announce.json");
        let log = self.0.dir.path().join("log");
        let _ = fs::remove_file(&announce);
        let child = self
            .command(&announce)
            .stderr(append(&log)?)
            .stdout(append(&log)?)
            .spawn()
            .context("starting tuppence")?;
        let mut nascent = Nascent { child: Some(child), data: self.data() };
        let announced = eventually("the service to announce itself", Duration::from_secs(60), async || {
            nascent.announced(&announce, &log)
        })
        .await?;
        let key = self.key_of(&announced)?;
        let child = nascent.child.take().context("the service was started")?;
        Ok(Service {
            child,
            home: self.clone(),
            log,
            over: false,
            api: Api::new(&announced.url, Some(&key)),
            announced,
        })
    }

    /// Starts the service where it cannot start, and tells how it ended and what it said.
    ///
    /// # Errors
    /// It goes on running.
    pub async fn start_in_vain(&self) -> Result<(ExitStatus, String)> {
        let announce = self.0.dir.path().join("announce-second.json");
        let log = self.0.dir.path().join("log-second");
        let mut command = self.command(&announce);
        command.env("TUPPENCE_LISTEN", free_tcp_port()?.to_string());
        command.env("TUPPENCE_MEDIA_LISTEN", free_udp_port()?.to_string());
        let mut child = command.stderr(append(&log)?).stdout(append(&log)?).spawn()?;
        let ended =
            eventually(
                "the second start to give up",
                Duration::from_secs(15),
                async || Ok(child.try_wait()?),
            )
            .await;
        if ended.is_err() {
            // Only this process: its data directory belongs to the first.
            signal(child.id(), Signal::KILL);
            let _ = child.wait();
        }
        Ok((ended?, fs::read_to_string(log)?))
    }

    /// `tuppence audit` of what is kept here, beside a running service or without one: the number of differences and
    /// all that it printed.
    ///
    /// # Errors
    /// It cannot read the books.
    pub async fn audit(&self) -> Result<(u32, String)> {
        let answer = tokio::process::Command::from(self.tuppence("audit")).output().await?;
        let said = String::from_utf8_lossy(&answer.stdout).into_owned();
        let count = said.trim_end().strip_suffix(" differences").and_then(|said| said.rsplit(' ').next());
        let count = count.with_context(|| String::from_utf8_lossy(&answer.stderr).into_owned())?;
        Ok((count.parse()?, said))
    }

    fn command(&self, announce: &Path) -> Command {
        let mut command = self.tuppence("serve");
        command
            .env("TUPPENCE_LISTEN", self.0.http.to_string())
            .env("TUPPENCE_MEDIA_LISTEN", self.0.media.to_string())
            .env("TUPPENCE_METRICS_LISTEN", self.0.metrics.to_string())
            .env("TUPPENCE_PUBLIC_URL", format!("http://{}", self.0.http))
            .env("TUPPENCE_ANNOUNCE", announce);
        command
    }

    fn tuppence(&self, action: &str) -> Command {
        let mut command = Command::new(binary().unwrap_or_else(|why| panic!("{why}")));
        command
            .arg(action)
            .env("TUPPENCE_DATA_DIR", self.data())
            .env_remove("DATABASE_URL")
            .stdin(Stdio::null());
        command.envs(
            self.0.settings.lock().expect("no test panics while it holds the settings").iter().cloned(),
        );
        command
    }

    fn key_of(&self, announced: &Announced) -> Result<String> {
        let mut known = self.0.secret_key.lock().expect("no test panics while it holds the key");
        if announced.secret_key.is_some() {
            known.clone_from(&announced.secret_key);
        }
        known.clone().context("the service announced no secret key")
    }
}

/// A service that is not ready yet; dies with everything it started if it never gets there.
struct Nascent {
    child: Option<Child>,
    data: PathBuf,
}

impl Nascent {
    fn announced(&mut self, announce: &Path, log: &Path) -> Result<Option<Announced>> {
        let child = self.child.as_mut().context("the service was started")?;
        if let Some(status) = child.try_wait()? {
            bail!("tuppence ended with {status}:\n{}", tail(log));
        }
        match fs::read(announce) {
            Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes).context("the announcement")?)),
            Err(_) => Ok(None),
        }
    }
}

impl Drop for Nascent {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = kill_everything(child.id(), &self.data);
            let _ = child.wait();
        }
    }
}

impl Service {
    /// The address for WebSockets.
    pub fn socket_url(&self) -> String {
        format!("{}/v1/ws", self.announced.url.replacen("http", "ws", 1))
    }

    /// The page for Prometheus.
    ///
    /// # Errors
    /// It cannot be read.
    pub async fn metrics(&self) -> Result<String> {
        let url = format!("http://{}/metrics", self.home.0.metrics);
        Ok(reqwest::get(url).await?.error_for_status()?.text().await?)
    }

    /// Its PostgreSQL hears nothing and answers nothing any more, as behind a cable that is pulled.
    pub fn freeze_database(&self) {
        for pid in self.home.inhabitants().into_iter().filter(|pid| *pid != self.child.id()) {
            signal(pid, Signal::STOP);
        }
    }

    /// kill -9 of the service and its PostgreSQL.
    ///
    /// # Errors
    /// Something survives.
    pub fn kill(mut self) -> Result<Killed> {
        let killed = kill_everything(self.child.id(), &self.home.data())?;
        self.child.wait()?;
        self.over = true;
        Ok(killed)
    }

    /// kill -9 of the service alone; its PostgreSQL is left to itself.
    ///
    /// # Errors
    /// It cannot be waited for.
    pub fn kill_only_itself(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        self.over = true;
        Ok(())
    }

    /// A polite end.
    ///
    /// # Errors
    /// It takes longer than 15 s or leaves something behind.
    pub async fn stop(mut self) -> Result<ExitStatus> {
        signal(self.child.id(), Signal::TERM);
        let status =
            eventually("the service to stop", Duration::from_secs(15), async || Ok(self.child.try_wait()?))
                .await?;
        self.over = true;
        Ok(status)
    }

    /// What it and its PostgreSQL wrote, at most the last lines.
    pub fn log(&self) -> String {
        format!("{}\n{}", tail(&self.log), tail(&self.home.data().join("postgresql.log")))
    }

    /// The private PostgreSQL as its superuser, who is above row-level security.
    ///
    /// # Errors
    /// The database cannot be reached.
    pub async fn database(&self) -> Result<tokio_postgres::Client> {
        let url = self.announced.database_url.as_deref().context("the service announced no database_url")?;
        let mut config: tokio_postgres::Config = url.parse()?;
        config.user("postgres");
        let (client, connection) =
            config.connect(tokio_postgres::NoTls).await.context("reaching the private PostgreSQL")?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// The number of rows of every table.
    ///
    /// # Errors
    /// The database cannot be asked.
    pub async fn row_counts(&self) -> Result<BTreeMap<String, i64>> {
        let database = self.database().await?;
        let rows = database.query(ROW_COUNTS, &[]).await?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }
}

/// `query_to_xml` counts without a statement for each table. A partition is counted with its table; a job may add empty ones.
const ROW_COUNTS: &str = "
    select relname::text,
           (xpath('/row/n/text()', query_to_xml(format('select count(*) as n from %s', oid::regclass), false, true, '')))[1]::text::bigint
    from pg_class
    where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and not relispartition";

impl Drop for Service {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        let _ = kill_everything(self.child.id(), &self.home.data());
        let _ = self.child.wait();
    }
}

/// The binary under test.
///
/// # Errors
/// There is none.
pub fn binary() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("TUPPENCE_BIN") {
        let path = PathBuf::from(path);
        ensure!(path.exists(), "TUPPENCE_BIN names {}, which does not exist", path.display());
        return Ok(path);
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("tests/ lies in the repository")?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let built = ["debug", "release"].map(|profile| target.join(profile).join("tuppence"));
    let built = built.into_iter().filter_map(|path| Some((fs::metadata(&path).ok()?.modified().ok()?, path)));
    let newest = built.max().map(|(_, path)| path);
    newest.with_context(|| format!("no tuppence in {}: run `cargo build` first", target.display()))
}

fn free_tcp_port() -> Result<SocketAddr> {
    free_port(|address| TcpListener::bind(address).is_ok())
}

fn free_udp_port() -> Result<SocketAddr> {
    free_port(|address| UdpSocket::bind(address).is_ok())
}

/// Below the ports that the system gives to whoever asks for any: one of those may be somebody else's connection by the
/// time the service starts, or starts again.
fn free_port(is_free: impl Fn(SocketAddr) -> bool) -> Result<SocketAddr> {
    let any = || SocketAddr::from((Ipv4Addr::LOCALHOST, rand::random_range(10_000..32_000)));
    std::iter::repeat_with(any).take(100).find(|address| is_free(*address)).context("no free port")
}

fn append(path: &Path) -> Result<File> {
    Ok(File::options().create(true).append(true).open(path)?)
}

fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(60)..].join("\n")
}
