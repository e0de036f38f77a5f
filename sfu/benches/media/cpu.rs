//! Processor time of threads, as the scheduler counts it (proc(5), `schedstat`): what others do on the machine is not in
//! it, though what they do to its caches is.

use std::fs;
use std::time::Duration;

/// Of this thread.
pub(crate) fn of_this_thread() -> Duration {
    read("/proc/thread-self/schedstat")
}

/// Of the media threads; the bench's own main thread is called `media-` and a hash.
pub(crate) fn of_media() -> Duration {
    of_threads("self", is_media)
}

/// Of all threads of another process.
pub(crate) fn of_process(id: u32) -> Duration {
    of_threads(&id.to_string(), |_| true)
}

fn of_threads(process: &str, is_meant: fn(&str) -> bool) -> Duration {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    let named = tasks.filter(|task| {
        fs::read_to_string(task.path().join("comm")).is_ok_and(|comm| is_meant(comm.trim_end()))
    });
    named.map(|task| read(&task.path().join("schedstat").to_string_lossy())).sum()
}

fn is_media(name: &str) -> bool {
    name.strip_prefix("media-").is_some_and(|index| index.len() < 4 && index.parse::<u8>().is_ok())
}

fn read(path: &str) -> Duration {
    let text = fs::read_to_string(path).unwrap_or_default();
    let nanos = text.split(' ').next().and_then(|first| first.parse().ok());
    Duration::from_nanos(nanos.unwrap_or_default())
}
