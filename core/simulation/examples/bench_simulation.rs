//! Measures the simulator on one core: the production engine on a virtual clock.
//!
//! Run: `cargo run --release -p gantry-simulation --example bench_simulation -- [--json] [NAME]`
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "its output is its purpose")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use gantry_model::spec::RoutingSpec;
use gantry_model::spec::scenario::{
    ArrivalSpec, Distribution, Flow, RateWindow, ScenarioSpec, StaffSpec, WeekWindow,
};
use gantry_model::{Millis, Name, Timestamp};
use gantry_simulation::{World, measure};
use serde_json::{Value, json};

const SECOND: Distribution = Distribution::Constant(Millis(1_000));
/// How often each world runs; the fastest counts.
const ROUNDS: usize = 3;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let as_json = arguments.iter().any(|argument| argument == "--json");
    let only = arguments.iter().find(|argument| !argument.starts_with("--"));
    let worlds = [
        ("engine.simulation.queue", "M/M/100, load 90, 1 process", queue(100, 90.0, 600_000.0)),
        ("engine.simulation.skills", "200 agents, 20 skills, 20 processes, SLAs", skills(200, 20)),
        (
            "engine.simulation.day",
            "10,000 agents, 200 skills, 200 processes, 1 h",
            skills(10_000, 200),
        ),
    ];
    for (name, what, world) in worlds {
        if only.is_some_and(|only| !name.ends_with(only.as_str())) {
            continue;
        }
        let rounds = (0..ROUNDS).map(|_| measure(&world, 1).expect("the world runs"));
        let best = rounds.min_by_key(|round| round.elapsed).expect("at least one round");
        let rate = best.events_per_second();
        if as_json {
            let (events, entries) = (best.events, best.entries);
            let seconds = best.elapsed.as_secs_f64();
            println!(
                "{}",
                json!({ "name": name, "value": rate, "unit": "events/s", "floor": 200_000,
                        "target": 2_000_000, "events": events, "entries": entries,
                        "seconds": seconds })
            );
        } else {
            println!(
                "{name:<26} {rate:>10.0} events/s  ({what}: {} events, {} entries, {:.2} s)",
                best.events,
                best.entries,
                best.elapsed.as_secs_f64()
            );
        }
    }
}

/// One class, first come first served.
fn queue(servers: u32, load: f64, items: f64) -> World {
    let handle = Distribution::Exponential { mean: Millis(1_000_000) };
    let arrivals = vec![arrivals("bench/0", load * 3.6, handle, None)];
    let staff = vec![staff("server", servers, BTreeMap::new())];
    let horizon = Millis((items / load * 1_000_000.0) as i64);
    world(scenario(horizon, arrivals, staff), 1, &|_| Vec::new())
}

/// Every process asks for its own skill in three stages; every agent has four skills.
fn skills(agents: u32, n_skills: u32) -> World {
    let handle = || Distribution::LogNormal { mean: Millis(300_000), deviation: Millis(200_000) };
    // Agents work 95 % of the time, 12 items an hour.
    let per_hour = f64::from(agents) * 12.0 * 0.95 / f64::from(n_skills);
    let stream = |number: u32| {
        let due_in = Distribution::Uniform { from: Millis(600_000), to: Millis(86_400_000) };
        arrivals(&format!("bench/{number}"), per_hour, handle(), Some(due_in))
    };
    let kind = |number: u32| {
        let skill = |k: u32| (Name::from(format!("skill{}", (number + k * 5) % n_skills)), 9);
        let mut kind =
            staff(&format!("kind{number}"), agents / n_skills, (0..4).map(skill).collect());
        kind.accept_after = SECOND;
        kind
    };
    let items = if agents > 1_000 { 3_600_000 } else { 100 * 3_600_000 };
    let scenario = scenario(
        Millis(items),
        (0..n_skills).map(stream).collect(),
        (0..n_skills).map(kind).collect(),
    );
    world(scenario, n_skills, &|number| {
        let stage = |level: u8, lasts: Option<&str>| {
            json!({
                "requirement": { "skill":
                    { "skill": format!("skill{number}"), "compare": "greater", "level": level } },
                "lasts": lasts.map(|time| json!({ "time": time })),
            })
        };
        vec![stage(7, Some("1m")), stage(4, Some("2m")), stage(0, None)]
    })
}

fn arrivals(
    process: &str,
    per_hour: f64,
    handle_time: Distribution,
    due_in: Option<Distribution>,
) -> ArrivalSpec {
    ArrivalSpec {
        name: Name::new(process),
        process: Name::new(process),
        segment: Name::new("all"),
        flow: Flow::Poisson(vec![RateWindow { window: WeekWindow::ALWAYS, per_hour }]),
        found: None,
        schema: None,
        sla: None,
        due_in,
        requires: BTreeMap::new(),
        group: None,
        preferred_agent: None,
        required_agent: None,
        media_type: None,
        handle_time,
        patience: None,
    }
}

fn staff(name: &str, count: u32, skills: BTreeMap<Name, u8>) -> StaffSpec {
    StaffSpec {
        name: Name::new(name),
        count,
        skills,
        groups: BTreeSet::new(),
        capacity: [(Name::new("workitem"), 1)].into(),
        shifts: Vec::new(),
        breaks: Vec::new(),
        accept_after: Distribution::Constant(Millis(0)),
        decline: 0.0,
        ring_out: 0.0,
        back_after: SECOND,
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
        confirm_after: SECOND,
        arrivals,
        staff,
    }
}

fn world(spec: ScenarioSpec, n_processes: u32, stages: &dyn Fn(u32) -> Vec<Value>) -> World {
    let process = |number: u32| {
        json!({
            "priority": "rising",
            "route": { "stages": stages(number) },
            "offer_timeout": "30s",
            "decline_cool_down": "5m",
            "completion": { "mode": "done_closes", "within": "1h" },
            "dispositions": [],
            "disposition_required": false,
            "show": [],
        })
    };
    let processes = (0..n_processes).map(|number| (format!("bench/{number}"), process(number)));
    let routing: RoutingSpec = serde_json::from_value(json!({
        "priorities": { "rising": { "points": [
            { "at": { "time": "0s" }, "priority": 100 },
            { "at": { "sla_permille": 500 }, "priority": 900 },
            { "at": { "sla_permille": 1000 }, "priority": 2_000 },
        ] } },
        "processes": processes.collect::<serde_json::Map<_, _>>(),
        "default_process": "bench/0",
        "reasons": [],
        "unconfirmed": [],
    }))
    .expect("a routing");
    World::new(spec, Arc::new(routing)).expect("the scenario fits the routing")
}
