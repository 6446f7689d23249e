//! What a process has of the machine: threads, open files, memory, as `/proc` tells.

use std::fs;
use std::time::Duration;

use tokio::time::{Instant, interval};

/// A process at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Footprint {
    pub(crate) n_threads: usize,
    pub(crate) n_files: usize,
    pub(crate) rss_kib: usize,
}

impl Footprint {
    /// Looks at a process; none if it is gone or may not be looked at.
    pub(crate) fn of(pid: u32) -> Option<Self> {
        let count = |what: &str| Some(fs::read_dir(format!("/proc/{pid}/{what}")).ok()?.count());
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        let rss_kib = rss.split_whitespace().next()?.parse().ok()?;
        Some(Self { n_threads: count("task")?, n_files: count("fd")?, rss_kib })
    }

    /// Looks again and again until it is as wanted, for what ends may end a little later; at last
    /// as it is after `within`.
    pub(crate) async fn until(
        pid: u32,
        within: Duration,
        wanted: impl Fn(&Self) -> bool,
    ) -> Option<Self> {
        let until = Instant::now() + within;
        let mut look = interval(Duration::from_millis(20));
        loop {
            look.tick().await;
            let seen = Self::of(pid)?;
            if wanted(&seen) || Instant::now() >= until {
                return Some(seen);
            }
        }
    }
}
