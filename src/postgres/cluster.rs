//! One cluster in the data directory: made when missing, then adopted if it still runs, else started.

use super::binaries::{self, Installation};
use super::postmaster::Postmaster;
use super::user::{self, User};
use super::{PostgresError, socket};
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::time::Instant;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, NoTls};
use tracing::{info, warn};

/// What a new cluster takes on the disk, with its first write-ahead log and room to breathe.
pub(super) const ROOM_FOR_NEW_MIB: u64 = 128;

/// How long a server that has died may still hold its shared memory, before we stop trying to start the next one.
const RELEASED_WITHIN: Duration = Duration::from_secs(15);

/// PostgreSQL's log is put aside at this size, when a server is started.
const LOG_BYTES_MAX: u64 = 16 << 20;

/// A cluster and everything that is needed to run it.
#[derive(Debug)]
pub(super) struct Cluster {
    /// The folder that PostgreSQL calls PGDATA.
    pub home: PathBuf,
    data_dir: PathBuf,
    installation: Installation,
    user: User,
    socket_dir: PathBuf,
}

impl Cluster {
    /// Finds the programs and the user, and makes the cluster if the data directory has none.
    pub(super) async fn prepare(
        data_dir: &Path,
        postgres_bin: Option<&Path>,
        postgres_user: &str,
    ) -> Result<Self, PostgresError> {
        let home = data_dir.join("postgres");
        let installation = binaries::choose(binaries::find(postgres_bin), made_by(&home)?, &home)?;
        let user = User::for_postgres(postgres_user)?;
        user.check_reaches(data_dir).await?;
        let socket_dir = socket::folder(data_dir, &user)?;
        let cluster = Self { home, data_dir: data_dir.to_owned(), installation, user, socket_dir };
        cluster.remove_unfinished();
        if !cluster.home.exists() {
            cluster.make().await?;
        }
        cluster.write_access()?;
        Ok(cluster)
    }

