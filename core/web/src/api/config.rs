//! What the active config says, as far as people and programs around the hub need it.

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use axum::extract::State;
use gantry_model::agent::{REASON_DISCONNECTED, REASON_RONA};
use gantry_model::calendar::{Calendar, Change};
use gantry_model::spec::RoutingSpec;
use gantry_model::{Name, Timestamp};
use serde::Serialize;

use crate::access::{Caller, Permission};
use crate::app::Shared;
use crate::live;
use crate::problem::Problem;

/// `GET /config/routing`
#[derive(Debug, Serialize)]
pub(super) struct Routing {
    /// The active config version.
    version: u32,
    skills: BTreeSet<Name>,
    groups: BTreeSet<Name>,
    /// Reasons that an agent may give for not being ready.
    reasons: BTreeSet<Name>,
    /// Reasons that only the hub gives.
    own_reasons: [&'static str; 2],
    /// Lowest and highest level of a skill; 0 = does not have it.
    levels: [u8; 2],
    /// Dispositions of each process, and whether one is required.
    dispositions: BTreeMap<Name, Dispositions>,
    /// All of it, as the config says it.
    #[serde(rename = "routing")]
    spec: std::sync::Arc<RoutingSpec>,
}

/// What agents may choose from at the end.
#[derive(Debug, Serialize)]
struct Dispositions {
    of: Vec<Name>,
    required: bool,
}

/// `GET /calendars`
#[derive(Debug, Serialize)]
pub(super) struct Calendars {
    calendars: Vec<CalendarView>,
    /// Hub time.
    now: Timestamp,
}

/// A business calendar as it stands now.
#[derive(Debug, Serialize)]
struct CalendarView {
    name: Name,
    timezone: Name,
    /// `true` if it is working time now.
    open: bool,
    /// When it next opens or closes.
    changes_at: Option<Timestamp>,
}

/// `GET /config/routing`.
pub(super) async fn routing(
    State(app): State<Shared>,
    caller: Caller,
) -> Result<Json<Routing>, Problem> {
    caller.must(Permission::ReadConfig)?;
    let version = live::config_version(&app.hub).await?;
    let spec = app.intake.spec();
    let dispositions = spec.routing.processes.iter().map(|(name, process)| {
        let (of, required) = (process.dispositions.clone(), process.disposition_required);
        (name.clone(), Dispositions { of, required })
    });
    Ok(Json(Routing {
        version,
        skills: spec.skills.clone(),
        groups: spec.groups.clone(),
        reasons: spec.routing.reasons.clone(),
        own_reasons: [REASON_RONA, REASON_DISCONNECTED],
        levels: [0, 100],
        dispositions: dispositions.collect(),
        spec: std::sync::Arc::clone(&spec.routing),
    }))
}

/// `GET /calendars`.
pub(super) async fn calendars(
    State(app): State<Shared>,
    caller: Caller,
) -> Result<Json<Calendars>, Problem> {
    caller.must(Permission::ReadConfig)?;
    let now = app.hub.now();
    let mut calendars = Vec::new();
    for (name, spec) in &app.intake.spec().routing.calendars {
        // One that cannot be built does not pass `check`, so the active config has none.
        let calendar = Calendar::new(spec).map_err(|error| Problem::internal(&error))?;
        let changes_at = calendar.next_change(now).map(|change| match change {
            Change::Opens(at) | Change::Closes(at) => at,
        });
        calendars.push(CalendarView {
            name: name.clone(),
            timezone: calendar.timezone().clone(),
            open: calendar.is_open(now),
            changes_at,
        });
    }
    Ok(Json(Calendars { calendars, now }))
}
