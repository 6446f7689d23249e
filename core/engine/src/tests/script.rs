//! The world that tests drive: the engine, its journal, and a second state that replays it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

use gantry_model::command::{Capture, Classified, RunId, Verdict};
use gantry_model::item::Classification;
use gantry_model::journal::{Entry, Segment};
use gantry_model::spec::{
    AbsenceAction, AgentOrder, Answer, OnChange, OnReopen, ProcessSpec, RampUp, RoutingSpec, Shape,
};
use gantry_model::{
    Actor, Command, Event, ItemId, Millis, Name, Reply, Timestamp, WorkItem, Workbin,
};

use super::oracle;
use super::tally::Tally;
use crate::flows::Flows;
use crate::lifecycle::{Stand, stand};
use crate::{Changes, State, check_all, fold, replay, step};

/// 2026-01-05T08:00:00Z, a Monday.
pub(crate) const START: Timestamp = Timestamp(1_767_600_000_000);

/// The routing that all tests use.
pub(crate) fn routing() -> RoutingSpec {
    static READ: LazyLock<RoutingSpec> = LazyLock::new(|| {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases/routing.toml");
        toml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    });
    READ.clone()
}

/// Changes the value of a schema's first point.
pub(crate) fn first_point(routing: &mut RoutingSpec, schema: &str, points: i64) {
    let schema = routing.priorities.get_mut(schema).unwrap();
    let Shape::Points(course) = &mut schema.shape else {
        panic!("the schema has points");
    };
    course[0].priority = points.into();
}

/// Something that a config version has otherwise.
type Change = fn(&mut RoutingSpec);

/// What a config version may have otherwise than the test routing; a version has any of them.
pub(crate) const VARIANTS: [(&str, Change); 11] = [
    ("no_calls", |routing| drop(routing.processes.remove("service/calls"))),
    ("no_bronze", |routing| drop(routing.priorities.remove("bronze"))),
    ("high_gold", |routing| first_point(routing, "gold", 1500)),
    ("one_stage", |routing| leads(routing).route.stages.truncate(1)),
    ("ramp_up", |routing| {
        let (lasts, per) = (Millis::from_secs(7200), Millis::from_secs(900));
        routing.ramp_up = Some(RampUp { lasts, offers: 2, per });
    }),
    ("idle_first", |routing| leads(routing).order = AgentOrder::LongestIdle),
    ("automatic", |routing| leads(routing).answer = Answer::Automatic),
    ("long_wrap_up", |routing| leads(routing).wrap_up = Some(Millis::from_secs(7200))),
    ("absence_parks", |routing| {
        routing.absence.as_mut().unwrap().then = AbsenceAction::Park;
    }),
    ("prefill", |routing| routing.capacity_rules.get_mut("blended").unwrap().prefill = 2),
    ("no_blended", |routing| drop(routing.capacity_rules.remove("blended"))),
];

fn leads(routing: &mut RoutingSpec) -> &mut ProcessSpec {
    routing.processes.get_mut("sales/leads").unwrap()
}

/// The test routing with the variants whose bits are set.
pub(crate) fn varied(chosen: u32) -> RoutingSpec {
    let mut routing = routing();
    for (at, (_, change)) in VARIANTS.iter().enumerate() {
        if chosen >> at & 1 == 1 {
            change(&mut routing);
        }
    }
    routing
}

/// A hub without I/O: the engine, its journal, and what a store would hold.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) state: State,
    /// Replays the journal event by event; the oracle looks at it before each offer.
    replayed: State,
    shares: oracle::Shares,
    pub(crate) journal: Vec<Segment>,
    /// The latest form of every item that ever was, as a store keeps it.
    pub(crate) stored: BTreeMap<ItemId, WorkItem>,
    pub(crate) runs: Vec<RunId>,
    pub(crate) now: Timestamp,
    /// All that happened to items.
    pub(crate) moves: BTreeSet<(Option<Stand>, &'static str, Stand)>,
    /// What the oracle agreed with.
    pub(crate) tally: Tally,
    /// `true` if every invariant and the replayed bytes are checked after each step too.
    pub(crate) thorough: bool,
    /// `true` if the oracle is asked; it knows nothing of input that makes no sense.
    pub(crate) oracle: bool,
}

