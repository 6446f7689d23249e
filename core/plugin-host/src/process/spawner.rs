//! The one thread that starts child processes. The kernel's parent-death signal fires when the
//! *thread* that forked ends, so that thread lives as long as the hub.
#![allow(unsafe_code, reason = "a hook between fork and exec; each block says why it holds")]

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::sync::OnceLock;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

use gantry_plugin_api::frame;
use rustix::process::{
    Signal, getpid, set_child_subreaper, set_parent_process_death_signal, setsid,
};

use super::orphans::{Supervised, supervised};

/// Orders that may wait; more senders wait themselves.
const ORDERS_MAX: usize = 16;

struct Order {
    command: Command,
    answer: SyncSender<io::Result<(Child, Supervised)>>,
}

/// Starts a program that finds `socket` at descriptor 3, in a session of its own, and that is
/// killed when this process ends. No other descriptor but the standard ones is inherited.
///
/// # Errors
/// As [`Command::spawn`].
pub(crate) fn spawn(mut command: Command, socket: OwnedFd) -> io::Result<(Child, Supervised)> {
    // SAFETY: between fork and exec only async-signal-safe system calls are made, and nothing is
    // allocated.
    unsafe {
        command.pre_exec(move || {
            setsid()?;
            set_parent_process_death_signal(Some(Signal::KILL))?;
            inherit(socket.as_raw_fd())
        });
    }
    let (answer, answered) = sync_channel(1);
    let gone = |_| io::Error::other("the thread that starts processes has ended");
    orders()?.send(Order { command, answer }).map_err(|error| gone(error.to_string()))?;
    answered.recv().map_err(|error| gone(error.to_string()))?
}

/// Puts the socket where the child looks for it; all else closes on exec.
fn inherit(socket: i32) -> io::Result<()> {
    // SAFETY: takes numbers; what stands at descriptor 3 in this forked copy is nobody's any more.
    if socket != frame::FD && unsafe { libc::dup2(socket, frame::FD) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: takes numbers.
    if unsafe { libc::fcntl(frame::FD, libc::F_SETFD, 0) } < 0 {
        return Err(io::Error::last_os_error());
    }
    let after = frame::FD as u32 + 1;
    // SAFETY: takes numbers; the flag only marks descriptors. An old kernel does not know it, and
    // then those that were opened without close-on-exec stay open.
    unsafe { libc::close_range(after, u32::MAX, libc::CLOSE_RANGE_CLOEXEC as i32) };
    Ok(())
}

fn orders() -> io::Result<SyncSender<Order>> {
    static ORDERS: OnceLock<SyncSender<Order>> = OnceLock::new();
    if let Some(orders) = ORDERS.get() {
        return Ok(orders.clone());
    }
    let (sender, receiver) = sync_channel::<Order>(ORDERS_MAX);
    thread::Builder::new().name("gantry-spawner".to_owned()).spawn(move || {
        while let Ok(Order { mut command, answer }) = receiver.recv() {
            // Whoever ordered may be gone; the child then sees its socket closed.
            let _ = answer.send(supervised(|| command.spawn()));
        }
    })?;
    // What a plug-in leaves behind becomes ours, so that it can be found and ended.
    set_child_subreaper(Some(getpid()))?;
    // Another thread may have been faster; its spawner is as good, and ours ends with its channel.
    Ok(ORDERS.get_or_init(|| sender).clone())
}
