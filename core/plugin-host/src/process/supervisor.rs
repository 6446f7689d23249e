//! Watches the process of one plug-in: starts it, reads what it says, ends it when it misbehaves,
//! and starts it again. One thread a plug-in, which never blocks on the plug-in.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::life::{End, Life};
use super::plan::Plan;
use super::{Start, Timing};
use crate::inspected::Inspected;
use crate::transport::{Outage, Shared};

/// The thread's own.
pub(crate) struct Supervisor {
    plan: Plan,
    timing: Timing,
    shared: Arc<Shared>,
    failures: VecDeque<Instant>,
    pause: Duration,
}

impl Supervisor {
    /// Prepares; nothing is started yet.
    pub(crate) fn new(
        copy: &Path,
        said: &Inspected,
        start: Start,
        shared: Arc<Shared>,
    ) -> Result<Self, String> {
        let timing = start.timing;
        let plan = Plan::new(copy, said, start)
            .map_err(|error| format!("its folder or user cannot be had: {error}"))?;
        let (failures, pause) = (VecDeque::new(), timing.pause_first);
        Ok(Self { plan, timing, shared, failures, pause })
    }

    /// Starts the thread, and waits until the first process takes operations.
    pub(crate) fn run(self) -> Result<JoinHandle<()>, String> {
        let (started, first) = sync_channel(1);
        let name = format!("plug-in {}", self.plan.source);
        let thread = std::thread::Builder::new().name(name);
        let thread = thread.spawn(move || self.watch(&started));
        let thread = thread.map_err(|error| format!("cannot start a thread: {error}"))?;
        match first.recv() {
            Ok(Ok(())) => Ok(thread),
            Ok(Err(reason)) => Err(reason),
            Err(_) => Err("its supervisor ended".to_owned()),
        }
    }

    /// Supervises. Should that fail by a fault of ours, nobody may wait for the plug-in for ever.
    fn watch(self, started: &SyncSender<Result<(), String>>) {
        let shared = Arc::clone(&self.shared);
        let Plan { plugin, source, .. } = &self.plan;
        let reason = format!(
            "plug-in `{plugin}` of source {source} is quarantined: the hub failed to watch it, \
             which is a fault of the hub; reload it to try it again: gantry plugin reload {plugin}"
        );
        let supervise = AssertUnwindSafe(|| self.supervise(started));
        if catch_unwind(supervise).is_err() {
            tracing::error!("{reason}");
            shared.goes_down(Outage { quarantined: true, reason });
        }
    }

    fn supervise(mut self, started: &SyncSender<Result<(), String>>) {
        let mut is_first = true;
        loop {
            let began = Instant::now();
            let mut up = false;
            let end = Life::start(&self.plan, self.timing, &self.shared).and_then(|life| {
                life.run(|| {
                    up = true;
                    if is_first {
                        // Whoever started it may be gone; it is then told to end, too.
                        let _ = started.send(Ok(()));
                    }
                })
            });
            let reason = match end {
                Ok(End::Asked) => break self.ended(),
                Ok(End::Failed(reason)) | Err(reason) => reason,
            };
            if is_first && !up {
                self.ended();
                let _ = started.send(Err(reason));
                return;
            }
            is_first = false;
            if began.elapsed() >= self.timing.window {
                self.pause = self.timing.pause_first;
            }
            if !self.pause_after(&reason) {
                break self.ended();
            }
        }
    }

    /// Waits for the next start; false if it is to end instead.
    fn pause_after(&mut self, reason: &str) -> bool {
        let (plan, timing) = (&self.plan, self.timing);
        let now = Instant::now();
        self.failures.push_back(now);
        while self.failures.front().is_some_and(|at| now.duration_since(*at) >= timing.window) {
            self.failures.pop_front();
        }
        let n = self.failures.len();
        if n >= timing.failures_max {
            let minutes = timing.window.as_secs().div_ceil(60);
            let reason = format!(
                "plug-in `{}` of source {} is quarantined: {reason}, {n} times in {minutes} min; \
                 reload it to try it again: gantry plugin reload {}",
                plan.plugin, plan.source, plan.plugin
            );
            tracing::error!(plugin = %plan.plugin, source = %plan.source, "{reason}");
            self.shared.stays_down(Outage { quarantined: true, reason });
            self.wait(None);
            return false;
        }
        let pause = jitter(self.pause);
        self.pause = (self.pause * 2).min(timing.pause_longest);
        tracing::error!(
            plugin = %plan.plugin,
            source = %plan.source,
            reason,
            restart_ms = pause.as_millis() as u64,
            "a plug-in failed and is started again"
        );
        let reason =
            format!("plug-in `{}` of source {} failed: {reason}", plan.plugin, plan.source);
        self.shared.stays_down(Outage { quarantined: false, reason });
        self.wait(Some(now + pause))
    }

    /// Waits until a time; false if it is to end before.
    fn wait(&self, until: Option<Instant>) -> bool {
        loop {
            if self.shared.ending().is_some() {
                return false;
            }
            let rest = until.map(|until| until.saturating_duration_since(Instant::now()));
            if rest == Some(Duration::ZERO) {
                return true;
            }
            let mut fds = [PollFd::new(self.shared.wake.fd(), PollFlags::IN)];
            // An interrupted wait is looked at again like any other.
            let _ = poll(&mut fds, rest.map(timespec).as_ref());
            self.shared.wake.reset();
        }
    }

    fn ended(&self) {
        let reason = format!("plug-in `{}` has ended", self.plan.plugin);
        self.shared.goes_down(Outage { quarantined: false, reason });
    }
}

/// A span as the system takes it.
pub(super) fn timespec(span: Duration) -> Timespec {
    Timespec { tv_sec: span.as_secs() as i64, tv_nsec: i64::from(span.subsec_nanos()) }
}

/// Between three quarters of a pause and all of it, so that many do not come back together.
fn jitter(pause: Duration) -> Duration {
    use std::hash::{BuildHasher, Hasher, RandomState};
    // The standard library keys each of these differently: random enough to spread restarts.
    let random = RandomState::new().build_hasher().finish() % 256;
    pause.mul_f64(1.0 - random as f64 / 1024.0)
}