impl World {
    /// A world with the test routing active.
    pub(crate) fn new() -> Self {
        let mut world = Self {
            state: State::new(0),
            replayed: State::new(0),
            shares: oracle::Shares::default(),
            journal: Vec::new(),
            stored: BTreeMap::new(),
            runs: Vec::new(),
            now: START,
            moves: BTreeSet::new(),
            tally: Tally::default(),
            thorough: true,
            oracle: true,
        };
        let routing = Arc::new(routing());
        world.act(Actor::Hub, &Command::Activate { version: 1, routing });
        world
    }

    /// Steps the engine and checks all that must hold after any step.
    pub(crate) fn act(&mut self, actor: Actor, command: &Command) -> (Vec<Entry>, Reply) {
        let step = step(&mut self.state, self.now, actor, command);
        self.runs.extend(&step.runs);
        if let Reply::Booted { runs } = &step.reply {
            self.runs.extend(runs);
        }
        // The engine's time never runs back, whatever the clock does.
        self.now = self.state.clock();
        for entry in &step.entries {
            if self.oracle {
                self.check_offer(entry);
                self.check_room(entry);
                self.check_laid(entry);
            }
            self.replay(entry);
        }
        self.replayed.advance(self.now);
        if self.oracle {
            let missed = oracle::next_offer(&self.replayed, &self.shares, self.now);
            assert_eq!(missed, None, "an offer was missed");
            let missed = oracle::next_laid(&self.replayed, &self.shares, self.now);
            assert_eq!(missed, None, "a workbin was not filled");
            self.tally.rests += 1;
        }
        if self.thorough {
            check_all(&self.state, self.now).unwrap_or_else(|violation| panic!("{violation}"));
            assert_eq!(bytes(&self.state), bytes(&self.replayed), "replay differs");
        }
        self.keep(&step.entries);
        (step.entries, step.reply)
    }

    /// Nobody is given more than they have room for, unless they said why.
    fn check_room(&self, entry: &Entry) {
        if let Event::Pulled { item, agent, over_capacity: None, .. } = &entry.event {
            let agent = self.replayed.agent(agent).unwrap();
            let item = self.replayed.item(*item).unwrap();
            let media = &item.class.unwrap().media_type;
            let items: Vec<WorkItem> = self.replayed.items().collect();
            assert!(oracle::has_room(&self.replayed, &items, agent, media));
        }
    }

    /// Applies one event to the second state, and notes from where to where it took its item.
    fn replay(&mut self, entry: &Entry) {
        let item = entry.event.item();
        let from = item.and_then(|id| self.replayed.item(id)).map(|item| stand(&item));
        replay(&mut self.replayed, std::slice::from_ref(entry)).unwrap();
        let changed = self.replayed.take_changes().items;
        if let Some(after) = changed.iter().find(|after| Some(after.id) == item) {
            let to = stand(after);
            self.moves.insert((from, entry.event.name(), to));
        }
    }

    /// What is laid in a workbin in advance is what nobody can be offered.
    fn check_laid(&mut self, entry: &Entry) {
        let Event::Parked { item, workbin, prefilled: true, .. } = &entry.event else {
            return;
        };
        assert_eq!(oracle::next_offer(&self.replayed, &self.shares, entry.at), None);
        let (wanted, agent) =
            oracle::next_laid(&self.replayed, &self.shares, entry.at).expect("a workbin to fill");
        assert_eq!((*item, workbin), (wanted.id, &Workbin::Agent(agent.profile.id.clone())));
    }

