//! What agents do: accept, decline, mark done. Always their own, always with the epoch.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use gantry_hub::{Head, NewDocument, Side, Submission, Work};
use gantry_model::command::Holder;
use gantry_model::{Command, ItemId, Name, Origin, Reply, Value};
use serde::Deserialize;

use super::answered;
use crate::access::Caller;
use crate::app::{App, Shared};
use crate::extract::{FromPath, Json as Body};
use crate::form;
use crate::live;
use crate::problem::{self, Problem};

/// Why an offer is declined.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Decline {
    reason: String,
}

/// What came of an item.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Done {
    disposition: Option<Name>,
    /// Attributes that the agent changed.
    attributes: BTreeMap<Name, serde_json::Value>,
}

/// `POST /offers/{item}/{epoch}/accept`.
pub(super) async fn accept(
    State(app): State<Shared>,
    caller: Caller,
    FromPath((item, epoch)): FromPath<(ItemId, u32)>,
) -> Result<Json<Reply>, Problem> {
    let agent = caller.working_agent()?.clone();
    let command = Command::Accept { item, epoch, agent };
    answered(app.hub.command(caller.actor(), command).await?)
}

/// `POST /offers/{item}/{epoch}/decline`.
pub(super) async fn decline(
    State(app): State<Shared>,
    caller: Caller,
    FromPath((item, epoch)): FromPath<(ItemId, u32)>,
    Body(Decline { reason }): Body<Decline>,
) -> Result<Json<Reply>, Problem> {
    let agent = caller.working_agent()?.clone();
    let command = Command::Decline { item, epoch, agent, reason };
    answered(app.hub.command(caller.actor(), command).await?)
}

/// What the agent says at the end of a wrap-up.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct WrapUp {
    disposition: Option<Name>,
}

/// `POST /assignments/{item}/{epoch}/wrap-up`: the wrap-up is over.
pub(super) async fn end_wrap_up(
    State(app): State<Shared>,
    caller: Caller,
    FromPath((item, epoch)): FromPath<(ItemId, u32)>,
    Body(WrapUp { disposition }): Body<WrapUp>,
) -> Result<Json<Reply>, Problem> {
    let by = Holder { agent: caller.working_agent()?.clone(), epoch };
    let command = Command::EndWrapUp { item, by, disposition };
    answered(app.hub.command(caller.actor(), command).await?)
}

/// `POST /assignments/{item}/{epoch}/done`.
pub(super) async fn done(
    State(app): State<Shared>,
    caller: Caller,
    FromPath((item, epoch)): FromPath<(ItemId, u32)>,
    Body(Done { disposition, attributes }): Body<Done>,
) -> Result<Json<Reply>, Problem> {
    let agent = caller.working_agent()?.clone();
    let document = filled(&app, (item, epoch), &agent, attributes).await?;
    let (document, changed_from) = document.unzip();
    let command = Command::MarkDone { item, epoch, agent, disposition, changed_from };
    let work = vec![Work { document, ..Work::new(command) }];
    let submission = Submission { actor: caller.actor(), work, side: Side::default() };
    let mut replies = app.hub.submit(submission).await?;
    answered(replies.pop().expect("invariant: one reply for each command"))
}

/// The item's document with what the agent changed in it, and the revision that was changed;
/// `null` takes an attribute out. None if nothing was changed. What the form of the process asks
/// for has to be there.
async fn filled(
    app: &App,
    (item, epoch): (ItemId, u32),
    agent: &Name,
    attributes: BTreeMap<Name, serde_json::Value>,
) -> Result<Option<(NewDocument, u32)>, Problem> {
    let view = super::items::read(app, item).await?;
    if view.item.epoch != epoch || view.item.agent() != Some(agent) {
        // The hub refuses it, and its reason says more than a form that is not theirs.
        return Ok(None);
    }
    let spec = app.intake.spec();
    let process = view.item.process().and_then(|name| spec.routing.processes.get(name));
    let form = process.filter(|process| process.form.is_some());
    if attributes.is_empty() && form.is_none() {
        return Ok(None);
    }
    let (revision, mut document) = live::revision(app, item).await?;
    if let Some(process) = form {
        form::check(process, &document, &attributes)?;
    }
    if attributes.is_empty() {
        return Ok(None);
    }
    for (name, json) in attributes {
        if json.is_null() {
            document.attributes.remove(&name);
            document.origins.remove(&name);
            continue;
        }
        let value = match spec.attribute_type(&name) {
            Some(kind) => Value::from_json(&json, kind).map_err(|mismatch| {
                Problem::new(&problem::FIELDS, format!("attribute {name:?}: {mismatch}"))
            })?,
            None => Value::from_untyped(&json),
        };
        document.set(name, value, Some(Origin::Agent(agent.clone())));
    }
    let text = |name: &str| document.text(name).map(str::to_owned);
    let head = Head { name: text("name"), source_url: text("source_url"), customer: None };
    let attributes = document.to_vec();
    let document = NewDocument { attributes, payload: None, content_type: None, head };
    Ok(Some((document, revision)))
}
