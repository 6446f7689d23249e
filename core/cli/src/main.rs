//! The `gantry` binary: one file a subcommand.
//!
//! `run` starts the hub. `agent`, `item`, `capture`, `positions`, `explain`, `curve`, `top`, `tap`
//! and `dlq` ask a running hub, with the administrator's token that the hub leaves beside its
//! store; `calendar`, `check`, `doctor`, `plugin`, `schema`, `suggest`, `token` and `verify` need
//! no hub.
#![forbid(unsafe_code)]

/// Prints a line; see [`table::line`].
macro_rules! say {
    ($($part:tt)*) => { $crate::table::line(format_args!($($part)*)) };
}

mod agent;
mod calendar;
mod capture;
mod check;
mod client;
mod curve;
mod dlq;
mod doctor;
mod explain;
mod item;
mod moves;
mod plugin;
mod positions;
mod queue;
mod reload;
mod rules;
mod run;
mod schema;
mod simulate;
mod suggest;
mod table;
mod tap;
mod token;
mod top;
mod verify;
mod workbin;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};

/// The config file where none is named.
const CONFIG: &str = "gantry.toml";

/// Distributes work: captures items from source systems, and offers each to the right person.
#[derive(Parser)]
#[command(
    name = "gantry",
    version,
    max_term_width = 100,
    after_help = "Example:\n  gantry check --config gantry.toml\n  gantry run --config gantry.toml"
)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Options of every command.
#[derive(Args)]
struct Global {
    /// The config file; `pipelines/*.toml` and `rules/*.toml` beside it belong to it.
    #[arg(long, global = true, default_value = CONFIG, env = "GANTRY_CONFIG")]
    config: PathBuf,
    /// Print JSON instead of text for people.
    #[arg(long, global = true)]
    json: bool,
    /// Address of the hub, as `http://host:port`; else the hub that runs on this config.
    #[arg(long, global = true, env = "GANTRY_URL")]
    url: Option<String>,
    /// Token for the hub; else the one that the running hub leaves for its administrator.
    #[arg(long, global = true, env = "GANTRY_TOKEN", hide_env_values = true)]
    token: Option<String>,
}

#[derive(Subcommand)]
enum Command {
    /// Start the hub.
    Run(run::Options),
    /// Let the running hub read its config again, without a pause for agents and sources.
    #[command(after_help = "Example:\n  gantry reload")]
    Reload,
    /// Check a config: all that is wrong with it, each with file, line and remedy.
    #[command(after_help = check::EXAMPLE)]
    Check(check::Options),
    /// Say what could stand at a key of the config, asking the system behind it
    #[command(after_help = suggest::EXAMPLE)]
    Suggest(suggest::Options),
    /// Print the JSON Schema of the config, with the plug-ins' own parts, for editors and tools.
    #[command(after_help = schema::EXAMPLE)]
    Schema(schema::Options),
    /// Write plug-ins, test them, give them away; show them, install them, agree to them.
    #[command(subcommand, after_help = "Example:\n  gantry plugin list")]
    Plugin(plugin::Command),
    /// Show work items, and move them by hand.
    #[command(subcommand, after_help = "Example:\n  gantry item list --status open")]
    Item(item::Command),
    /// Show agents, and import them from a spreadsheet.
    #[command(subcommand, after_help = "Example:\n  gantry agent import agents.csv --dry-run")]
    Agent(agent::Command),
    /// Say why an item was offered to whom, or why it still waits.
    Explain(explain::Options),
    /// Draw a priority over time, of an item or of a schema.
    Curve(curve::Options),
    /// Show what waits, queue by queue, and what nobody serves.
    Queue(queue::Options),
    /// Show what lies parked, and give it back into distribution.
    #[command(subcommand, after_help = "Example:\n  gantry workbin list")]
    Workbin(workbin::Command),
    /// Show capture points, pause and resume them, ask a source now.
    #[command(subcommand, after_help = "Example:\n  gantry capture list")]
    Capture(capture::Command),
    /// Show how far sources have been read, and read them again from another place.
    #[command(subcommand, after_help = "Example:\n  gantry positions list")]
    Positions(positions::Command),
    /// Show sources, capture points, look-ups and callbacks with their rates, each second.
    #[command(after_help = top::EXAMPLE)]
    Top(top::Options),
    /// Watch the records of a capture point as they come, with what became of them.
    #[command(after_help = tap::EXAMPLE)]
    Tap(tap::Options),
    /// Look the installation over: what is wrong or will be, each with its remedy.
    #[command(after_help = doctor::EXAMPLE)]
    Doctor(doctor::Options),
    /// Show dead letters and try them again.
    #[command(subcommand, after_help = "Example:\n  gantry dlq list")]
    Dlq(dlq::Command),
    /// Try mappings, rules and decision tables.
    #[command(subcommand, after_help = rules::EXAMPLE)]
    Rules(rules::Command),
    /// Ask business calendars, and look at them.
    #[command(subcommand, after_help = "Example:\n  gantry calendar show office --year 2027")]
    Calendar(calendar::Command),
    /// Let the engine work in a simulated world, and tell how it went.
    #[command(after_help = simulate::EXAMPLE)]
    Simulate(simulate::Options),
    /// Issue a token for the API and the pages.
    Token(token::Options),
    /// Serve one plug-in in this process; the hub starts it.
    #[command(hide = true)]
    PluginChild,
    /// Fold the journal from its beginning and compare it with the stored state, byte for byte.
    #[command(after_help = verify::EXAMPLE)]
    Verify,
}

