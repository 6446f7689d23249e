//! `cargo xtask bench NAME`: builds in release and starts the program that measures.

use anyhow::Result;
use clap::{Args, ValueEnum};

use crate::build::{Profile, build, cargo, run as run_command, target_folder};
use crate::{packages, peers};

#[derive(Args)]
pub(crate) struct Options {
    /// What to measure.
    name: Name,
    /// One JSON object a line instead of a table.
    #[arg(long)]
    json: bool,
    /// Seconds for each figure of capture.
    #[arg(long, default_value_t = 10)]
    seconds: u32,
    /// What the program itself takes: see its `--help`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    more: Vec<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Name {
    /// capture.sqlite.*: items taken by the plain API, durable before the answer.
    Capture,
    /// connector.*: records read through each connector from its real server, beside a bare loop.
    Connectors,
    /// engine.*: the queue on one core: decisions, exactness, memory.
    Engine,
    /// plugin.*: calls into a plug-in in the hub's own process, and in one of its own.
    Plugin,
    /// engine.simulation.*: the simulator on one core, events a second.
    Simulation,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let mut command = match options.name {
        Name::Plugin => {
            let mut build = cargo();
            build.args(["build", "--release", "--package", "gantry-example-counter"]);
            run_command(build.args(["--package", "gantry-test-echo"]))?;
            let mut command = cargo();
            command.args(["run", "--release", "--package", "gantry-plugin-host"]);
            command.args(["--example", "bench_plugin", "--"]);
            command
        }
        Name::Simulation => {
            let mut command = cargo();
            command.args(["run", "--release", "--package", "gantry-simulation"]);
            command.args(["--example", "bench_simulation", "--"]);
            command
        }
        Name::Capture => {
            let built = build(Profile::Release, &["gantry-tests"])?;
            let mut command = std::process::Command::new(built.binary("bench-capture"));
            command.arg("--gantry").arg(&built.gantry);
            command.args(["--seconds", &options.seconds.to_string()]);
            command
        }
        Name::Connectors => {
            packages::install_missing();
            let peers = peers::build()?;
            let built = build(Profile::Release, &["gantry-tests"])?;
            let mut command = std::process::Command::new(built.binary("bench-connectors"));
            command.arg("--gantry").arg(&built.gantry).arg("--plugins").arg(&built.plugins);
            command.env("GANTRY_TEST_PEERS", peers);
            command
        }
        Name::Engine => {
            let mut build = cargo();
            build.args(["build", "--release", "--package", "gantry-tests"]);
            run_command(build.args(["--bin", "bench-engine"]))?;
            std::process::Command::new(target_folder()?.join("release/bench-engine"))
        }
    };
    if options.json {
        command.arg("--json");
    }
    run_command(command.args(&options.more))
}
