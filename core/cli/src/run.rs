//! `gantry run`: the hub, until it is asked to stop.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use crate::Global;

#[derive(Args)]
#[command(after_help = "Example:\n  gantry run --config /etc/gantry/gantry.toml\n\n\
    It prints one line when it takes work, logs to standard error, and stops on SIGTERM or \
    Ctrl-C after finishing what is under way.")]
pub(crate) struct Options {
    /// Address of the web server, instead of the config's; port 0 takes a free one.
    #[arg(long)]
    listen: Option<String>,
    /// A folder with plug-ins, instead of the config's; may be given several times.
    #[arg(long)]
    plugins: Vec<PathBuf>,
    /// Reload by itself what changes on the disk: the config, and plug-ins in use.
    #[arg(long, env = "GANTRY_WATCH")]
    watch: bool,
}

pub(crate) fn run(global: &Global, options: Options) -> Result<()> {
    gantry_server::telemetry::start(global.json);
    let json = global.json;
    let options = gantry_server::Options {
        config: global.config.clone(),
        listen: options.listen,
        plugins: options.plugins,
        watch: options.watch,
    };
    gantry_server::run(options, move |ready| {
        if json {
            say!("{}", serde_json::json!({ "url": ready.url, "run_file": ready.run_file }));
        } else {
            say!("gantry takes work at {}", ready.url);
        }
        let _ = std::io::stdout().flush();
    })?;
    Ok(())
}
