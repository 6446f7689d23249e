//! Case files: `tests/cases/*.txt`, each a story in commands and what came of them.
//!
//! A line that begins with `>` is a command, the indented lines below it are the engine's
//! answer. Adding a case needs no Rust: write the commands, run the tests with `BLESS=1`, and
//! read what was written as you would read a diff. `tests/cases/README.md` lists the commands.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gantry_model::agent::AgentProfile;
use gantry_model::command::{Capture, Holder, Known, Verdict};
use gantry_model::decision::{Candidate, Stage};
use gantry_model::event::CaptureAct;
use gantry_model::item::PriorityBounds;
use gantry_model::journal::Entry;
use gantry_model::requirement::Compare;
use gantry_model::spec::{Answer, OnChange, OnReopen};
use gantry_model::{
    Actor, Command, Event, Explanation, ItemId, Millis, Name, Presence, Reply, Requirement, Target,
    Timestamp, Workbin,
};

use super::script::{VARIANTS, World, classified, first_point, varied};
use crate::render;

/// All case files, in the order of their names.
pub(super) fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let is_case = |file: &PathBuf| file.extension().is_some_and(|ext| ext == "txt");
    let mut files: Vec<PathBuf> = files.filter(is_case).collect();
    files.sort();
    assert!(files.len() >= 20, "the case files are there");
    files
}

#[test]
fn case_files_tell_what_happens() {
    let mut failures = String::new();
    for file in files() {
        let wanted = std::fs::read_to_string(&file).unwrap();
        let (told, _) = tell(&wanted, &file);
        if told == wanted {
            continue;
        }
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&file, told).unwrap();
        } else {
            let _ = writeln!(failures, "{}: {}", file.display(), difference(&wanted, &told));
        }
    }
    assert!(failures.is_empty(), "{failures}");
}

/// The first line that differs.
fn difference(wanted: &str, told: &str) -> String {
    let lines = wanted.lines().chain([""]).zip(told.lines().chain([""])).enumerate();
    let mut lines = lines.skip_while(|(_, (wanted, told))| wanted == told);
    let (at, (wanted, told)) = lines.next().unwrap_or((0, ("other length", "other length")));
    format!("line {}\n  wanted: {wanted}\n  told:   {told}", at + 1)
}

/// Plays the commands of a case and writes the story anew.
pub(super) fn tell(case: &str, file: &Path) -> (String, World) {
    let mut world = World::new();
    let mut story = String::new();
    for line in case.lines().filter(|line| !line.starts_with("  ")) {
        let _ = writeln!(story, "{line}");
        if let Some(command) = line.strip_prefix("> ") {
            let mut words = command.split_whitespace();
            let verb = words.next().unwrap_or_default();
            let line = Line { verb, words: words.collect(), file, text: command };
            for answer in line.play(&mut world).lines() {
                let _ = writeln!(story, "  {answer}");
            }
        }
    }
    world.check_fold();
    (story, world)
}

/// One command line: a verb, plain words, and `key=value` words.
struct Line<'a> {
    verb: &'a str,
    words: Vec<&'a str>,
    file: &'a Path,
    text: &'a str,
}

