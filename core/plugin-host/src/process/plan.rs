//! How each process of one plug-in is started: program, environment, folder, setup.

use std::fs;
use std::io::{self, BufRead as _, Read as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use gantry_plugin_api::frame;
use rustix::fs::{Gid, Uid};
use rustix::process::getuid;

use super::orphans::Supervised;
use super::scratch::Scratch;
use super::setup::{Allowed, Code, SETUP, Setup};
use super::{Program, Start, spawner};
use crate::inspected::Inspected;
use crate::program;

/// What every child gets of the hub's environment.
const ENVIRONMENT: [&str; 5] = ["PATH", "LANG", "LC_ALL", "TZ", "RUST_BACKTRACE"];

/// Open files of a child where its limits do not say.
const OPEN_FILES: u64 = 1024;

/// `nobody` and `nogroup`, on each Linux.
const NOBODY: (u32, u32) = (65_534, 65_534);

/// How to start a process, again and again.
pub(super) struct Plan {
    pub(super) plugin: String,
    pub(super) source: String,
    program: Program,
    setup: String,
    environment: Vec<(String, String)>,
    /// Vanishes with the plan.
    folder: Scratch,
    /// The copy of a program, which may be read by all; so does it.
    _code: Option<Scratch>,
}

impl Plan {
    pub(super) fn new(copy: &Path, said: &Inspected, start: Start) -> io::Result<Self> {
        let Start { source, config, base, limits, program, n_workers, .. } = start;
        let permissions = &said.manifest.permissions;
        let mut allowed = Allowed::new(permissions, &config, &base);
        let folder = Scratch::new(0o700)?;
        allowed.write.insert(folder.path().to_owned());
        let user = match &limits.user {
            _ if !getuid().is_root() => None,
            None => Some(NOBODY),
            Some(user) => Some(user_by(user)?),
        };
        if let Some((uid, gid)) = user {
            let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
            rustix::fs::chown(folder.path(), Some(uid), Some(gid))?;
        }
        let (code, copied) = if said.library.is_some() {
            (Code::Library(copy.to_owned()), None)
        } else {
            let copied = Scratch::new(0o755)?;
            program::copy(said, copied.path())?;
            let (code, exec) = code_of(&said.manifest.command, copied.path())?;
            allowed.exec.extend(exec);
            (code, Some(copied))
        };
        let setup = Setup {
            code,
            n_workers,
            memory_bytes: limits.memory_bytes,
            open_files: limits.open_files.unwrap_or(OPEN_FILES),
            user,
            allowed,
        };
        let setup = serde_json::to_string(&setup).map_err(io::Error::other)?;
        let named = permissions.env.iter().map(String::as_str);
        let names = ENVIRONMENT.into_iter().chain(named);
        let environment =
            names.filter_map(|name| Some((name.to_owned(), std::env::var(name).ok()?))).collect();
        let plugin = said.manifest.name.clone();
        Ok(Self { plugin, source, program, setup, environment, folder, _code: copied })
    }

    /// Starts a process that talks over `socket`; its output and error are pipes.
    pub(super) fn spawn(&self, socket: OwnedFd) -> io::Result<(Child, Supervised)> {
        let mut command = Command::new(&self.program.path);
        command
            .args(&self.program.arguments)
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .env(SETUP, &self.setup)
            .env(frame::COOKIE, cookie())
            .env("TMPDIR", self.folder())
            .current_dir(self.folder())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        spawner::spawn(command, socket)
    }

    fn folder(&self) -> PathBuf {
        self.folder.path().to_owned()
    }
}

/// What a command in a folder starts, and all that must be startable for it.
fn code_of(command: &[String], folder: &Path) -> io::Result<(Code, Vec<PathBuf>)> {
    let (name, arguments) = command.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let files = find(name, folder);
    if files.is_empty() {
        let place = if name.contains('/') { "its folder" } else { "a folder of `PATH`" };
        return Err(io::Error::other(format!("there is no `{name}` in {place}")));
    }
    let mut exec = files.clone();
    for file in &files {
        exec.extend(interpreters(file));
    }
    let (folder, arguments) = (folder.to_owned(), arguments.to_vec());
    Ok((Code::Program { folder, files, arguments }, exec))
}

/// All files that a program's name may stand for, in a folder or in the hub's `PATH`.
fn find(name: &str, folder: &Path) -> Vec<PathBuf> {
    let is_there = |file: &PathBuf| file.is_file();
    if name.contains('/') {
        return Some(folder.join(name)).filter(is_there).into_iter().collect();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|place| place.join(name)).filter(is_there).collect()
}

/// What runs a script, as its first line says: `#!/bin/sh`, `#!/usr/bin/env python3`.
fn interpreters(script: &Path) -> Vec<PathBuf> {
    const LINE_MAX: u64 = 256;
    let mut line = String::new();
    let read = fs::File::open(script)
        .and_then(|file| io::BufReader::new(file.take(LINE_MAX)).read_line(&mut line));
    // What cannot be read, or not as text, is no script.
    let Some(command) = line.strip_prefix("#!").filter(|_| read.is_ok()) else {
        return Vec::new();
    };
    let mut words = command.split_whitespace();
    let first = words.next().map(PathBuf::from);
    let by_env = first.as_ref().is_some_and(|first| first.ends_with("env"));
    let named = words.find(|word| !word.starts_with('-')).filter(|_| by_env);
    let named = named.map(|name| find(name, Path::new("/"))).unwrap_or_default();
    first.into_iter().chain(named).collect()
}

/// The number and the group of a user, by name or number.
fn user_by(user: &str) -> io::Result<(u32, u32)> {
    let known = fs::read_to_string("/etc/passwd")?;
    let mut entries = known.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let (name, _, uid, gid) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
        (name == user || uid == user).then_some((uid.parse().ok()?, gid.parse().ok()?))
    });
    entries.next().ok_or_else(|| io::Error::other(format!("there is no user `{user}`")))
}

/// Another one at each start.
fn cookie() -> String {
    use std::hash::{BuildHasher, RandomState};
    format!("{:016x}", RandomState::new().hash_one(std::process::id()))
}
