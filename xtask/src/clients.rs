//! Client libraries that others wrote: the tests ask them whether our stand-ins are as the real
//! thing is.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Result, bail};

use crate::build::target_folder;

const PYTHON: &str = "simple-salesforce==1.12.10";
const JAVASCRIPT: &str = "jsforce@3.10.16";

/// The folder they lie in, `python` and `node_modules`; what is missing is installed first. Where a
/// registry is out of reach, the tests that need it say loudly that they were skipped.
///
/// # Errors
/// If the registry is in reach and something cannot be installed all the same.
pub(crate) fn install() -> Result<PathBuf> {
    let folder = target_folder()?.join("clients");
    if !folder.join("node_modules/jsforce").is_dir() {
        let mut install = Command::new("npm");
        install.args(["install", "--silent", "--no-save", "--prefix"]).arg(&folder);
        let mut look = Command::new("npm");
        look.args(["view", JAVASCRIPT, "version"]);
        add(JAVASCRIPT, install.arg(JAVASCRIPT), &mut look)?;
    }
    let python = folder.join("python/bin/python");
    if !quiet(Command::new(&python).args(["-c", "import simple_salesforce"])) {
        let made = Command::new("python3").args(["-m", "venv"]).arg(folder.join("python")).status();
        if made.is_ok_and(|made| made.success()) {
            let (mut install, mut look) = (pip(&python), pip(&python));
            install.args(["install", "--quiet", PYTHON]);
            look.args(["index", "versions", "simple-salesforce"]);
            add(PYTHON, &mut install, &mut look)?;
        }
    }
    Ok(folder)
}

fn add(name: &str, install: &mut Command, look: &mut Command) -> Result<()> {
    eprintln!("Installing {name} …");
    if quiet(install) {
        return Ok(());
    }
    if quiet(look) {
        bail!("{name} is there and cannot be installed: {install:?}");
    }
    eprintln!("COULD NOT INSTALL {name}: tests that need it will be skipped");
    Ok(())
}

fn pip(python: &Path) -> Command {
    let mut pip = Command::new(python);
    pip.args(["-m", "pip"]);
    pip
}

fn quiet(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|end| end.success())
}
