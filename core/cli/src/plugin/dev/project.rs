//! An author's project: what it is written in, how it is built, and what of it is watched.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::SystemTime;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use tokio::process::Command;

use super::absolute;

/// Folders that building and running write to.
const NOT_WATCHED: [&str; 4] = ["target", "node_modules", "__pycache__", "gantry_plugin"];
/// Written by a program's own `--manifest`.
const MANIFEST: &str = "gantry-plugin.json";
const CONFIG: &str = "gantry.toml";
/// More files than an author writes by hand.
const FILES_MAX: usize = 20_000;

/// A project's folder and what it is.
pub(super) struct Project {
    pub(super) folder: PathBuf,
    kind: Kind,
}

enum Kind {
    Rust,
    /// The folder that the hub gets, what runs it, and its file.
    Program {
        folder: PathBuf,
        runs: &'static str,
        file: &'static str,
    },
}

/// What a build gave.
pub(super) struct Built {
    /// The library, or the folder of a program.
    pub(super) plugin: PathBuf,
    /// How the fake upstream is started, if the project has one.
    pub(super) upstream: Option<Vec<OsString>>,
}

impl Project {
    pub(super) fn of(folder: &Path) -> Result<Self> {
        let folder = absolute(folder)?;
        let config = folder.join(CONFIG);
        ensure!(config.is_file(), "there is no {}: the hub needs one to run on", config.display());
        if folder.join("Cargo.toml").is_file() {
            return Ok(Self { folder, kind: Kind::Rust });
        }
        for place in [folder.join("plugin"), folder.clone()] {
            for (runs, file) in [("python3", "plug.py"), ("node", "plug.js")] {
                if place.join(file).is_file() {
                    return Ok(Self { folder, kind: Kind::Program { folder: place, runs, file } });
                }
            }
        }
        bail!(
            "{} has neither Cargo.toml nor plug.py nor plug.js: make a project by `gantry plugin \
             new`",
            folder.display()
        );
    }

    pub(super) async fn build(&self) -> Result<Built> {
        match &self.kind {
            Kind::Rust => self.build_rust().await,
            Kind::Program { folder, runs, file } => {
                let mut command = Command::new(runs);
                command.args([file, "--manifest"]).current_dir(folder);
                run(&mut command).await?;
                let fake = self.folder.join("upstream").with_extension(&file["plug.".len()..]);
                let upstream = fake.is_file().then(|| vec![(*runs).into(), fake.into()]);
                Ok(Built { plugin: folder.clone(), upstream })
            }
        }
    }

    async fn build_rust(&self) -> Result<Built> {
        let has_upstream = self.folder.join("examples/upstream.rs").is_file();
        let mut command = Command::new("cargo");
        command.args(["build", "--lib", "--message-format=json-render-diagnostics"]);
        if has_upstream {
            command.arg("--examples");
        }
        let output = run(command.current_dir(&self.folder)).await?;
        let messages = output.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let messages: Vec<_> = messages.collect();
        let files = messages.iter().flat_map(|message| {
            let own = message["target"]["crate_types"] == serde_json::json!(["cdylib"]);
            message["filenames"].as_array().into_iter().flatten().filter(move |_| own)
        });
        let mut libraries = files
            .filter_map(Value::as_str)
            .filter(|file| Path::new(file).extension().is_some_and(|extension| extension == "so"));
        let plugin = libraries.next().context("cargo built no cdylib: set crate-type to it")?;
        let fake = messages.iter().find_map(|message| message["executable"].as_str());
        let upstream = fake.map(|fake| vec![fake.into()]);
        Ok(Built { plugin: plugin.into(), upstream })
    }

    /// Lays the config, as far as it is files of the project, beside the hub's store; says whether
    /// any of it is new there.
    pub(super) fn copy_config(&self, to: &Path) -> Result<bool> {
        let mut changed = lay_text(&self.folder.join(CONFIG), &to.join(CONFIG))?;
        for folder in ["pipelines", "rules"] {
            let from = self.folder.join(folder);
            if !from.is_dir() {
                continue;
            }
            fs::create_dir_all(to.join(folder))?;
            for entry in fs::read_dir(from)? {
                let entry = entry?;
                changed |= lay_text(&entry.path(), &to.join(folder).join(entry.file_name()))?;
            }
        }
        Ok(changed)
    }
}

/// Writes a file like another; says whether it was not like it before.
fn lay_text(from: &Path, to: &Path) -> Result<bool> {
    let text = fs::read(from).with_context(|| format!("reading {}", from.display()))?;
    if fs::read(to).is_ok_and(|before| before == text) {
        return Ok(false);
    }
    fs::write(to, text).with_context(|| format!("writing {}", to.display()))?;
    Ok(true)
}

/// Runs a command, whose complaints are shown as they come; gives what it printed.
async fn run(command: &mut Command) -> Result<String> {
    let shown = format!("{:?}", command.as_std());
    let running = command.stdin(Stdio::null()).stderr(Stdio::inherit()).kill_on_drop(true);
    let output = running.output().await.with_context(|| format!("starting {shown}"))?;
    ensure!(output.status.success(), "{shown} ended with {}", output.status);
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The files of a project and when each was written last.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Seen(BTreeMap<PathBuf, SystemTime>);

impl Seen {
    pub(super) fn of(project: &Project) -> Result<Self> {
        let mut files = BTreeMap::new();
        let folder = &project.folder;
        look(folder, &mut files).with_context(|| format!("watching {}", folder.display()))?;
        Ok(Self(files))
    }
}

fn look(folder: &Path, files: &mut BTreeMap<PathBuf, SystemTime>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') || name == MANIFEST || name == "Cargo.lock" {
            continue;
        }
        // What vanishes meanwhile shows at the next look.
        let Ok(metadata) = fs::symlink_metadata(entry.path()) else { continue };
        if metadata.is_dir() {
            if !NOT_WATCHED.contains(&name.as_str()) {
                look(&entry.path(), files)?;
            }
        } else if files.len() < FILES_MAX {
            files.insert(entry.path(), metadata.modified()?);
        }
    }
    Ok(())
}
