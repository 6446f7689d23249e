//! What processes take of the machine: time of the processors, and memory, as the system counts it.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

/// What a process and all that it started take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Usage {
    /// Time of the processors, of those that have ended and were waited for too.
    pub cpu: Duration,
    /// Resident memory, in bytes; pages that processes share count in each.
    pub memory_bytes: u64,
    /// How many processes there are.
    pub n_processes: usize,
}

/// A line of `/proc/PID/stat`, as far as it matters here. Source: proc_pid_stat(5).
struct Stat {
    parent: u32,
    ticks: u64,
    pages: u64,
}

/// What processes and their descendants take; none of a process that is not there. Looks through
/// `/proc` once, however many are asked for.
pub fn usage(roots: &[u32]) -> Vec<Option<Usage>> {
    if roots.is_empty() {
        return Vec::new();
    }
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let stats: BTreeMap<u32, Stat> = pids.filter_map(|pid| Some((pid, stat(pid)?))).collect();
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for (pid, stat) in &stats {
        children.entry(stat.parent).or_default().push(*pid);
    }
    roots.iter().map(|root| of_tree(*root, &stats, &children)).collect()
}

/// Time of the processors that a process has taken; it may have ended, if nobody waited for it yet.
pub(super) fn spent(pid: u32) -> Duration {
    stat(pid).map_or(Duration::ZERO, |stat| time(stat.ticks))
}

fn of_tree(
    root: u32,
    stats: &BTreeMap<u32, Stat>,
    children: &BTreeMap<u32, Vec<u32>>,
) -> Option<Usage> {
    stats.get(&root)?;
    let (mut usage, mut ticks, mut open) = (Usage::default(), 0, vec![root]);
    while let Some(pid) = open.pop() {
        let Some(stat) = stats.get(&pid) else { continue };
        ticks += stat.ticks;
        usage.memory_bytes += stat.pages * rustix::param::page_size() as u64;
        usage.n_processes += 1;
        // What was read while processes came and went might be no tree.
        if usage.n_processes > stats.len() {
            break;
        }
        open.extend(children.get(&pid).into_iter().flatten());
    }
    usage.cpu = time(ticks);
    Some(usage)
}

fn stat(pid: u32) -> Option<Stat> {
    read_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

fn read_stat(line: &str) -> Option<Stat> {
    // The name of the program, in brackets, may hold anything: what counts comes after it.
    let (_, rest) = line.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    // Counted from the state, which is field 3 there.
    let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
    let ticks = [14, 15, 16, 17].into_iter().map(number).sum::<Option<u64>>()?;
    Some(Stat { parent: number(4)? as u32, ticks, pages: number(24)? })
}

fn time(ticks: u64) -> Duration {
    let per_second = rustix::param::clock_ticks_per_second().max(1);
    Duration::from_millis(ticks * 1000 / per_second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_program_does_not_confuse() {
        let line = "17 (a) b (c)) S 4 17 17 0 -1 4194560 1 2 3 4 10 20 30 40 20 0 1 0 99 1000 25";
        let stat = read_stat(line).unwrap();
        assert_eq!((stat.parent, stat.ticks, stat.pages), (4, 100, 25));
        assert!(read_stat("17 (short) S 4").is_none());
    }

    #[test]
    fn a_process_is_counted_with_what_it_started() {
        let stats = [(2, 1), (3, 2), (4, 3), (5, 1)]
            .map(|(pid, parent)| (pid, Stat { parent, ticks: 100, pages: 1 }));
        let children = [(1, vec![2, 5]), (2, vec![3]), (3, vec![4])].into();
        let usage = of_tree(2, &stats.into(), &children).unwrap();
        assert_eq!(usage.n_processes, 3);
        assert_eq!(usage.memory_bytes, 3 * rustix::param::page_size() as u64);
        assert_eq!(usage.cpu, 3 * time(100));
    }

    #[test]
    fn this_process_takes_memory_and_one_that_is_not_there_takes_nothing() {
        let usage = usage(&[std::process::id(), u32::MAX]);
        let us = usage[0].expect("this process is there");
        assert!(us.memory_bytes > 0 && us.n_processes >= 1, "{us:?}");
        assert_eq!(usage[1], None);
    }
}
