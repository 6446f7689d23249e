//! What the machine gives: folders and their modes, room, files, the kernel, the clock.

use std::fs::{self, Metadata};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use gantry_plugin_host::Enforcement;
use gantry_server::place::Place;
use rustix::fs::Access;
use rustix::process::{Resource, getrlimit};

use super::Finding;

/// Less room than this is too little to go on for long, in bytes.
const ROOM_MIN: u64 = 100 << 20;
/// Less room than this is worth a look, in bytes.
const ROOM_LOW: u64 = 1 << 30;
/// A hub with all its connections, streams and plug-ins has so many files open.
const FILES_WANTED: u64 = 8192;
/// The bits of a mode that let others than the owner in.
const FOR_OTHERS: u32 = 0o077;
/// The bits of a mode that let others than the owner write.
const WRITE_BY_OTHERS: u32 = 0o022;
/// A file's time may be ahead of ours by so much on a machine that is well.
const AHEAD_MAX: Duration = Duration::from_mins(1);

/// Folders and the files in them.
pub(super) fn folders(place: &Place, findings: &mut Vec<Finding>) {
    let data = place.data();
    findings.push(match writable(data) {
        Ok(()) => Finding::ok("folder", format!("{} can be written", data.display())),
        Err(error) => {
            let text = format!("{} cannot be written: {error}", data.display());
            Finding::wrong("folder", text, format!("let the hub's user write {}", data.display()))
        }
    });
    for file in [place.key_file(), place.run_file()] {
        let Ok(about) = fs::metadata(&file) else { continue };
        let path = file.display();
        findings.push(if about.mode() & FOR_OTHERS == 0 {
            Finding::ok("file", format!("{path} is for its owner only"))
        } else {
            let mode = about.permissions().mode() & 0o777;
            let text = format!("{path} has mode {mode:o}, and whoever reads it may act as anybody");
            Finding::wrong("file", text, format!("chmod 600 {path}"))
        });
    }
    for folder in &place.plugins {
        findings.push(plugin_folder(folder, fs::metadata(folder).ok().as_ref()));
    }
}

/// A folder whose libraries run with the hub's rights.
pub(super) fn plugin_folder(folder: &Path, about: Option<&Metadata>) -> Finding {
    let (what, path) = ("plug-in folder", folder.display());
    match about {
        None => {
            let text = format!("{path} is not there");
            Finding::warn(what, text, "make it, or correct `hub.plugins` in the config")
        }
        Some(about) if about.mode() & WRITE_BY_OTHERS != 0 => {
            let text = format!("others may put plug-ins into {path}");
            Finding::wrong(what, text, format!("chmod go-w {path}"))
        }
        Some(_) => Finding::ok(what, format!("{path} can be written by its owner only")),
    }
}

/// Room, open files, kernel, clock.
pub(super) fn limits(place: &Place, findings: &mut Vec<Finding>) {
    findings.push(match rustix::fs::statvfs(place.data()) {
        Ok(disk) => room(disk.f_bavail.saturating_mul(disk.f_frsize)),
        Err(error) => Finding::warn(
            "disk",
            format!("its room is not known: {error}"),
            "see whether the store's folder is on a local disk",
        ),
    });
    findings.push(files(getrlimit(Resource::Nofile).current));
    findings.push(match Enforcement::of_this_kernel().missing() {
        None => Finding::ok("kernel", "enforces all permissions of plug-ins"),
        Some(missing) => Finding::warn(
            "kernel",
            format!("does not enforce what plug-ins declare: {missing}"),
            "run plug-ins of strangers on a kernel of 6.7 or later only",
        ),
    });
    let changed = place.store_file().and_then(|file| fs::metadata(file).ok()?.modified().ok());
    let now = UNIX_EPOCH + Duration::from_millis(gantry_server::wall_clock().0.max(0) as u64);
    let ahead = changed.and_then(|changed| changed.duration_since(now).ok());
    findings.push(clock(ahead.unwrap_or_default()));
}

pub(super) fn room(bytes: u64) -> Finding {
    let text = format!("{} MiB are free", bytes >> 20);
    let remedy = "make room: without any the hub answers 503 and waits";
    match bytes {
        bytes if bytes < ROOM_MIN => Finding::wrong("disk", text, remedy),
        bytes if bytes < ROOM_LOW => Finding::warn("disk", text, remedy),
        _ => Finding::ok("disk", text),
    }
}

/// `None` = no limit.
pub(super) fn files(limit: Option<u64>) -> Finding {
    match limit {
        Some(limit) if limit < FILES_WANTED => Finding::warn(
            "open files",
            format!("at most {limit}; a hub with all its connections wants {FILES_WANTED}"),
            format!("LimitNOFILE={FILES_WANTED} in the unit, or ulimit -n {FILES_WANTED}"),
        ),
        Some(limit) => Finding::ok("open files", format!("at most {limit}")),
        None => Finding::ok("open files", "without limit"),
    }
}

/// How far the store's last change lies ahead of the clock.
pub(super) fn clock(ahead: Duration) -> Finding {
    if ahead <= AHEAD_MAX {
        return Finding::ok("clock", "not behind the store's last change");
    }
    let text = format!("{} s behind the store's last change", ahead.as_secs());
    Finding::wrong("clock", text, "set it, and see whether a time service runs")
}

fn writable(folder: &Path) -> rustix::io::Result<()> {
    rustix::fs::access(folder, Access::WRITE_OK | Access::EXEC_OK)
}
