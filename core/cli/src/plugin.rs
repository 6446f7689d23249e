//! `gantry plugin`: what authors and operators of plug-ins need. But for `dev`, `test`, `bench` and
//! `reload`, none of their code runs.

mod bench;
mod dev;
mod docs;
mod install;
mod new;
mod package;
mod permits;
mod reload;
mod sign;
mod stage;
mod test;
mod verify;

use std::path::PathBuf;

use anyhow::Result;
use clap::Subcommand;
use gantry_plugin_host::api::manifest::Manifest;
use gantry_plugin_host::{Enforcement, Inspected, Lock, Refusal, Refused, inspect};
use gantry_server::plugins::Folders;
use serde_json::{Value, json};

use crate::{Global, table};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// List the plug-ins in the config's folders, and what is refused there and why.
    #[command(
        after_help = "Example:\n  gantry plugin list\n  gantry plugin list --plugins ./plugins"
    )]
    List {
        /// A folder with plug-ins, instead of the config's; may be given several times.
        #[arg(long)]
        plugins: Vec<PathBuf>,
    },
    /// Show the manifest of a library file or of a program's folder, and whether this host can
    /// load it.
    #[command(
        after_help = "Example:\n  gantry plugin inspect plugins/libgantry_connector_files.so\n  gantry plugin inspect plugins/csv"
    )]
    Inspect {
        /// The library, or the folder with `gantry-plugin.json`.
        file: PathBuf,
    },
    /// Let the sources of a running hub go on with what a plug-in's file is now.
    #[command(
        long_about = "Let the sources of a running hub go on with what a plug-in's file, and the \
            secrets of their config, are now.\n\nThe new one is loaded beside the old one, looks \
            at the config, and is tried out; then it takes over between two batches, from the \
            stored position. What does not work is taken back, and the old one goes on.",
        after_help = "Example:\n  gantry plugin reload shop"
    )]
    Reload {
        /// Its name, as `gantry plugin list` shows it.
        name: String,
    },
    /// Print the manual page of a plug-in as Markdown, from its manifest: roles, keys, defaults.
    #[command(
        after_help = "Example:\n  gantry plugin docs database\n  gantry plugin docs shop --plugins ."
    )]
    Docs {
        /// Its name, as `gantry plugin list` shows it.
        name: String,
        /// A folder with plug-ins, instead of the config's; may be given several times.
        #[arg(long)]
        plugins: Vec<PathBuf>,
    },
    /// Make a project for a new plug-in, which builds and passes its tests at once.
    #[command(after_help = new::EXAMPLE)]
    New(new::Options),
    /// Run a project in a hub of its own, and again after each change.
    #[command(after_help = dev::EXAMPLE)]
    Dev(dev::Options),
    /// Measure a plug-in: records a second, and how long each operation takes.
    #[command(after_help = bench::EXAMPLE)]
    Bench(bench::Options),
    /// Make a package of a plug-in, to give away.
    #[command(after_help = install::PACK_EXAMPLE)]
    Pack(install::Pack),
    /// Place a package in the folder of plug-ins, and agree to it.
    #[command(after_help = install::EXAMPLE)]
    Install(install::Install),
    /// Check hash, signature, files and folders of plug-ins, and say which permissions this kernel
    /// enforces.
    #[command(after_help = verify::EXAMPLE)]
    Verify(verify::Options),
    /// Write plugins.lock: agree to plug-ins as they are now, and to who signs them.
    #[command(after_help = verify::LOCK_EXAMPLE)]
    Lock(verify::LockOptions),
    /// Make a key to sign plug-ins with.
    #[command(after_help = sign::KEYGEN_EXAMPLE)]
    Keygen(sign::Keygen),
    /// Sign a plug-in.
    #[command(after_help = sign::SIGN_EXAMPLE)]
    Sign(sign::Sign),
    /// Run the conformance suite on a plug-in: a library or the folder of a program.
    #[command(after_help = test::EXAMPLE)]
    Test(test::Options),
}

pub(crate) use test::test;

pub(crate) async fn run(global: &Global, command: Command) -> Result<bool> {
    let done = match command {
        Command::List { plugins } => list(global, plugins),
        Command::Inspect { file } => show(global, &refusable(inspect(&file))?),
        Command::Reload { name } => reload::run(global, &name).await,
        Command::Docs { name, plugins } => print_docs(global, &name, plugins),
        Command::New(options) => new::new(global, options),
        Command::Dev(options) => dev::dev(options).await,
        Command::Bench(options) => bench::bench(global, options).await,
        Command::Pack(options) => install::pack(global, &options),
        Command::Install(options) => return install::install(global, options),
        Command::Verify(options) => return verify::verify(global, options),
        Command::Lock(options) => return verify::lock(global, options),
        Command::Keygen(options) => sign::keygen(global, &options),
        Command::Sign(options) => sign::sign(global, &options),
        Command::Test(_) => unreachable!("invariant: it has a runtime of its own"),
    };
    done.map(|()| true)
}

/// Says of a refusal its code and the remedy, too.
fn refusable<T>(result: Result<T, Refusal>) -> Result<T> {
    result.map_err(|refusal| {
        let (code, remedy) = (refusal.code(), refusal.remedy());
        anyhow::Error::new(refusal).context(format!("refused with {code}: {remedy}"))
    })
}

