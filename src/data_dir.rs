//! The data directory: one place for everything that must survive, held by one process at a time.

use rustix::fs::{FlockOperation, flock};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Why a data directory cannot be used.
#[derive(Debug, Error)]
pub(crate) enum DataDirError {
    /// Another process holds it.
    #[error(
        "{path} is in use by another tuppence (process {holder}). Stop that one first, or give this one a directory of its own with --data-dir."
    )]
    InUse {
        /// The data directory.
        path: PathBuf,
        /// The number of the process that holds it, or "unknown".
        holder: String,
    },
    /// The operating system refused.
    #[error("the data directory {path} cannot be used")]
    Io {
        /// The data directory.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}

/// A data directory that this process alone uses until it is dropped or dies.
#[derive(Debug)]
pub(crate) struct DataDir {
    path: PathBuf,
    _lock: File,
}

impl DataDir {
    /// Creates the directory if it is missing and takes its lock, or says at once who has it.
    ///
    /// The lock is the kernel's (`flock`), so that it ends with the process however it dies, and it is never inherited by
    /// PostgreSQL, which may outlive a killed `tuppence`.
    pub(crate) fn open(path: &Path) -> Result<Self, DataDirError> {
        let told = |source| DataDirError::Io { path: path.to_owned(), source };
        create(path).map_err(told)?;
        let path = path.canonicalize().map_err(told)?;
        let told = |source| DataDirError::Io { path: path.clone(), source };
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path.join("lock"))
            .map_err(told)?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                return Err(DataDirError::InUse { path, holder: holder(&mut lock) });
            }
            Err(refused) => return Err(told(refused.into())),
        }
        // Only words for the message above: on a full disk the lock holds without them.
        let _ = sign(&mut lock);
        Ok(Self { path, _lock: lock })
    }

    /// Where it is, absolute and without symbolic links.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A folder in it that only this user may enter, made if it is missing.
    pub(crate) fn private_folder(&self, name: &str) -> Result<PathBuf, DataDirError> {
        let path = self.path.join(name);
        match DirBuilder::new().recursive(true).mode(0o700).create(&path) {
            Ok(()) => Ok(path),
            Err(source) => Err(DataDirError::Io { path, source }),
        }
    }
}

/// Makes the directory private; root leaves it passable, because PostgreSQL's own user must get through to its part.
fn create(path: &Path) -> io::Result<()> {
    let mode = if rustix::process::geteuid().is_root() { 0o711 } else { 0o700 };
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        std::fs::create_dir_all(parent)?;
    }
    match DirBuilder::new().mode(mode).create(path) {
        Err(exists) if exists.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

fn holder(lock: &mut File) -> String {
    let mut text = String::new();
    match lock.read_to_string(&mut text) {
        Ok(length) if length > 0 => text.trim().to_owned(),
        _ => "unknown".to_owned(),
    }
}

fn sign(lock: &mut File) -> io::Result<()> {
    lock.set_len(0)?;
    lock.rewind()?;
    write!(lock, "{}", std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holder_is_refused_and_told_who_has_it() {
        let folder = tempfile::tempdir().unwrap();
        let first = DataDir::open(&folder.path().join("new/data")).unwrap();
        let refusal = DataDir::open(first.path()).unwrap_err();
        assert!(
            matches!(&refusal, DataDirError::InUse { holder, .. } if *holder == std::process::id().to_string())
        );
        drop(first);
        DataDir::open(&folder.path().join("new/data")).unwrap();
    }

    #[test]
    fn a_file_in_its_place_is_told() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(matches!(DataDir::open(file.path()), Err(DataDirError::Io { .. })));
    }
}
