//! Random worlds: commands in any order. After each step every invariant holds, the oracle
//! agrees with every offer, and the journal folds to the same bytes.

mod moves;

use std::sync::Arc;

use gantry_model::agent::{AgentProfile, REASON_DISCONNECTED};
use gantry_model::command::{Capture, Known, Verdict};
use gantry_model::item::PriorityBounds;
use gantry_model::spec::{
    AbsenceAction, CapacityRule, OnChange, OnReopen, RampUp, RoutingSpec, Sla,
};
use gantry_model::{Actor, Command, ItemId, Millis, Name, Presence, Reply, Requirement, WorkItem};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

use moves::{Move, a_move, disposition};

use super::script::{World, classified, first_point, routing};

/// One random act. Numbers choose among what there is when it happens.
#[derive(Clone, Debug)]
enum Op {
    Pass(i64),
    PassToWake,
    Capture {
        verdict: Option<Found>,
        point: u8,
        activation: Option<i64>,
    },
    CaptureAgain {
        which: usize,
        same: bool,
        on: u8,
    },
    Update {
        which: usize,
        rerun: bool,
        found: Option<Found>,
        stale: bool,
        reschedule: bool,
    },
    EndRun {
        which: usize,
        enriched: bool,
        found: Found,
        stale: bool,
    },
    OnItem {
        which: usize,
        act: Act,
    },
    OnOffer {
        which: usize,
        act: AgentAct,
        wrong: u8,
    },
    PutAgent {
        which: u8,
        sales: u8,
        legacy: u8,
        north: bool,
        capacity: u16,
        chats: u16,
        inactive: u8,
    },
    RemoveAgent(u8),
    Load {
        which: u8,
        chat: bool,
        count: u16,
    },
    Move {
        which: usize,
        act: Move,
        by_agent: bool,
        wrong: u8,
    },
    Presence {
        which: u8,
        presence: u8,
    },
    Activate {
        change: u8,
    },
    Reboot,
    ClockStepped,
}

#[derive(Clone, Copy, Debug)]
enum Act {
    Hold,
    Resume,
    Cancel,
    Complete,
    Restart { force: bool },
    Confirm,
}

#[derive(Clone, Copy, Debug)]
enum AgentAct {
    Accept,
    Decline,
    MarkDone { disposition: u8, changed: bool },
}

/// What the rules found.
#[derive(Clone, Debug)]
struct Found {
    kind: u8,
    process: u8,
    schema: u8,
    chat: bool,
    group: bool,
    sla: Option<i64>,
    due: Option<i64>,
    activation: Option<i64>,
    expires: Option<i64>,
    priority: Option<i64>,
    preferred: Option<u8>,
    required: Option<u8>,
    bounds: Option<PriorityBounds>,
    flow: Option<u8>,
}

const AGENTS: [&str; 5] = ["anna", "ben", "cleo", "dora", "emil"];
const PROCESSES: [&str; 9] = [
    "sales/leads",
    "billing/disputes",
    "service/calls",
    "care/returns",
    "care/returns",
    "care/claims",
    "care/office",
    "closed/claims",
    "no/where",
];
const SCHEMAS: [&str; 6] = ["gold", "bronze", "cooling", "working", "steps", "unknown"];

/// Shares of agents; the last is not among those that the config names.
const FLOWS: [&str; 4] = ["acme", "bolt", "crown", "nobody"];

