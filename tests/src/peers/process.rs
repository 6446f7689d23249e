//! A server's processes: one group, so that nothing is left behind.

use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::TcpStream;

/// A server has to greet within this time.
const READY_WITHIN: Duration = Duration::from_mins(1);
/// How often a port is tried that nobody listens at yet.
const TRY_EVERY: Duration = Duration::from_millis(10);

/// A running server. Dropping it kills it and all that it started.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
}

impl Process {
    /// Starts it in a process group of its own; what it prints goes to `log`.
    pub(super) fn start(command: &mut Command, log: &Path) -> Result<Self> {
        let log = File::create(log).with_context(|| format!("making {}", log.display()))?;
        command.process_group(0).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = command.spawn().with_context(|| format!("starting {command:?}"))?;
        Ok(Self { child })
    }

    /// Waits until the port greets, and gives the greeting.
    pub(super) async fn greets(&mut self, port: u16) -> Result<String> {
        let mut look = tokio::time::interval(TRY_EVERY);
        let greeting = async {
            loop {
                look.tick().await;
                if let Some(status) = self.child.try_wait()? {
                    bail!("it ended with {status}");
                }
                let Ok(stream) = TcpStream::connect(("127.0.0.1", port)).await else { continue };
                let mut line = String::new();
                if BufReader::new(stream).read_line(&mut line).await.is_ok_and(|n| n > 0) {
                    return Ok(line);
                }
            }
        };
        tokio::time::timeout(READY_WITHIN, greeting).await.context("it does not greet")?
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let group = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        if let Some(group) = group {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.child.wait();
        // The others of the group are nobody's children here. Their ports and sockets are free for
        // the next server once the last of them is gone.
        while self.has_members() {
            std::thread::yield_now();
        }
    }
}

impl Process {
    /// Whether a process of the group is still there; one that nobody buries is not.
    fn has_members(&self) -> bool {
        let group = self.child.id().to_string();
        let Ok(processes) = fs::read_dir("/proc") else { return false };
        processes.flatten().any(|process| {
            let stat = fs::read_to_string(process.path().join("stat")).unwrap_or_default();
            // After the name, which may hold anything: state, parent, group.
            let mut fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
            let state = fields.next();
            fields.nth(1) == Some(&group) && state.is_some_and(|state| !matches!(state, "Z" | "X"))
        })
    }
}

/// A port that nobody listens at.
pub(super) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
