//! What may run: who can write it, what the operator agreed to, and who signed it.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use super::refusals::says;
use super::support::Folder;
use crate::{Host, Inspected, Lock, Options, Refusal, SecretKey, Signature, inspect};

fn allow(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn folder_refused(folder: &Folder) -> Refusal {
    let mut scan = folder.host().scan();
    assert!(scan.found.is_empty());
    scan.refused.remove(0).refusal
}

#[test]
fn files_and_folders_that_others_may_write() {
    let folder = Folder::with(&["counter"]);
    let (file, above) = (folder.file("counter"), folder.directory.path());
    for (mode, whom) in [(0o666, "everybody"), (0o664, "its group")] {
        allow(&file, mode);
        let refusal = folder.host().load("counter").unwrap_err();
        says(&refusal, "GANTRY-P003", &format!("mode {mode:03o} lets {whom} write"));
        assert_eq!(refusal.remedy(), format!("run `chmod go-w {}`", file.display()));
    }
    allow(&file, 0o644);
    allow(&folder.plugins(), 0o777);
    says(&folder_refused(&folder), "GANTRY-P003", "mode 777");
    // Sticky or not: everybody could lay a plug-in into it.
    allow(&folder.plugins(), 0o1777);
    says(&folder_refused(&folder), "GANTRY-P003", "mode 1777");
    allow(&folder.plugins(), 0o755);
    allow(above, 0o770);
    let refusal = folder_refused(&folder);
    says(&refusal, "GANTRY-P003", &format!("write to `{}`", above.display()));
    // As `/tmp` is: what lies in it is its owner's alone.
    allow(above, 0o1777);
    folder.load("counter");
}

/// The way counts, not only where it leads.
#[test]
fn links_through_folders_that_others_may_write() {
    let folder = Folder::with(&["counter"]);
    let open = folder.directory.path().join("open");
    fs::create_dir(&open).unwrap();
    symlink(folder.plugins(), open.join("plugins")).unwrap();
    let through = folder.directory.path().join("through");
    symlink("open/../open/plugins", &through).unwrap();
    let host = || Host::new(Options { folders: vec![through.clone()], ..folder.options() });
    assert_eq!(host().scan().found.len(), 1);
    allow(&open, 0o775);
    says(&host().scan().refused[0].refusal, "GANTRY-P003", &format!("`{}`", open.display()));
    says(&host().load("counter").unwrap_err(), "GANTRY-P003", "mode 775");
}

/// A folder with the counter, and a lock file.
struct Locked {
    folder: Folder,
    lock: PathBuf,
}

impl Locked {
    fn new() -> Self {
        let folder = Folder::with(&["counter"]);
        let lock = folder.directory.path().join("plugins.lock");
        Self { folder, lock }
    }

    fn said(&self) -> Inspected {
        inspect(&self.folder.file("counter")).unwrap()
    }

    fn load(&self, lock: &Lock) -> Result<(), Refusal> {
        lock.write(&self.lock).unwrap();
        let lock = Lock::read(&self.lock)?;
        Host::new(Options { lock, ..self.folder.options() }).load("counter").map(|_| ())
    }

    fn sign(&self, key: &SecretKey) {
        let file = Signature::file(&self.folder.file("counter"));
        fs::write(file, key.sign(&self.said().sha256).to_toml()).unwrap();
    }
}

#[test]
fn the_lock_decides_by_the_hash() {
    let locked = Locked::new();
    assert!(Lock::read(&locked.lock).unwrap().is_none());
    let mut lock = Lock::default();
    let missing = locked.load(&lock).unwrap_err();
    says(&missing, "GANTRY-P015", "`counter` is not in it");
    assert!(missing.remedy().contains("`gantry plugin lock counter`"));
    lock.accept(&locked.said(), None).unwrap();
    locked.load(&lock).unwrap();

    let before = locked.said().sha256;
    let mut bytes = fs::read(locked.folder.file("counter")).unwrap();
    bytes.push(0);
    fs::remove_file(locked.folder.file("counter")).unwrap();
    fs::write(locked.folder.file("counter"), bytes).unwrap();
    let other = locked.load(&lock).unwrap_err();
    says(&other, "GANTRY-P014", &before);
    says(&other, "GANTRY-P014", &locked.said().sha256);
    assert!(other.remedy().contains("`gantry plugin lock counter`"));
    lock.accept(&locked.said(), None).unwrap();
    locked.load(&lock).unwrap();
}

#[test]
fn lock_files_that_make_no_sense() {
    let locked = Locked::new();
    let mut lock = Lock::default();
    lock.set_publisher("acme", SecretKey::generate().unwrap().public());
    lock.accept(&locked.said(), None).unwrap();
    lock.write(&locked.lock).unwrap();
    let good = fs::read_to_string(&locked.lock).unwrap();
    let read = |text: &str| {
        fs::write(&locked.lock, text).unwrap();
        Lock::read(&locked.lock)
    };
    assert_eq!(read(&good).unwrap(), Some(lock));
    let refused = |from: &str, to: &str, says_so: &str| {
        assert!(good.contains(from), "{good}");
        says(&read(&good.replace(from, to)).unwrap_err(), "GANTRY-P025", says_so);
    };
    refused("version = 1\n", "version = 2\n", "`version` is 2, this program knows 1");
    refused("version = 1\n", "what is this", "line 2");
    refused("[plugin.counter]", "[plugins.counter]", "unknown field `plugins`");
    let hash = locked.said().sha256;
    refused(&hash, &hash.to_uppercase(), "`plugin.counter.sha256`: not 64 digits");
    refused("acme = \"ed25519:", "acme = \"", "no public key");
    refused("sha256 =", "publisher = \"nobody\"\nsha256 =", "there is no `publisher.nobody`");
    fs::write(&locked.lock, &good).unwrap();
    allow(&locked.lock, 0o664);
    says(&Lock::read(&locked.lock).unwrap_err(), "GANTRY-P003", "plugins.lock");
}

#[test]
fn signatures_are_those_of_the_pinned_publisher() {
    let locked = Locked::new();
    let (acme, other) = (SecretKey::generate().unwrap(), SecretKey::generate().unwrap());
    let mut lock = Lock::default();
    lock.set_publisher("acme", acme.public());
    let said = locked.said();
    let mut accept = |locked: &Locked| lock.accept(&locked.said(), Some("acme"));
    says(&accept(&locked).unwrap_err(), "GANTRY-P029", "wants the signature of `acme`");
    locked.sign(&other);
    let refusal = accept(&locked).unwrap_err();
    says(&refusal, "GANTRY-P030", "the signature is valid and by ed25519:");
    says(&refusal, "GANTRY-P030", &other.public().to_string());
    assert!(refusal.remedy().contains(&format!("--publisher acme={}", other.public())));
    locked.sign(&acme);
    accept(&locked).unwrap();
    locked.load(&lock).unwrap();

    // Agreed to or not: what is beside it at the start has to be right.
    locked.sign(&other);
    says(&locked.load(&lock).unwrap_err(), "GANTRY-P030", "signed by somebody else");
    let file = Signature::file(&locked.folder.file("counter"));
    let write = |signature: String| {
        fs::write(&file, signature).unwrap();
        locked.load(&lock).unwrap_err()
    };
    // Another's signature under the publisher's name.
    let keys = (other.public().to_string(), acme.public().to_string());
    let forged = write(other.sign(&said.sha256).to_toml().replace(&keys.0, &keys.1));
    says(&forged, "GANTRY-P031", "did not make it");
    let stale = write(acme.sign(&"0".repeat(64)).to_toml());
    says(&stale, "GANTRY-P031", &format!("it signs sha256 {}", "0".repeat(64)));
    says(&write("sha256 = 1".to_owned()), "GANTRY-P031", "libcounter.so.sig");
    fs::remove_file(&file).unwrap();
    says(&locked.load(&lock).unwrap_err(), "GANTRY-P029", "is not signed");
}

#[test]
fn keys_are_read_as_they_are_written_and_the_secret_is_not_shown() {
    let key = SecretKey::generate().unwrap();
    let again: SecretKey = format!("{}\n", key.reveal()).parse().unwrap();
    assert_eq!(again.public(), key.public());
    assert_eq!(format!("{key:?}"), "SecretKey(***)");
    assert_eq!(key.public().to_string().parse::<crate::PublicKey>().unwrap(), key.public());
    for no_key in ["", "ed25519:", "ed25519:AAAA", &key.reveal()] {
        let error = no_key.parse::<crate::PublicKey>().unwrap_err().to_string();
        assert!(error.starts_with("no public key: write `ed25519:`"), "{error}");
        assert!(!error.contains(&key.reveal()));
    }
    // The point of order 1 signs everything.
    let weak = format!("ed25519:AQ{}=", "A".repeat(41));
    assert!(weak.parse::<crate::PublicKey>().unwrap_err().to_string().contains("weak"));
    assert!(key.public().to_string().parse::<SecretKey>().is_err());
}