fn found() -> impl Strategy<Value = Found> {
    let span = || 0..50_000_000_i64;
    let kinds = (0..14_u8, 0..100_u8, 0..100_u8, prop::bool::weighted(0.2), any::<bool>());
    let times = (
        prop::option::weighted(0.3, span()),
        prop::option::weighted(0.3, -1_000_000..50_000_000_i64),
        prop::option::weighted(0.15, -1_000_000..5_000_000_i64),
        prop::option::weighted(0.15, 1..20_000_000_i64),
    );
    let agents = (
        prop::option::weighted(0.2, -50..3_000_i64),
        prop::option::weighted(0.3, 0..6_u8),
        prop::option::weighted(0.1, 0..6_u8),
        prop::option::weighted(0.2, bounds()),
        prop::option::of(0..4_u8),
    );
    (kinds, times, agents).prop_map(|(kinds, times, agents)| {
        let (kind, process, schema, chat, group) = kinds;
        let (sla, due, activation, expires) = times;
        let (priority, preferred, required, bounds, flow) = agents;
        // Unknown names are rare.
        let mostly = |n: u8, unknown: u8| if n < 2 { unknown } else { n % unknown };
        let (process, schema) = (mostly(process, 8), mostly(schema, 5));
        Found {
            kind,
            process,
            schema,
            chat,
            group,
            sla,
            due,
            activation,
            expires,
            priority,
            preferred,
            required,
            bounds,
            flow,
        }
    })
}

fn bounds() -> impl Strategy<Value = PriorityBounds> {
    let points = || prop::option::of(-500..1_500_i64);
    (points(), points(), points()).prop_map(|(start, min, max)| PriorityBounds { start, min, max })
}

fn op() -> impl Strategy<Value = Op> {
    let which = || any::<usize>();
    prop_oneof![
        3 => (1..4_000_000_i64).prop_map(Op::Pass),
        // Often no more than an agent needs to answer.
        4 => (1..20_000_i64).prop_map(Op::Pass),
        4 => Just(Op::PassToWake),
        8 => (prop::option::weighted(0.8, found()), 0..4_u8, prop::option::weighted(0.1, span()))
            .prop_map(|(verdict, point, activation)| Op::Capture { verdict, point, activation }),
        2 => (which(), any::<bool>(), 0..8_u8)
            .prop_map(|(which, same, on)| Op::CaptureAgain { which, same, on }),
        4 => (which(), any::<bool>(), prop::option::of(found()), prop::bool::weighted(0.1),
            prop::bool::weighted(0.3)).prop_map(|(which, rerun, found, stale, reschedule)|
            Op::Update { which, rerun, found, stale, reschedule }),
        6 => (which(), any::<bool>(), found(), prop::bool::weighted(0.1)).prop_map(
            |(which, enriched, found, stale)| Op::EndRun { which, enriched, found, stale }),
        5 => (which(), act()).prop_map(|(which, act)| Op::OnItem { which, act }),
        14 => (which(), agent_act(), 0..12_u8)
            .prop_map(|(which, act, wrong)| Op::OnOffer { which, act, wrong }),
        3 => (0..5_u8, 0..10_u8, 0..4_u8, any::<bool>(), 0..4_u16, 0..2_u16, 0..8_u8).prop_map(
            |(which, sales, legacy, north, capacity, chats, inactive)| Op::PutAgent {
                which, sales, legacy, north, capacity, chats, inactive }),
        1 => (0..6_u8).prop_map(Op::RemoveAgent),
        1 => (0..6_u8, any::<bool>(), 0..3_u16)
            .prop_map(|(which, chat, count)| Op::Load { which, chat, count }),
        10 => (which(), a_move(), any::<bool>(), 0..12_u8)
            .prop_map(|(which, act, by_agent, wrong)| Op::Move { which, act, by_agent, wrong }),
        8 => (0..6_u8, 0..10_u8).prop_map(|(which, presence)| Op::Presence { which, presence }),
        1 => (0..7_u8).prop_map(|change| Op::Activate { change }),
        1 => Just(Op::Reboot),
        1 => Just(Op::ClockStepped),
    ]
}

fn span() -> impl Strategy<Value = i64> {
    1..10_000_000_i64
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        3 => Just(Act::Hold),
        4 => Just(Act::Resume),
        1 => Just(Act::Cancel),
        1 => Just(Act::Complete),
        2 => any::<bool>().prop_map(|force| Act::Restart { force }),
        5 => Just(Act::Confirm),
    ]
}

fn agent_act() -> impl Strategy<Value = AgentAct> {
    prop_oneof![
        6 => Just(AgentAct::Accept),
        2 => Just(AgentAct::Decline),
        4 => (0..6_u8, any::<bool>())
            .prop_map(|(disposition, changed)| AgentAct::MarkDone { disposition, changed }),
    ]
}

