//! How a PostgreSQL that keeps our books should use the machine that it is on.
//!
//! PostgreSQL's own defaults are for a machine of long ago: with 128 MB of buffers, a fifth of the processor time of a close of
//! many accounts was the system's, which reads and writes pages that had to make room.

use std::{fs, path::Path};

const MIB: u64 = 1 << 20;
/// PostgreSQL's own default; less is of no use.
const BUFFERS_MIN: u64 = 128 * MIB;
/// More holds nothing that a close or an audit comes back to.
const BUFFERS_MAX: u64 = 4096 * MIB;
/// A machine that does not tell how much memory it has.
const MEMORY_UNTOLD: u64 = 512 * MIB;

/// Settings for a server on this machine, or in this container, each `name=value`.
pub fn settings() -> Vec<String> {
    settings_for(memory())
}

/// A quarter of the memory for buffers. The planner is told that another quarter is the system's cache, as there is more on
/// the machine than the database. A close writes gigabytes: room in the log keeps it from a checkpoint every few seconds.
fn settings_for(memory: u64) -> Vec<String> {
    let buffers = (memory / 4).clamp(BUFFERS_MIN, BUFFERS_MAX);
    let cache = (memory / 2).max(BUFFERS_MIN);
    vec![
        format!("shared_buffers={}MB", buffers / MIB),
        format!("effective_cache_size={}MB", cache / MIB),
        "max_wal_size=4GB".to_owned(),
    ]
}

/// What the machine has, or what its control groups leave us of it, in bytes.
fn memory() -> u64 {
    let read = |path: &Path| fs::read_to_string(path).ok();
    let machine = read(Path::new("/proc/meminfo")).and_then(|text| total(&text));
    let group = read(Path::new("/proc/self/cgroup")).and_then(|own| group_limit(&own, read));
    machine.into_iter().chain(group).min().unwrap_or(MEMORY_UNTOLD)
}

/// `MemTotal` of proc(5), which is in KiB.
fn total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// The smallest `memory.max` from our group up to the root, of cgroups(7) version 2.
fn group_limit(own: &str, read: impl Fn(&Path) -> Option<String>) -> Option<u64> {
    let group = own.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let folders = Path::new(group).ancestors().map(|folder| Path::new("/sys/fs/cgroup").join(folder));
    folders.filter_map(|folder| limit(&read(&folder.join("memory.max"))?)).min()
}

/// Bytes; nothing where the group has no limit, which says `max`.
fn limit(memory_max: &str) -> Option<u64> {
    memory_max.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_of_the_memory_is_for_buffers_within_bounds() {
        for (memory, buffers, cache) in [
            (256 * MIB, "128MB", "128MB"),
            (2048 * MIB, "512MB", "1024MB"),
            (24_576 * MIB, "4096MB", "12288MB"),
        ] {
            let settings = settings_for(memory);
            assert_eq!(settings[0], format!("shared_buffers={buffers}"));
            assert_eq!(settings[1], format!("effective_cache_size={cache}"));
        }
    }

    #[test]
    fn memory_is_read_as_the_kernel_writes_it() {
        assert_eq!(total("MemTotal:       24623404 kB\nMemFree: 1 kB\n"), Some(24_623_404 * 1024));
        assert_eq!(total("MemFree: 1 kB\n"), None);
        assert_eq!(limit("1073741824\n"), Some(1 << 30));
        assert_eq!(limit("max\n"), None);
    }

    #[test]
    fn the_narrowest_control_group_counts() {
        let read = |path: &Path| match path.to_str() {
            Some("/sys/fs/cgroup/system.slice/tuppence.service/memory.max") => Some("max\n".to_owned()),
            Some("/sys/fs/cgroup/system.slice/memory.max") => Some("2000\n".to_owned()),
            Some("/sys/fs/cgroup/memory.max") => Some("3000\n".to_owned()),
            _ => None,
        };
        assert_eq!(group_limit("0::/system.slice/tuppence.service\n", read), Some(2000));
        assert_eq!(group_limit("0::/\n", read), Some(3000));
        assert_eq!(group_limit("4:memory:/old\n", read), None, "version 1 is not read");
    }
}
