//! Files that say what a plug-in is: a library, read as bytes, and the manifest of a program.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt as _;

use gantry_plugin_host::{Inspected, inspect};
use rustix::fs::{MemfdFlags, memfd_create};

/// Bytes of a file that claims to be a library.
pub(crate) fn library(bytes: &[u8]) {
    let file = memfd_create("library", MemfdFlags::CLOEXEC).expect("the system has memory files");
    let mut file = File::from(file);
    file.write_all(bytes).expect("a memory file takes bytes");
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    if let Ok(said) = inspect(path.as_ref()) {
        is_told(&said);
    }
}

/// Bytes of a `gantry-plugin.json`.
pub(crate) fn program(bytes: &[u8]) {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let manifest = folder.path().join("gantry-plugin.json");
    let mode = fs::Permissions::from_mode(0o644);
    fs::write(&manifest, bytes)
        .and_then(|()| fs::set_permissions(&manifest, mode))
        .expect("there is room for a file");
    match inspect(folder.path()) {
        Ok(said) => is_told(&said),
        Err(refusal) => assert!(!refusal.to_string().is_empty() && !refusal.remedy().is_empty()),
    }
}

/// What was read can be shown, and whether it can be loaded is said.
fn is_told(said: &Inspected) {
    let json = serde_json::to_vec(&said.manifest).expect("a manifest is JSON");
    let again: gantry_plugin_api::Manifest =
        serde_json::from_slice(&json).expect("a manifest that was read is one");
    assert!(again == said.manifest, "a manifest is read as it was written");
    if let Some(refusal) = said.refusal() {
        assert!(!refusal.to_string().is_empty());
    }
}