/// The agent of a number; the last one does not exist.
fn agent(which: u8) -> Name {
    AGENTS.get(usize::from(which)).map_or_else(|| Name::new("nobody"), Name::new)
}

impl World {
    fn verdict(&self, found: &Found, stale: bool) -> Verdict {
        if found.kind == 0 {
            return Verdict::Rejected { reason: "outside its dates".into() };
        }
        if found.kind == 1 {
            let retry_at = found.sla.map(|span| self.now.plus(Millis(span)));
            return Verdict::Failed { reason: "look-up failed".into(), retry_at };
        }
        let version = self.state.config_version() + u32::from(stale);
        let (process, schema) = (usize::from(found.process), usize::from(found.schema));
        let mut verdict = classified(PROCESSES[process], SCHEMAS[schema], version);
        let class = Arc::make_mut(verdict.class.as_mut().unwrap());
        class.sla = found.sla.map(|sla| match sla % 3 {
            0 => Sla::Business(Millis(sla)),
            _ => Sla::Wall(Millis(sla)),
        });
        class.flow = found.flow.map(|flow| Name::new(FLOWS[usize::from(flow)]));
        if found.chat {
            class.media_type = "chat".into();
        }
        class.requirement = found.group.then(|| Requirement::Group("north".into()));
        class.requirement = class.requirement.take().filter(|_| found.kind < 6);
        let at = |span: Option<i64>| span.map(|span| self.now.plus(Millis(span)));
        verdict.due_at = at(found.due);
        verdict.activation_at = at(found.activation);
        verdict.expires_at = at(found.expires);
        verdict.priority = found.priority;
        verdict.preferred_agent = found.preferred.map(agent);
        verdict.required_agent = found.required.map(agent);
        verdict.bounds = found.bounds.map(Box::new);
        Verdict::Classified(verdict)
    }

    fn pick(&self, which: usize, wanted: impl Fn(&WorkItem) -> bool) -> Option<WorkItem> {
        let fitting: Vec<_> = self.state.items().filter(|item| wanted(item)).collect();
        (!fitting.is_empty()).then(|| fitting[which % fitting.len()].clone())
    }

    fn perform(&mut self, op: &Op) {
        let (actor, command) = match op {
            Op::Pass(span) => {
                self.now = self.now.plus(Millis(*span));
                (Actor::Hub, Command::Tick)
            }
            Op::PassToWake => {
                self.now = self.state.next_wake(self.now).unwrap_or(self.now);
                (Actor::Hub, Command::Tick)
            }
            Op::Reboot => {
                self.reboot(Millis(60_000));
                return;
            }
            Op::ClockStepped => (Actor::Hub, Command::ClockStepped { by: Millis(-90_000) }),
            Op::Capture { .. } | Op::CaptureAgain { .. } => {
                (Actor::Source("crm".into()), self.capture(op))
            }
            Op::PutAgent { .. } | Op::RemoveAgent(_) | Op::Presence { .. } | Op::Load { .. } => {
                (Actor::User("admin".into()), Self::staff(op))
            }
            Op::Activate { change } => (Actor::User("admin".into()), self.activate(*change)),
            Op::OnOffer { which, act, wrong } => match self.on_offer(*which, *act, *wrong) {
                Some(command) => (Actor::Agent("anna".into()), command),
                None => return,
            },
            Op::Move { which, act, by_agent, wrong } => {
                match self.by_hand(*which, *act, *by_agent, *wrong) {
                    Some(command) => (Actor::Agent("anna".into()), command),
                    None => return,
                }
            }
            Op::Update { .. } | Op::EndRun { .. } | Op::OnItem { .. } => match self.on_item(op) {
                Some(command) => (Actor::Source("crm".into()), command),
                None => return,
            },
        };
        let before = self.state.next_counter();
        let (_, reply) = self.act(actor, &command);
        let created = matches!(reply, Reply::Created { .. });
        assert_eq!(self.state.next_counter(), before + u64::from(created));
    }

