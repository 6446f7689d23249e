//! The demo: a small company whose leads, orders and abandoned carts Gantry distributes.
//!
//! It makes the company, starts the hub with three loaded plug-ins, and either leaves the pages
//! to you while some of the agents work by themselves, or plays everybody to the end (`--once`).
//! It talks to the hub as anybody would: through the public API and the sources.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a demo talks to people")]

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use futures_util::future::try_join_all;
use gantry_demo::agents::{self, PEOPLE};
use gantry_demo::hub::{self, Hub};
use gantry_demo::report::{Counts, Report};
use gantry_demo::sender;
use gantry_demo::world::{CARTS, LEADS, ORDERS, World};
use tokio::signal::unix::{SignalKind, signal};

/// Plays a small company around a Gantry hub.
#[derive(Parser)]
struct Args {
    /// The `gantry` binary.
    #[arg(long)]
    gantry: PathBuf,
    /// The folder with the connectors.
    #[arg(long)]
    plugins: PathBuf,
    /// Play until all work is done, report, and end.
    #[arg(long)]
    once: bool,
    /// Report one JSON object.
    #[arg(long)]
    json: bool,
    /// Address of the web server.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: String,
}

/// All work must be done within this time.
const DONE_WITHIN: Duration = Duration::from_mins(3);
/// How long an agent works on an item: a blink with `--once`, else as long as one can watch.
const BLINK: Duration = Duration::from_millis(20);
const WATCHABLE: Duration = Duration::from_secs(4);
/// A new lead comes in this often while somebody watches.
const NEW_LEAD_EVERY: Duration = Duration::from_secs(10);
/// The agent who is left to you.
const YOU: &str = "anna";

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    // Whatever ends the demo, dropping `run` ends the hub and removes the folder.
    let result = tokio::select! {
        result = run(&args) => result,
        stopped = terminated() => stopped,
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("demo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn terminated() -> Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("waiting for SIGTERM")?;
    terminate.recv().await;
    anyhow::bail!("asked to stop before the end")
}

async fn run(args: &Args) -> Result<()> {
    let folder = tempfile::Builder::new().prefix("gantry-demo-").tempdir()?;
    say(args, &format!("Making a small company in {} …", folder.path().display()));
    let world = World::create(folder.path()).await?;
    if args.once {
        world.hurry()?;
    }
    say(args, "Starting the hub …");
    let options = hub::Options {
        gantry: args.gantry.clone(),
        plugins: args.plugins.clone(),
        config: world.folder.join("gantry.toml"),
        listen: args.listen.clone(),
        env: vec![("DEMO_WEBHOOK_SECRET".into(), sender::SECRET.into())],
    };
    let hub = Hub::start(options).await?;
    agents::hire(&hub).await?;
    if args.once {
        play(args, &hub, &world).await?;
    } else {
        show(&hub, &world).await?;
    }
    hub.stop().await
}

/// Plays everybody to the end and checks the CRM.
async fn play(args: &Args, hub: &Hub, world: &World) -> Result<()> {
    let begun = Instant::now();
    say(args, "The shop reports abandoned carts; the agents sign on …");
    sender::send_carts(&hub.admin).await?;
    let total = (LEADS + ORDERS + CARTS) as u64;
    let agents = try_join_all(PEOPLE.iter().map(|person| agents::work(hub, person, BLINK)));
    let all_done = Counts::follow(&hub.admin, |counts| counts.of("completed") >= total);
    let counts = tokio::select! {
        counts = tokio::time::timeout(DONE_WITHIN, all_done) => counts
            .with_context(|| format!("the work was not done in time:\n{}", hub.log_tail()))??,
        ended = agents => {
            ended?;
            anyhow::bail!("the agents stopped working");
        }
    };
    let callbacks = delivered_callbacks(hub).await?;
    let crm = world.closed_leads().await?;
    let report = counts.report(callbacks, crm, begun.elapsed().as_secs_f64());
    if args.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        println!("{}", report.table());
    }
    check(&report)
}

fn check(report: &Report) -> Result<()> {
    let total = (LEADS + ORDERS + CARTS) as u64;
    ensure!(report.captured == total, "captured {} of {total}", report.captured);
    ensure!(report.completed == total, "completed {} of {total}", report.completed);
    ensure!(report.rona >= 1, "nobody let an offer ring");
    ensure!(report.confirmed_by_source >= LEADS as u64, "not every lead was confirmed");
    ensure!(
        report.leads_closed_in_crm == LEADS as i64,
        "the CRM shows {} of {LEADS} leads closed",
        report.leads_closed_in_crm
    );
    Ok(())
}

/// Callbacks that their targets took, by the hub's own count.
async fn delivered_callbacks(hub: &Hub) -> Result<u64> {
    let status = hub.admin.get("/status").await?;
    let callbacks = status["callbacks"].as_object().context("the status names no callbacks")?;
    Ok(callbacks.values().filter_map(|callback| callback["delivered"].as_u64()).sum())
}

/// Leaves the pages to the visitor while the other agents work, until Ctrl-C.
async fn show(hub: &Hub, world: &World) -> Result<()> {
    sender::send_carts(&hub.admin).await?;
    let you = hub.sign_in(YOU).await?;
    agents::sign_on(&you, YOU).await?;
    println!("\nOpen {}/ and sign in with one of these tokens:", you.base);
    println!("\nas {YOU}, an agent with a desk of her own:\n  {}", you.token);
    println!("\nas administrator, who sees every work item:\n  {}", hub.admin.token);
    println!("\nFour other agents work by themselves. Stop with Ctrl-C.");
    let others = PEOPLE.iter().filter(|person| person.id != YOU);
    let agents = try_join_all(others.map(|person| agents::work(hub, person, WATCHABLE)));
    let leads = async {
        for number in LEADS.. {
            tokio::time::sleep(NEW_LEAD_EVERY).await;
            world.add_lead(number).await?;
        }
        anyhow::Ok(())
    };
    tokio::select! {
        ended = agents => ended.map(drop),
        ended = leads => ended,
        stopped = tokio::signal::ctrl_c() => stopped.context("waiting for Ctrl-C"),
    }
}

fn say(args: &Args, what: &str) {
    if !args.json {
        println!("{what}");
    }
}
