//! What people and sources do: each sentence is one command.

use gantry_model::command::Holder;
use gantry_model::{Actor, Command, ItemId, Name, Presence, Target, Workbin};

use super::World;
use crate::routing_cases::moment;
use crate::routing_cases::say::parts;

type Act = fn(&mut World, &[&str]) -> Result<(), String>;

/// All sentences of `do`.
const ACTS: &[(&str, Act)] = &[
    ("{} is ready", |w, p| w.presence(p[0], Presence::Ready)),
    ("{} finishes soon", |w, p| w.presence(p[0], Presence::FinishSoon)),
    ("{} signs off", |w, p| w.presence(p[0], Presence::SignedOff)),
    ("{} is not ready: {…}", |w, p| w.presence(p[0], Presence::NotReady { reason: p[1].into() })),
    ("{} accepts {}", |w, p| {
        let (agent, item, epoch) = w.with(p[0], p[1])?;
        w.act(Actor::Agent(agent.clone()), &Command::Accept { item, epoch, agent })
    }),
    ("{} declines {}: {…}", |w, p| {
        let ((agent, item, epoch), reason) = (w.with(p[0], p[1])?, p[2].to_owned());
        w.act(Actor::Agent(agent.clone()), &Command::Decline { item, epoch, agent, reason })
    }),
    ("{} marks {} done", |w, p| w.mark_done(p[0], p[1], None)),
    ("{} marks {} done: {…}", |w, p| w.mark_done(p[0], p[1], Some(p[2]))),
    ("{} wraps {} up", |w, p| w.wrap_up(p[0], p[1], None)),
    ("{} wraps {} up: {…}", |w, p| w.wrap_up(p[0], p[1], Some(p[2]))),
    ("{} parks {}", |w, p| w.park(p[0], p[1], Workbin::Agent(p[0].into()), None)),
    ("{} parks {} until {…}", |w, p| w.park(p[0], p[1], Workbin::Agent(p[0].into()), Some(p[2]))),
    ("{} parks {} in the workbin of group {}", |w, p| {
        w.park(p[0], p[1], Workbin::Group(p[2].into()), None)
    }),
    ("{} parks {} with the supervisors of {}", |w, p| {
        w.park(p[0], p[1], Workbin::Supervisor(p[2].into()), None)
    }),
    ("{} pulls {}", |w, p| w.pull(p[0], p[1], None)),
    ("{} pulls {} over capacity: {…}", |w, p| w.pull(p[0], p[1], Some(p[2]))),
    ("{} returns {}", |w, p| {
        let (item, by) = w.held(p[0], p[1])?;
        w.act(Actor::Agent(p[0].into()), &Command::Return { item, by: Some(by), note: None })
    }),
    ("{} transfers {} to agent {}", |w, p| w.transfer(p[0], p[1], Target::Agent(p[2].into()))),
    ("{} transfers {} to group {}", |w, p| w.transfer(p[0], p[1], Target::Group(p[2].into()))),
    ("{} transfers {} to queue {}", |w, p| w.transfer(p[0], p[1], Target::Queue(p[2].into()))),
    ("{} carries {} {}", |w, p| {
        let count = p[1].parse().map_err(|_| format!("{:?} is no number", p[1]))?;
        let (agent, media) = (p[0].into(), p[2].into());
        w.act(source(), &Command::ReportLoad { agent, media, count })
    }),
    ("the supervisor assigns {} to {}", |w, p| w.send(p[0], Target::Agent(p[1].into()))),
    ("the supervisor sends {} to group {}", |w, p| w.send(p[0], Target::Group(p[1].into()))),
    ("the supervisor sends {} to whoever has {…}", |w, p| {
        let (skills, groups) = (&w.spec.skills, &w.spec.groups);
        let asked = gantry_rules::check_requirement(p[1], skills, groups);
        let asked = asked.map_err(|errors| format!("{errors:?}"))?;
        w.send(p[0], Target::Skills(asked))
    }),
    ("the supervisor retrieves {}", |w, p| {
        let (item, reason) = (w.id(p[0])?, "wanted elsewhere".into());
        w.act(supervisor(), &Command::Retrieve { item, reason })
    }),
    ("the supervisor boosts {} by {}", |w, p| {
        let points = p[1].parse().map_err(|_| format!("{:?} is no number", p[1]))?;
        let item = w.id(p[0])?;
        w.act(supervisor(), &Command::Boost { item, points })
    }),
    ("the supervisor empties the workbin of {}", |w, p| {
        let workbin = Workbin::Agent(p[0].into());
        w.act(supervisor(), &Command::EmptyWorkbin { workbin })
    }),
    ("the supervisor removes {}", |w, p| w.act(supervisor(), &Command::RemoveAgent(p[0].into()))),
    ("the source holds {}: {…}", |w, p| {
        let (item, reason) = (w.id(p[0])?, p[1].to_owned());
        w.act(source(), &Command::Hold { item, reason })
    }),
    ("the source resumes {}", |w, p| {
        let item = w.id(p[0])?;
        w.act(source(), &Command::Resume { item })
    }),
    ("the source cancels {}", |w, p| {
        let (item, reason) = (w.id(p[0])?, "withdrawn".into());
        w.act(source(), &Command::Cancel { item, reason })
    }),
    ("the source completes {}", |w, p| {
        let item = w.id(p[0])?;
        w.act(source(), &Command::Complete { item, result_code: None })
    }),
    ("the source restarts {}", |w, p| {
        let item = w.id(p[0])?;
        w.act(source(), &Command::Restart { item, force: true })
    }),
];

