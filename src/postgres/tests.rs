//! The private PostgreSQL as people meet it: the real binary, real kills, real full disks.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test that stops here says where, and it measures real time"
)]

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio_postgres::{Client, NoTls};

/// `tuppence postgres` on a data directory.
struct Running {
    child: Child,
    url: String,
}

impl Running {
    fn start(data: &Path) -> Self {
        Self::of(command(data))
    }

    fn of(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut url = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut url).unwrap();
        assert!(url.starts_with("postgresql://"), "it did not start: {url:?}");
        Self { child, url: url.trim().to_owned() }
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn stop(mut self) {
        kill_process(pid(self.child.id()), Signal::TERM).unwrap();
        assert!(self.child.wait().unwrap().success());
    }

    async fn open(&self) -> Client {
        let (client, connection) = tokio_postgres::connect(&self.url, NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    }
}

fn command(data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tuppence"));
    command.args(["postgres", "--log", "warn", "--data-dir"]).arg(data).stderr(Stdio::null());
    for variable in ["DATABASE_URL", "TUPPENCE_DATA_DIR"] {
        command.env_remove(variable);
    }
    command
}

fn pid(raw: u32) -> Pid {
    Pid::from_raw(raw.cast_signed()).unwrap()
}

fn postmaster(data: &Path) -> Pid {
    let text = std::fs::read_to_string(data.join("postgres/postmaster.pid")).unwrap();
    pid(text.lines().next().unwrap().parse().unwrap())
}

/// Ended, even if whoever adopted it has not buried it yet: a corpse has no folder.
fn gone(process: Pid) -> bool {
    test_kill_process(process).is_err()
        || std::fs::read_link(format!("/proc/{}/cwd", process.as_raw_nonzero())).is_err()
}

/// A place that PostgreSQL's own user can reach when the tests run as root.
fn place() -> TempDir {
    let place = tempfile::tempdir().unwrap();
    std::fs::set_permissions(place.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    place
}

/// Starts it where it cannot start: what it says, and that it says so without delay.
fn refusal(mut command: Command) -> String {
    let begun = Instant::now();
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(!child.wait().unwrap().success(), "it started: {said}");
    assert!(begun.elapsed() < Duration::from_secs(10), "it took {:?}", begun.elapsed());
    said
}

fn root() -> bool {
    rustix::process::geteuid().is_root()
}

async fn rows(client: &Client) -> i64 {
    client.query_one("select count(*) from kept", &[]).await.unwrap().get(0)
}

/// How often the kill tests kill; `TUPPENCE_KILLS` for a long night.
fn kills() -> i64 {
    std::env::var("TUPPENCE_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(5)
}

#[tokio::test]
async fn a_killed_service_finds_its_database_running() {
    let place = place();
    let data = place.path().join("data");
    let first = Running::start(&data);
    first.open().await.batch_execute("create table kept (n bigint)").await.unwrap();
    let server = postmaster(&data);
    first.kill();
    for round in 0..kills() {
        let begun = Instant::now();
        let running = Running::start(&data);
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
        assert_eq!(postmaster(&data), server, "the running server is adopted");
        let client = running.open().await;
        assert_eq!(rows(&client).await, round);
        client.execute("insert into kept values ($1)", &[&round]).await.unwrap();
        running.kill();
    }
    Running::start(&data).stop();
    assert!(gone(server), "an adopted server is stopped, too");
}

#[tokio::test]
async fn a_power_cut_loses_nothing_committed() {
    let place = place();
    let data = place.path().join("data");
    let first = Running::start(&data);
    first.open().await.batch_execute("create table kept (n bigint)").await.unwrap();
    first.stop();
    for round in 0..kills() {
        let begun = Instant::now();
        let running = Running::start(&data);
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
        let client = running.open().await;
        assert_eq!(rows(&client).await, round);
        client.execute("insert into kept values ($1)", &[&round]).await.unwrap();
        let server = postmaster(&data);
        running.kill();
        kill_process(server, Signal::KILL).unwrap();
    }
    Running::start(&data).stop();
}

#[tokio::test]
async fn a_start_cut_short_anywhere_is_repaired_by_the_next() {
    let place = place();
    let data = place.path().join("data");
    for cut_ms in [0, 30, 100, 200, 400, 600, 800, 1000, 1200] {
        let mut child = command(&data).stdout(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(cut_ms));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let running = Running::start(&data);
    running.open().await.batch_execute("create table kept (n bigint)").await.unwrap();
    running.stop();
    // The programs of the cut starts have ended by now, so the next start can clear away what they still wrote.
    Running::start(&data).stop();
    let left: Vec<_> = data.read_dir().unwrap().flatten().map(|entry| entry.file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().starts_with("postgres.new-")), "{left:?}");
}

#[tokio::test]
async fn a_server_that_dies_alone_comes_back() {
    let place = place();
    let data = place.path().join("data");
    let running = Running::start(&data);
    running.open().await.batch_execute("create table kept (n bigint)").await.unwrap();
    let server = postmaster(&data);
    kill_process(server, Signal::KILL).unwrap();
    let begun = Instant::now();
    let client = loop {
        assert!(begun.elapsed() < Duration::from_secs(5), "it is not back");
        match tokio_postgres::connect(&running.url, NoTls).await {
            Ok((client, connection)) => {
                tokio::spawn(connection);
                if client.query_one("select 1", &[]).await.is_ok() && postmaster(&data) != server {
                    break client;
                }
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    };
    assert_eq!(rows(&client).await, 0);
    running.stop();
}

#[test]
fn a_second_start_is_refused_at_once() {
    let place = place();
    let data = place.path().join("data");
    let running = Running::start(&data);
    let begun = Instant::now();
    let said = refusal(command(&data));
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    assert!(said.contains("in use") && said.contains(&running.child.id().to_string()), "{said}");
    running.stop();
}

#[test]
fn nothing_is_left_running_after_a_stop() {
    let place = place();
    let data = place.path().join("data");
    let running = Running::start(&data);
    let server = postmaster(&data);
    running.stop();
    assert!(gone(server));
    assert!(!data.join("postgres/postmaster.pid").exists());
}

#[test]
fn a_pid_file_whose_number_belongs_to_someone_else_is_no_obstacle() {
    let place = place();
    let data = place.path().join("data");
    Running::start(&data).stop();
    let mut other = Command::new("sleep");
    other.arg("60");
    if root() {
        // PostgreSQL trusts the number only of a process of its own user.
        let owner = std::os::unix::fs::MetadataExt::uid(&data.join("postgres").metadata().unwrap());
        other.uid(owner);
    }
    let mut other = other.spawn().unwrap();
    let file = data.join("postgres/postmaster.pid");
    std::fs::write(&file, format!("{}\n{}\n", other.id(), data.join("postgres").display())).unwrap();
    Running::start(&data).stop();
    other.kill().unwrap();
    other.wait().unwrap();
}

#[tokio::test]
async fn a_path_too_long_for_a_socket_works_all_the_same() {
    let place = place();
    let data = place.path().join("l".repeat(120)).join("d");
    let running = Running::start(&data);
    assert!(!running.url.contains("lll"), "{}", running.url);
    running.open().await.batch_execute("select 1").await.unwrap();
    running.kill();
    let again = Running::start(&data);
    again.open().await.batch_execute("select 1").await.unwrap();
    again.stop();
}

#[test]
fn data_of_another_major_version_is_told() {
    let place = place();
    let data = place.path().join("data");
    Running::start(&data).stop();
    std::fs::write(data.join("postgres/PG_VERSION"), "14\n").unwrap();
    let said = refusal(command(&data));
    assert!(said.contains("made by PostgreSQL 14") && said.contains("postgresql-14"), "{said}");
}

#[test]
fn missing_programs_are_told() {
    let place = place();
    let mut command = command(&place.path().join("data"));
    command.arg("--postgres-bin").arg(place.path());
    let said = refusal(command);
    assert!(said.contains("apt-get install postgresql"), "{said}");
}

#[test]
fn a_data_directory_behind_a_closed_door_is_told() {
    if !root() {
        return;
    }
    let place = place();
    let closed = place.path().join("closed");
    std::fs::create_dir(&closed).unwrap();
    std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o700)).unwrap();
    let said = refusal(command(&closed.join("data")));
    assert!(said.contains(&format!("chmod o+x {}", closed.display())), "{said}");
}

#[tokio::test]
async fn an_ordinary_user_needs_no_other() {
    if !root() {
        return;
    }
    let place = place();
    let home = place.path().join("home");
    std::fs::create_dir(&home).unwrap();
    std::os::unix::fs::chown(&home, Some(65534), Some(65534)).unwrap();
    let binary = place.path().join("tuppence");
    std::fs::copy(env!("CARGO_BIN_EXE_tuppence"), &binary).unwrap();
    let mut command = Command::new(binary);
    command
        .args(["postgres", "--log", "warn", "--data-dir"])
        .arg(home.join("data"))
        .env_remove("DATABASE_URL");
    command.env_remove("XDG_RUNTIME_DIR").current_dir("/").uid(65534).gid(65534);
    Running::of(command).stop();
}

/// A small disk of memory, where we may mount one.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: &Path, size: &str) -> Option<Self> {
        std::fs::create_dir(at).unwrap();
        let options = format!("size={size},mode=755");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(at).output();
        mounted.is_ok_and(|answer| answer.status.success()).then(|| Self(at.to_owned()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

/// Fills the disk to the last byte; the writes are meant to fail.
fn fill(disk: &SmallDisk) -> PathBuf {
    let ballast = disk.0.join("ballast");
    for size in ["64k", "1"] {
        let script = format!("dd if=/dev/zero bs={size} >> {}", ballast.display());
        let _ = Command::new("sh").arg("-c").arg(script).output();
    }
    ballast
}

#[test]
fn a_disk_too_small_is_told() {
    let place = place();
    let Some(disk) = SmallDisk::mount(&place.path().join("disk"), "40m") else { return };
    let said = refusal(command(&disk.0.join("data")));
    assert!(said.contains("the disk is full") && said.contains("--data-dir"), "{said}");
}

#[test]
fn a_full_disk_is_told_at_the_start() {
    let place = place();
    let Some(disk) = SmallDisk::mount(&place.path().join("disk"), "200m") else { return };
    let data = disk.0.join("data");
    Running::start(&data).stop();
    let ballast = fill(&disk);
    let said = refusal(command(&data));
    assert!(said.contains("the disk is full"), "{said}");
    std::fs::remove_file(ballast).unwrap();
    Running::start(&data).stop();
}

#[tokio::test]
async fn a_disk_that_fills_up_heals_alone() {
    let place = place();
    let Some(disk) = SmallDisk::mount(&place.path().join("disk"), "200m") else { return };
    let running = Running::start(&disk.0.join("data"));
    running.open().await.batch_execute("create table kept (n bigint, filler text)").await.unwrap();
    let ballast = fill(&disk);
    let client = running.open().await;
    let much = "insert into kept select n, repeat('x', 1000) from generate_series(1, 100000) n";
    assert!(client.batch_execute(much).await.is_err(), "200,000 kB do not fit");
    std::fs::remove_file(ballast).unwrap();
    let begun = Instant::now();
    loop {
        assert!(begun.elapsed() < Duration::from_secs(20), "it does not heal");
        if let Ok((client, connection)) = tokio_postgres::connect(&running.url, NoTls).await {
            tokio::spawn(connection);
            if client.execute("insert into kept values (1)", &[]).await.is_ok() {
                assert_eq!(rows(&client).await, 1);
                break;
            }
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    running.stop();
}
