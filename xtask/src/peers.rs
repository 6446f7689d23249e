//! Servers of others that the tests start and that have to be built first: `tests/peers/*/pom.xml`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use anyhow::{Context, Result, bail};

use crate::build::{root, target_folder};

/// Process engines, built by Maven with libraries from Maven Central.
const JAVA: [&str; 2] = ["camunda7", "operaton"];

/// What Maven says where there is no way to its repository.
const UNREACHABLE: [&str; 9] = [
    "Could not transfer artifact",
    "Unknown host",
    "UnknownHostException",
    "Connection refused",
    "Temporary failure in name resolution",
    "Name or service not known",
    "connect timed out",
    "Network is unreachable",
    "No route to host",
];

/// Builds what is not there or older than its source; gives the folder in which all lie. Where it
/// cannot be had, the tests that need it say loudly that they were skipped.
pub(crate) fn build() -> Result<PathBuf> {
    let into = target_folder()?.join("peers");
    for name in JAVA {
        let source = root().join("tests/peers").join(name);
        let server = into.join(name).join("peer.jar");
        if changed(&server).is_some_and(|built| newest(&source) <= Some(built)) {
            continue;
        }
        eprintln!("Building {name} with Maven …");
        let built = Command::new("mvn")
            .args(["--quiet", "--batch-mode", "--file"])
            .arg(source.join("pom.xml"))
            .arg(format!("-Dinto={}", into.join(name).display()))
            .arg("package")
            .output();
        let Ok(built) = built else {
            eprintln!("COULD NOT BUILD {name}: Maven is not installed; its tests will be skipped");
            continue;
        };
        let said = String::from_utf8_lossy(&built.stdout).into_owned();
        if built.status.success() {
            continue;
        }
        if UNREACHABLE.iter().any(|words| said.contains(words)) {
            eprintln!(
                "COULD NOT BUILD {name}: Maven Central is out of reach; its tests are skipped"
            );
            continue;
        }
        bail!("building {name} with Maven: {said}");
    }
    fs::create_dir_all(&into).with_context(|| format!("making {}", into.display()))?;
    Ok(into)
}

fn changed(path: &Path) -> Option<SystemTime> {
    path.metadata().ok()?.modified().ok()
}

/// When the newest file of a folder was changed.
fn newest(folder: &Path) -> Option<SystemTime> {
    let entries = folder.read_dir().ok()?.flatten().map(|entry| entry.path());
    let times = entries.map(|path| if path.is_dir() { newest(&path) } else { changed(&path) });
    times.max().flatten()
}
