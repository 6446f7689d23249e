//! The process of a plug-in, found and killed from outside.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};
use gantry_tests::world::World;
use rustix::process::{Pid, Signal, kill_process};

/// How long the hub may take to start it again.
const WITHIN: Duration = Duration::from_secs(30);

/// The child of a hub that runs a program of this name, once there is one.
pub(super) async fn of(world: &World, program: &str) -> Result<Pid> {
    let hub = world.hub.process().context("the hub has ended")?;
    let mut look = tokio::time::interval(Duration::from_millis(10));
    let found = async {
        loop {
            look.tick().await;
            if let Some(pid) = find(hub, program) {
                return pid;
            }
        }
    };
    let found = tokio::time::timeout(WITHIN, found).await;
    found.with_context(|| format!("no process runs {program}:\n{}", world.hub.log_tail()))
}

/// Ends a process as nothing it does could prevent.
pub(super) fn kill(process: Pid) -> Result<()> {
    kill_process(process, Signal::KILL).context("killing a plug-in")
}

fn find(hub: u32, program: &str) -> Option<Pid> {
    let threads = fs::read_dir(format!("/proc/{hub}/task")).ok()?.flatten();
    let children =
        threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    let children = children.collect::<Vec<_>>().join(" ");
    let mut pids = children.split_whitespace().filter_map(|pid| pid.parse::<i32>().ok());
    let runs = |pid: &i32| {
        let command = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        command.split('\0').any(|word| word == program)
    };
    pids.find(runs).and_then(Pid::from_raw)
}
