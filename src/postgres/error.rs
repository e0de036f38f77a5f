//! What can stand in the way of a private PostgreSQL, in words that say what to do.

use std::io;
use std::path::PathBuf;
use thiserror::Error;

/// Why the private PostgreSQL does not run.
#[derive(Debug, Error)]
pub(crate) enum PostgresError {
    /// Nothing usable is installed.
    #[error("{}", no_binaries(.too_old))]
    NoBinaries {
        /// Major versions that were found and are too old.
        too_old: Vec<u32>,
    },
    /// The data directory belongs to a major version that is not installed.
    #[error("{}", wrong_major(.home, *.made_by, .found))]
    WrongMajor {
        /// The cluster's folder.
        home: PathBuf,
        /// The major version that made it.
        made_by: u32,
        /// The major versions that are installed.
        found: Vec<u32>,
    },
    /// No room to write.
    #[error(
        "the disk is full: {path} has {free_mib} MiB free, and PostgreSQL could not go on. Free some space there (a new data directory needs {} MiB), or use another disk with --data-dir.\n{detail}",
        super::cluster::ROOM_FOR_NEW_MIB
    )]
    DiskFull {
        /// The folder on the full disk.
        path: PathBuf,
        /// What is left.
        free_mib: u64,
        /// What PostgreSQL said, or nothing.
        detail: String,
    },
    /// No place for the socket.
    #[error(
        "no place was found for PostgreSQL's socket: {path} has {} bytes, and {max} are possible. Use a data directory with a shorter path, or set TMPDIR to a short one.",
        .path.as_os_str().len()
    )]
    SocketPathTooLong {
        /// The shortest path that was possible.
        path: PathBuf,
        /// The most bytes a socket's path may have.
        max: usize,
    },
    /// PostgreSQL refuses to run as root, and there is no other user.
    #[error(
        "PostgreSQL does not run as root, and there is no user {name:?} to run it as. Create one (useradd --system {name}), name another with --postgres-user, or start tuppence as an ordinary user."
    )]
    NoUser {
        /// The user that was looked for.
        name: String,
    },
    /// The user that runs PostgreSQL cannot get to the data directory.
    #[error(
        "the user {user:?}, as whom PostgreSQL runs, cannot pass through {closed}. Use a data directory elsewhere (--data-dir /var/lib/tuppence), or open that folder: chmod o+x {closed}"
    )]
    Closed {
        /// The user.
        user: String,
        /// The first folder that shuts it out.
        closed: PathBuf,
    },
    /// One of PostgreSQL's programs failed for another reason.
    #[error("{what} failed. PostgreSQL says:\n{detail}")]
    Failed {
        /// Which step.
        what: &'static str,
        /// PostgreSQL's own words.
        detail: String,
    },
    /// PostgreSQL runs but does not let us in.
    #[error("PostgreSQL in {home} does not let us in")]
    Refused {
        /// The cluster's folder.
        home: PathBuf,
        /// What it answered.
        source: tokio_postgres::Error,
    },
    /// The operating system refused something.
    #[error("{what}")]
    Io {
        /// What was tried.
        what: String,
        /// What it said.
        source: io::Error,
    },
}

impl PostgresError {
    /// For `map_err`: what was tried, with the operating system's answer.
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}

fn no_binaries(too_old: &[u32]) -> String {
    let found = match too_old {
        [] => "no PostgreSQL server was found".to_owned(),
        majors => format!("PostgreSQL {} or newer is needed, found only {}", super::MAJOR_MIN, list(majors)),
    };
    format!(
        "{found}. Install it (Debian, Ubuntu: apt-get install postgresql; Fedora: dnf install postgresql-server; macOS: brew install postgresql@17), \
         say where it is with --postgres-bin, or use a server of your own with DATABASE_URL."
    )
}

fn wrong_major(home: &std::path::Path, made_by: u32, found: &[u32]) -> String {
    let found = if found.is_empty() { "none".to_owned() } else { list(found) };
    format!(
        "the data in {} was made by PostgreSQL {made_by}, which is not installed (found: {found}). \
         Install it (Debian, Ubuntu: apt-get install postgresql-{made_by}), or move the data to a newer version with pg_upgrade.",
        home.display()
    )
}

fn list(majors: &[u32]) -> String {
    majors.iter().map(u32::to_string).collect::<Vec<_>>().join(", ")
}
