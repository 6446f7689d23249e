//! Each reason to refuse a library, made by damaging a good one.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use gantry_plugin_api::abi::MAGIC;
use object::{Object, ObjectSymbol};

use super::support::{Folder, library_file};
use crate::{Options, Refusal, inspect};

/// Where the header stands: the magic is in the descriptor too, but there another size follows.
fn header_at(bytes: &[u8]) -> usize {
    let begin = [MAGIC.as_slice(), &48_u32.to_ne_bytes()].concat();
    bytes.windows(begin.len()).position(|window| window == begin).expect("a header")
}

fn set_word(bytes: &mut [u8], at: usize, word: u32) {
    let at = header_at(bytes) + at;
    bytes[at..at + 4].copy_from_slice(&word.to_ne_bytes());
}

fn replace_all(bytes: &mut [u8], from: &[u8], to: &[u8]) {
    assert_eq!(from.len(), to.len());
    let places: Vec<_> =
        (0..=bytes.len() - from.len()).filter(|at| bytes[*at..].starts_with(from)).collect();
    assert!(!places.is_empty());
    for at in places {
        bytes[at..at + to.len()].copy_from_slice(to);
    }
}

/// Damages the example and gives the one reason why it is refused; it is not loaded either.
fn refused(damage: impl FnOnce(&mut Vec<u8>)) -> Refusal {
    let folder = Folder::with(&["counter"]);
    let mut bytes = fs::read(library_file("counter")).unwrap();
    damage(&mut bytes);
    fs::write(folder.file("counter"), bytes).unwrap();
    let mut scan = folder.host().scan();
    assert!(scan.found.is_empty());
    assert_eq!(scan.refused.len(), 1);
    let refusal = scan.refused.remove(0).refusal;
    assert_eq!(folder.host().load("counter").unwrap_err().code(), refusal.code());
    assert!(!refusal.remedy().is_empty());
    refusal
}

pub(super) fn says(refusal: &Refusal, code: &str, text: &str) {
    let shown = refusal.to_string();
    assert_eq!(refusal.code(), code, "{shown}");
    assert!(shown.contains(text), "{shown}");
}

#[test]
fn files_that_are_no_library() {
    let text = refused(|bytes| *bytes = b"#!/bin/sh\nexit 0\n".to_vec());
    says(&text, "GANTRY-P004", "no object file");
    says(&refused(Vec::clear), "GANTRY-P004", "an empty file");
    let program = refused(|bytes| *bytes = fs::read("/proc/self/exe").unwrap());
    says(&program, "GANTRY-P004", "a program");
    let object = refused(|bytes| bytes[16] = 1);
    says(&object, "GANTRY-P004", "no shared library");
    let machine = refused(|bytes| bytes[18] = 8);
    says(&machine, "GANTRY-P006", "host is x86_64");
}

#[test]
fn truncated_files_say_how_long_they_should_be() {
    let len = fs::metadata(library_file("counter")).unwrap().len();
    for kept in [20, 63, 64, 1000, len / 2, len - 1] {
        let refusal = refused(|bytes| bytes.truncate(kept as usize));
        says(&refusal, "GANTRY-P005", &format!("there are {kept}"));
    }
}

/// Whatever stands in the header, reading it ends with a reason or a manifest.
#[test]
fn damaged_headers_are_read_without_a_panic() {
    let folder = Folder::with(&["counter"]);
    let path = folder.file("counter");
    let good = fs::read(&path).unwrap();
    let n_refused = (0..64).filter(|at| {
        let mut bytes = good.clone();
        bytes[*at] = !bytes[*at];
        crate::elf::inspect(&path, &bytes).is_err()
    });
    assert!(n_refused.count() > 16, "at least magic, class, type, machine and offsets matter");
}

#[test]
fn libraries_that_are_no_plugin() {
    let section = refused(|bytes| replace_all(bytes, b".gantry_manifest", b".gantry_manifesX"));
    says(&section, "GANTRY-P007", "no section `.gantry_manifest`");
    let magic = refused(|bytes| {
        let at = header_at(bytes);
        bytes[at] = b'X';
    });
    says(&magic, "GANTRY-P008", "begins with `XANTRYP1`, not `GANTRYP1`");
    let manifest =
        refused(|bytes| replace_all(bytes, b"{\"name\":\"counter\"", b"{\"nome\":\"counter\""));
    says(&manifest, "GANTRY-P009", "missing field `name`");
    let len = refused(|bytes| set_word(bytes, 40, u32::MAX));
    says(&len, "GANTRY-P009", "shorter than its manifest");
    let entry =
        refused(|bytes| replace_all(bytes, b"gantry_plugin_entry_v1", b"gantry_plugin_entry_v0"));
    says(&entry, "GANTRY-P017", "does not export `gantry_plugin_entry_v1`");
}

