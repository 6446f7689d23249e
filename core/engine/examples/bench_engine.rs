//! Measures the pure engine on one core: capture without agents, and full cycles.
//!
//! Run: `cargo run --release -p gantry-engine --example bench_engine -- [items]`
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "its output is its purpose")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use gantry_engine::{State, Step, step};
use gantry_model::agent::AgentProfile;
use gantry_model::command::{Capture, Classified, Verdict};
use gantry_model::item::Classification;
use gantry_model::requirement::Compare;
use gantry_model::spec::{
    Completion, CompletionMode, CurvePoint, OnChange, OnReopen, Overdue, PrioritySchema,
    ProcessSpec, RouteSpec, RoutingSpec, Sla, Span, StageSpec,
};
use gantry_model::{
    Actor, Agent, Assignment, Command, Event, ItemId, Millis, Name, Presence, Requirement,
    Timestamp, WorkItem,
};

/// Commands that one commit covers.
const GROUP: usize = 1_000;
const PROCESSES: u64 = 20;
const AGENTS: u64 = 100;

/// A hub's use of the engine, without the store.
struct Bench {
    state: State,
    now: Timestamp,
    classes: Vec<Arc<Classification>>,
    spent: Vec<Duration>,
    steps: usize,
    events: usize,
}

fn main() {
    let items = std::env::args().nth(1).and_then(|count| count.parse().ok());
    let items: u64 = items.unwrap_or(100_000);
    let mut bench = Bench::new();

    for number in 0..items {
        bench.capture(number);
    }
    bench.report("capture, nobody ready", items);

    for number in 0..AGENTS {
        bench.sign_on(number);
    }
    bench.report("agents sign on, offers from the backlog", AGENTS);

    let cycles = 20_000;
    for number in 0..cycles {
        bench.capture(items + number);
        bench.work_off(number);
    }
    bench.report("full cycle, backlog standing", cycles);

    let begun = Instant::now();
    let top = bench.state.top(bench.now, 100).len();
    println!("{:<42} {:>9.1} µs", format!("top {top} of the backlog"), micros(begun.elapsed()));
    let facts = bench.facts();
    let begun = Instant::now();
    let state = State::from_facts(0, facts.0, facts.1, facts.2, facts.3, bench.now);
    println!("{:<42} {:>9.1} ms", "boot: all indexes anew", micros(begun.elapsed()) / 1e3);
    assert_eq!(state.items().len(), bench.state.items().len());
}

fn micros(span: Duration) -> f64 {
    span.as_secs_f64() * 1e6
}

impl Bench {
    fn new() -> Self {
        let mut bench = Self {
            state: State::new(0),
            now: Timestamp(1_767_600_000_000),
            classes: (0..PROCESSES).map(class).collect(),
            spent: Vec::new(),
            steps: 0,
            events: 0,
        };
        let routing = Arc::new(routing());
        let _: Step = bench.act(&Command::Activate { version: 1, routing });
        bench
    }

    fn act(&mut self, command: &Command) -> Step {
        let begun = Instant::now();
        let step = step(&mut self.state, self.now, Actor::Hub, command);
        self.steps += 1;
        self.events += step.entries.len();
        if self.steps.is_multiple_of(GROUP) {
            let changes = self.state.take_changes();
            assert!(changes.next_counter > 0);
        }
        self.spent.push(begun.elapsed());
        step
    }

    /// Prints what the last phase cost, for each of `count` units of work.
    fn report(&mut self, phase: &str, count: u64) {
        let mut spent = std::mem::take(&mut self.spent);
        let total: Duration = spent.iter().sum();
        let (steps, events) = (self.steps, std::mem::take(&mut self.events));
        spent.sort_unstable();
        let p99 = spent[spent.len() * 99 / 100];
        println!(
            "{phase:<42} {:>9.0}/s {:>8.2} µs each, step p99 {:>6.2} µs, {events} events, {} waiting",
            count as f64 / total.as_secs_f64(),
            micros(total) / count as f64,
            micros(p99),
            self.state.items().len(),
        );
        assert!(steps > 0);
    }

