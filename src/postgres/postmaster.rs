//! The server's first process, whether it is our child or was found running.

use super::PostgresError;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::process::Child;
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

/// How long each way of asking the server to stop is given: first kindly, then with a recovery at the next start.
const STOPS_WITHIN: [(Signal, Duration); 3] = [
    (Signal::INT, Duration::from_secs(20)),
    (Signal::QUIT, Duration::from_secs(10)),
    (Signal::KILL, Duration::from_secs(5)),
];

/// How long a pid file may be empty before its server counts as dead.
const HALF_WRITTEN_FOR: Duration = Duration::from_secs(5);

/// A running server. Dropped while it runs, it is told to stop and not waited for.
#[derive(Debug)]
pub(super) struct Postmaster {
    pid: Pid,
    home: PathBuf,
    child: Option<Child>,
    socket_dir: Option<PathBuf>,
}

impl Postmaster {
    /// The server that runs in `home` already, by its pid file, if the process of that number really is one.
    pub(super) fn find(home: &Path) -> Option<Self> {
        let (pid, socket_dir) = running(home)?;
        Some(Self { pid, home: home.to_owned(), child: None, socket_dir })
    }

    /// The socket's folder of a server that somebody else keeps running.
    pub(super) fn socket_of_running(home: &Path) -> Option<PathBuf> {
        running(home)?.1
    }

    /// A server that we have just started.
    pub(super) fn of_child(child: Child, home: &Path) -> Result<Self, PostgresError> {
        let pid = child.id().and_then(|id| Pid::from_raw(id.cast_signed())).ok_or_else(|| {
            PostgresError::Failed { what: "starting PostgreSQL", detail: "it ended at once".to_owned() }
        })?;
        Ok(Self { pid, home: home.to_owned(), child: Some(child), socket_dir: None })
    }

    /// Removes what a killed server left behind: PostgreSQL itself would stop at a lock file whose number now belongs to another
    /// process, or to the corpse of the old one. It still refuses to start while processes of the old server hold its shared memory.
    pub(crate) fn clear_the_way(home: &Path, socket_dir: &Path) {
        let file = home.join("postmaster.pid");
        let stale = match std::fs::read_to_string(&file).map(|text| parse(&text)) {
            Err(_) => true,
            Ok(Some((pid, _))) => !is_postmaster_of(pid, home),
            // A server that is just starting has made the file and not yet written it.
            Ok(None) => age(&file).is_some_and(|age| age > HALF_WRITTEN_FOR),
        };
        if !stale {
            return;
        }
        for left in [file, socket_dir.join(".s.PGSQL.5432.lock"), socket_dir.join(".s.PGSQL.5432")] {
            if std::fs::remove_file(&left).is_ok() {
                info!(file = %left.display(), "removed what a killed PostgreSQL left behind");
            }
        }
    }

    /// The process number.
    pub(super) fn pid(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// Where a server that was found has its socket.
    pub(super) fn socket_dir(&self) -> Option<&Path> {
        self.socket_dir.as_deref()
    }

    /// Has it read its access files again.
    pub(super) fn reload(&self) {
        let _ = kill_process(self.pid, Signal::HUP);
    }

    /// Whether it is still there.
    pub(super) fn lives(&mut self) -> bool {
        match &mut self.child {
            Some(child) => matches!(child.try_wait(), Ok(None)),
            None => is_postmaster_of(self.pid, &self.home),
        }
    }

    /// Returns when it has ended.
    pub(super) async fn ended(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.wait().await;
            return;
        }
        while is_postmaster_of(self.pid, &self.home) {
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// Stops it: clients are cut, everything committed is on the disk.
    pub(super) async fn stop(&mut self) {
        for (signal, patience) in STOPS_WITHIN {
            if !self.lives() {
                return;
            }
            let _ = kill_process(self.pid, signal);
            if timeout(patience, self.ended()).await.is_ok() {
                return;
            }
            warn!(?signal, "PostgreSQL did not stop in time");
        }
    }
}

impl Drop for Postmaster {
    fn drop(&mut self) {
        if self.lives() {
            let _ = kill_process(self.pid, Signal::INT);
        }
    }
}

/// The process that runs in `home`, and where its socket is.
fn running(home: &Path) -> Option<(Pid, Option<PathBuf>)> {
    let text = std::fs::read_to_string(home.join("postmaster.pid")).ok()?;
    parse(&text).filter(|(pid, _)| is_postmaster_of(*pid, home))
}

fn age(file: &Path) -> Option<Duration> {
    file.metadata().ok()?.modified().ok()?.elapsed().ok()
}

/// The pid file's lines: process, folder, start, port, socket folder, address, shared memory, state.
fn parse(text: &str) -> Option<(Pid, Option<PathBuf>)> {
    let mut lines = text.lines();
    let pid = lines.next()?.trim().parse().ok().filter(|pid| *pid > 0).and_then(Pid::from_raw)?;
    let socket_dir = lines.nth(3).filter(|line| line.starts_with('/')).map(PathBuf::from);
    Some((pid, socket_dir))
}

/// A postmaster works in its cluster's folder, which tells it from a process that merely got its number.
/// Where the system has no /proc, being alive must do.
fn is_postmaster_of(pid: Pid, home: &Path) -> bool {
    if !Path::new("/proc/self/cwd").exists() {
        return test_kill_process(pid).is_ok();
    }
    std::fs::read_link(format!("/proc/{}/cwd", pid.as_raw_nonzero())).is_ok_and(|cwd| cwd == home)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pid_file_is_read() {
        let text = "4711\n/data/postgres\n1700000000\n5432\n/data/run\n\n 123 4\nready\n";
        let (pid, socket_dir) = parse(text).unwrap();
        assert_eq!(pid.as_raw_nonzero().get(), 4711);
        assert_eq!(socket_dir, Some(PathBuf::from("/data/run")));
        for unusable in ["", "0\n", "-1\n", "x\n", "99999999999999\n"] {
            assert!(parse(unusable).is_none(), "{unusable:?}");
        }
    }

    #[test]
    fn another_process_with_the_old_number_is_no_server_and_its_file_goes() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("postmaster.pid");
        std::fs::write(&file, format!("{}\n", std::process::id())).unwrap();
        assert!(Postmaster::find(home.path()).is_none());
        let socket_lock = home.path().join(".s.PGSQL.5432.lock");
        std::fs::write(&socket_lock, "1\n").unwrap();
        Postmaster::clear_the_way(home.path(), home.path());
        assert!(!file.exists() && !socket_lock.exists());
    }
}
