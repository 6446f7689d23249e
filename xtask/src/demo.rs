//! `cargo xtask demo`: builds, then hands over to the demo program.

use anyhow::Result;
use clap::Args;

use crate::build::{self, Profile, build};

#[derive(Args)]
pub(crate) struct Options {
    /// Play the agents until all work is done, print what happened, and end.
    #[arg(long)]
    once: bool,
    /// With --once: print one JSON object instead of a table.
    #[arg(long, requires = "once")]
    json: bool,
    /// Address of the web server.
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: String,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    eprintln!("Building the hub and its plug-ins (about three minutes the first time) …");
    let built = build(Profile::Debug, &["gantry-demo"])?;
    let mut demo = std::process::Command::new(built.binary("gantry-demo"));
    demo.current_dir(build::root());
    demo.arg("--gantry").arg(&built.gantry).arg("--plugins").arg(&built.plugins);
    if options.once {
        demo.arg("--once");
    } else {
        demo.args(["--listen", &options.listen]);
    }
    if options.json {
        demo.arg("--json");
    }
    build::run(&mut demo)
}
