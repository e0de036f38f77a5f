//! Where PostgreSQL's socket is: in the data directory, or in a short private folder when that path is too long for a socket.

use super::PostgresError;
use super::user::User;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

/// The most bytes a socket's path may have: `sun_path` less its closing zero.
const PATH_MAX: usize = if cfg!(target_os = "linux") { 107 } else { 103 };

/// The name that PostgreSQL gives its socket, which contains a port even where there is none.
const SOCKET: &str = ".s.PGSQL.5432";

/// Chooses and makes the socket's folder, open to `user` (and root) alone.
pub(super) fn folder(data_dir: &Path, user: &User) -> Result<PathBuf, PostgresError> {
    let inside = data_dir.join("run");
    let mut candidates = vec![inside.clone()];
    candidates.extend(short_places().into_iter().map(|place| place.join(short_name(data_dir))));
    let mut refused = None;
    for candidate in &candidates {
        if candidate.join(SOCKET).as_os_str().len() > PATH_MAX {
            continue;
        }
        match make(candidate, user) {
            Ok(()) => return Ok(candidate.clone()),
            Err(error) => refused = refused.or(Some(error)),
        }
    }
    let shortest = candidates.iter().map(|one| one.join(SOCKET)).min_by_key(|one| one.as_os_str().len());
    Err(refused
        .unwrap_or(PostgresError::SocketPathTooLong { path: shortest.unwrap_or(inside), max: PATH_MAX }))
}

/// Outside the data directory, the usual places for sockets: root's, the user's own, the one for all.
fn short_places() -> Vec<PathBuf> {
    let mut places = Vec::new();
    if rustix::process::geteuid().is_root() {
        places.push(PathBuf::from("/run"));
    } else {
        places.extend(std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from));
    }
    places.push(std::env::temp_dir());
    places.push(PathBuf::from("/tmp"));
    places
}

/// A name of its own for each data directory, the same at every start.
fn short_name(data_dir: &Path) -> String {
    let (device, inode) = data_dir.metadata().map(|found| (found.dev(), found.ino())).unwrap_or_default();
    format!("tuppence-{device:x}-{inode:x}")
}

/// Makes the folder, or takes the one that is there only if it is a real folder in the right hands: in /tmp anyone may have put it there.
fn make(folder: &Path, user: &User) -> Result<(), PostgresError> {
    let told = || {
        PostgresError::io(format!("the folder {} for PostgreSQL's socket cannot be used", folder.display()))
    };
    match DirBuilder::new().mode(0o700).create(folder) {
        Ok(()) => return user.own(folder),
        Err(exists) if exists.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(told()(error)),
    }
    let found = folder.symlink_metadata().map_err(told())?;
    let ours =
        [rustix::process::geteuid().as_raw()].into_iter().chain(user.uid()).any(|uid| uid == found.uid());
    if !found.is_dir() || !ours || found.mode() & 0o077 != 0 {
        return Err(told()(io::Error::other("it belongs to someone else or is open to others")));
    }
    user.own(folder)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_short_path_stays_in_the_data_directory() {
        let data = tempfile::tempdir().unwrap();
        let user = User::ourselves();
        assert_eq!(folder(data.path(), &user).unwrap(), data.path().join("run"));
        assert_eq!(
            folder(data.path(), &user).unwrap(),
            data.path().join("run"),
            "the second time as the first"
        );
    }

    #[test]
    fn a_long_path_gets_a_short_private_folder() {
        let data = tempfile::tempdir().unwrap();
        let long = data.path().join("l".repeat(PATH_MAX));
        std::fs::create_dir(&long).unwrap();
        let chosen = folder(&long, &User::ourselves()).unwrap();
        assert!(chosen.as_os_str().len() < 60, "{chosen:?}");
        assert_eq!(chosen.metadata().unwrap().mode() & 0o777, 0o700);
        assert_eq!(folder(&long, &User::ourselves()).unwrap(), chosen);
        std::fs::remove_dir(chosen).unwrap();
    }

    #[test]
    fn a_folder_that_others_may_enter_is_refused() {
        let data = tempfile::tempdir().unwrap();
        let open = data.path().join("run");
        std::fs::create_dir(&open).unwrap();
        std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o777)).unwrap();
        assert!(make(&open, &User::ourselves()).unwrap_err().to_string().contains("socket"));
    }
}