    /// Adopts the server that runs here already, or starts one, and waits until it answers.
    pub(super) async fn run(&self) -> Result<(Postmaster, Access), PostgresError> {
        let released = Instant::now() + RELEASED_WITHIN;
        loop {
            if let Some(running) = Postmaster::find(&self.home)
                && let Some(adopted) = self.adopt(running).await
            {
                return Ok(adopted);
            }
            match self.start().await {
                Err(PostgresError::Failed { detail, .. }) if held(&detail) && Instant::now() < released => {
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
                done => return done,
            }
        }
    }

    /// The folder is made beside its place and moved there when it is whole, so that a cut `initdb` leaves nothing half made.
    async fn make(&self) -> Result<(), PostgresError> {
        let free_mib = free_mib(&self.data_dir);
        if free_mib < ROOM_FOR_NEW_MIB {
            return Err(PostgresError::DiskFull {
                path: self.data_dir.clone(),
                free_mib,
                detail: String::new(),
            });
        }
        info!(major = self.installation.major, home = %self.home.display(), "making a new PostgreSQL cluster");
        let unfinished = self.data_dir.join(format!("postgres.new-{}", std::process::id()));
        std::fs::create_dir(&unfinished).map_err(PostgresError::io("the cluster's folder cannot be made"))?;
        self.user.own(&unfinished)?;
        let answer = self
            .user
            .command(&self.installation.bin.join("initdb"))
            .arg("--pgdata")
            .arg(&unfinished)
            .args(["--username=postgres", "--encoding=UTF8", "--locale=C", "--auth=peer"])
            .args(["--data-checksums", "--no-instructions"])
            .output()
            .await
            .map_err(PostgresError::io("initdb cannot be run"))?;
        if !answer.status.success() {
            let _ = std::fs::remove_dir_all(&unfinished);
            return Err(self.explain("initdb", String::from_utf8_lossy(&answer.stderr).into_owned()));
        }
        std::fs::rename(&unfinished, &self.home)
            .and_then(|()| File::open(&self.data_dir)?.sync_all())
            .map_err(PostgresError::io("the new cluster cannot be moved to its place"))
    }

    fn remove_unfinished(&self) {
        let Ok(entries) = self.data_dir.read_dir() else { return };
        for entry in entries.flatten() {
            if entry.file_name().to_string_lossy().starts_with("postgres.new-") {
                let _ = std::fs::remove_dir_all(entry.path());
            }
        }
    }

    /// Who may connect: we and the server's own user, over the socket, known to the kernel by name. There is no password to leak.
    fn write_access(&self) -> Result<(), PostgresError> {
        let mut names = vec![user::own_name()?, self.user.name.clone()];
        names.dedup();
        let mut ident = String::new();
        for name in names {
            for role in ["postgres", OWNER] {
                ident.push_str(&format!("tuppence \"{name}\" {role}\n"));
            }
        }
        for (file, text) in [("pg_hba.conf", "local all all peer map=tuppence\n"), ("pg_ident.conf", &ident)]
        {
            let path = self.data_dir.join(file);
            // Root's umask may be strict, and the server must read them.
            let readable = std::fs::Permissions::from_mode(0o644);
            std::fs::write(&path, text)
                .and_then(|()| std::fs::set_permissions(&path, readable))
                .map_err(|source| self.explain_io(format!("{} cannot be written", path.display()), source))?;
        }
        Ok(())
    }

    async fn adopt(&self, mut postmaster: Postmaster) -> Option<(Postmaster, Access)> {
        info!(pid = postmaster.pid(), "a PostgreSQL of an earlier start runs here");
        // It may have been started for another user, or its socket may be gone with an emptied /tmp.
        postmaster.reload();
        let access = Access::at(postmaster.socket_dir().unwrap_or(&self.socket_dir));
        match self.wait_until_ready(&mut postmaster, &access, access.has_socket()).await {
            Ok(()) => Some((postmaster, access)),
            Err(refused) => {
                warn!(reason = %refused, "it cannot be used and is stopped");
                postmaster.stop().await;
                None
            }
        }
    }

    async fn start(&self) -> Result<(Postmaster, Access), PostgresError> {
        Postmaster::clear_the_way(&self.home, &self.socket_dir);
        let (mut log, seen) = self.open_log()?;
        let both = || {
            log.try_clone().map(Stdio::from).map_err(PostgresError::io("PostgreSQL's log cannot be shared"))
        };
        let mut command = self.user.command(&self.installation.bin.join("postgres"));
        command.arg("-D").arg(&self.home).stdout(both()?).stderr(both()?);
        for setting in self.settings() {
            command.arg("-c").arg(setting);
        }
        let child = command.spawn().map_err(PostgresError::io("PostgreSQL cannot be run"))?;
        let mut postmaster = Postmaster::of_child(child, &self.home)?;
        let access = Access::at(&self.socket_dir);
        match self.wait_until_ready(&mut postmaster, &access, true).await {
            Ok(()) => Ok((postmaster, access)),
            Err(PostgresError::Failed { what, .. }) => Err(self.explain(what, said_since(&mut log, seen))),
            Err(other) => {
                postmaster.stop().await;
                Err(other)
            }
        }
    }

    fn settings(&self) -> Vec<String> {
        let path = |name: &str| self.data_dir.join(name).display().to_string();
        let quoted = self.socket_dir.display().to_string().replace('"', "\"\"");
        let mut settings = vec![
            "listen_addresses=".to_owned(),
            "port=5432".to_owned(),
            format!("unix_socket_directories=\"{quoted}\""),
            "unix_socket_permissions=0700".to_owned(),
            format!("hba_file={}", path("pg_hba.conf")),
            format!("ident_file={}", path("pg_ident.conf")),
            "logging_collector=off".to_owned(),
            "log_checkpoints=off".to_owned(),
            "log_line_prefix=%m [%p] ".to_owned(),
            "timezone=UTC".to_owned(),
        ];
        settings.extend(billing::db::server::settings());
        settings
    }

    fn open_log(&self) -> Result<(File, u64), PostgresError> {
        let path = self.data_dir.join("postgresql.log");
        let length = path.metadata().map(|found| found.len()).unwrap_or(0);
        if length > LOG_BYTES_MAX {
            let _ = std::fs::rename(&path, self.data_dir.join("postgresql.log.1"));
        }
        let file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(&path);
        let file =
            file.map_err(|source| self.explain_io(format!("{} cannot be opened", path.display()), source))?;
        let seen = file.metadata().map(|found| found.len()).unwrap_or(0);
        Ok((file, seen))
    }

    /// Waits through a recovery of any length, as long as the server lives.
    async fn wait_until_ready(
        &self,
        postmaster: &mut Postmaster,
        access: &Access,
        socket_expected: bool,
    ) -> Result<(), PostgresError> {
        let mut told = Instant::now();
        loop {
            match access.open("postgres", "postgres").await {
                Ok(client) => return self.equip(&client).await,
                Err(refused) if will_pass(&refused) && socket_expected => {}
                Err(source) => return Err(PostgresError::Refused { home: self.home.clone(), source }),
            }
            if !postmaster.lives() {
                return Err(PostgresError::Failed { what: "starting PostgreSQL", detail: String::new() });
            }
            if told.elapsed() > Duration::from_secs(5) {
                info!("PostgreSQL is still recovering");
                told = Instant::now();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Makes the role that owns the schema and its database, if an earlier start did not come to it.
    async fn equip(&self, client: &Client) -> Result<(), PostgresError> {
        let refused = |source| PostgresError::Refused { home: self.home.clone(), source };
        let roles =
            client.query("select from pg_roles where rolname = $1", &[&OWNER]).await.map_err(refused)?;
        if roles.is_empty() {
            client.batch_execute(&format!("create role {OWNER} login createrole")).await.map_err(refused)?;
        }
        let bases =
            client.query("select from pg_database where datname = $1", &[&OWNER]).await.map_err(refused)?;
        if bases.is_empty() {
            client.batch_execute(&format!("create database {OWNER} owner {OWNER}")).await.map_err(refused)?;
        }
        Ok(())
    }

    fn explain(&self, what: &'static str, detail: String) -> PostgresError {
        let detail = detail.trim().to_owned();
        if detail.contains("No space left on device") {
            let path = self.data_dir.clone();
            return PostgresError::DiskFull { free_mib: free_mib(&path), path, detail };
        }
        PostgresError::Failed { what, detail }
    }

    fn explain_io(&self, what: String, source: std::io::Error) -> PostgresError {
        match source.kind() {
            std::io::ErrorKind::StorageFull => self.explain("", format!("{what}: No space left on device")),
            _ => PostgresError::Io { what, source },
        }
    }
}

/// The role that owns the schema, and its database. It is no superuser: row-level security binds everyone it lets in.
const OWNER: &str = "tuppence";

/// How to connect to a running cluster.
#[derive(Debug, Clone)]
pub(super) struct Access {
    socket_dir: PathBuf,
}

impl Access {
    pub(super) fn at(socket_dir: &Path) -> Self {
        Self { socket_dir: socket_dir.to_owned() }
    }

    fn has_socket(&self) -> bool {
        self.socket_dir.join(".s.PGSQL.5432").exists()
    }

    /// The connection URL of the schema's owner, for `tokio_postgres` and for `psql` alike.
    pub(super) fn url(&self) -> String {
        self.url_of(OWNER)
    }

    /// The connection URL of the superuser, whom row-level security does not bind.
    pub(super) fn admin_url(&self) -> String {
        self.url_of("postgres")
    }

    fn url_of(&self, role: &str) -> String {
        let mut host = String::new();
        for byte in self.socket_dir.as_os_str().as_encoded_bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                    host.push(char::from(*byte))
                }
                other => host.push_str(&format!("%{other:02X}")),
            }
        }
        format!("postgresql://{role}@{host}/{OWNER}")
    }

    async fn open(&self, role: &str, base: &str) -> Result<Client, tokio_postgres::Error> {
        let mut config = tokio_postgres::Config::new();
        config.host_path(&self.socket_dir).user(role).dbname(base).connect_timeout(Duration::from_secs(5));
        let (client, connection) = config.connect(NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }
}

/// The major version that made the cluster, if there is one.
fn made_by(home: &Path) -> Result<Option<u32>, PostgresError> {
    let file = home.join("PG_VERSION");
    match std::fs::read_to_string(&file) {
        Ok(text) => Ok(text.trim().split('.').next().and_then(|major| major.parse().ok())),
        Err(missing) if missing.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(PostgresError::io(format!("{} cannot be read", file.display()))(source)),
    }
}

/// No answer yet, or one that says to come back: starting up, recovering, shutting down.
fn will_pass(refused: &tokio_postgres::Error) -> bool {
    match refused.code() {
        Some(code) => *code == SqlState::CANNOT_CONNECT_NOW || *code == SqlState::ADMIN_SHUTDOWN,
        None => true,
    }
}

/// The processes of a killed server need a moment to notice and let go.
fn held(said: &str) -> bool {
    said.contains("pre-existing shared memory block") || said.contains("lock file \"postmaster.pid\"")
}

fn free_mib(path: &Path) -> u64 {
    rustix::fs::statvfs(path).map(|found| found.f_bavail.saturating_mul(found.f_frsize) >> 20).unwrap_or(0)
}

/// What PostgreSQL wrote to its log since this start: the last lines, for the message.
fn said_since(log: &mut File, seen: u64) -> String {
    let mut said = String::new();
    if log.seek(SeekFrom::Start(seen)).is_ok() {
        let mut bytes = Vec::new();
        let _ = log.read_to_end(&mut bytes);
        said = String::from_utf8_lossy(&bytes).into_owned();
    }
    let lines: Vec<&str> = said.lines().collect();
    lines[lines.len().saturating_sub(12)..].join("\n")
}