fn main() -> ExitCode {
    let Cli { global, command } = Cli::parse();
    let result = match command {
        Command::Run(options) => run::run(&global, options).map(|()| true),
        Command::Check(options) => return exit(check::check(&global, &options)),
        Command::Suggest(options) => return exit(suggest::suggest(&global, &options)),
        Command::Schema(options) => schema::schema(&global, &options).map(|()| true),
        Command::Calendar(command) => return exit(calendar::run(&global, &command)),
        Command::Simulate(options) => return exit(simulate::simulate(&global, &options)),
        Command::Rules(command) => return exit(rules::run(&global, &command)),
        Command::Plugin(plugin::Command::Test(options)) => {
            return exit(plugin::test(&global, &options));
        }
        Command::PluginChild => match gantry_plugin_host::run_child() {
            Ok(never) => match never {},
            Err(error) => return exit(Err(error.into())),
        },
        other => block_on(other, &global),
    };
    exit(result)
}

/// Runs a command that waits for a hub, a store or a plug-in.
fn block_on(command: Command, global: &Global) -> Result<bool> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let done = match command {
            Command::Agent(command) => return agent::run(global, command).await,
            Command::Plugin(command) => return plugin::run(global, command).await,
            Command::Doctor(options) => return doctor::doctor(global, options).await,
            Command::Reload => reload::run(global).await,
            Command::Item(command) => item::run(global, command).await,
            Command::Explain(options) => explain::explain(global, options).await,
            Command::Curve(options) => curve::curve(global, options).await,
            Command::Queue(options) => queue::queue(global, options).await,
            Command::Workbin(command) => workbin::run(global, command).await,
            Command::Capture(command) => capture::run(global, command).await,
            Command::Positions(command) => positions::run(global, command).await,
            Command::Top(options) => top::top(global, options).await,
            Command::Tap(options) => tap::tap(global, options).await,
            Command::Dlq(command) => dlq::run(global, command).await,
            Command::Token(options) => token::issue(global, options),
            Command::Verify => verify::verify(global).await,
            Command::Run(_)
            | Command::Calendar(_)
            | Command::Check(_)
            | Command::PluginChild
            | Command::Rules(_)
            | Command::Schema(_)
            | Command::Suggest(_)
            | Command::Simulate(_) => {
                unreachable!("invariant: these need no runtime here")
            }
        };
        done.map(|()| true)
    })
}

/// 0 = all is well, 1 = the answer is no, 2 = it could not be done.
fn exit(result: Result<bool>) -> ExitCode {
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("gantry: {error:#}");
            ExitCode::from(2)
        }
    }
}
