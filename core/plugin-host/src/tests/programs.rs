//! Plug-ins that are programs: found and hashed as folders, refused with a reason, started.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

use super::support::Folder;
use crate::{Host, Inspected, Isolated, Limits, Lock, Options, Refusal, inspect};

const MANIFEST: &str = r#"{"name": "echo", "version": "1.0", "command": ["./echo", "a"],
    "config": {"type": "object"}, "lookup": {"settings": {"type": "object"}}}"#;

/// Says hello as the manifest does, and then nothing more.
const SAYS_HELLO: &str = r#"#!/bin/sh
hello='{"protocol":[1,1],"encodings":["json"],"name":"echo","version":"1.0"}'
printf '\105\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0%s' "$hello" >&3
[ "$1" = a ] && [ -z "$GANTRY_PLUGIN_CHILD" ] && [ -f gantry-plugin.json ] || exit 1
read -r until_the_end <&3 2>/dev/null
"#;

/// A plug-in folder with one program in it.
struct Programs {
    folder: Folder,
}

impl Programs {
    fn with(manifest: &str, script: &str) -> Self {
        let programs = Self { folder: Folder::empty() };
        fs::create_dir_all(programs.path("lib")).unwrap();
        fs::write(programs.path("gantry-plugin.json"), manifest).unwrap();
        fs::write(programs.path("echo"), script).unwrap();
        programs.mode("echo", 0o755);
        programs
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.plugins().join("an-echo").join(name)
    }

    fn mode(&self, name: &str, mode: u32) {
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(mode)).unwrap();
    }

    fn inspected(&self) -> Inspected {
        let mut scan = self.folder.host().scan();
        assert!(scan.refused.is_empty(), "{:?}", scan.refused);
        scan.found.remove(0).inspected
    }

    fn refused(&self) -> Refusal {
        let mut scan = self.folder.host().scan();
        assert!(scan.found.is_empty());
        let refusal = scan.refused.remove(0).refusal;
        assert!(!refusal.remedy().is_empty());
        refusal
    }

    fn start(&self) -> Result<(), Refusal> {
        let (config, limits) = (serde_json::Value::Null, Limits::default());
        let isolated = Isolated { source: "crm", config: &config, limits };
        Host::new(self.folder.isolating()).load_isolated("echo", &isolated).map(|library| {
            assert_eq!(library.manifest().name, "echo");
        })
    }
}

fn says(refusal: &Refusal, code: &str, text: &str) {
    let shown = refusal.to_string();
    assert_eq!(refusal.code(), code, "{shown}");
    assert!(shown.contains(text), "{shown}");
}

#[test]
fn a_folder_with_a_manifest_is_a_plug_in() {
    let programs = Programs::with(MANIFEST, "");
    let found = programs.inspected();
    assert_eq!((found.manifest.name.as_str(), found.path), ("echo", programs.path("")));
    assert!(found.library.is_none());
    let by_file = inspect(&programs.path("gantry-plugin.json")).unwrap();
    assert_eq!(by_file.sha256, inspect(&programs.path("")).unwrap().sha256);
    // A folder without one is none of ours, and not looked into.
    fs::remove_file(programs.path("gantry-plugin.json")).unwrap();
    let scan = programs.folder.host().scan();
    assert!(scan.found.is_empty() && scan.refused.is_empty());
}

