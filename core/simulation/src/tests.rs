//! Worlds for tests, and what must hold in all of them.

mod life;
mod theory;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use gantry_model::spec::RoutingSpec;
use gantry_model::spec::scenario::{
    ArrivalSpec, Distribution, Flow, RateWindow, ScenarioSpec, StaffSpec, WeekWindow,
};
use gantry_model::{Millis, Name, Timestamp};
use serde_json::{Value, json};

use crate::World;

const AT_ONCE: Distribution = Distribution::Constant(Millis(0));

/// Processes without a route, each with a priority that rises from 0 by so many points in 100,000
/// hours.
fn routing(processes: &[(&str, i64)]) -> Arc<RoutingSpec> {
    let schema = |slope: i64| {
        json!({ "points": [
            { "at": { "time": "0s" }, "priority": 0 },
            { "at": { "time": "100000h" }, "priority": slope },
        ] })
    };
    let process = |name: &str| {
        json!({
            "priority": name,
            "route": { "stages": [] },
            "offer_timeout": "30s",
            "decline_cool_down": "5m",
            "completion": { "mode": "done_closes", "within": "1h" },
            "dispositions": [],
            "disposition_required": false,
            "show": [],
        })
    };
    let named = |value: &dyn Fn(&(&str, i64)) -> Value| -> Value {
        let named = processes.iter().map(|part| (part.0.to_owned(), value(part)));
        Value::Object(named.collect())
    };
    let routing = json!({
        "priorities": named(&|(_, slope)| schema(*slope)),
        "processes": named(&|(name, _)| process(name)),
        "default_process": processes[0].0,
        "reasons": ["Lunch"],
        "unconfirmed": [],
    });
    Arc::new(serde_json::from_value(routing).expect("a routing"))
}

/// Exponential times with this mean in seconds.
fn exponential(mean_secs: f64) -> Distribution {
    Distribution::Exponential { mean: Millis((mean_secs * 1000.0).round() as i64) }
}

/// Items of one process that arrive at random.
fn arrivals(process: &str, per_hour: f64, handle_time: Distribution) -> ArrivalSpec {
    ArrivalSpec {
        name: Name::new(process),
        process: Name::new(process),
        segment: Name::new("all"),
        flow: Flow::Poisson(vec![RateWindow { window: WeekWindow::ALWAYS, per_hour }]),
        found: None,
        schema: None,
        sla: None,
        due_in: None,
        requires: BTreeMap::new(),
        group: None,
        preferred_agent: None,
        required_agent: None,
        media_type: None,
        handle_time,
        patience: None,
    }
}

/// Agents who are always there and accept at once.
fn staff(name: &str, count: u32) -> StaffSpec {
    StaffSpec {
        name: Name::new(name),
        count,
        skills: BTreeMap::new(),
        groups: BTreeSet::new(),
        capacity: [(Name::new("workitem"), 1)].into(),
        shifts: Vec::new(),
        breaks: Vec::new(),
        accept_after: AT_ONCE,
        decline: 0.0,
        ring_out: 0.0,
        back_after: AT_ONCE,
        speed: 1.0,
    }
}

fn scenario(horizon: Millis, arrivals: Vec<ArrivalSpec>, staff: Vec<StaffSpec>) -> ScenarioSpec {
    ScenarioSpec {
        start: Timestamp(1_772_409_600_000),
        utc_offset: Millis(0),
        horizon,
        warm_up: Millis(0),
        seed: 1,
        confirm_after: AT_ONCE,
        arrivals,
        staff,
    }
}

fn world(spec: ScenarioSpec, processes: &[(&str, i64)]) -> World {
    World::new(spec, routing(processes)).expect("the scenario fits the routing")
}