impl Line<'_> {
    fn fail(&self, what: &str) -> ! {
        panic!("{}: {:?}: {what}", self.file.display(), self.text)
    }

    /// The plain word of a number.
    fn word(&self, at: usize) -> &str {
        let mut plain = self.words.iter().filter(|word| !word.contains('='));
        plain.nth(at).unwrap_or_else(|| self.fail("a word is missing"))
    }

    fn has(&self, flag: &str) -> bool {
        self.words.contains(&flag)
    }

    fn value(&self, key: &str) -> Option<&str> {
        let mut pairs = self.words.iter().filter_map(|word| word.split_once('='));
        pairs.find(|(name, _)| *name == key).map(|(_, value)| value)
    }

    fn number(&self, key: &str) -> Option<u32> {
        let value = self.value(key)?;
        Some(value.parse().unwrap_or_else(|_| self.fail("a number is expected")))
    }

    fn span(&self, text: &str) -> Millis {
        text.parse().unwrap_or_else(|_| self.fail("a duration is expected"))
    }

    /// An instant as a duration from now.
    fn at(&self, world: &World, key: &str) -> Option<Timestamp> {
        self.value(key).map(|span| match span.strip_prefix('-') {
            Some(span) => Timestamp(world.now.0 - self.span(span).0),
            None => world.now.plus(self.span(span)),
        })
    }

    /// The item of a number: `1` is the first one captured.
    fn item(&self) -> ItemId {
        let number = self.word(0).parse().unwrap_or_else(|_| self.fail("an item's number"));
        ItemId::new(0, number)
    }

    fn play(&self, world: &mut World) -> String {
        let (actor, command) = match self.verb {
            "pass" => {
                world.now = world.now.plus(self.span(self.word(0)));
                (Actor::Hub, Command::Tick)
            }
            "alert" | "all_clear" => {
                let value = self.word(1).parse().unwrap_or_else(|_| self.fail("a number"));
                let (alert, raised) = (self.word(0).into(), self.verb == "alert");
                (Actor::Hub, Command::Alert { alert, raised, value })
            }
            "resume_capture" => {
                let (capture_point, act) = (self.word(0).into(), CaptureAct::Resumed);
                (Actor::User("admin".into()), Command::OperateCapture { capture_point, act })
            }
            "clock_stepped" => {
                let by = Millis(self.word(0).parse().unwrap_or_else(|_| self.fail("a number")));
                (Actor::Hub, Command::ClockStepped { by })
            }
            "show" => return render(&world.state),
            "top" => {
                let top = world.state.top(world.now, 10);
                let show = |(item, priority): (gantry_model::WorkItem, _)| {
                    format!("{} {priority}\n", item.id)
                };
                return top.into_iter().map(show).collect();
            }
            "explain" => return self.explain(world),
            "reboot" => {
                let down = self.words.first().map_or(Millis(0), |span| self.span(span));
                return answer(world.reboot(down));
            }
            "agent" | "remove" | "ready" | "off" | "finish" | "not_ready" | "load" => {
                (Actor::User("admin".into()), self.staff())
            }
            "accept" | "decline" | "done" | "wrap_up" => self.work(world),
            "transfer" | "park" | "pull" | "return" | "empty" | "retrieve" | "boost" => {
                self.by_hand(world)
            }
            "activate" => (Actor::User("admin".into()), self.activate(world)),
            _ => (Actor::Source("crm".into()), self.source(world)),
        };
        answer(world.act(actor, &command))
    }

    fn staff(&self) -> Command {
        let agent = Name::new(self.word(0));
        let presence = match self.verb {
            "remove" => return Command::RemoveAgent(agent),
            "agent" => return Command::PutAgent(self.profile(agent)),
            "load" => {
                let count = self.word(2).parse().unwrap_or_else(|_| self.fail("a number"));
                return Command::ReportLoad { agent, media: self.word(1).into(), count };
            }
            "ready" => Presence::Ready,
            "finish" => Presence::FinishSoon,
            "off" => Presence::SignedOff,
            _ => Presence::NotReady { reason: self.word(1).into() },
        };
        Command::SetPresence { agent, presence }
    }

    fn profile(&self, id: Name) -> AgentProfile {
        let (mut skills, mut groups, mut inactive) = (Vec::new(), Vec::new(), Vec::new());
        let mut capacity = vec![(Name::new("workitem"), 1)];
        for (key, value) in self.words.iter().filter_map(|word| word.split_once('=')) {
            match key {
                "group" => groups.push(Name::new(value)),
                "inactive" => inactive.push(Name::new(value)),
                "capacity" => capacity[0].1 = value.parse().unwrap(),
                "chats" => capacity.push((Name::new("chat"), value.parse().unwrap())),
                "answer" | "rule" => {}
                _ => skills.push((Name::new(key), value.parse().unwrap())),
            }
        }
        AgentProfile {
            skills: skills.into_iter().collect(),
            groups: groups.into_iter().collect(),
            capacity: capacity.into_iter().collect(),
            answer: self.value("answer").map(|answer| match answer {
                "automatic" => Answer::Automatic,
                _ => Answer::Manual,
            }),
            capacity_rule: self.value("rule").map(Name::new),
            inactive_queues: inactive.into_iter().collect(),
            ..AgentProfile::new(id)
        }
    }

    fn work(&self, world: &World) -> (Actor, Command) {
        let (item, agent) = (self.item(), Name::new(self.word(1)));
        let epoch = self.number("epoch");
        let epoch = epoch.or(world.state.item(item).map(|item| item.epoch)).unwrap_or(0);
        let actor = Actor::Agent(agent.clone());
        let command = match self.verb {
            "accept" => Command::Accept { item, epoch, agent },
            "decline" => Command::Decline { item, epoch, agent, reason: "busy".into() },
            "wrap_up" => {
                let disposition = self.value("disposition").map(Name::new);
                Command::EndWrapUp { item, by: Holder { agent, epoch }, disposition }
            }
            _ => {
                let disposition = self.value("disposition").map(Name::new);
                let revision = world.state.item(item).map_or(1, |item| item.revision);
                let changed = self.has("changed").then_some(revision);
                let changed_from = self.number("changed").or(changed);
                Command::MarkDone { item, epoch, agent, disposition, changed_from }
            }
        };
        (actor, command)
    }

    /// `by=AGENT` makes it an agent's act, else a supervisor does it.
    fn by_hand(&self, world: &World) -> (Actor, Command) {
        if self.verb == "empty" {
            let command = Command::EmptyWorkbin { workbin: self.workbin(self.word(0)) };
            return (Actor::User("admin".into()), command);
        }
        let item = self.item();
        let by = self.holder(world, item);
        let actor = match &by {
            Some(holder) => Actor::Agent(holder.agent.clone()),
            None => Actor::User("admin".into()),
        };
        let note = self.value("note").map(str::to_owned);
        let command = match self.verb {
            "transfer" => Command::Transfer { item, by, to: self.target(), note },
            "park" => {
                let workbin = self.workbin(self.word(1));
                Command::Park { item, by, workbin, until: self.at(world, "until"), note }
            }
            "pull" => {
                let over_capacity = self.value("because").map(str::to_owned);
                Command::Pull { item, agent: Name::new(self.word(1)), over_capacity }
            }
            "return" => Command::Return { item, by, note },
            "retrieve" => Command::Retrieve { item, reason: self.word(1).into() },
            _ => {
                let points = self.word(1).parse().unwrap_or_else(|_| self.fail("points"));
                Command::Boost { item, points }
            }
        };
        (actor, command)
    }

    fn holder(&self, world: &World, item: ItemId) -> Option<Holder> {
        let agent = Name::new(self.value("by")?);
        let current = world.state.item(item).map_or(0, |item| item.epoch);
        Some(Holder { agent, epoch: self.number("epoch").unwrap_or(current) })
    }

    /// `anna` is an agent's workbin, `group:north` a group's, `supervisor:north` its supervisors'.
    fn workbin(&self, word: &str) -> Workbin {
        match word.split_once(':') {
            Some(("group", group)) => Workbin::Group(group.into()),
            Some(("supervisor", group)) => Workbin::Supervisor(group.into()),
            Some(_) => self.fail("no such kind of workbin"),
            None => Workbin::Agent(word.into()),
        }
    }

    fn target(&self) -> Target {
        let word = self.word(1);
        match word.split_once(':') {
            Some(("group", group)) => Target::Group(group.into()),
            Some(("queue", queue)) => Target::Queue(queue.into()),
            Some(("skill", skill)) => {
                let (skill, level) = skill.split_once(':').unwrap_or((skill, "0"));
                let level = level.parse().unwrap_or_else(|_| self.fail("a level"));
                let compare = Compare::Greater;
                Target::Skills(Requirement::Skill { skill: skill.into(), compare, level })
            }
            Some(("workbin", workbin)) => Target::Workbin(self.workbin(workbin)),
            _ => Target::Agent(word.into()),
        }
    }

    fn activate(&self, world: &World) -> Command {
        let mut chosen = 0;
        for name in self.value("with").into_iter().flat_map(|names| names.split(',')) {
            let at = VARIANTS.iter().position(|(known, _)| *known == name);
            chosen |= 1 << at.unwrap_or_else(|| self.fail("no such variant"));
        }
        let mut routing = varied(chosen);
        if let Some(process) = self.value("drop") {
            routing.processes.remove(process);
        }
        if let Some(points) = self.number("gold") {
            first_point(&mut routing, "gold", points.into());
        }
        let version = self.number("version").unwrap_or(world.state.config_version() + 1);
        Command::Activate { version, routing: Arc::new(routing) }
    }

    fn source(&self, world: &World) -> Command {
        let verdict = || self.verdict(world).map(Box::new);
        match self.verb {
            "capture" => Command::Capture(self.capture(world)),
            "update" => {
                let item = self.item();
                let revision = world.state.item(item).map(|item| item.revision);
                let base_revision = self.number("revision").or(revision).unwrap_or(1);
                let rerun = self.has("rerun");
                let (reschedule, by) = (self.has("reschedule"), self.holder(world, item));
                Command::Update { item, base_revision, rerun, verdict: verdict(), reschedule, by }
            }
            "end_run" => {
                let item = self.item();
                let live = &world.state.item(item);
                let revision = self.number("revision").or(live.as_ref().map(|item| item.revision));
                let run = self.number("run").or(live.as_ref().map(|item| item.run));
                let verdict = verdict().unwrap_or_else(|| self.fail("a verdict is missing"));
                Command::EndRun {
                    item,
                    revision: revision.unwrap_or(1),
                    run: run.unwrap_or(1),
                    enriched: self.has("enriched"),
                    verdict,
                }
            }
            "hold" => Command::Hold { item: self.item(), reason: self.word(1).into() },
            "resume" => Command::Resume { item: self.item() },
            "cancel" => Command::Cancel { item: self.item(), reason: self.word(1).into() },
            "complete" => Command::Complete {
                item: self.item(),
                result_code: self.value("result").map(Into::into),
            },
            "restart" => Command::Restart { item: self.item(), force: self.has("force") },
            "confirm" => {
                let item = self.item();
                let epoch = world.state.item(item).map(|item| item.epoch);
                let epoch = self.number("epoch").or(epoch).unwrap_or(0);
                Command::Confirm { item, epoch }
            }
            _ => self.fail("no such command"),
        }
    }

    fn capture(&self, world: &World) -> Capture {
        let known = self.number("again").map(|number| Known {
            item: ItemId::new(0, number.into()),
            hash: if self.has("same") { [0; 16] } else { [1; 16] },
            seen: self.has("seen"),
        });
        let (on_change, on_reopen) = match self.value("policy") {
            Some("conflict") => (OnChange::Conflict, OnReopen::DeadLetter),
            Some("ignore") => (OnChange::Ignore, OnReopen::Ignore),
            _ => (OnChange::Update, OnReopen::New),
        };
        Capture {
            capture_point: self.value("point").unwrap_or("crm").into(),
            hash: [0; 16],
            known,
            on_change,
            on_reopen,
            created_at: None,
            activation_at: self.at(world, "activation"),
            verdict: self.verdict(world).map(Box::new),
        }
    }

    /// What the rules say: `process=…` and more, `rejected=…` or `failed=…`; else nothing.
    fn verdict(&self, world: &World) -> Option<Verdict> {
        if let Some(reason) = self.value("rejected") {
            return Some(Verdict::Rejected { reason: reason.into() });
        }
        if let Some(reason) = self.value("failed") {
            let retry_at = self.at(world, "retry");
            return Some(Verdict::Failed { reason: reason.into(), retry_at });
        }
        let process = self.value("process")?;
        let schema = world.state.routing().processes.get(process);
        let schema = schema.map_or("gold", |process| process.priority.as_str());
        let version = self.number("version").unwrap_or(world.state.config_version());
        let mut found = classified(process, self.value("schema").unwrap_or(schema), version);
        let class = Arc::make_mut(found.class.as_mut().unwrap());
        class.flow = self.value("flow").map(Name::new);
        class.sla = self.value("sla").map(|sla| sla.parse().unwrap());
        class.requirement = self.value("needs").map(|group| Requirement::Group(group.into()));
        if let Some(media) = self.value("media") {
            class.media_type = media.into();
        }
        found.due_at = self.at(world, "due");
        found.activation_at = match self.value("active") {
            Some("never") => None,
            Some(_) => self.at(world, "active"),
            None => self.at(world, "activation"),
        };
        found.expires_at = self.at(world, "expires");
        found.priority = self.value("priority").map(|points| points.parse().unwrap());
        found.preferred_agent = self.value("preferred").map(Name::new);
        found.required_agent = self.value("required").map(Name::new);
        let points = |key| self.value(key).map(|points| points.parse().unwrap());
        let bounds =
            PriorityBounds { start: points("start"), min: points("min"), max: points("max") };
        let given = self.has("bounds") || bounds != PriorityBounds::default();
        found.bounds = given.then(|| Box::new(bounds));
        Some(Verdict::Classified(found))
    }

    fn explain(&self, world: &World) -> String {
        let Some(live) = world.state.explain_at(world.now, self.item()) else {
            return "no such item".into();
        };
        let mut text = format!("{}, priority {}", live.standing, live.priority);
        if let Some(at) = live.priority_changes_at {
            let _ = write!(text, " (another course at {at})");
        }
        if let Some(requirement) = &live.requirement {
            let _ = write!(text, "\nasks for {requirement}");
        }
        if let Some(at) = live.stage_ends_at {
            let _ = write!(text, " until {at}");
        }
        if let Some(why_not) = &live.why_not {
            let _ = write!(text, "\nwhy not: {why_not:?}");
        }
        if let Some(agent) = &live.unknown_preferred {
            let _ = write!(text, "\npreferred agent {agent} is unknown");
        }
        for agent in &live.agents {
            let _ = write!(text, "\n{}", candidate(agent));
        }
        text
    }
}