#[test]
fn each_change_of_the_folder_shows_in_its_hash() {
    let programs = Programs::with(MANIFEST, "");
    let mut hashes = vec![programs.inspected().sha256];
    let mut changed = |change: &dyn Fn()| {
        change();
        let hash = programs.inspected().sha256;
        assert!(!hashes.contains(&hash));
        hashes.push(hash);
    };
    changed(&|| fs::write(programs.path("lib/a.py"), "a").unwrap());
    changed(&|| fs::write(programs.path("lib/a.py"), "b").unwrap());
    changed(&|| fs::rename(programs.path("lib/a.py"), programs.path("lib/c.py")).unwrap());
    changed(&|| programs.mode("lib/c.py", 0o755));
    changed(&|| fs::create_dir(programs.path("lib/empty")).unwrap());
    changed(&|| symlink("c.py", programs.path("lib/link")).unwrap());
    changed(&|| fs::remove_file(programs.path("lib/c.py")).unwrap());
    let hash = programs.inspected().sha256;
    fs::create_dir(programs.path("lib/__pycache__")).unwrap();
    fs::write(programs.path("lib/__pycache__/a.pyc"), "x").unwrap();
    assert_eq!(programs.inspected().sha256, hash, "caches are of no consequence");
}

#[test]
fn what_makes_no_sense_is_refused_with_its_place() {
    let refused = |from: &str, to: &str| {
        assert!(MANIFEST.contains(from));
        Programs::with(&MANIFEST.replace(from, to), "").refused()
    };
    let code = "GANTRY-P027";
    says(&refused("{\"name\"", "\"name\""), code, "gantry-plugin.json");
    says(&refused("\"version\": \"1.0\", ", ""), code, "missing field `version`");
    says(&refused("\"echo\"", "\"An Echo\""), code, "`name`: use lower-case");
    says(&refused("[\"./echo\", \"a\"]", "[]"), code, "`command`: say how it is started");
    says(&refused("\"lookup\"", "\"other\""), code, "none of `capture`, `lookup`");
    let capture = "\"capture\": {\"modes\": [], \"settings\": {}}, \"lookup\"";
    says(&refused("\"lookup\"", capture), code, "`capture.modes`");
}

#[test]
fn folders_are_to_be_trusted_and_whole() {
    let programs = Programs::with(MANIFEST, "");
    programs.mode("lib", 0o777);
    says(&programs.refused(), "GANTRY-P003", "an-echo/lib");
    programs.mode("lib", 0o755);
    symlink("../../elsewhere", programs.path("lib/out")).unwrap();
    says(&programs.refused(), "GANTRY-P027", "`lib/out` is a link out of the folder");
    fs::remove_file(programs.path("lib/out")).unwrap();
    symlink("../echo", programs.path("lib/in")).unwrap();
    programs.inspected();

    let mut lock = Lock::default();
    lock.accept(&programs.inspected(), None).unwrap();
    let host = Host::new(Options { lock: Some(lock), ..programs.folder.options() });
    assert!(host.scan().refused.is_empty());
    programs.mode("echo", 0o775);
    says(&programs.refused(), "GANTRY-P003", "mode 775 lets its group write");
    programs.mode("echo", 0o644);
    assert_eq!(host.scan().refused[0].refusal.code(), "GANTRY-P014");
}

#[test]
fn a_program_starts_in_a_copy_of_its_folder() {
    let programs = Programs::with(MANIFEST, SAYS_HELLO);
    programs.start().unwrap();
    let refusal = programs.folder.host().load("echo").unwrap_err();
    says(&refusal, "GANTRY-P028", "it is a program, not a library");
}

#[test]
fn a_program_that_does_not_start_says_why() {
    let start = |manifest: &str, script: &str| {
        let programs = Programs::with(manifest, script);
        programs.start().unwrap_err()
    };
    let missing = start(&MANIFEST.replace("./echo", "no-such-program"), "");
    says(&missing, "GANTRY-P026", "there is no `no-such-program` in a folder of `PATH`");
    says(&start(MANIFEST, "#!/no-such-shell\n"), "GANTRY-P026", "No such file");
    says(&start(MANIFEST, "#!/bin/sh\nexit 7\n"), "GANTRY-P026", "7");
    let other = SAYS_HELLO.replace("\"echo\"", "\"else\"");
    says(&start(MANIFEST, &other), "GANTRY-P026", "it says that it is `else`, not `echo`");
}
