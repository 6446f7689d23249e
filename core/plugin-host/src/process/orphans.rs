//! Processes that a plug-in's process left behind. The hub is their reaper: once the plug-in is
//! dead they are the hub's children, and the only ones in a session that is not the hub's.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::process::Child;
use std::sync::{Mutex, PoisonError};

use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process, waitpid};

/// The plug-in processes that are supervised, by process id: no orphans, though in sessions of
/// their own.
static SUPERVISED: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());

/// At most so many rounds: each kills what the last one set free.
const ROUNDS_MAX: usize = 100;

/// A child process that is supervised, as long as this lives.
#[derive(Debug)]
pub(crate) struct Supervised(i32);

/// Starts a child process so that no sweep takes it for an orphan.
pub(crate) fn supervised(
    spawn: impl FnOnce() -> io::Result<Child>,
) -> io::Result<(Child, Supervised)> {
    let mut supervised = SUPERVISED.lock().unwrap_or_else(PoisonError::into_inner);
    let child = spawn()?;
    let pid = child.id() as i32;
    supervised.insert(pid);
    Ok((child, Supervised(pid)))
}

impl Drop for Supervised {
    fn drop(&mut self) {
        SUPERVISED.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.0);
    }
}

/// Kills and reaps what dead plug-ins left behind, and gives how many that were.
pub(crate) fn sweep() -> usize {
    let mut n = 0;
    for _ in 0..ROUNDS_MAX {
        // Held over the whole round, so that no process becomes a supervised one meanwhile.
        let supervised = SUPERVISED.lock().unwrap_or_else(PoisonError::into_inner);
        let orphans = orphans(&supervised);
        if orphans.is_empty() {
            break;
        }
        for pid in orphans {
            let _ = kill_process(pid, Signal::KILL);
            if waitpid(Some(pid), WaitOptions::empty()).is_ok() {
                n += 1;
            }
        }
    }
    n
}

fn orphans(supervised: &BTreeSet<i32>) -> Vec<Pid> {
    let us = getpid();
    // Read like the others' and not asked of the kernel's call, so that both say the same where
    // the session was begun outside of this container: there it is 0, which is no process id.
    let Some(Stat { session, .. }) = stat(us) else { return Vec::new() };
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let pids = pids.filter(|pid| !supervised.contains(pid)).filter_map(Pid::from_raw);
    pids.filter(|pid| stat(*pid).is_some_and(|of| of.is_orphan_of(us, session))).collect()
}

/// What counts of a line of `/proc/PID/stat`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stat {
    parent: i32,
    session: i32,
}

impl Stat {
    fn parse(line: &str) -> Option<Self> {
        // The name of the program, in brackets, may hold anything: what counts comes after it.
        let mut fields = line.rsplit_once(')')?.1.split_whitespace().skip(1);
        let mut number = || fields.next()?.parse().ok();
        let (parent, _group, session) = (number()?, number()?, number()?);
        Some(Self { parent, session })
    }

    /// Whether this is a child of ours in a session of its own. A process that is just being
    /// reaped has the session -1.
    fn is_orphan_of(self, us: Pid, session: i32) -> bool {
        self.parent == us.as_raw_pid() && self.session > 0 && self.session != session
    }
}

fn stat(pid: Pid) -> Option<Stat> {
    Stat::parse(&fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?)
}

#[cfg(test)]
mod tests;
