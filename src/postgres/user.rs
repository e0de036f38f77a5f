//! The system user that PostgreSQL runs as: ourselves, or an unprivileged one when we are root.

use super::PostgresError;
use std::path::{Path, PathBuf};
use std::process::Command as StdCommand;
use tokio::process::Command;

/// A system user.
#[derive(Debug, Clone)]
pub(super) struct User {
    /// Its login name.
    pub name: String,
    /// Who else than we ourselves: the ids to change to. Absent when we are that user already.
    change_to: Option<(u32, u32)>,
}

impl User {
    /// We ourselves, or `unprivileged` when we are root.
    pub(super) fn for_postgres(unprivileged: &str) -> Result<Self, PostgresError> {
        if !rustix::process::geteuid().is_root() {
            return Ok(Self { name: own_name()?, change_to: None });
        }
        let missing = || PostgresError::NoUser { name: unprivileged.to_owned() };
        let uid = id(&["-u", unprivileged])?.and_then(|text| text.parse().ok()).ok_or_else(missing)?;
        let gid = id(&["-g", unprivileged])?.and_then(|text| text.parse().ok()).ok_or_else(missing)?;
        if uid == 0 {
            return Err(missing());
        }
        Ok(Self { name: unprivileged.to_owned(), change_to: Some((uid, gid)) })
    }

    /// The id to change to, when we are not that user already.
    pub(super) fn uid(&self) -> Option<u32> {
        self.change_to.map(|(uid, _)| uid)
    }

    /// A command that runs as this user, in English, without any of the caller's PostgreSQL variables, apart from our terminal's signals.
    pub(super) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PG")) {
            command.env_remove(name);
        }
        command.env("LC_ALL", "C").current_dir("/").process_group(0).stdin(std::process::Stdio::null());
        if let Some((uid, gid)) = self.change_to {
            command.uid(uid).gid(gid);
        }
        command
    }

    /// Gives the file or folder to this user.
    pub(super) fn own(&self, path: &Path) -> Result<(), PostgresError> {
        let Some((uid, gid)) = self.change_to else { return Ok(()) };
        std::os::unix::fs::lchown(path, Some(uid), Some(gid)).map_err(PostgresError::io(format!(
            "{} cannot be given to the user {}",
            path.display(),
            self.name
        )))
    }

    /// Checks that this user can pass through every folder down to `path`, and names the first that is closed.
    pub(super) async fn check_reaches(&self, path: &Path) -> Result<(), PostgresError> {
        if self.change_to.is_none() || self.passes(path).await? {
            return Ok(());
        }
        let mut folders: Vec<&Path> = path.ancestors().collect();
        folders.reverse();
        for folder in folders {
            if !self.passes(folder).await? {
                return Err(PostgresError::Closed { user: self.name.clone(), closed: folder.to_owned() });
            }
        }
        Ok(())
    }

    /// Asks the kernel in that user's name, so that access lists and group rights count too.
    async fn passes(&self, folder: &Path) -> Result<bool, PostgresError> {
        let asked = self.command(Path::new("test")).arg("-x").arg(folder).status().await;
        Ok(asked.map_err(PostgresError::io("cannot run `test` as another user"))?.success())
    }
}

#[cfg(test)]
impl User {
    /// Whoever runs the tests, changing to nobody.
    pub(super) fn ourselves() -> Self {
        Self { name: own_name().expect("whoever runs the tests has a name"), change_to: None }
    }
}

/// Our own login name, as PostgreSQL's `peer` authentication will see it.
pub(super) fn own_name() -> Result<String, PostgresError> {
    let nameless = || PostgresError::Io {
        what: "this user has no name, and PostgreSQL needs one: add it to /etc/passwd".to_owned(),
        source: std::io::ErrorKind::NotFound.into(),
    };
    id(&["-un"])?.ok_or_else(nameless)
}

/// The system's own `id`, because it asks every directory of users that the system knows.
fn id(arguments: &[&str]) -> Result<Option<String>, PostgresError> {
    let answer = StdCommand::new(PathBuf::from("id"))
        .args(arguments)
        .output()
        .map_err(PostgresError::io("cannot run the system's `id`"))?;
    Ok(answer.status.success().then(|| String::from_utf8_lossy(&answer.stdout).trim().to_owned()))
}
