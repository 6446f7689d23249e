//! The benchmark's world: processes, agents and waiting items, the same on every run.

use std::sync::Arc;

use clap::ValueEnum;
use gantry_model::agent::AgentProfile;
use gantry_model::command::{Capture, Classified, Verdict};
use gantry_model::item::Classification;
use gantry_model::requirement::Compare;
use gantry_model::spec::{
    Completion, CompletionMode, CurvePoint, OnChange, OnReopen, Overdue, PrioritySchema,
    ProcessSpec, RouteSpec, RoutingSpec, Sla, Span, StageSpec,
};
use gantry_model::{
    Agent, Command, ItemId, LifeCycle, Millis, Name, Presence, Requirement, Timestamp, WorkItem,
};
use serde::{Deserialize, Serialize};

pub(crate) const AGENTS: u64 = 10_000;
pub(crate) const SKILLS: u64 = 200;
/// A process asks for one skill above one of these many levels: that is its signature.
pub(crate) const LEVELS: u64 = 10;
pub(crate) const PROCESSES: u64 = SKILLS * LEVELS;
pub(crate) const SCHEMAS: u64 = 200;
/// With levels spread evenly, an agent fits half of the processes of each skill: 40 in all.
const SKILLS_AN_AGENT: u64 = 8;
/// How many lengths of SLA the rules give.
const SLAS: u64 = 20;
const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;
/// Items came in over this time before the measurement begins.
const HISTORY: i64 = 10 * DAY;
/// The instant at which the measurement begins.
pub(crate) const START: Timestamp = Timestamp(1_767_600_000_000);

/// Where due dates come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Dates {
    /// An SLA by the item's process, of 20 lengths.
    Rules,
    /// A random due date of its own on every item, so that no two curves have the same slope.
    Due,
}

/// The world with a number of items.
pub(crate) struct World {
    pub(crate) dates: Dates,
    pub(crate) items: u64,
    classes: Vec<Arc<Classification>>,
}

/// A random number that depends on nothing but its seeds (SplitMix64).
pub(crate) fn random(stream: u64, number: u64) -> u64 {
    let mut z = (stream << 48 ^ number).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

pub(crate) fn agent_id(number: u64) -> Name {
    Name::from(format!("agent{number:05}"))
}

fn named(kind: &str, number: u64) -> Name {
    Name::from(format!("{kind}{number}"))
}

fn process_name(number: u64) -> Name {
    Name::from(format!("department{}/process{number}", number % 20))
}

impl World {
    pub(crate) fn new(dates: Dates, items: u64) -> Self {
        let class = |process: u64| {
            Arc::new(Classification {
                version: 1,
                rules: vec![named("rule", process)],
                process: process_name(process),
                schema: named("schema", process % SCHEMAS),
                sla: None,
                requirement: None,
                media_type: Name::new("workitem"),
                flow: None,
            })
        };
        Self { dates, items, classes: (0..PROCESSES).map(class).collect() }
    }

    /// The process of an item.
    pub(crate) fn process(number: u64) -> u64 {
        random(1, number) % PROCESSES
    }

    fn captured_at(&self, number: u64) -> Timestamp {
        let before = i128::from(HISTORY) * i128::from(self.items - number) / i128::from(self.items);
        Timestamp(START.0 - before as i64)
    }

    fn due_at(&self, number: u64, from: Timestamp) -> Timestamp {
        let sla = match self.dates {
            Dates::Rules => (Self::process(number) % SLAS + 1) as i64 * 36 * HOUR,
            Dates::Due => 12 * HOUR + (random(2, number) % (30 * DAY as u64)) as i64,
        };
        from.plus(Millis(sla))
    }

    /// The items that wait when the measurement begins, in the order of their ids.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = WorkItem> + '_ {
        (0..self.items).map(|number| self.item(number))
    }

    fn item(&self, number: u64) -> WorkItem {
        let captured_at = self.captured_at(number);
        let due_at = self.due_at(number, captured_at);
        WorkItem {
            life_cycle: LifeCycle::Queued,
            queued_at: Some(captured_at),
            routing_at: Some(captured_at),
            due_at: Some(due_at),
            class: Some(Arc::clone(&self.classes[Self::process(number) as usize])),
            breached_at: Some(due_at).filter(|due_at| *due_at <= START),
            ..WorkItem::new(ItemId::new(0, number + 1), Name::new("crm"), captured_at)
        }
    }

    /// A further item, captured at `now`.
    pub(crate) fn capture(&self, number: u64, now: Timestamp) -> Command {
        let found = Classified {
            class: Some(Arc::clone(&self.classes[Self::process(number) as usize])),
            due_at: Some(self.due_at(number, now)),
            activation_at: None,
            expires_at: None,
            priority: None,
            preferred_agent: None,
            required_agent: None,
            bounds: None,
        };
        Command::Capture(Capture {
            capture_point: Name::new("crm"),
            hash: [0; 16],
            known: None,
            on_change: OnChange::Update,
            on_reopen: OnReopen::New,
            created_at: None,
            activation_at: None,
            verdict: Some(Box::new(Verdict::Classified(found))),
        })
    }

    /// The due date that [`World::capture`] gives.
    pub(crate) fn capture_due(&self, number: u64, now: Timestamp) -> Timestamp {
        self.due_at(number, now)
    }
}

