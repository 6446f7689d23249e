//! `gantry agent`: agents of the running hub, and their import from a spreadsheet.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use gantry_config::{AgentLine, load_agents, load_rules, render_human};
use gantry_model::spec::Spec;
use gantry_model::{AgentId, AgentProfile};
use serde::Serialize;
use serde_json::{Value, json};

use crate::Global;
use crate::client::{self, Hub, segment};
use crate::table::{self, cell};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// List the agents: presence, skills, groups, capacity.
    #[command(after_help = "Example:\n  gantry agent list")]
    List,
    /// Show one agent.
    #[command(after_help = "Example:\n  gantry agent show anna")]
    Show {
        /// The agent's id.
        agent: String,
    },
    /// Create and change agents from a CSV file.
    #[command(after_help = IMPORT_HELP)]
    Import(Import),
}

const IMPORT_HELP: &str = "Example:\n  gantry agent import agents.csv --dry-run\n  \
    gantry agent import agents.csv\n\n\
    The file, with the columns in its first line, of which only id must be there:\n  \
    id,name,skills,groups,capacity,capacity_rule\n  \
    anna,Anna Berg,\"sales=90;legacy=20\",berlin,workitem=2,\n\n\
    More columns: inactive_queues, answer, attributes. What the file has no column for stays as it \
    is; agents who are not in the file stay too. Lines with mistakes are told, the others go on. \
    It ends with 1 if there was a mistake.";

#[derive(Args)]
pub(crate) struct Import {
    /// The file; fields are separated by comma, semicolon or tab.
    file: PathBuf,
    /// Only say what would be done.
    #[arg(long)]
    dry_run: bool,
}

/// What became of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Created,
    Changed,
    Unchanged,
    Refused,
}