/// The events and, unless it is a plain "done", the reply.
pub(super) fn answer((entries, reply): (Vec<Entry>, Reply)) -> String {
    let mut text = String::new();
    for entry in &entries {
        let _ = writeln!(text, "{}", event(&entry.event));
    }
    match reply {
        Reply::Done { .. } | Reply::Created { .. } => {}
        Reply::Refused(refusal) => {
            let _ = writeln!(text, "refused: {refusal}");
        }
        other => {
            let _ = writeln!(text, "{other:?}");
        }
    }
    text
}

fn event(event: &Event) -> String {
    let about = event.item().map_or(String::new(), |item| format!(" {item}"));
    let mut text = format!("{}{about}", event.name());
    let _ = match event {
        Event::Captured { previous: Some(previous), .. } => write!(text, " follows {previous}"),
        Event::Updated { revision, .. } | Event::Enriched { revision, .. } => {
            write!(text, " r{revision}")
        }
        Event::RunStarted { run, .. } => write!(text, " run {run}"),
        Event::Classified { classified, .. } => {
            let due = classified.due_at.map_or("never".into(), |due| due.to_string());
            let process = &classified.class.as_ref().unwrap().process;
            write!(text, " {process} due {due}")
        }
        Event::ErrorHeld { reason, .. }
        | Event::Held { reason, .. }
        | Event::Canceled { reason, .. }
        | Event::Rejected { reason, .. } => write!(text, " {reason}"),
        Event::ActivationAwaited { until, .. } => write!(text, " until {until}"),
        Event::Offered { agent, epoch, expires_at, explanation, .. } => {
            write!(text, " to {agent} e{epoch} until {expires_at}{}", why(explanation))
        }
        Event::Accepted { agent, .. } | Event::ConfirmationMissed { agent, .. } => {
            write!(text, " {agent}")
        }
        Event::Declined { agent, until, .. } | Event::Rona { agent, until, .. } => {
            write!(text, " {agent}, not asked before {until}")
        }
        Event::Revoked { agent, reason, .. } => write!(text, " from {agent}: {reason:?}"),
        Event::MarkedDone { agent, confirm_by, wrap_up_until, .. } => {
            let by = confirm_by.map_or(String::new(), |by| format!(", confirm by {by}"));
            let wrap_up = wrap_up_until.map_or(String::new(), |at| format!(", wrap-up until {at}"));
            write!(text, " by {agent}{wrap_up}{by}")
        }
        Event::WrapUpEnded { agent, disposition, .. } => {
            let said = disposition.as_ref().map_or("nothing", |said| said.as_str());
            write!(text, " by {agent}: {said}")
        }
        Event::Completed { agent: Some(agent), .. } => write!(text, " by {agent}"),
        Event::AlertRaised { alert, value } | Event::AlertCleared { alert, value } => {
            write!(text, " {alert} {value}")
        }
        Event::LoadReported { agent, media, count } => write!(text, " {agent} {media} {count}"),
        Event::PresenceChanged { agent, presence } => write!(text, " {agent}: {presence:?}"),
        Event::AgentPut { profile } => write!(text, " {}", profile.id),
        Event::AgentRemoved { agent } => write!(text, " {agent}"),
        Event::ConfigActivated { version, .. } => write!(text, " {version}"),
        moved => return text + &by_hand(moved),
    };
    text
}