    fn check_offer(&mut self, entry: &Entry) {
        let Event::Offered { item, agent, explanation, .. } = &entry.event else {
            return;
        };
        let (wanted, wanted_agent, priority) =
            oracle::next_offer(&self.replayed, &self.shares, entry.at)
                .expect("somebody to offer to");
        assert_eq!((*item, agent), (wanted.id, &wanted_agent.profile.id));
        assert_eq!(explanation.priority, priority);
        assert!(minicbor::to_vec(&**explanation).unwrap().len() <= 1024);
        self.tally.count(&self.replayed, &wanted, wanted_agent, explanation);
        if self.shares.holds_back(&self.replayed, entry.at) {
            self.tally.saw("flow at its rate passed over");
        }
        self.shares.offer(&self.replayed, &wanted, entry.at);
    }

    /// Commits: one segment, and the changed items as the store would have them.
    fn keep(&mut self, entries: &[Entry]) {
        let Changes { items, .. } = self.state.take_changes();
        let named: Vec<ItemId> = entries.iter().filter_map(|entry| entry.event.item()).collect();
        for item in items {
            assert!(named.contains(&item.id), "a changed item is named by an event");
            let old = self.stored.insert(item.id, item);
            assert!(old.is_none_or(|old| !old.ended()), "a final state has changed");
        }
        let seq = self.journal.len() as u64 + 1;
        let entries = entries.to_vec();
        self.journal.push(Segment { seq, binary: "test".into(), entries });
    }

    /// The hub dies, is down for a while, and boots from what the store holds.
    pub(crate) fn reboot(&mut self, down: Millis) -> (Vec<Entry>, Reply) {
        self.now = self.now.plus(down);
        let agents: Vec<_> = self.state.agents().cloned().collect();
        let config = self.state.facts.config.clone();
        let counter = self.state.next_counter();
        let items = self.stored.values().cloned();
        self.state = State::from_facts(0, counter, config, agents, items, self.now);
        self.runs.clear();
        // What flows have had counts from the hub's start.
        self.replayed.index.flows = Flows::new(self.replayed.routing().fairness.as_ref());
        self.shares = oracle::Shares::default();
        self.act(Actor::Hub, &Command::Boot { down })
    }

    /// Folds the whole journal, through its stored bytes, and compares it with what is stored.
    pub(crate) fn check_fold(&self) {
        let stored = self.journal.iter().map(Segment::to_vec);
        let journal: Vec<_> = stored.map(|bytes| Segment::from_slice(&bytes).unwrap()).collect();
        let mut folded = fold(0, &journal).unwrap();
        assert_eq!(bytes(&folded), bytes(&self.state), "the fold differs from the state");
        let items = folded.take_changes().items;
        let folded: Vec<_> = items.iter().map(|item| minicbor::to_vec(item).unwrap()).collect();
        let stored: Vec<_> =
            self.stored.values().map(|item| minicbor::to_vec(item).unwrap()).collect();
        assert_eq!(folded, stored, "the fold differs from what is stored");
    }
}

/// The canonical bytes of every item and agent.
fn bytes(state: &State) -> (u64, u32, Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let items = state.items().map(|item| minicbor::to_vec(item).unwrap());
    let agents = state.agents().map(|agent| minicbor::to_vec(agent).unwrap());
    (state.next_counter(), state.config_version(), items.collect(), agents.collect())
}

/// A record that comes in with a verdict of the rules.
pub(crate) fn captured(verdict: Verdict) -> Command {
    Command::Capture(Capture {
        capture_point: "crm".into(),
        hash: [0; 16],
        known: None,
        on_change: OnChange::Update,
        on_reopen: OnReopen::New,
        created_at: None,
        activation_at: None,
        verdict: Some(Box::new(verdict)),
    })
}

/// A classification as the rules would give it.
pub(crate) fn classified(process: &str, schema: &str, version: u32) -> Classified {
    let class = Classification {
        version,
        rules: vec![Name::new("test")],
        process: process.into(),
        schema: schema.into(),
        sla: None,
        requirement: None,
        media_type: "workitem".into(),
        flow: None,
    };
    Classified {
        class: Some(Arc::new(class)),
        due_at: None,
        activation_at: None,
        expires_at: None,
        priority: None,
        preferred_agent: None,
        required_agent: None,
        bounds: None,
    }
}