#[test]
fn libraries_built_for_another_host() {
    let abi = refused(|bytes| {
        set_word(bytes, 12, 2 << 16);
        set_word(bytes, 16, 2 << 16 | 3);
    });
    says(&abi, "GANTRY-P010", "host speaks 1.0 to 1.0, plug-in speaks 2.0 to 2.3");
    assert!(abi.remedy().starts_with("update the hub"));
    let features = refused(|bytes| set_word(bytes, 24, 4));
    says(&features, "GANTRY-P011", "plug-in needs 0x4");
    let panic = refused(|bytes| set_word(bytes, 20, 0));
    says(&panic, "GANTRY-P012", "panic=abort");
    let glibc = refused(|bytes| replace_all(bytes, b"GLIBC_2.34\0", b"GLIBC_2.99\0"));
    says(&glibc, "GANTRY-P013", "plug-in needs 2.99");
}

#[test]
fn a_symbol_that_nobody_has() {
    let bytes = fs::read(library_file("counter")).unwrap();
    let file = object::File::parse(bytes.as_slice()).unwrap();
    let wanted = file.dynamic_symbols().find(|symbol| {
        symbol.is_undefined() && !symbol.is_weak() && symbol.name().is_ok_and(|n| n.len() > 6)
    });
    let name = wanted.unwrap().name().unwrap().as_bytes();
    let from = [b"\0", name, b"\0"].concat();
    let mut to = from.clone();
    to[1..4].copy_from_slice(b"zzz");

    let folder = Folder::empty();
    let mut bytes = bytes.clone();
    replace_all(&mut bytes, &from, &to);
    fs::write(folder.file("counter"), bytes).unwrap();
    // Only opening it shows this, so that is where it is refused.
    let refusal = folder.host().load("counter").unwrap_err();
    says(&refusal, "GANTRY-P018", "needs the symbol `zzz");
}

#[test]
fn names_that_are_unknown_or_there_twice() {
    let folder = Folder::with(&["counter", "misbehaving"]);
    let unknown = folder.host().load("salesforce").unwrap_err();
    says(&unknown, "GANTRY-P024", "there are: `counter`, `misbehaving`");
    fs::copy(library_file("counter"), folder.file("counter2")).unwrap();
    let scan = folder.host().scan();
    assert_eq!(scan.found.len(), 2);
    says(&scan.refused[0].refusal, "GANTRY-P016", "`counter` is there twice");

    // What was seen once is not believed: the file under the name may be another by now.
    let host = folder.host();
    host.load("misbehaving").unwrap();
    fs::remove_file(folder.file("counter2")).unwrap();
    fs::copy(library_file("counter"), folder.file("misbehaving")).unwrap();
    fs::remove_file(folder.file("counter")).unwrap();
    says(&host.load("misbehaving").unwrap_err(), "GANTRY-P024", "there are: `counter`");
    assert_eq!(host.load("counter").unwrap().inspected().path, folder.file("misbehaving"));

    let gone = Options { folders: vec!["/nowhere".into()], ..folder.options() };
    let scan = crate::Host::new(gone).scan();
    says(&scan.refused[0].refusal, "GANTRY-P001", "`/nowhere`");
}

#[test]
fn a_cache_that_cannot_be_written() {
    let folder = Folder::with(&["counter"]);
    let blocked = folder.directory.path().join("file");
    fs::write(&blocked, "").unwrap();
    let host = crate::Host::new(Options { cache_dir: blocked, ..folder.options() });
    says(&host.load("counter").unwrap_err(), "GANTRY-P023", "to the cache");
}

#[test]
fn a_damaged_copy_in_the_cache_is_made_anew() {
    let folder = Folder::with(&["counter"]);
    let hash = inspect(&folder.file("counter")).unwrap().sha256;
    let place = folder.directory.path().join("cache").join(hash);
    fs::create_dir_all(&place).unwrap();
    fs::write(place.join("libcounter.so"), "half a file").unwrap();
    folder.load("counter");
    let mode = fs::metadata(place.join("libcounter.so")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o555);
}

/// Overwriting the operator's file while its library runs must not touch the process.
#[test]
fn the_operators_file_may_be_overwritten() {
    let folder = Folder::with(&["counter"]);
    let library = folder.load("counter");
    fs::write(folder.file("counter"), "not any more").unwrap();
    super::support::block_on(async {
        library.create("row", b"{\"last\": 1}".to_vec(), &[]).await.unwrap();
    });
}

const CHILD: &str = "GANTRY_TEST_LOAD_CRASHING";

/// Inspecting runs nothing; loading the same library would end the process, as the child shows.
#[test]
fn inspecting_a_library_that_would_crash() {
    let folder = Folder::with(&["crashing"]);
    if std::env::var_os(CHILD).is_some() {
        let _ = folder.host().load("crashing");
        return;
    }
    assert_eq!(inspect(&folder.file("crashing")).unwrap().manifest.name, "crashing");
    let scan = folder.host().scan();
    assert_eq!(scan.found[0].inspected.manifest.name, "crashing");
    let library = scan.found[0].inspected.library.as_ref().unwrap();
    assert!(library.glibc.is_some());

    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "tests::refusals::inspecting_a_library_that_would_crash"]);
    let output = child.env(CHILD, "1").output().unwrap();
    let signal = std::os::unix::process::ExitStatusExt::signal(&output.status);
    assert_eq!(signal, Some(libc::SIGABRT), "{}", String::from_utf8_lossy(&output.stderr));
}
