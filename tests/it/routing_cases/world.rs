//! Plays a case: config, rules and engine, on the clock of the case.

mod acts;
mod expects;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use gantry_config::{Manifests, check_text, render_human};
use gantry_engine::{State, check_all, fold, step};
use gantry_model::command::{Capture, RunId, Verdict};
use gantry_model::journal::{Entry, Segment};
use gantry_model::spec::{MessageKind, Spec};
use gantry_model::{Actor, Command, Document, ItemId, Reply, Timestamp, WorkItem};
use gantry_rules::Rules;
use serde_json::{Map, Value as Json};

use super::case::{Case, Step};
use super::moment;

/// Follow-up runs of one act; an engine that never settles is a failure.
const RUNS_MAX: usize = 100;

/// A hub without I/O.
pub(super) struct World {
    state: State,
    spec: Spec,
    rules: Rules,
    version: u32,
    now: Timestamp,
    items: BTreeMap<String, Known>,
    /// The latest form of every item that ever was.
    stored: BTreeMap<ItemId, WorkItem>,
    journal: Vec<Segment>,
    /// What the last act was answered.
    reply: Reply,
    /// What happened since the step began.
    happened: Vec<Entry>,
}

/// An item by the name that the case gives it.
struct Known {
    id: ItemId,
    capture: String,
    record: Map<String, Json>,
    document: Document,
}

impl World {
    pub(super) fn new(case: &Case, folder: &Path) -> Result<Self, String> {
        let spec = read_config(case, &case.more, folder)?;
        let now = match &case.start {
            Some(text) => moment::read(text, moment::START)?,
            None => moment::START,
        };
        let mut world = Self {
            state: State::new(0),
            rules: gantry_rules::compile(&spec).0,
            spec,
            version: 0,
            now,
            items: BTreeMap::new(),
            stored: BTreeMap::new(),
            journal: Vec::new(),
            reply: Reply::Booted { runs: Vec::new() },
            happened: Vec::new(),
        };
        world.activate()?;
        for profile in case.profiles()? {
            world.act(Actor::User("admin".into()), &Command::PutAgent(profile))?;
        }
        Ok(world)
    }

    /// Plays all steps; returns how many expectations came true.
    pub(super) fn play(mut self, case: &Case, folder: &Path) -> Result<usize, String> {
        let mut told = 0;
        for (number, step) in case.steps.iter().enumerate() {
            let result = self.step(case, step, folder);
            told += result.map_err(|failure| {
                let at = self.now;
                format!("step {} ({at}): {failure}", number + 1)
            })?;
        }
        self.check_fold()?;
        Ok(told)
    }

    fn step(&mut self, case: &Case, step: &Step, folder: &Path) -> Result<usize, String> {
        self.happened.clear();
        if let Some(text) = &step.at {
            let at = moment::read(text, self.now)?;
            if at < self.now {
                return Err(format!("{text:?} is before the step before"));
            }
            self.pass_to(at)?;
        }
        if let Some(more) = &step.config {
            self.spec = read_config(case, more, folder)?;
            self.rules = gantry_rules::compile(&self.spec).0;
            self.activate()?;
        }
        for (name, record) in &step.arrives {
            self.arrive(step.from.as_deref(), name, record)?;
        }
        for (name, record) in &step.changes {
            self.change(name, record)?;
        }
        for sentence in step.acts.all() {
            self.do_it(sentence).map_err(|failure| format!("{sentence:?}: {failure}"))?;
        }
        let sentences = step.then.all();
        if !matches!(self.reply, Reply::Refused(_)) || sentences.is_empty() {
            // A refusal that nobody expects is a failure.
        } else if !sentences.iter().any(|sentence| sentence.starts_with("refused:")) {
            return Err(format!("refused: {}", self.refusal()));
        }
        for sentence in sentences {
            self.expect(sentence).map_err(|so| {
                format!("expected {sentence:?}, but {so}\n{}", gantry_engine::render(&self.state))
            })?;
        }
        Ok(sentences.len())
    }

    /// Lets time pass, with a look at every instant at which something happens by itself.
    fn pass_to(&mut self, at: Timestamp) -> Result<(), String> {
        while let Some(wake) = self.state.next_wake(self.now).filter(|wake| *wake < at) {
            self.now = wake.max(Timestamp(self.now.0 + 1));
            self.act(Actor::Hub, &Command::Tick)?;
        }
        self.now = at;
        self.act(Actor::Hub, &Command::Tick)
    }

    fn activate(&mut self) -> Result<(), String> {
        self.version += 1;
        let routing = Arc::clone(&self.spec.routing);
        self.act(Actor::Hub, &Command::Activate { version: self.version, routing })
    }

    /// Steps the engine, checks all that must hold, and makes the runs that were begun.
    fn act(&mut self, actor: Actor, command: &Command) -> Result<(), String> {
        let done = step(&mut self.state, self.now, actor, command);
        check_all(&self.state, self.now).map_err(|violation| violation.to_string())?;
        self.keep(&done.entries);
        self.reply = done.reply;
        let mut runs = done.runs;
        for _ in 0..RUNS_MAX {
            let Some(run) = runs.pop() else { return Ok(()) };
            let command = self.run(run)?;
            let done = step(&mut self.state, self.now, Actor::Hub, &command);
            check_all(&self.state, self.now).map_err(|violation| violation.to_string())?;
            self.keep(&done.entries);
            runs.extend(done.runs);
        }
        Err("the runs of look-ups and rules never end".into())
    }

