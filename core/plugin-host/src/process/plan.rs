//! How each process of one plug-in is started: program, environment, folder, setup.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use gantry_plugin_api::frame;
use rustix::fs::{Gid, Uid};
use rustix::process::getuid;
use tempfile::TempDir;

use super::orphans::Supervised;
use super::setup::{Allowed, SETUP, Setup};
use super::{Program, Start, spawner};
use crate::elf::Inspected;

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
    folder: TempDir,
}

impl Plan {
    pub(super) fn new(copy: &Path, said: &Inspected, start: Start) -> io::Result<Self> {
        let Start { source, config, base, limits, program, n_workers, .. } = start;
        let permissions = &said.manifest.permissions;
        let mut allowed = Allowed::new(permissions, &config, &base);
        let folder = tempfile::Builder::new().prefix("gantry-plugin-").tempdir()?;
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700))?;
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
        let setup = Setup {
            library: copy.to_owned(),
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
        Ok(Self { plugin, source, program, setup, environment, folder })
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
