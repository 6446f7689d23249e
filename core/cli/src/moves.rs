//! `gantry item boost`, `transfer`, `park` and the like: moving items by hand.

use anyhow::{Context, Result};
use clap::{ArgGroup, Args, Subcommand};
use gantry_model::Timestamp;
use serde_json::{Value, json};

use crate::Global;
use crate::client::{self, segment};
use crate::item::address;
use crate::table;

#[derive(Subcommand)]
pub(crate) enum Move {
    /// Set the points that stand above an item's curve, in place of those it had.
    #[command(after_help = "Example:\n  gantry item boost W00004T4 200\n  \
        gantry item boost leads/L-0001 -50\n  gantry item boost W00004T4 0")]
    Boost {
        /// The hub's id, or CAPTURE_POINT/EXTERNAL_ID.
        item: String,
        /// Whole points; 0 takes the boost away.
        #[arg(allow_negative_numbers = true)]
        points: i64,
    },
    /// Send an item to somebody else; it keeps its curve, its age and its history.
    #[command(after_help = "Example:\n  gantry item transfer W00004T4 --agent ben\n  \
        gantry item transfer leads/L-0001 --queue service/complaints --note unhappy")]
    Transfer(Transfer),
    /// Set an item aside in a workbin.
    #[command(after_help = "Example:\n  gantry item park W00004T4 agent/anna\n  \
        gantry item park W00004T4 group/berlin --until 2027-03-02T09:00:00Z")]
    Park {
        /// The hub's id, or CAPTURE_POINT/EXTERNAL_ID.
        item: String,
        /// The workbin, as agent/NAME, group/NAME or supervisor/GROUP.
        workbin: String,
        /// Then it goes back into distribution.
        #[arg(long)]
        until: Option<Timestamp>,
        /// For whoever pulls it.
        #[arg(long)]
        note: Option<String>,
    },
    /// Give an item to an agent at once, from a workbin or the queue.
    #[command(after_help = "Example:\n  gantry item pull W00004T4 --agent anna")]
    Pull {
        /// The hub's id, or CAPTURE_POINT/EXTERNAL_ID.
        item: String,
        /// The agent.
        #[arg(long)]
        agent: String,
        /// Why, although the agent has no room.
        #[arg(long)]
        over_capacity: Option<String>,
    },
    /// Give an item back into distribution, from an agent or a workbin.
    #[command(after_help = "Example:\n  gantry item return W00004T4 --note needs-german")]
    Return {
        /// The hub's id, or CAPTURE_POINT/EXTERNAL_ID.
        item: String,
        /// For whoever gets it.
        #[arg(long)]
        note: Option<String>,
    },
    /// Take an item back from its agent or workbin.
    #[command(after_help = "Example:\n  gantry item retrieve W00004T4 --reason stuck")]
    Retrieve {
        /// The hub's id, or CAPTURE_POINT/EXTERNAL_ID.
        item: String,
        /// Why.
        #[arg(long)]
        reason: String,
    },
    /// Give an item new dates.
    #[command(after_help = "Example:\n  \
        gantry item reschedule W00004T4 --activation 2027-03-02T09:00:00Z")]
    Reschedule {
        /// The hub's id, or CAPTURE_POINT/EXTERNAL_ID.
        item: String,
        /// Not distributed before.
        #[arg(long)]
        activation: Option<Timestamp>,
        /// When it is due.
        #[arg(long)]
        due: Option<Timestamp>,
    },
}

#[derive(Args)]
#[command(group(ArgGroup::new("to").required(true)))]
pub(crate) struct Transfer {
    /// The hub's id, or CAPTURE_POINT/EXTERNAL_ID.
    item: String,
    /// To this agent only.
    #[arg(long, group = "to")]
    agent: Option<String>,
    /// To the members of a group.
    #[arg(long, group = "to")]
    group: Option<String>,
    /// To the queue of another process.
    #[arg(long, group = "to")]
    queue: Option<String>,
    /// To whoever meets an expression, as in the config.
    #[arg(long, group = "to")]
    skills: Option<String>,
    /// For whoever gets it.
    #[arg(long)]
    note: Option<String>,
}

impl Transfer {
    fn to(&self) -> Value {
        let Self { agent, group, queue, skills, .. } = self;
        let kinds = [("agent", agent), ("group", group), ("queue", queue), ("skills", skills)];
        let given = kinds.into_iter().find_map(|(kind, name)| Some((kind, name.as_ref()?)));
        given.map_or(Value::Null, |(kind, name)| json!({ kind: name }))
    }
}

pub(crate) async fn run(global: &Global, asked: Move) -> Result<()> {
    let (item, action, body, says) = match asked {
        Move::Boost { item, points } => {
            let says = format!("has {points:+} points above its curve");
            (item, "boost", json!({ "points": points }), says)
        }
        Move::Transfer(transfer) => {
            let to = transfer.to();
            let says = format!("is sent to {to}");
            let body = json!({ "to": to, "note": transfer.note });
            (transfer.item, "transfer", body, says)
        }
        Move::Park { item, workbin, until, note } => {
            let says = format!("lies in workbin {workbin}");
            let body = json!({ "workbin": bin(&workbin)?, "until": until, "note": note });
            (item, "park", body, says)
        }
        Move::Pull { item, agent, over_capacity } => {
            let says = format!("is with {agent}");
            (item, "pull", json!({ "agent": agent, "over_capacity": over_capacity }), says)
        }
        Move::Return { item, note } => {
            (item, "return", json!({ "note": note }), "is back in distribution".to_owned())
        }
        Move::Retrieve { item, reason } => {
            (item, "retrieve", json!({ "reason": reason }), "is taken back".to_owned())
        }
        Move::Reschedule { item, activation, due } => {
            let body = json!({ "activation_at": activation, "due_at": due });
            (item, "reschedule", body, "has its new dates".to_owned())
        }
    };
    let hub = client::must_find(global)?;
    let found = hub.get(&address(&item)).await?;
    let id = found["item"].as_str().context("the hub sent no item")?;
    let path = format!("/items/{}/{action}", segment(id));
    let reply = hub.post(&path, Some(body.to_string().into_bytes())).await?;
    if global.json {
        table::json(&reply);
    } else {
        say!("{id} {says}");
    }
    Ok(())
}

/// A workbin as the API names it.
pub(crate) fn bin(text: &str) -> Result<Value> {
    let parts = text.split_once('/').filter(|(_, name)| !name.is_empty());
    let (kind, name) = parts
        .filter(|(kind, _)| ["agent", "group", "supervisor"].contains(kind))
        .with_context(|| {
            format!("{text:?} is no workbin: write agent/anna, group/berlin or supervisor/berlin")
        })?;
    Ok(json!({ kind: name }))
}