fn print_docs(global: &Global, name: &str, plugins: Vec<PathBuf>) -> Result<()> {
    let scan = Folders::planned(&global.config, plugins)?.host()?.scan();
    let manifests = || scan.found.iter().map(|found| &found.inspected.manifest);
    let Some(manifest) = manifests().find(|manifest| manifest.name == name) else {
        let known: Vec<&str> = manifests().map(|manifest| manifest.name.as_str()).collect();
        say_refused(&scan.refused);
        anyhow::bail!("there is no plug-in `{name}`; there are: {}", known.join(", "));
    };
    let page = docs::page(manifest);
    if global.json {
        table::json(&json!({ "name": name, "markdown": page }));
    } else {
        say!("{page}");
    }
    Ok(())
}

/// A value as a cell; a list as its elements.
fn cell(value: &Value) -> String {
    match value.as_array() {
        Some(list) => list.iter().map(table::cell).collect::<Vec<_>>().join(", "),
        None => table::cell(value),
    }
}

fn list(global: &Global, plugins: Vec<PathBuf>) -> Result<()> {
    let folders = Folders::of(&global.config, plugins)?;
    let lock = Lock::read(&folders.lock_file())?;
    let scan = folders.host()?.scan();
    let trusted = |said: &Inspected| {
        let pin = lock.as_ref().and_then(|lock| lock.pin(&said.manifest.name));
        let publisher = pin.and_then(|pin| pin.publisher.as_deref());
        let mut view = view(said);
        view["pinned"] = json!(pin.is_some());
        view["signature"] = json!(verify::signature(said, lock.as_ref(), publisher));
        view
    };
    if global.json {
        let found: Vec<_> = scan.found.iter().map(|found| trusted(&found.inspected)).collect();
        let refused = scan.refused.iter().map(refused_view);
        let refused = refused.collect::<Vec<_>>();
        table::json(&json!({ "found": found, "refused": refused, "enforced": enforced() }));
        return Ok(());
    }
    let rows: Vec<_> = scan
        .found
        .iter()
        .map(|found| {
            let mut view = trusted(&found.inspected);
            let pinned = view["pinned"] == true;
            view["pinned"] = json!(if pinned { "yes" } else { "no" });
            let columns = ["name", "version", "roles", "pinned", "signature", "path"];
            columns.iter().map(|column| cell(&view[*column])).collect()
        })
        .collect();
    table::print(&["NAME", "VERSION", "ROLES", "PINNED", "SIGNATURE", "FILE"], &rows);
    say_refused(&scan.refused);
    if let Some(missing) = Enforcement::of_this_kernel().missing() {
        say!("\npermissions: declared but not enforced by this kernel: {missing}");
    }
    Ok(())
}

/// A plug-in that is refused: what it is, what is wrong, what to do.
pub(crate) fn refused_view(refused: &Refused) -> Value {
    let Refused { path, refusal, .. } = refused;
    json!({
        "path": path,
        "code": refusal.code(),
        "reason": refusal.to_string(),
        "remedy": refusal.remedy(),
    })
}

/// The same for people.
pub(crate) fn say_refused(refused: &[Refused]) {
    for Refused { refusal, .. } in refused {
        say!("\nrefused: {refusal} ({})\n  {}", refusal.code(), refusal.remedy());
    }
}

fn show(global: &Global, inspected: &Inspected) -> Result<()> {
    let view = view(inspected);
    if global.json {
        table::json(&view);
    } else {
        say!("{}", serde_json::to_string_pretty(&view)?);
    }
    Ok(())
}

/// What a plug-in says, and what this host says to it.
fn view(inspected: &Inspected) -> Value {
    let mut view = serde_json::to_value(&inspected.manifest)
        .expect("invariant: a manifest that was read as JSON is JSON");
    let refusal = inspected.refusal();
    view["roles"] = json!(roles(&inspected.manifest));
    view["path"] = json!(inspected.path);
    view["sha256"] = json!(inspected.sha256);
    view["bytes"] = json!(inspected.len);
    if let Some(library) = &inspected.library {
        view["abi"] = json!([library.abi.0.to_string(), library.abi.1.to_string()]);
        view["panic_unwind"] = json!(library.panic_unwind);
        view["glibc"] = json!(library.glibc);
    }
    view["refused"] = json!(refusal.as_ref().map(ToString::to_string));
    view["enforced"] = enforced();
    view["refused_code"] = json!(refusal.as_ref().map(Refusal::code));
    view
}

/// Which permissions this kernel enforces for a plug-in in a process of its own.
fn enforced() -> Value {
    let Enforcement { paths, ports, system_calls, .. } = Enforcement::of_this_kernel();
    json!({ "paths": paths, "ports": ports, "system_calls": system_calls })
}

/// What a plug-in can be used for.
fn roles(manifest: &Manifest) -> Vec<&'static str> {
    let roles = [
        ("capture", manifest.capture.is_some()),
        ("lookup", manifest.lookup.is_some()),
        ("callback", manifest.callback.is_some()),
    ];
    roles.into_iter().filter(|(_, has)| *has).map(|(role, _)| role).collect()
}
