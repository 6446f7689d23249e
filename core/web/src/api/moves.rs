//! Moving items by hand: boost, transfer, park, pull, return, retrieve, reschedule. An agent moves
//! what is on the own desk, with the epoch; supervisors move everything.

use axum::Json;
use axum::extract::State;
use bytes::Bytes;
use gantry_model::command::Holder;
use gantry_model::spec::MessageKind;
use gantry_model::{AgentId, Command, ItemId, Name, Reply, Target, Timestamp, Workbin};
use serde::Deserialize;

use super::answered;
use super::items::read;
use crate::access::{Caller, Permission};
use crate::app::{App, Shared};
use crate::extract::{FromPath, Json as Body};
use crate::intake::{self, Message};
use crate::problem::{self, Fault, Problem};

/// Longest note and reason, in characters.
const TEXT_MAX: usize = 1_000;

/// Points above the curve.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Boost {
    points: i64,
}

/// Where an item is sent.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum To {
    Agent(AgentId),
    Group(Name),
    Queue(Name),
    /// An expression, as in the config: `german > 4 && group("berlin")`.
    Skills(String),
    Workbin(Workbin),
}

/// A transfer.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Transfer {
    to: To,
    note: Option<String>,
    epoch: Option<u32>,
}

/// Setting an item aside.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Park {
    /// None = the agent's own.
    workbin: Option<Workbin>,
    until: Option<Timestamp>,
    note: Option<String>,
    epoch: Option<u32>,
}

/// Taking an item.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Pull {
    /// For whom a supervisor pulls; an agent pulls for nobody else.
    agent: Option<AgentId>,
    /// Why, where there is no room.
    over_capacity: Option<String>,
}

/// Giving an item back.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Return {
    note: Option<String>,
    epoch: Option<u32>,
}

/// Taking an item back.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Retrieve {
    reason: String,
}

/// New dates.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Reschedule {
    activation_at: Option<Timestamp>,
    due_at: Option<Timestamp>,
    epoch: Option<u32>,
}

/// `POST /items/{item}/boost`.
pub(super) async fn boost(
    State(app): State<Shared>,
    caller: Caller,
    FromPath(item): FromPath<ItemId>,
    Body(Boost { points }): Body<Boost>,
) -> Result<Json<Reply>, Problem> {
    caller.must(Permission::Steer)?;
    answered(app.hub.command(caller.actor(), Command::Boost { item, points }).await?)
}

/// `POST /items/{item}/transfer`.
pub(super) async fn transfer(
    State(app): State<Shared>,
    caller: Caller,
    FromPath(item): FromPath<ItemId>,
    Body(Transfer { to, note, epoch }): Body<Transfer>,
) -> Result<Json<Reply>, Problem> {
    let by = holder(&caller, epoch)?;
    check_text("note", note.as_deref())?;
    let to = match to {
        To::Agent(agent) => Target::Agent(agent),
        To::Group(group) => Target::Group(group),
        To::Queue(queue) => Target::Queue(queue),
        To::Workbin(workbin) => Target::Workbin(workbin),
        To::Skills(text) => {
            let requirement = app.intake.requirement(&text);
            Target::Skills(requirement.map_err(|error| fault("to/skills", error.to_string()))?)
        }
    };
    let command = Command::Transfer { item, by, to, note };
    answered(app.hub.command(caller.actor(), command).await?)
}

