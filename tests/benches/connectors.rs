//! Measures `connector.*`: records a second through each connector from its real server, beside a
//! bare loop of the same client library in the same run, and the memory of the plug-in's process
//! over the whole source.
//!
//! A connector runs as in the hub: in a process of its own, polled by the batch, each batch
//! acknowledged before the next. Not measured: mapping, rules and the hub's store, which
//! `cargo xtask bench capture` measures.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

#[path = "connectors/folder.rs"]
mod folder;
#[path = "connectors/reader.rs"]
mod reader;
#[path = "connectors/table.rs"]
mod table;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use clap::Parser;
use serde_json::json;

use crate::reader::{Reader, Through};

/// Measures records a second through each connector, and its memory.
#[derive(Parser)]
struct Args {
    /// The `gantry` binary, which hosts the plug-ins.
    #[arg(long)]
    gantry: PathBuf,
    /// The folder with the connectors' libraries.
    #[arg(long)]
    plugins: PathBuf,
    /// Records in each source.
    #[arg(long, default_value_t = 1_000_000)]
    rows: u64,
    /// The longest that a source is read, in seconds.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Records asked for in one poll.
    #[arg(long, default_value_t = 1_000)]
    batch: u32,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
    /// Only the sources whose name holds this.
    #[arg(long)]
    only: Option<String>,
}

/// Records and the time they took.
#[derive(Clone, Copy, Debug)]
struct Pace {
    n: u64,
    took: Duration,
}

impl Pace {
    fn a_second(self) -> f64 {
        self.n as f64 / self.took.as_secs_f64().max(f64::EPSILON)
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<()> {
    let args = Args::parse();
    let reader = Reader::new(&args.gantry, &args.plugins, args.batch)?;
    let limit = Duration::from_secs(args.seconds);
    if !args.json {
        println!("{} records a source, {} a poll, at most {limit:?}", args.rows, args.batch);
        println!(
            "source                 records/s    bare/s   of it    records   MiB: first, last"
        );
    }
    let wanted = |name: &str| args.only.as_ref().is_none_or(|only| name.contains(only.as_str()));
    for kind in table::Kind::ALL.into_iter().filter(|kind| wanted(kind.name())) {
        let Some(table) = table::Table::fill(kind, args.rows).await? else {
            eprintln!("SKIPPED: {} is not installed", kind.name());
            continue;
        };
        let bare = table.read_bare(u64::from(args.batch), limit).await?;
        let through = reader.read("database", &table.config(), &table::settings(), limit).await?;
        print(&args, kind.name(), bare, &through);
    }
    for format in folder::Format::ALL.into_iter().filter(|format| wanted(format.name())) {
        let folder = folder::Folder::fill(format, args.rows)?;
        let bare = folder.read_bare()?;
        let settings = json!({ "settle": "0s" });
        let through = reader.read("files", &folder.config(), &settings, limit).await?;
        print(&args, format.name(), bare, &through);
    }
    Ok(())
}

fn print(args: &Args, name: &str, bare: Pace, through: &Through) {
    let (a_second, bare_a_second) = (through.pace.a_second(), bare.a_second());
    let share = a_second / bare_a_second;
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let (first, last) = (mib(through.memory_first), mib(through.memory_last));
    if args.json {
        let line = json!({
            "figure": format!("connector.{name}"), "value": a_second, "unit": "records/s",
            "records": through.pace.n, "memory_first": through.memory_first,
            "memory_last": through.memory_last, "memory_most": through.memory_most,
            "beside": { "bare": bare_a_second }, "share": share, "target_share": 0.8,
        });
        println!("{line}");
    } else {
        let most = mib(through.memory_most);
        println!(
            "{name:<20} {a_second:>11.0} {bare_a_second:>9.0} {:>6.0}% {:>10}   {first:.1}, \
             {last:.1}, most {most:.1}",
            share * 100.0,
            through.pace.n,
        );
    }
}