/// An agent's level of a skill; 0 for most.
pub(crate) fn level(agent: u64, skill: u64) -> u64 {
    let has = (0..SKILLS_AN_AGENT).find(|slot| skill_of(agent, *slot) == skill);
    has.map_or(0, |slot| 1 + random(4, agent * SKILLS_AN_AGENT + slot) % 100)
}

fn skill_of(agent: u64, slot: u64) -> u64 {
    // Skills of an agent are spread, so that none is drawn twice.
    (random(3, agent) % SKILLS + slot * (SKILLS / SKILLS_AN_AGENT)) % SKILLS
}

/// `true` if an agent meets what a process asks.
pub(crate) fn fits(agent: u64, process: u64) -> bool {
    level(agent, process / LEVELS) > threshold(process)
}

const fn threshold(process: u64) -> u64 {
    process % LEVELS * (100 / LEVELS)
}

/// All agents, signed off or ready.
pub(crate) fn agents(presence: Presence) -> impl Iterator<Item = Agent> {
    (0..AGENTS).map(move |number| {
        let skills = (0..SKILLS_AN_AGENT).map(|slot| skill_of(number, slot));
        let skills = skills.map(|skill| (named("skill", skill), level(number, skill) as u8));
        Agent {
            profile: AgentProfile {
                name: format!("Agent {number}"),
                skills: skills.collect(),
                ..AgentProfile::new(agent_id(number))
            },
            presence: presence.clone(),
            presence_since: START,
            idle_since: Timestamp(START.0 - (random(5, number) % 1_000_000) as i64),
            elsewhere: [].into(),
            signed_on_at: START,
            ramp: Vec::new(),
        }
    })
}

/// The points of a schema: share of the SLA in thousandths, priority. The second form is what a
/// changed schema looks like.
pub(crate) fn points(schema: u64, changed: bool) -> [(u32, i64); 4] {
    let low = 50 * (schema % 20) as i64;
    let knee = 300 + 3 * schema as i64 + if changed { 150 } else { 0 };
    [(0, low), (400, knee), (800, knee + 400), (1000, 2000)]
}

/// What the schemas add after the due date, each hour, and up to where.
pub(crate) const OVERDUE: (i64, i64) = (10, 3000);

/// The config: as the world begins, or with all curves changed.
pub(crate) fn routing(changed: bool) -> RoutingSpec {
    let point = |(share, priority): (u32, i64)| CurvePoint {
        at: Span::SlaPermille(share),
        priority: priority.into(),
    };
    let (add, limit) = OVERDUE;
    let overdue = Overdue { priority: None, add, every: Millis(HOUR), max: Some(limit) };
    let schema = |number: u64| PrioritySchema {
        overdue: Some(overdue),
        ..PrioritySchema::of_points(points(number, changed).map(point).to_vec())
    };
    let process = |number: u64| ProcessSpec {
        priority: named("schema", number % SCHEMAS),
        sla: Some(Sla::Wall(Millis(72 * HOUR))),
        route: RouteSpec {
            preferred: None,
            stages: vec![StageSpec {
                requirement: Requirement::Skill {
                    skill: named("skill", number / LEVELS),
                    compare: Compare::Greater,
                    level: threshold(number) as u8,
                },
                lasts: None,
            }],
        },
        offer_timeout: Millis(1_000 * DAY),
        decline_cool_down: Millis(60_000),
        completion: Completion { mode: CompletionMode::DoneCloses, within: Millis(60_000) },
        ..ProcessSpec::default()
    };
    RoutingSpec {
        priorities: (0..SCHEMAS).map(|number| (named("schema", number), schema(number))).collect(),
        processes: (0..PROCESSES).map(|number| (process_name(number), process(number))).collect(),
        default_process: process_name(0),
        ..RoutingSpec::default()
    }
}
