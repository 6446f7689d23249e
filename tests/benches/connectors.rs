//! Measures `connector.*`: records a second through each connector from its real server, beside a
//! bare loop of the same client library in the same run, and the memory of the plug-in's process
//! over the whole source.
//!
//! A connector runs as in the hub: in a process of its own, polled by the batch, each batch
//! acknowledged before the next. The bare loop runs in this process, asks the same server for the
//! same pages one after the other, reads each record with the same library and writes it as JSON.
//! It keeps no position, notices no repeat and survives nothing. Not measured: mapping, rules and
//! the hub's store, which `cargo xtask bench capture` measures; and `webhook`, which asks nobody:
//! its requests come in at the hub, and the same benchmark counts them there.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

#[path = "connectors/folder.rs"]
mod folder;
#[path = "connectors/mailbox.rs"]
mod mailbox;
#[path = "connectors/org.rs"]
mod org;
#[path = "connectors/reader.rs"]
mod reader;
#[path = "connectors/table.rs"]
mod table;
#[path = "connectors/tasks.rs"]
mod tasks;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use clap::Parser;
use serde_json::{Value, json};

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
    /// Records in each table and file.
    #[arg(long, default_value_t = 1_000_000)]
    rows: u64,
    /// Mails in the mailbox, and leads in the org.
    #[arg(long, default_value_t = 100_000)]
    mails: u64,
    /// Tasks in the process engine.
    #[arg(long, default_value_t = 10_000)]
    tasks: u64,
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

/// One run over all sources.
struct Bench {
    args: Args,
    reader: Reader,
    limit: Duration,
    page: u64,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<()> {
    let args = Args::parse();
    let reader = Reader::new(&args.gantry, &args.plugins, args.batch)?;
    let (limit, page) = (Duration::from_secs(args.seconds), args.batch.into());
    if !args.json {
        println!("{} records a poll, at most {limit:?} a source", args.batch);
        println!(
            "source                 records/s    bare/s   of it    records   MiB: first, last"
        );
    }
    let bench = Bench { args, reader, limit, page };
    bench.tables().await?;
    bench.folders().await?;
    bench.mailbox().await?;
    bench.org().await?;
    bench.tasks().await
}

impl Bench {
    async fn tables(&self) -> Result<()> {
        for kind in table::Kind::ALL.into_iter().filter(|kind| self.wants(kind.name())) {
            let Some(table) = table::Table::fill(kind, self.args.rows).await? else {
                skipped(kind.name());
                continue;
            };
            let bare = table.read_bare(self.page, self.limit).await?;
            let (config, settings) = (table.config(), table::settings());
            self.measure(kind.name(), "database", bare, &config, &settings).await?;
        }
        Ok(())
    }

    async fn folders(&self) -> Result<()> {
        for format in folder::Format::ALL.into_iter().filter(|format| self.wants(format.name())) {
            let folder = folder::Folder::fill(format, self.args.rows)?;
            let bare = folder.read_bare()?;
            let (config, settings) = (folder.config(), json!({ "settle": "0s" }));
            self.measure(format.name(), "files", bare, &config, &settings).await?;
        }
        Ok(())
    }

    async fn mailbox(&self) -> Result<()> {
        if !self.wants("email") {
            return Ok(());
        }
        let mailbox = mailbox::Mailbox::fill(self.args.mails).await?;
        let Some(mailbox) = mailbox else {
            skipped("email");
            return Ok(());
        };
        let bare = mailbox.read_bare(self.page, self.limit).await?;
        self.measure("email", "email", bare, &mailbox.config(), &json!({})).await
    }

    async fn org(&self) -> Result<()> {
        if !self.wants("salesforce") {
            return Ok(());
        }
        let leads = org::Leads::fill(self.args.mails).await?;
        let Some(leads) = leads else {
            skipped("salesforce");
            return Ok(());
        };
        let bare = leads.read_bare(self.page, self.limit).await?;
        let name = "salesforce";
        self.measure(name, name, bare, &leads.config(), &org::settings()).await
    }

    async fn tasks(&self) -> Result<()> {
        if !self.wants("camunda7") {
            return Ok(());
        }
        let tasks = tasks::Tasks::fill(self.args.tasks).await?;
        let Some(tasks) = tasks else {
            skipped("camunda7");
            return Ok(());
        };
        let bare = tasks.read_bare(self.page, self.limit).await?;
        let name = "camunda7";
        self.measure(name, name, bare, &tasks.config(), &tasks::settings()).await
    }

    fn wants(&self, name: &str) -> bool {
        self.args.only.as_ref().is_none_or(|only| name.contains(only.as_str()))
    }

    async fn measure(
        &self,
        name: &str,
        plugin: &str,
        bare: Pace,
        config: &Value,
        settings: &Value,
    ) -> Result<()> {
        let through = self.reader.read(plugin, config, settings, self.limit).await?;
        print(&self.args, name, bare, &through);
        Ok(())
    }
}

fn skipped(name: &str) {
    eprintln!("SKIPPED: what `{name}` reads from is not installed");
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