    fn keep(&mut self, entries: &[Entry]) {
        for item in self.state.take_changes().items {
            self.stored.insert(item.id, item);
        }
        let seq = self.journal.len() as u64 + 1;
        self.journal.push(Segment { seq, binary: "case".into(), entries: entries.to_vec() });
        self.happened.extend_from_slice(entries);
    }

    /// A run of rules over what is known of an item.
    fn run(&mut self, run: RunId) -> Result<Command, String> {
        let version = self.version;
        let known = self.items.values_mut().find(|known| known.id == run.item);
        let known = known.ok_or_else(|| format!("{} has no name", run.item))?;
        let mut document = known.document.clone();
        let (verdict, enriched) = self.rules.classify(&known.capture, version, &mut document);
        known.document = document;
        Ok(Command::EndRun {
            item: run.item,
            revision: run.revision,
            run: run.run,
            enriched,
            verdict: Box::new(verdict),
        })
    }

    fn arrive(
        &mut self,
        from: Option<&str>,
        name: &str,
        given: &Map<String, Json>,
    ) -> Result<(), String> {
        let capture = match (from, self.spec.captures.keys().next()) {
            (Some(from), _) => from.to_owned(),
            (None, Some(first)) if self.spec.captures.len() == 1 => first.to_string(),
            _ => return Err("say `from`: there is not just one capture point".into()),
        };
        let mut record = given.clone();
        record.entry("external_id").or_insert_with(|| name.into());
        let (command, document) = self.capture(&capture, &record)?;
        self.act(Actor::Source(capture.as_str().into()), &Command::Capture(command))?;
        let Reply::Created { item: id, .. } = self.reply else {
            return Err(format!("{name} was not created: {:?}", self.reply));
        };
        self.items.insert(name.into(), Known { id, capture, record, document });
        Ok(())
    }

    fn capture(
        &self,
        point: &str,
        record: &Map<String, Json>,
    ) -> Result<(Capture, Document), String> {
        let spec = self.spec.captures.get(point);
        let spec = spec.ok_or_else(|| format!("there is no capture point {point:?}"))?;
        let record = Json::Object(record.clone());
        let mapped = self.rules.map(point, &record).map_err(|error| error.to_string())?;
        if mapped.kind != MessageKind::Create {
            return Err(format!("the record means {:?}, not create", mapped.kind));
        }
        let mut document = mapped.document;
        let (verdict, _) = self.rules.classify(point, self.version, &mut document);
        let activation_at = match &verdict {
            Verdict::Classified(found) => found.activation_at,
            Verdict::Rejected { .. } | Verdict::Failed { .. } => None,
        };
        let capture = Capture {
            capture_point: point.into(),
            hash: mapped.hash,
            known: None,
            on_change: spec.on_change,
            on_reopen: spec.on_reopen,
            created_at: None,
            activation_at,
            verdict: Some(Box::new(verdict)),
        };
        Ok((capture, document))
    }

    /// The source changes attributes of an item.
    fn change(&mut self, name: &str, changes: &Map<String, Json>) -> Result<(), String> {
        let id = self.id(name)?;
        let known = &self.items[name];
        let (mut record, capture) = (known.record.clone(), known.capture.clone());
        let dates = ["activation_at", "due_at"];
        let reschedule = dates.iter().any(|date| changes.contains_key(*date));
        record.extend(changes.clone());
        let (command, document) = self.capture(&capture, &record)?;
        let item = self.state.item(id).ok_or_else(|| format!("{name} has ended"))?;
        let update = Command::Update {
            item: id,
            base_revision: item.revision,
            rerun: false,
            verdict: command.verdict,
            reschedule,
            by: None,
        };
        self.items.insert(name.into(), Known { id, capture: capture.clone(), record, document });
        self.act(Actor::Source(capture.as_str().into()), &update)
    }

    fn id(&self, name: &str) -> Result<ItemId, String> {
        let known = self.items.get(name).map(|known| known.id);
        known.ok_or_else(|| format!("nothing called {name:?} has arrived"))
    }

    /// An item as it is, or as it was when it ended.
    fn item(&self, name: &str) -> Result<WorkItem, String> {
        let id = self.id(name)?;
        let item = self.state.item(id).or_else(|| self.stored.get(&id).cloned());
        item.ok_or_else(|| format!("{name} is not there"))
    }

    fn refusal(&self) -> String {
        match &self.reply {
            Reply::Refused(refusal) => refusal.to_string(),
            other => format!("not refused: {other:?}"),
        }
    }

    /// The journal folds to the state, byte for byte.
    fn check_fold(&self) -> Result<(), String> {
        let folded = fold(0, &self.journal).map_err(|error| error.to_string())?;
        let bytes = |state: &State| -> Vec<Vec<u8>> {
            let items = state.items().map(|item| minicbor::to_vec(&item));
            let agents = state.agents().map(minicbor::to_vec);
            items.chain(agents).map(|bytes| bytes.expect("a vector takes all")).collect()
        };
        if bytes(&folded) == bytes(&self.state) {
            return Ok(());
        }
        Err("the journal does not fold to the state".into())
    }
}

fn read_config(case: &Case, more: &str, folder: &Path) -> Result<Spec, String> {
    let base = if case.config.lines().count() == 1 {
        let path = folder.join("configs").join(&case.config);
        std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?
    } else {
        case.config.clone()
    };
    let checked = check_text("case", &format!("{base}\n{more}"), &Manifests::default());
    checked.spec.ok_or_else(|| render_human(&checked.findings, &checked.sources))
}