    fn capture(&self, op: &Op) -> Command {
        let mut capture = Capture {
            capture_point: "crm".into(),
            hash: [1; 16],
            known: None,
            on_change: OnChange::Update,
            on_reopen: OnReopen::New,
            created_at: None,
            activation_at: None,
            verdict: None,
        };
        match op {
            Op::Capture { verdict, point, activation } => {
                if *point == 0 {
                    capture.capture_point = "shop".into();
                }
                capture.activation_at = activation.map(|span| self.now.plus(Millis(span)));
                let verdict = verdict.as_ref().map(|found| self.verdict(found, found.kind == 2));
                capture.verdict = verdict.map(Box::new);
            }
            Op::CaptureAgain { which, same, on } => {
                let item = ItemId::new(0, *which as u64 % self.state.next_counter());
                let hash = if *same { [1; 16] } else { [2; 16] };
                capture.known = Some(Known { item, hash, seen: *on == 7 });
                let [update, conflict, ignore] =
                    [OnChange::Update, OnChange::Conflict, OnChange::Ignore];
                (capture.on_change, capture.on_reopen) = match on % 3 {
                    0 => (update, OnReopen::New),
                    1 => (conflict, OnReopen::DeadLetter),
                    _ => (ignore, OnReopen::Ignore),
                };
            }
            _ => unreachable!("only captures come here"),
        }
        Command::Capture(capture)
    }

    fn on_item(&self, op: &Op) -> Option<Command> {
        Some(match op {
            Op::Update { which, rerun, found, stale, reschedule } => {
                let item = self.pick(*which, |_| true)?;
                let verdict = found.as_ref().map(|found| Box::new(self.verdict(found, *stale)));
                let base_revision = item.revision - u32::from(*stale);
                let (rerun, reschedule) = (*rerun, *reschedule);
                Command::Update {
                    item: item.id,
                    base_revision,
                    rerun,
                    verdict,
                    reschedule,
                    by: None,
                }
            }
            Op::EndRun { which, enriched, found, stale } => {
                let run = *self.runs.get(which % self.runs.len().max(1))?;
                let verdict = Box::new(self.verdict(found, *stale));
                let (item, revision, run) = (run.item, run.revision, run.run);
                Command::EndRun { item, revision, run, enriched: *enriched, verdict }
            }
            Op::OnItem { which, act: Act::Confirm } => {
                // Few are just in wrap-up, so these come first.
                let in_state = |state| {
                    self.pick(*which, move |item: &WorkItem| item.assignment.as_str() == state)
                };
                let item = in_state("wrap_up").or_else(|| in_state("confirming"))?;
                Command::Confirm { item: item.id, epoch: item.epoch }
            }
            Op::OnItem { which, act } => {
                let item = self.pick(*which, |_| true)?.id;
                match act {
                    Act::Hold => Command::Hold { item, reason: "wait".into() },
                    Act::Resume => Command::Resume { item },
                    Act::Cancel => Command::Cancel { item, reason: "withdrawn".into() },
                    Act::Complete => Command::Complete { item, result_code: None },
                    Act::Restart { force } => Command::Restart { item, force: *force },
                    Act::Confirm => return None,
                }
            }
            _ => return None,
        })
    }

    fn on_offer(&self, which: usize, act: AgentAct, wrong: u8) -> Option<Command> {
        let wanted = if matches!(act, AgentAct::MarkDone { .. }) { "assigned" } else { "offered" };
        let item = self.pick(which, |item| item.assignment.as_str() == wanted)?;
        let with = item.agent().cloned()?;
        let agent = if wrong == 0 { "ben".into() } else { with };
        let (revision, epoch) = (item.revision, item.epoch - u32::from(wrong == 1));
        let item = item.id;
        Some(match act {
            AgentAct::Accept => Command::Accept { item, epoch, agent },
            AgentAct::Decline => Command::Decline { item, epoch, agent, reason: "busy".into() },
            AgentAct::MarkDone { disposition: given, changed } => {
                let (disposition, changed_from) = (disposition(given), changed.then_some(revision));
                Command::MarkDone { item, epoch, agent, disposition, changed_from }
            }
        })
    }

