//! What ends a process, or breaks the frames it speaks: only for a process of its own.
#![allow(unsafe_code, reason = "it is what the hub must survive")]

use std::fs;
use std::future::pending;
use std::io::Write as _;
use std::net::TcpStream;
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, abort};

use gantry_plugin_api::frame::{Frame, HEADER_LEN};
use gantry_plugin_api::message::encode;
use gantry_plugin_api::{Batch, Error, Record};

use crate::config::Behaviour;

/// The descriptor of the connection to the hub.
const CONNECTION: i32 = 3;

/// Processes left behind: a handful.
const N_ORPHANS: usize = 5;

pub(crate) async fn commit(behaviour: Behaviour) -> Result<(), Error> {
    match behaviour {
        Behaviour::Segfault => {
            // SAFETY: none; that is the point.
            let read = unsafe { std::ptr::null::<u8>().wrapping_add(8).read_volatile() };
            Err(Error::permanent(format!("read {read} where nothing is")))
        }
        Behaviour::Abort => abort(),
        Behaviour::Overflow => Err(Error::permanent(format!("{}", deeper(1)))),
        Behaviour::Spin => {
            let mut n = 0_u64;
            loop {
                n = std::hint::black_box(n.wrapping_add(1));
            }
        }
        Behaviour::CloseConnection => {
            // SAFETY: whoever uses the descriptor afterwards gets an error, which is the point.
            drop(unsafe { OwnedFd::from_raw_fd(CONNECTION) });
            pending().await
        }
        Behaviour::Garbage => say(&[0xff; 64]).await,
        Behaviour::HugeFrame => {
            let mut header = [0; HEADER_LEN];
            header[..4].copy_from_slice(&u32::MAX.to_le_bytes());
            header[4] = 4;
            say(&header).await
        }
        Behaviour::DoubleComplete => {
            let mut bytes = Vec::new();
            for op_id in [0, 1, u64::MAX, 1 << 32, 1 << 32] {
                let reply = b"nobody asked";
                let _ = Frame::Complete { op_id, status: 0, reply }.encode(&mut bytes);
            }
            write(&bytes);
            Ok(())
        }
        Behaviour::Flood => {
            let line = "a".repeat(1000);
            loop {
                let _ = writeln!(std::io::stdout(), "{line}");
                tracing::warn!("{line}");
                tokio::task::yield_now().await;
            }
        }
        Behaviour::Orphans => {
            for _ in 0..N_ORPHANS {
                leave_behind();
            }
            abort()
        }
        Behaviour::Devour => {
            let mut hoard = Vec::new();
            for n in 0..1024_u32 {
                hoard.push(vec![n as u8; 1 << 20]);
            }
            Err(Error::permanent(format!("took {} MiB", hoard.len())))
        }
        Behaviour::Trespass => Err(Error::permanent(trespass())),
        _ => Ok(()),
    }
}

#[expect(unconditional_recursion, reason = "it is to end by itself")]
#[allow(clippy::large_stack_arrays, reason = "and soon")]
fn deeper(depth: u64) -> u64 {
    let frame = std::hint::black_box([depth; 4096]);
    deeper(depth + 1) + frame[depth as usize % 4096]
}

async fn say(bytes: &[u8]) -> Result<(), Error> {
    write(bytes);
    pending().await
}

fn write(bytes: &[u8]) {
    // SAFETY: the descriptor is open as long as the process; the file is not closed again.
    let connection = unsafe { fs::File::from_raw_fd(CONNECTION) };
    let mut connection = std::mem::ManuallyDrop::new(connection);
    let _ = connection.write_all(bytes);
}

/// Sends records on each stream that the hub may have, more than it can have allowed.
pub(crate) async fn send_without_credit() -> Result<(), Error> {
    let records = vec![Record::json("{}")];
    let batch = encode(&Batch { records, ..Batch::default() });
    let mut bytes = Vec::new();
    for generation in 1..64_u64 {
        for index in 0..8 {
            let op_id = generation << 32 | index;
            for _ in 0..3 {
                let _ = Frame::Emit { op_id, batch: &batch }.encode(&mut bytes);
            }
        }
    }
    say(&bytes).await
}

/// A process in a session of its own, which nobody waits for.
fn leave_behind() {
    let mut command = Command::new("/bin/sleep");
    command.arg("1000");
    // SAFETY: one async-signal-safe call.
    unsafe {
        command.pre_exec(|| {
            setsid();
            Ok(())
        });
    }
    let _ = command.spawn();
}

unsafe extern "C" {
    safe fn setsid() -> i32;
}

/// Tries what the manifest does not permit, and says what came of it.
fn trespass() -> String {
    let write = fs::write("/var/tmp/gantry-trespass", "was here");
    let read = fs::read("/root/.bashrc").or_else(|_| fs::read("/var/log/dpkg.log"));
    let start = Command::new("/bin/true").status();
    let connect = TcpStream::connect("127.0.0.1:9");
    let own = fs::write("own", "is allowed");
    let home = std::env::var("HOME");
    let said = [
        ("write", write.map_err(|error| error.to_string())),
        ("read", read.map(drop).map_err(|error| error.to_string())),
        ("start", start.map(drop).map_err(|error| error.to_string())),
        ("connect", connect.map(drop).map_err(|error| error.to_string())),
        ("own", own.map_err(|error| error.to_string())),
        ("home", home.map(drop).map_err(|error| error.to_string())),
    ];
    let said = said.map(|(what, result)| match result {
        Ok(()) => format!("{what}: done"),
        Err(error) => format!("{what}: {error}"),
    });
    said.join("; ")
}
