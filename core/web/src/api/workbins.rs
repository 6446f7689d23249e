//! Workbins: where parked items lie.

use axum::Json;
use axum::extract::State;
use gantry_model::{Command, Name, Reply, Timestamp, Workbin};
use serde::Serialize;

use super::answered;
use crate::access::{Caller, Permission};
use crate::app::{App, Shared};
use crate::extract::FromPath;
use crate::live::{self, LiveBin};
use crate::problem::{self, Problem};
use crate::view::Summary;

/// Items of one workbin that are shown.
const SHOWN_MAX: usize = 200;

/// All workbins in which anything lies.
#[derive(Debug, Serialize)]
pub(super) struct Workbins {
    workbins: Vec<Count>,
}

/// How much lies in a workbin.
#[derive(Debug, Serialize)]
struct Count {
    workbin: Workbin,
    /// How it is called, for people.
    title: String,
    items: usize,
}

/// What lies in a workbin.
#[derive(Debug, Serialize)]
pub(crate) struct Bin {
    pub(crate) workbin: Workbin,
    pub(crate) title: String,
    /// How much lies in it.
    pub(crate) count: usize,
    /// The first of it, the most urgent first.
    pub(crate) items: Vec<Summary>,
    /// Hub time.
    pub(crate) now: Timestamp,
}

/// `GET /workbins`: those that the caller may use.
pub(super) async fn list(
    State(app): State<Shared>,
    caller: Caller,
) -> Result<Json<Workbins>, Problem> {
    caller.must(Permission::ReadWorkbins)?;
    let counts = live::workbins(&app.hub).await?;
    let own = own_workbins(&app, &caller).await?;
    let counts = counts
        .into_iter()
        .filter(|(workbin, _)| own.as_ref().is_none_or(|own| own.contains(workbin)));
    let workbins = counts.map(|(workbin, items)| {
        let title = workbin.to_string();
        Count { workbin, title, items }
    });
    Ok(Json(Workbins { workbins: workbins.collect() }))
}

/// `GET /workbins/{kind}/{name}`.
pub(super) async fn one(
    State(app): State<Shared>,
    caller: Caller,
    FromPath((kind, name)): FromPath<(String, Name)>,
) -> Result<Json<Bin>, Problem> {
    caller.must(Permission::ReadWorkbins)?;
    let workbin = workbin(&kind, name)?;
    if let Some(own) = own_workbins(&app, &caller).await?
        && !own.contains(&workbin)
    {
        let detail = format!("the {workbin} is not for agent {:?}", caller.0.name);
        return Err(Problem::new(&problem::NOT_YOURS, detail));
    }
    view(&app, workbin).await.map(Json)
}

/// `POST /workbins/{kind}/{name}/empty`: everything in it goes back into distribution.
pub(super) async fn empty(
    State(app): State<Shared>,
    caller: Caller,
    FromPath((kind, name)): FromPath<(String, Name)>,
) -> Result<Json<Reply>, Problem> {
    caller.must(Permission::Move)?;
    let workbin = workbin(&kind, name)?;
    if let Some(agent) = caller.agent()
        && workbin != Workbin::Agent(agent.clone())
    {
        let detail = format!("an agent empties the own workbin only, not the {workbin}");
        return Err(Problem::new(&problem::NOT_YOURS, detail));
    }
    answered(app.hub.command(caller.actor(), Command::EmptyWorkbin { workbin }).await?)
}

/// What lies in a workbin.
pub(crate) async fn view(app: &App, workbin: Workbin) -> Result<Bin, Problem> {
    let LiveBin { items, count, now } = live::workbin(&app.hub, &workbin, SHOWN_MAX).await?;
    let mut summaries = Vec::with_capacity(items.len());
    for (item, priority) in items {
        let Some(mut view) = app.store.item(item.id).await? else { continue };
        view.item = item;
        summaries.push(Summary::new(&view, Some(priority), now));
    }
    Ok(Bin { title: workbin.to_string(), workbin, count, items: summaries, now })
}

/// The workbins that an agent may use: the own one and those of the own groups. None = all.
pub(crate) async fn own_workbins(
    app: &App,
    caller: &Caller,
) -> Result<Option<Vec<Workbin>>, Problem> {
    let Some(agent) = caller.agent() else {
        return Ok(None);
    };
    let known = live::agent(&app.hub, agent).await?;
    let groups = known.into_iter().flat_map(|agent| agent.profile.groups);
    let own = [Workbin::Agent(agent.clone())].into_iter().chain(groups.map(Workbin::Group));
    Ok(Some(own.collect()))
}

fn workbin(kind: &str, name: Name) -> Result<Workbin, Problem> {
    match kind {
        "agent" => Ok(Workbin::Agent(name)),
        "group" => Ok(Workbin::Group(name)),
        "supervisor" => Ok(Workbin::Supervisor(name)),
        _ => {
            let detail = format!("{kind:?} is no kind of workbin; agent, group, supervisor are");
            Err(Problem::new(&problem::PARAMETER, detail))
        }
    }
}
