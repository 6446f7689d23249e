//! `gantry plugin dev`: an author's project in a hub of its own, built and reloaded after each
//! change.

mod project;

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Args;
use gantry_plugin_host::inspect;
use gantry_server::place::Place;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

use super::stage;
use project::{Built, Project, Seen};

pub(super) const EXAMPLE: &str = "Example:\n  gantry plugin dev\n  \
    gantry plugin dev --listen 127.0.0.1:0\n\n\
    It builds the project, starts its fake upstream and a hub on a copy of its gantry.toml, and \
    shows the hub's log. After each change it builds again and reloads the plug-in; a change of \
    gantry.toml starts the hub anew, which goes on from where it was. Ctrl-C ends all of it and leaves nothing behind.";

/// How often the project is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(300);
/// How long a hub or an upstream may take to end before it is killed.
const END_WITHIN: Duration = Duration::from_secs(15);

#[derive(Args)]
pub(crate) struct Options {
    /// The project, as `gantry plugin new` makes it.
    #[arg(default_value = ".")]
    project: PathBuf,
    /// Address of the hub's web server; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: String,
    /// Start no fake upstream: something else answers at the endpoint.
    #[arg(long)]
    no_upstream: bool,
}

pub(super) async fn dev(options: Options) -> Result<()> {
    let Options { project, listen, no_upstream } = options;
    let mut bench = Bench::new(Project::of(&project)?, listen, !no_upstream)?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let stop = async {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    };
    let worked = tokio::select! {
        worked = bench.work() => worked,
        () = stop => Ok(()),
    };
    bench.end().await;
    worked
}

/// A hub's folder, and what runs in it. What is dropped is killed.
struct Bench {
    project: Project,
    listen: String,
    with_upstream: bool,
    scratch: TempDir,
    upstream: Option<Child>,
    hub: Option<Child>,
}

impl Bench {
    fn new(project: Project, listen: String, with_upstream: bool) -> Result<Self> {
        let scratch = tempfile::Builder::new().prefix("gantry-dev-").tempdir()?;
        // Plug-ins run as another user where the hub is root.
        fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o755))?;
        fs::create_dir(scratch.path().join("plugins"))?;
        Ok(Self { project, listen, with_upstream, scratch, upstream: None, hub: None })
    }

    /// Builds and runs, again after each change; ends only if it cannot go on.
    async fn work(&mut self) -> Result<()> {
        let mut look = tokio::time::interval(LOOK_EVERY);
        loop {
            let seen = Seen::of(&self.project)?;
            match self.project.build().await {
                Ok(built) => self.start(&built).await?,
                // What ran before goes on.
                Err(error) => eprintln!("dev: {error:#}"),
            }
            eprintln!("dev: waiting for changes in {}", self.project.folder.display());
            self.until_changed(&seen, &mut look).await?;
            eprintln!("dev: something changed");
        }
    }

    /// Lets the hub go on with what was built, or starts one.
    async fn start(&mut self, built: &Built) -> Result<()> {
        let scratch = self.scratch.path();
        let (config, plugins) = (scratch.join("gantry.toml"), scratch.join("plugins"));
        let config_is_new = self.project.copy_config(scratch)?;
        stage::lay(&built.plugin, &plugins)?;
        if self.with_upstream && self.upstream.is_none() {
            self.upstream = built.upstream.as_ref().map(|said| self.fake(said)).transpose()?;
        }
        let takes_work = || Place::of(&config).and_then(|place| place.running());
        if self.hub.is_some() && !config_is_new && takes_work()?.is_some() {
            // What does not work is taken back, and said.
            let name = inspect(&built.plugin).map(|said| said.manifest.name)?;
            let status = gantry(&config)?.args(["plugin", "reload", &name]).status().await?;
            eprintln!("dev: {}", if status.success() { "reloaded" } else { "not reloaded" });
            return Ok(());
        }
        end(&mut self.hub).await;
        let mut command = gantry(&config)?;
        command.args(["run", "--listen", &self.listen, "--plugins"]).arg(&plugins);
        self.hub = Some(spawn(command.current_dir(scratch))?);
        Ok(())
    }

    /// The project's fake of the other system.
    fn fake(&self, said: &[OsString]) -> Result<Child> {
        spawn(Command::new(&said[0]).args(&said[1..]).current_dir(&self.project.folder))
    }

    /// Waits for a change that is over, and tells meanwhile if the hub ends by itself.
    async fn until_changed(
        &mut self,
        before: &Seen,
        look: &mut tokio::time::Interval,
    ) -> Result<()> {
        let mut last = before.clone();
        loop {
            look.tick().await;
            if let Some(status) = self.hub.as_mut().map(Child::try_wait).transpose()?.flatten() {
                eprintln!("dev: the hub ended with {status}");
                self.hub = None;
            }
            let now = Seen::of(&self.project)?;
            if now != *before && now == last {
                return Ok(());
            }
            last = now;
        }
    }

    /// Ends what runs; the folder goes with it.
    async fn end(mut self) {
        end(&mut self.hub).await;
        end(&mut self.upstream).await;
    }
}

/// This program, on the hub's config and no other.
fn gantry(config: &Path) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.env_remove("GANTRY_URL").env_remove("GANTRY_TOKEN").arg("--config").arg(config);
    Ok(command)
}

fn spawn(command: &mut Command) -> Result<Child> {
    let spawned = command.stdin(Stdio::null()).kill_on_drop(true).spawn();
    spawned.with_context(|| format!("starting {:?}", command.as_std()))
}

/// Asks a process to end and waits until it has; after a while it is killed.
async fn end(child: &mut Option<Child>) {
    let Some(mut child) = child.take() else { return };
    let number = child.id().and_then(|number| Pid::from_raw(i32::try_from(number).ok()?));
    if let Some(number) = number {
        // It may have ended by itself by now.
        let _ = kill_process(number, Signal::TERM);
    }
    if tokio::time::timeout(END_WITHIN, child.wait()).await.is_err() {
        let _ = child.kill().await;
    }
}

/// A file of a project, as an absolute path.
fn absolute(path: &Path) -> Result<PathBuf> {
    fs::canonicalize(path).with_context(|| format!("finding {}", path.display()))
}
