//! PostgreSQL's server programs: where systems keep them, and which of them to use.

use super::PostgresError;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The oldest major version that the migrations run on.
pub(super) const MAJOR_MIN: u32 = 15;

/// One installed PostgreSQL server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Installation {
    /// Its major version.
    pub major: u32,
    /// The folder with `postgres` and `initdb`.
    pub bin: PathBuf,
}

/// Chooses the installation for a data directory made by the major version `made_by`, or the newest for a new one.
pub(super) fn choose(
    found: Vec<Installation>,
    made_by: Option<u32>,
    home: &Path,
) -> Result<Installation, PostgresError> {
    let majors: Vec<u32> = found.iter().map(|one| one.major).collect();
    match made_by {
        Some(major) => found.into_iter().find(|one| one.major == major).ok_or_else(|| {
            PostgresError::WrongMajor { home: home.to_owned(), made_by: major, found: majors }
        }),
        None => found
            .into_iter()
            .filter(|one| one.major >= MAJOR_MIN)
            .max_by_key(|one| one.major)
            .ok_or(PostgresError::NoBinaries { too_old: majors }),
    }
}

/// Finds what is installed: in `configured` alone if it is given, else in `PATH` and in the usual places.
/// Of two installations of one major version the first found counts.
pub(super) fn find(configured: Option<&Path>) -> Vec<Installation> {
    let folders = match configured {
        Some(bin) => vec![bin.to_owned()],
        None => usual_places(),
    };
    let mut by_major = BTreeMap::new();
    for bin in folders {
        if let Some(major) = major_of(&bin) {
            by_major.entry(major).or_insert(Installation { major, bin });
        }
    }
    by_major.into_values().collect()
}

/// `PATH` first, then where Debian, Red Hat, Alpine, Gentoo, a build from source, Homebrew and MacPorts put them.
fn usual_places() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places: Vec<PathBuf> = std::env::split_paths(&path).filter(|one| one.is_absolute()).collect();
    for (parent, prefix, suffix) in [
        ("/usr/lib/postgresql", "", "bin"),
        ("/usr", "pgsql-", "bin"),
        ("/usr/libexec", "postgresql", ""),
        ("/usr/lib64", "postgresql-", "bin"),
        ("/opt/homebrew/opt", "postgresql@", "bin"),
        ("/usr/local/opt", "postgresql@", "bin"),
        ("/opt/local/lib", "postgresql", "bin"),
    ] {
        places.extend(folders_with(Path::new(parent), prefix).into_iter().map(|one| one.join(suffix)));
    }
    places.extend(["/usr/local/pgsql/bin", "/usr/local/bin", "/opt/homebrew/bin"].map(PathBuf::from));
    places
}

fn folders_with(parent: &Path, prefix: &str) -> Vec<PathBuf> {
    let Ok(entries) = parent.read_dir() else { return Vec::new() };
    entries
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix))
        .map(|entry| entry.path())
        .collect()
}

fn major_of(bin: &Path) -> Option<u32> {
    let server = bin.join("postgres");
    if !server.is_file() || !bin.join("initdb").is_file() {
        return None;
    }
    let answer = Command::new(server).arg("--version").output().ok()?;
    parse_version(&String::from_utf8_lossy(&answer.stdout))
}

/// Reads the major version from `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`, `… 18beta1` or `… 17devel`.
fn parse_version(line: &str) -> Option<u32> {
    let number = line.split(") ").nth(1)?;
    let digits: String = number.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn versions_are_read() {
        for (line, major) in [
            ("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n", Some(15)),
            ("postgres (PostgreSQL) 18beta1", Some(18)),
            ("postgres (PostgreSQL) 9.6.24", Some(9)),
            ("postgres: command not found", None),
            ("", None),
        ] {
            assert_eq!(parse_version(line), major, "{line}");
        }
    }

    fn installed(majors: &[u32]) -> Vec<Installation> {
        majors
            .iter()
            .map(|major| Installation { major: *major, bin: format!("/pg{major}/bin").into() })
            .collect()
    }

    #[test]
    fn a_new_directory_gets_the_newest_and_an_old_one_its_own() {
        let home = Path::new("/data/postgres");
        assert_eq!(choose(installed(&[14, 15, 17]), None, home).unwrap().major, 17);
        assert_eq!(choose(installed(&[14, 15, 17]), Some(15), home).unwrap().major, 15);
    }

    #[test]
    fn what_is_missing_is_named() {
        let home = Path::new("/data/postgres");
        let none = choose(installed(&[]), None, home).unwrap_err().to_string();
        assert!(none.contains("apt-get install postgresql"), "{none}");
        let old = choose(installed(&[13]), None, home).unwrap_err().to_string();
        assert!(old.contains("found only 13"), "{old}");
        let other = choose(installed(&[17]), Some(15), home).unwrap_err().to_string();
        assert!(other.contains("PostgreSQL 15") && other.contains("postgresql-15"), "{other}");
    }

    #[test]
    fn a_folder_without_the_server_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(find(Some(folder.path())), []);
        for program in ["postgres", "initdb"] {
            let path = folder.path().join(program);
            std::fs::write(&path, "#!/bin/sh\necho 'postgres (PostgreSQL) 16.2'\n").unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        assert_eq!(find(Some(folder.path())), [Installation { major: 16, bin: folder.path().to_owned() }]);
    }
}