/// What happened to an item by hand or by escalation.
fn by_hand(event: &Event) -> String {
    let agent = event.agent();
    let mut text = agent.map_or(String::new(), |agent| format!(" from {agent}"));
    let _ = match event {
        Event::Transferred { to, until, .. } => {
            let asked = until.map_or(String::new(), |at| format!(", not asked before {at}"));
            write!(text, " to {to}{asked}")
        }
        Event::Parked { workbin, until, prefilled, .. } => {
            let until = until.map_or(String::new(), |until| format!(" until {until}"));
            let advance = if *prefilled { " in advance" } else { "" };
            write!(text, " in the {workbin}{advance}{until}")
        }
        Event::Pulled { agent, epoch, workbin, passed_over, over_capacity, .. } => {
            let place = workbin.as_ref().map_or("queue".into(), ToString::to_string);
            text = format!(" by {agent} e{epoch} from the {place}, passing over {passed_over}");
            over_capacity.iter().try_for_each(|why| write!(text, ", over capacity: {why}"))
        }
        Event::Returned { workbin, why, until, .. } => {
            let place = workbin.as_ref().map_or(String::new(), |it| format!(" from the {it}"));
            let asked = until.map_or(String::new(), |at| format!(", not asked before {at}"));
            write!(text, "{place}: {why:?}{asked}")
        }
        Event::Retrieved { workbin, reason, until, .. } => {
            let place = workbin.as_ref().map_or(String::new(), |it| format!(" from the {it}"));
            let asked = until.map_or(String::new(), |at| format!(", not asked before {at}"));
            write!(text, "{place}: {reason}{asked}")
        }
        Event::Boosted { points, .. } => write!(text, " {points}"),
        Event::Escalated { step, boost, queue, workbin, alert, .. } => {
            let queue = queue.as_ref().map(|queue| format!(", to queue {queue}"));
            let workbin = workbin.as_ref().map(|workbin| format!(", to the {workbin}"));
            let alert = alert.as_ref().map(|alert| format!(", alert: {alert}"));
            let parts: String = [queue, workbin, alert].into_iter().flatten().collect();
            write!(text, " by {step}, boost {boost}{parts}")
        }
        Event::Postponed { by, .. } => write!(text, " by {by}"),
        _ => Ok(()),
    };
    text
}

/// The explanation of an offer, below it.
fn why(why: &Explanation) -> String {
    let stage = match why.stage {
        Stage::Preferred => "preferred".to_owned(),
        Stage::Target(number) => format!("stage {}", number + 1),
    };
    let mut text = format!(
        "\n  {:?} {stage} priority {} of {} tie {:?}: {}",
        why.trigger,
        why.priority,
        why.items_considered,
        why.tie_break,
        candidate(&why.winner),
    );
    for near in &why.nearest {
        let _ = write!(text, "; {}", candidate(near));
    }
    for count in &why.counts {
        let _ = write!(text, "; {:?} {}", count.reason, count.count);
    }
    text
}

fn candidate(candidate: &Candidate) -> String {
    let failed = candidate.failed.as_ref().map_or(String::new(), |why| format!(" {why:?}"));
    format!("{} level {}{failed}", candidate.agent, candidate.level_sum)
}