/// `POST /items/{item}/park`.
pub(super) async fn park(
    State(app): State<Shared>,
    caller: Caller,
    FromPath(item): FromPath<ItemId>,
    Body(Park { workbin, until, note, epoch }): Body<Park>,
) -> Result<Json<Reply>, Problem> {
    let by = holder(&caller, epoch)?;
    check_text("note", note.as_deref())?;
    if until.is_some_and(|until| until <= app.hub.now()) {
        return Err(fault("until", "the time to come back has passed already".to_owned()));
    }
    let own = || caller.agent().cloned().map(Workbin::Agent);
    let workbin = workbin.or_else(own).ok_or_else(|| {
        fault("workbin", r#"name the workbin, as in {"agent": "anna"}"#.to_owned())
    })?;
    let command = Command::Park { item, by, workbin, until, note };
    answered(app.hub.command(caller.actor(), command).await?)
}

/// `POST /items/{item}/pull`.
pub(super) async fn pull(
    State(app): State<Shared>,
    caller: Caller,
    FromPath(item): FromPath<ItemId>,
    Body(Pull { agent, over_capacity }): Body<Pull>,
) -> Result<Json<Reply>, Problem> {
    caller.must(Permission::Move)?;
    check_text("over_capacity", over_capacity.as_deref())?;
    let agent = agent
        .or_else(|| caller.agent().cloned())
        .ok_or_else(|| fault("agent", "name the agent who is to have it".to_owned()))?;
    caller.must_be(&agent)?;
    if caller.agent().is_some() {
        let view = read(&app, item).await?;
        if let Some(workbin @ Workbin::Supervisor(_)) = view.item.workbin() {
            let detail = format!("work item {item} lies in the {workbin}; ask one to hand it out");
            return Err(Problem::new(&problem::NOT_YOURS, detail));
        }
    }
    let command = Command::Pull { item, agent, over_capacity };
    answered(app.hub.command(caller.actor(), command).await?)
}

/// `POST /items/{item}/return`.
pub(super) async fn give_back(
    State(app): State<Shared>,
    caller: Caller,
    FromPath(item): FromPath<ItemId>,
    Body(Return { note, epoch }): Body<Return>,
) -> Result<Json<Reply>, Problem> {
    let by = holder(&caller, epoch)?;
    check_text("note", note.as_deref())?;
    answered(app.hub.command(caller.actor(), Command::Return { item, by, note }).await?)
}

/// `POST /items/{item}/retrieve`.
pub(super) async fn retrieve(
    State(app): State<Shared>,
    caller: Caller,
    FromPath(item): FromPath<ItemId>,
    Body(Retrieve { reason }): Body<Retrieve>,
) -> Result<Json<Reply>, Problem> {
    caller.must(Permission::Steer)?;
    check_text("reason", Some(&reason))?;
    answered(app.hub.command(caller.actor(), Command::Retrieve { item, reason }).await?)
}

/// `POST /items/{item}/reschedule`.
pub(super) async fn reschedule(
    State(app): State<Shared>,
    caller: Caller,
    FromPath(item): FromPath<ItemId>,
    Body(Reschedule { activation_at, due_at, epoch }): Body<Reschedule>,
) -> Result<Json<Reply>, Problem> {
    let by = rescheduler(&app, &caller, item, epoch).await?;
    let dates = [("activation_at", activation_at), ("due_at", due_at)];
    let dates: serde_json::Map<_, _> = dates
        .into_iter()
        .filter_map(|(name, at)| Some((name.to_owned(), at?.to_string().into())))
        .collect();
    if dates.is_empty() {
        return Err(fault("activation_at", "give a new activation_at, due_at, or both".to_owned()));
    }
    let body = Bytes::from(serde_json::Value::Object(dates).to_string());
    let target = intake::Target::Item(item);
    let message = Message { target, kind: MessageKind::Reschedule, body, by };
    answered(app.intake.message(caller.actor(), message).await?)
}

/// Sources reschedule what is theirs, agents what is with them, supervisors everything.
async fn rescheduler(
    app: &App,
    caller: &Caller,
    item: ItemId,
    epoch: Option<u32>,
) -> Result<Option<Holder>, Problem> {
    if caller.agent().is_some() {
        return holder(caller, epoch);
    }
    caller.must(Permission::SendMessage)?;
    caller.must_own_capture_point(&read(app, item).await?.item.capture_point)?;
    Ok(None)
}

/// The agent who has the item, if it is an agent who asks; the epoch says which assignment is
/// meant.
fn holder(caller: &Caller, epoch: Option<u32>) -> Result<Option<Holder>, Problem> {
    caller.must(Permission::Move)?;
    let Some(agent) = caller.agent() else {
        return Ok(None);
    };
    let missing = "send the epoch of the card, so that a late click cannot move a later offer";
    let epoch = epoch.ok_or_else(|| fault("epoch", missing.to_owned()))?;
    Ok(Some(Holder { agent: agent.clone(), epoch }))
}

pub(super) fn check_text(field: &str, text: Option<&str>) -> Result<(), Problem> {
    match text.map(|text| text.chars().count()) {
        Some(length) if length > TEXT_MAX => {
            let detail = format!("{field} has {length} characters; at most {TEXT_MAX} are kept");
            Err(fault(field, detail))
        }
        Some(0) => Err(fault(field, format!("{field} is empty: say something or leave it out"))),
        _ => Ok(()),
    }
}

pub(super) fn fault(field: &str, detail: String) -> Problem {
    let kind = &problem::FIELDS;
    Problem { faults: vec![Fault::new(field, detail.clone())], ..Problem::new(kind, detail) }
}