    fn capture(&mut self, number: u64) {
        self.now = self.now.plus(Millis(number.is_multiple_of(10).into()));
        let class = Arc::clone(&self.classes[(number % PROCESSES) as usize]);
        let found = Classified {
            class: Some(class),
            // A due date of its own gives each item a slope of its own.
            due_at: number
                .is_multiple_of(2)
                .then(|| self.now.plus(Millis((1_000_000 + number * 7_919 % 90_000_000) as i64))),
            activation_at: None,
            expires_at: None,
            priority: None,
            preferred_agent: None,
            required_agent: None,
            bounds: None,
        };
        let capture = Command::Capture(Capture {
            capture_point: Name::new("crm"),
            hash: [0; 16],
            known: None,
            on_change: OnChange::Update,
            on_reopen: OnReopen::New,
            created_at: None,
            activation_at: None,
            verdict: Some(Box::new(Verdict::Classified(found))),
        });
        let _: Step = self.act(&capture);
    }

    fn sign_on(&mut self, number: u64) {
        let id = Name::from(format!("agent{number}"));
        let skill = |process: u64| (Name::from(format!("skill{process}")), 9);
        let put = Command::PutAgent(AgentProfile {
            skills: (0..4).map(|k| skill((number + k * 5) % PROCESSES)).collect(),
            ..AgentProfile::new(id.clone())
        });
        let _: Step = self.act(&put);
        let _: Step = self.act(&Command::SetPresence { agent: id, presence: Presence::Ready });
    }

    /// An agent accepts, marks done, and gets the next offer from the backlog.
    fn work_off(&mut self, number: u64) {
        let agent = Name::from(format!("agent{}", number % AGENTS));
        let offered = self.state.desk(&agent).find_map(|item| match item.assignment {
            Assignment::Offered { .. } => Some((item.id, item.epoch)),
            _ => None,
        });
        let Some((item, epoch)) = offered else { return };
        let accept = Command::Accept { item, epoch, agent: agent.clone() };
        let _: Step = self.act(&accept);
        let done = self.act(&Command::MarkDone {
            item,
            epoch,
            agent,
            disposition: None,
            attributes_changed: false,
        });
        let offer = |event: &Event| matches!(event, Event::Offered { .. });
        assert!(done.entries.iter().any(|entry| offer(&entry.event)), "{item:?}");
    }

    #[expect(clippy::type_complexity, reason = "the arguments of from_facts, in its order")]
    fn facts(&self) -> (u64, Option<(u32, Arc<RoutingSpec>)>, Vec<Agent>, Vec<WorkItem>) {
        let config = Some((1, Arc::new(self.state.routing().clone())));
        let agents = self.state.agents().cloned().collect();
        let items = self.state.items().collect();
        (ItemId::new(0, self.state.next_counter()).counter(), config, agents, items)
    }
}

fn class(process: u64) -> Arc<Classification> {
    Arc::new(Classification {
        version: 1,
        rules: vec![Name::new("bench")],
        process: Name::from(format!("bench/{process}")),
        schema: Name::from(format!("schema{}", process % 5)),
        sla: None,
        requirement: None,
        media_type: Name::new("workitem"),
        flow: None,
    })
}

fn routing() -> RoutingSpec {
    let point = |share, priority: i64| CurvePoint {
        at: Span::SlaPermille(share),
        priority: priority.into(),
    };
    let schema = |number: u64| PrioritySchema {
        overdue: Some(Overdue {
            priority: None,
            add: 10,
            every: Millis(3_600_000),
            max: Some(3000),
        }),
        ..PrioritySchema::of_points(vec![
            point(0, 100 * number as i64),
            point(500, 900),
            point(1000, 2000),
        ])
    };
    let stage = |process: u64, level, lasts| StageSpec {
        requirement: Requirement::Skill {
            skill: Name::from(format!("skill{process}")),
            compare: Compare::Greater,
            level,
        },
        lasts,
    };
    let process = |number: u64| ProcessSpec {
        priority: Name::new("schema0"),
        sla: Some(Sla::Wall(Millis(72 * 3_600_000))),
        route: RouteSpec {
            preferred: None,
            stages: vec![
                stage(number, 7, Some(Span::SlaPermille(200))),
                stage(number, 4, Some(Span::SlaPermille(300))),
                stage(number, 0, None),
            ],
        },
        offer_timeout: Millis(1_000_000_000),
        decline_cool_down: Millis(60_000),
        completion: Completion { mode: CompletionMode::DoneCloses, within: Millis(60_000) },
        ..ProcessSpec::default()
    };
    let named = |kind: &str, number: u64| Name::from(format!("{kind}{number}"));
    RoutingSpec {
        priorities: (0..5).map(|n| (named("schema", n), schema(n))).collect(),
        processes: (0..PROCESSES).map(|n| (named("bench/", n), process(n))).collect(),
        default_process: Name::new("bench/0"),
        ..RoutingSpec::default()
    }
}