/// A line and what became of it.
#[derive(Serialize)]
struct Done {
    line: usize,
    agent: AgentId,
    outcome: Outcome,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

/// `false` if a line could not be taken.
pub(crate) async fn run(global: &Global, command: Command) -> Result<bool> {
    match command {
        Command::List => list(global).await.map(|()| true),
        Command::Show { agent } => show(global, &agent).await.map(|()| true),
        Command::Import(options) => import(global, &options).await,
    }
}

async fn list(global: &Global) -> Result<()> {
    let answer = client::must_find(global)?.get("/agents").await?;
    if global.json {
        table::json(&answer);
        return Ok(());
    }
    let agents = answer["agents"].as_array().context("the hub sent no agents")?;
    let rows: Vec<Vec<String>> = agents.iter().map(row).collect();
    table::print(&["AGENT", "NAME", "PRESENCE", "SKILLS", "GROUPS", "CAPACITY"], &rows);
    Ok(())
}

fn row(agent: &Value) -> Vec<String> {
    let profile = &agent["profile"];
    let capacity = match &profile["capacity_rule"] {
        Value::Null => pairs(&profile["capacity"]),
        rule => format!("rule {}", cell(rule)),
    };
    vec![
        cell(&profile["id"]),
        cell(&profile["name"]),
        presence(&agent["presence"]),
        pairs(&profile["skills"]),
        names(&profile["groups"]),
        capacity,
    ]
}

fn presence(presence: &Value) -> String {
    let state = cell(&presence["state"]).replace('_', " ");
    match &presence["reason"] {
        Value::Null => state,
        reason => format!("{state}: {}", cell(reason)),
    }
}

fn pairs(map: &Value) -> String {
    let pairs = map.as_object().into_iter().flatten();
    let pairs: Vec<String> = pairs.map(|(name, value)| format!("{name}={}", cell(value))).collect();
    or_dash(pairs.join(";"))
}

fn names(list: &Value) -> String {
    let names: Vec<String> = list.as_array().into_iter().flatten().map(cell).collect();
    or_dash(names.join(";"))
}

fn or_dash(text: String) -> String {
    if text.is_empty() { cell(&Value::Null) } else { text }
}

async fn show(global: &Global, agent: &str) -> Result<()> {
    let agent = client::must_find(global)?.get(&address(agent)).await?;
    if global.json {
        table::json(&agent);
        return Ok(());
    }
    let headings = ["agent", "name", "presence", "skills", "groups", "capacity"];
    for (heading, cell) in headings.iter().zip(row(&agent)) {
        say!("{heading:<16} {cell}");
    }
    say!("{:<16} {}", "since", cell(&agent["presence_since"]));
    let profile = &agent["profile"];
    say!("{:<16} {}", "answer", cell(&profile["answer"]));
    say!("{:<16} {}", "inactive queues", names(&profile["inactive_queues"]));
    say!("{:<16} {}", "attributes", pairs(&profile["attributes"]));
    Ok(())
}

fn address(agent: &str) -> String {
    format!("/agents/{}", segment(agent))
}

async fn import(global: &Global, options: &Import) -> Result<bool> {
    let config = config(global)?;
    let read = load_agents(&options.file, config.as_ref());
    // The file alone can be looked at without a hub.
    let hub =
        if options.dry_run { client::find(global)? } else { Some(client::must_find(global)?) };
    let now = match &hub {
        Some(hub) => agents(hub).await?,
        None => BTreeMap::new(),
    };
    let mut done = Vec::with_capacity(read.agents.len());
    for line in &read.agents {
        let hub = hub.as_ref().filter(|_| !options.dry_run);
        done.push(take(hub, line, now.get(line.id())).await?);
    }
    if global.json {
        let findings = &read.findings;
        table::json(&json!({ "dry_run": options.dry_run, "lines": done, "findings": findings }));
    } else {
        tell(&done, options.dry_run);
        for line in render_human(&read.findings, &read.sources).lines() {
            say!("{line}");
        }
        let problems = read.findings.len() + of(&done, Outcome::Refused);
        let would = if options.dry_run { "would be " } else { "" };
        say!(
            "{} {would}created, {} {would}changed, {} as they are; {problems} {}",
            of(&done, Outcome::Created),
            of(&done, Outcome::Changed),
            of(&done, Outcome::Unchanged),
            if problems == 1 { "mistake" } else { "mistakes" },
        );
    }
    Ok(read.findings.is_empty() && of(&done, Outcome::Refused) == 0)
}

/// The config, for its names; none if there is no file, since the hub checks them again.
fn config(global: &Global) -> Result<Option<Spec>> {
    if !global.config.try_exists()? {
        return Ok(None);
    }
    let checked = load_rules(&global.config);
    let broken =
        || format!("{0} has errors: run `gantry check --config {0}`", global.config.display());
    checked.spec.with_context(broken).map(Some)
}

/// The profiles that the hub has.
async fn agents(hub: &Hub) -> Result<BTreeMap<AgentId, AgentProfile>> {
    let mut answer = hub.get("/agents").await?;
    let agents = answer["agents"].as_array_mut().context("the hub sent no agents")?;
    let profiles = agents.iter_mut().map(|agent| {
        let profile: AgentProfile = serde_json::from_value(agent["profile"].take())
            .context("reading the profile of an agent")?;
        Ok((profile.id.clone(), profile))
    });
    profiles.collect()
}

/// Takes one line over, if there is a hub to take it; what the hub refuses is no error.
async fn take(hub: Option<&Hub>, line: &AgentLine, now: Option<&AgentProfile>) -> Result<Done> {
    let profile = line.profile(now);
    let outcome = match now {
        None => Outcome::Created,
        Some(now) if *now == profile => Outcome::Unchanged,
        Some(_) => Outcome::Changed,
    };
    let mut done = Done { line: line.line, agent: line.id().clone(), outcome, problem: None };
    if let Some(hub) = hub.filter(|_| outcome != Outcome::Unchanged) {
        let body = serde_json::to_vec(&profile)?;
        done.problem = hub.put(&address(line.id()), body).await?;
        if done.problem.is_some() {
            done.outcome = Outcome::Refused;
        }
    }
    Ok(done)
}

fn tell(done: &[Done], dry_run: bool) {
    for line in done.iter().filter(|line| line.outcome != Outcome::Unchanged) {
        let what = match (line.outcome, dry_run) {
            (Outcome::Created, true) => "would be created",
            (Outcome::Created, false) => "created",
            (Outcome::Changed, true) => "would be changed",
            (Outcome::Changed, false) => "changed",
            (Outcome::Unchanged, _) => "as it is",
            (Outcome::Refused, _) => "refused",
        };
        match &line.problem {
            Some(problem) => say!("line {}: {} {what}: {problem}", line.line, line.agent),
            None => say!("line {}: {} {what}", line.line, line.agent),
        }
    }
}

fn of(done: &[Done], outcome: Outcome) -> usize {
    done.iter().filter(|line| line.outcome == outcome).count()
}
