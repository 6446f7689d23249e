//! Tests of what no library file can be damaged into: descriptors that contradict their file.

use std::path::{Path, PathBuf};

use gantry_plugin_api::abi::{Descriptor, HostApi, PluginApi, Section, Version};

use super::{not_opened, same_manifest};
use crate::Refusal;
use crate::inspected::{Inspected, LibraryFile};

const MANIFEST: &str = r#"{"name":"a","version":"1","config":{"type":"object"},
    "permissions":{},"build":{"rustc":"x"}}"#;
static SECTION: Section<{ MANIFEST.len() }> = Section::new(MANIFEST, true);

unsafe extern "C" fn init(_: *const HostApi, _: Version, _: *mut *const PluginApi) -> u32 {
    0
}

static DESCRIPTOR: Descriptor = Descriptor::new(&SECTION, init);

fn said(manifest: &str) -> Inspected {
    let library = LibraryFile {
        abi: (SECTION.header.abi_min, SECTION.header.abi_max),
        panic_unwind: true,
        glibc: None,
        features_required: 0,
        has_entry: true,
    };
    Inspected {
        path: PathBuf::from("liba.so"),
        sha256: String::new(),
        len: 0,
        manifest: serde_json::from_str(manifest).unwrap(),
        library: Some(library),
    }
}

#[test]
fn manifests_are_compared_by_meaning() {
    // Other order, other blanks, and what is absent is the default.
    let same = r#"{"version":"1","name":"a","build":{"rustc":"x","tokio":null},
        "config":{ "type": "object" }}"#;
    same_manifest(&said(same), &DESCRIPTOR).unwrap();

    let other = r#"{"name":"a","version":"2","config":{"type":"string"},"build":{"rustc":"x"}}"#;
    let refusal = same_manifest(&said(other), &DESCRIPTOR).unwrap_err();
    assert_eq!(refusal.code(), "GANTRY-P021");
    assert!(refusal.to_string().ends_with("differ in `config`, `version`"), "{refusal}");
}

#[test]
fn a_key_of_a_later_version_is_compared_too() {
    let later = MANIFEST.replacen('{', r#"{"later":1,"#, 1);
    let refusal = same_manifest(&said(&later), &DESCRIPTOR).unwrap_err();
    assert!(refusal.to_string().contains("`later`"), "{refusal}");
}

#[test]
fn a_descriptor_without_header_is_refused() {
    let descriptor = Descriptor { header: std::ptr::null(), ..DESCRIPTOR_COPY };
    let refusal = same_manifest(&said(MANIFEST), &descriptor).unwrap_err();
    assert_eq!(refusal.code(), "GANTRY-P020");
}

const DESCRIPTOR_COPY: Descriptor = Descriptor {
    magic: gantry_plugin_api::abi::MAGIC,
    size: size_of::<Descriptor>() as u32,
    reserved: 0,
    header: std::ptr::null(),
    init,
};

#[test]
fn the_loaders_words_name_the_operators_file() {
    let missing = Path::new("/nowhere/cache/liba.so");
    // SAFETY: there is nothing to open.
    let error = unsafe { libloading::os::unix::Library::new(missing) }.unwrap_err();
    let refusal = not_opened(Path::new("plugins/liba.so"), missing, &error);
    let Refusal::Open { reason, .. } = &refusal else { panic!("{refusal:?}") };
    assert!(reason.contains("plugins/liba.so") && !reason.contains("cache"), "{reason}");
}