fn source() -> Actor {
    Actor::Source("source".into())
}

fn supervisor() -> Actor {
    Actor::User("supervisor".into())
}

impl World {
    pub(super) fn do_it(&mut self, sentence: &str) -> Result<(), String> {
        let found = ACTS.iter().find_map(|(pattern, act)| Some((act, parts(pattern, sentence)?)));
        let (act, parts) = found.ok_or("no such sentence; README.md lists them")?;
        act(self, &parts)
    }

    fn presence(&mut self, agent: &str, presence: Presence) -> Result<(), String> {
        let agent = Name::new(agent);
        self.act(Actor::Agent(agent.clone()), &Command::SetPresence { agent, presence })
    }

    /// An agent, an item, and the epoch that the agent sees.
    fn with(&self, agent: &str, item: &str) -> Result<(Name, ItemId, u32), String> {
        let item = self.item(item)?;
        Ok((agent.into(), item.id, item.epoch))
    }

    fn held(&self, agent: &str, item: &str) -> Result<(ItemId, Holder), String> {
        let (agent, item, epoch) = self.with(agent, item)?;
        Ok((item, Holder { agent, epoch }))
    }

    fn mark_done(&mut self, agent: &str, item: &str, what: Option<&str>) -> Result<(), String> {
        let (agent, item, epoch) = self.with(agent, item)?;
        let disposition = what.map(Name::new);
        let by = Actor::Agent(agent.clone());
        self.act(by, &Command::MarkDone { item, epoch, agent, disposition, changed_from: None })
    }

    fn wrap_up(&mut self, agent: &str, item: &str, what: Option<&str>) -> Result<(), String> {
        let (item, by) = self.held(agent, item)?;
        let disposition = what.map(Name::new);
        self.act(Actor::Agent(agent.into()), &Command::EndWrapUp { item, by, disposition })
    }

    fn park(
        &mut self,
        agent: &str,
        item: &str,
        workbin: Workbin,
        until: Option<&str>,
    ) -> Result<(), String> {
        let (item, by) = self.held(agent, item)?;
        let until = until.map(|text| moment::read(text, self.now)).transpose()?;
        let (by, note) = (Some(by), None);
        self.act(Actor::Agent(agent.into()), &Command::Park { item, by, workbin, until, note })
    }

    fn pull(&mut self, agent: &str, item: &str, why: Option<&str>) -> Result<(), String> {
        let (item, agent) = (self.id(item)?, Name::new(agent));
        let over_capacity = why.map(str::to_owned);
        self.act(Actor::Agent(agent.clone()), &Command::Pull { item, agent, over_capacity })
    }

    fn transfer(&mut self, agent: &str, item: &str, to: Target) -> Result<(), String> {
        let (item, by) = self.held(agent, item)?;
        let by = Some(by);
        self.act(Actor::Agent(agent.into()), &Command::Transfer { item, by, to, note: None })
    }

    fn send(&mut self, item: &str, to: Target) -> Result<(), String> {
        let item = self.id(item)?;
        self.act(supervisor(), &Command::Transfer { item, by: None, to, note: None })
    }
}