    fn staff(op: &Op) -> Command {
        match op {
            Op::PutAgent { which, sales, legacy, north, capacity, chats, inactive } => {
                let skills = [("sales", *sales), ("legacy", *legacy)];
                let capacity = [("workitem", *capacity), ("chat", *chats)];
                let named = |(name, value): (&str, u16)| (Name::new(name), value);
                let inactive = PROCESSES.get(usize::from(*inactive));
                Command::PutAgent(AgentProfile {
                    skills: skills.map(|(name, level)| (Name::new(name), level)).into(),
                    groups: north.then(|| Name::new("north")).into_iter().collect(),
                    // Who takes three of something takes them by the rule.
                    capacity_rule: (capacity[0].1 == 3).then(|| Name::new("blended")),
                    capacity: capacity.map(named).into(),
                    inactive_queues: inactive.into_iter().copied().map(Name::new).collect(),
                    ..AgentProfile::new(agent(*which))
                })
            }
            Op::RemoveAgent(which) => Command::RemoveAgent(agent(*which)),
            Op::Load { which, chat, count } => {
                let media = if *chat { "chat" } else { "workitem" };
                Command::ReportLoad { agent: agent(*which), media: media.into(), count: *count }
            }
            Op::Presence { which, presence } => {
                let reason = if *presence == 2 { "Lunch".into() } else { "Fishing".into() };
                let presence = match presence {
                    0 => Presence::SignedOff,
                    1 => Presence::FinishSoon,
                    2 | 3 => Presence::NotReady { reason },
                    9 => Presence::NotReady { reason: REASON_DISCONNECTED.into() },
                    _ => Presence::Ready,
                };
                Command::SetPresence { agent: agent(*which), presence }
            }
            _ => unreachable!("only agents come here"),
        }
    }

    fn activate(&self, change: u8) -> Command {
        let mut routing = world_routing();
        match change {
            0 => drop(routing.processes.remove("service/calls")),
            1 => drop(routing.priorities.remove("bronze")),
            2 => first_point(&mut routing, "gold", 1500),
            3 => routing.processes.get_mut("sales/leads").unwrap().route.stages.truncate(1),
            5 => routing.absence.as_mut().unwrap().then = AbsenceAction::Park,
            _ => {}
        }
        let version = self.state.config_version() + u32::from(change != 4);
        Command::Activate { version, routing: Arc::new(routing) }
    }
}

/// The routing of all tests, and how agents start and blend.
fn world_routing() -> RoutingSpec {
    let mut routing = routing();
    let (lasts, per) = (Millis(7_200_000), Millis(600_000));
    routing.ramp_up = Some(RampUp { lasts, offers: 2, per });
    let media = [("workitem", 2), ("chat", 2)].map(|(name, count)| (Name::new(name), count));
    let excludes = [(Name::new("chat"), [Name::new("workitem")].into())].into();
    let blended = CapacityRule { media: media.into(), total: Some(3), excludes };
    routing.capacity_rules.insert("blended".into(), blended);
    routing.processes.get_mut("sales/leads").unwrap().wrap_up = Some(Millis(7_200_000));
    routing
}

fn run(ops: &[Op]) -> World {
    let mut world = World::new();
    let routing = Arc::new(world_routing());
    world.act(Actor::Hub, &Command::Activate { version: 2, routing });
    for (which, north) in [(0, true), (1, false), (2, true)] {
        let (sales, legacy, capacity, chats) = (9 - which * 3, 2, 1 + u16::from(which), 1);
        let inactive = u8::MAX;
        world.perform(&Op::PutAgent { which, sales, legacy, north, capacity, chats, inactive });
    }
    for op in ops {
        world.perform(op);
    }
    world.check_fold();
    world
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn random_worlds_keep_every_promise(ops in prop::collection::vec(op(), 1..150)) {
        run(&ops);
    }
}

/// Worlds of the same seeds each time, one after the other.
pub(super) fn worlds() -> impl Iterator<Item = World> {
    let mut runner = TestRunner::deterministic();
    let ops = prop::collection::vec(op(), 300);
    std::iter::from_fn(move || Some(run(&ops.new_tree(&mut runner).ok()?.current())))
}
