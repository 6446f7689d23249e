//! Random worlds: commands in any order. After each step every invariant holds, the oracle
//! agrees with every offer, and the journal folds to the same bytes.

pub(super) mod moves;

use std::sync::Arc;

use gantry_model::agent::{AgentProfile, REASON_DISCONNECTED};
use gantry_model::command::{Capture, Known, Verdict};
use gantry_model::journal::Entry;
use gantry_model::spec::{OnChange, OnReopen, Sla};
use gantry_model::{Actor, Command, ItemId, Millis, Name, Presence, Reply, Requirement, WorkItem};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

use moves::disposition;

use super::acts::{Act, AgentAct, Found, Op, beginning, op, variants};
use super::script::{World, classified, varied};

/// How long the hub is down when it boots anew.
const DOWN: Millis = Millis(60_000);
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

/// The agent of a number; the last one does not exist.
fn agent(which: u8) -> Name {
    AGENTS.get(usize::from(which)).map_or_else(|| Name::new("nobody"), Name::new)
}

impl World {
    fn verdict(&self, found: &Found, stale: bool) -> Verdict {
        if found.kind == 0 {
            return Verdict::Rejected { reason: "closed".into() };
        }
        if found.kind == 1 {
            let retry_at = found.sla.map(|span| self.now.plus(Millis(span)));
            return Verdict::Failed { reason: "failed".into(), retry_at };
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

    pub(super) fn perform(&mut self, op: &Op) -> Option<(Vec<Entry>, Reply)> {
        match op {
            Op::Reboot => return Some(self.reboot(DOWN)),
            Op::Pass(_) | Op::PassToWake => self.now = self.now.plus(self.passes(op)),
            _ => {}
        }
        let (actor, command) = self.command(op)?;
        let before = self.state.next_counter();
        let (entries, reply) = self.act(actor, &command);
        let created = matches!(reply, Reply::Created { .. });
        assert_eq!(self.state.next_counter(), before + u64::from(created));
        Some((entries, reply))
    }

    /// How much time an act lets pass.
    pub(super) fn passes(&self, op: &Op) -> Millis {
        match op {
            Op::Pass(span) => Millis(*span),
            Op::PassToWake => self.state.next_wake(self.now).unwrap_or(self.now).since(self.now),
            _ => Millis(0),
        }
    }

    /// What an act asks for, if there is what it is about.
    pub(super) fn command(&self, op: &Op) -> Option<(Actor, Command)> {
        let admin = || Actor::User("admin".into());
        let (agent, source) = (Actor::Agent("anna".into()), Actor::Source("crm".into()));
        Some(match op {
            Op::Pass(_) | Op::PassToWake => (Actor::Hub, Command::Tick),
            Op::Reboot => (Actor::Hub, Command::Boot { down: DOWN }),
            Op::ClockStepped => (Actor::Hub, Command::ClockStepped { by: Millis(-90_000) }),
            Op::Capture { .. } | Op::CaptureAgain { .. } => (source, self.capture(op)),
            Op::PutAgent { .. } | Op::RemoveAgent(_) | Op::Presence { .. } | Op::Load { .. } => {
                (admin(), Self::staff(op))
            }
            Op::Activate { chosen, rising } => {
                let version = self.state.config_version() + u32::from(*rising);
                let routing = Arc::new(varied(*chosen));
                (admin(), Command::Activate { version, routing })
            }
            Op::OnOffer { which, act, wrong } => (agent, self.on_offer(*which, *act, *wrong)?),
            Op::Move { which, act, by_agent, wrong } => {
                (agent, self.by_hand(*which, *act, *by_agent, *wrong)?)
            }
            Op::Update { .. } | Op::EndRun { .. } | Op::OnItem { .. } => {
                (source, self.on_item(op)?)
            }
        })
    }

    fn capture(&self, op: &Op) -> Command {
        let mut capture = Capture {
            capture_point: "crm".into(),
            hash: [0; 16],
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
                let hash = if *same { [0; 16] } else { [1; 16] };
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
            Op::PutAgent { which, sales, legacy, north, capacity, chats, inactive, rule } => {
                let skills = [("sales", *sales), ("legacy", *legacy)];
                let capacity = [("workitem", *capacity), ("chat", *chats)];
                let named = |(name, value): (&str, u16)| (Name::new(name), value);
                let inactive = PROCESSES.get(usize::from(*inactive));
                Command::PutAgent(AgentProfile {
                    skills: skills.map(|(name, level)| (Name::new(name), level)).into(),
                    groups: north.then(|| Name::new("north")).into_iter().collect(),
                    capacity: capacity.map(named).into(),
                    capacity_rule: (*rule < 3).then(|| "blended".into()),
                    inactive_queues: inactive.into_iter().copied().map(Name::new).collect(),
                    ..AgentProfile::new(agent(*which))
                })
            }
            Op::RemoveAgent(which) => Command::RemoveAgent(agent(*which)),
            Op::Load { which, media, count } => {
                let media = ["voice", "chat", "workitem"][usize::from(*media)].into();
                Command::ReportLoad { agent: agent(*which), media, count: *count }
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
}

fn run(chosen: u32, ops: &[Op]) -> World {
    let mut world = World::new();
    world.perform(&Op::Activate { chosen, rising: true });
    for op in beginning().iter().chain(ops) {
        world.perform(op);
    }
    world.check_fold();
    world
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn random_worlds_keep_every_promise(
        chosen in variants(),
        ops in prop::collection::vec(op(), 1..150),
    ) {
        run(chosen, &ops);
    }
}

/// Worlds of the same seeds each time, one after the other, each with another config.
pub(super) fn worlds() -> impl Iterator<Item = World> {
    let mut runner = TestRunner::deterministic();
    let all = (variants(), prop::collection::vec(op(), 300));
    std::iter::from_fn(move || {
        let (chosen, ops) = all.new_tree(&mut runner).ok()?.current();
        Some(run(chosen, &ops))
    })
}
