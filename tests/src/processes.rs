//! Killing a service with all that belongs to it, as a power cut would.

use anyhow::{Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// When a kill began and when nothing was left.
#[derive(Debug, Clone, Copy)]
pub struct Killed {
    /// Just before the first signal.
    pub begun: Instant,
    /// Every process was gone.
    pub done: Instant,
}

/// Kills `root`, its descendants and everything that lives in `dir` (a daemonised PostgreSQL has no parent to name it).
pub(crate) fn kill_everything(root: u32, dir: &Path) -> Result<Killed> {
    let victims = family(root, dir);
    let begun = Instant::now();
    kill_all(&victims);
    loop {
        let rest = family(root, dir);
        if rest.is_empty() {
            return Ok(Killed { begun, done: Instant::now() });
        }
        ensure!(begun.elapsed() < Duration::from_secs(5), "processes {rest:?} survive kill -9");
        kill_all(&rest);
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// `root` first, so that it cannot tidy up after its children.
fn family(root: u32, dir: &Path) -> Vec<u32> {
    let processes = processes();
    let mut family: Vec<u32> = processes.keys().copied().filter(|pid| *pid == root).collect();
    family.extend(processes.keys().copied().filter(|pid| *pid != root && lives_in(*pid, dir)));
    let mut seen = 0;
    while seen < family.len() {
        let parent = family[seen];
        let children: Vec<u32> =
            processes.iter().filter(|(_, ppid)| **ppid == parent).map(|(pid, _)| *pid).collect();
        for child in children {
            if !family.contains(&child) {
                family.push(child);
            }
        }
        seen += 1;
    }
    family
}

/// Processes whose working directory is `dir` or in it.
pub(crate) fn inhabitants(dir: &Path) -> Vec<u32> {
    processes().into_keys().filter(|pid| lives_in(*pid, dir)).collect()
}

fn lives_in(pid: u32, dir: &Path) -> bool {
    pid != std::process::id()
        && fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd.starts_with(dir))
}

/// Living processes and their parents; zombies are not counted, they hold nothing any more.
fn processes() -> BTreeMap<u32, u32> {
    let Ok(entries) = fs::read_dir("/proc") else { return BTreeMap::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid: u32| Some((pid, living_parent(pid)?))).collect()
}

/// Fields 3 and 4 of proc(5) `stat`, behind the parenthesised name that may hold spaces.
fn living_parent(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    (!matches!(state, "Z" | "X")).then_some(parent)
}

fn kill_all(pids: &[u32]) {
    for pid in pids {
        signal(*pid, Signal::KILL);
    }
}

/// A process that is gone already needs no signal, so its error is no news.
pub(crate) fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, signal);
    }
}
