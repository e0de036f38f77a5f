//! A PostgreSQL that goes when we go.

use anyhow::{Context, Result, bail};
use std::{
    fs,
    os::unix::{fs::chown, process::CommandExt},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

/// Starts a cluster that lives as long as this process: a shell holds it and ends it when our end of its pipe closes,
/// however we end. Answers with its address, without a database.
pub(crate) fn start(settings: &[&str]) -> Result<String> {
    let binaries = binaries()?;
    let home = std::env::temp_dir().join(format!("billing-test-{}", std::process::id()));
    fs::create_dir_all(&home)?;
    let user = unprivileged_user()?;
    if let Some((uid, gid)) = user {
        chown(&home, Some(uid), Some(gid))?;
    }
    let data = home.join("data");
    let initdb = command(&binaries.join("initdb"), user)
        .current_dir(&home)
        .args(["--auth=trust", "--username=owner", "--encoding=UTF8", "--no-locale", "--no-sync", "-D"])
        .arg(&data)
        .output()?;
    if !initdb.status.success() {
        bail!("initdb: {}", String::from_utf8_lossy(&initdb.stderr));
    }
    let script =
        r#"home=$1; shift; "$@" >"$home/log" 2>&1 & read -r _; kill -INT $!; wait $!; rm -rf "$home""#;
    let mut holder = command(Path::new("/bin/sh"), user)
        .current_dir(&home)
        .args(["-c", script, "sh"])
        .args([&home, &binaries.join("postgres"), Path::new("-D"), &data, Path::new("-k"), &home])
        .args(["-c", "listen_addresses=", "-c", "max_connections=200"])
        .args(settings.iter().flat_map(|setting| ["-c", setting]))
        .stdin(Stdio::piped())
        .spawn()?;
    // Never closed by us: the operating system does it when the tests are over.
    std::mem::forget(holder.stdin.take());
    wait_for(&binaries, &home, user)?;
    Ok(format!("host={} user=owner dbname=postgres", home.display()))
}

fn wait_for(binaries: &Path, home: &Path, user: Option<(u32, u32)>) -> Result<()> {
    for _ in 0..600 {
        let ready = command(&binaries.join("pg_isready"), user).args(["-q", "-h"]).arg(home).status()?;
        if ready.success() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    bail!("PostgreSQL did not start: {}", fs::read_to_string(home.join("log")).unwrap_or_default())
}

/// The newest version where Debian puts them.
fn binaries() -> Result<PathBuf> {
    let versions =
        fs::read_dir("/usr/lib/postgresql").context("no PostgreSQL: apt-get install postgresql")?;
    let number = |path: &PathBuf| path.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok());
    let newest = versions.flatten().map(|entry| entry.path()).max_by_key(number);
    Ok(newest.context("no PostgreSQL: apt-get install postgresql")?.join("bin"))
}

/// PostgreSQL does not run as root: then somebody else's user and group.
fn unprivileged_user() -> Result<Option<(u32, u32)>> {
    let me = fs::metadata("/proc/self").map(|it| std::os::unix::fs::MetadataExt::uid(&it))?;
    if me != 0 {
        return Ok(None);
    }
    let passwd = fs::read_to_string("/etc/passwd")?;
    let of = |name: &str| {
        let fields: Vec<&str> = passwd.lines().find(|line| line.starts_with(name))?.split(':').collect();
        Some((fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?))
    };
    of("postgres:").or_else(|| of("nobody:")).map(Some).context("neither postgres nor nobody in /etc/passwd")
}

fn command(program: &Path, user: Option<(u32, u32)>) -> Command {
    let mut command = Command::new(program);
    if let Some((uid, gid)) = user {
        command.gid(gid).uid(uid);
    }
    command
}
