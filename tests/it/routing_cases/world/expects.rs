//! What must be so: each sentence is one look at the state.

use gantry_model::decision::Stage;
use gantry_model::{Assignment, Hold, LifeCycle, Presence, WorkItem, Workbin};

use super::World;
use crate::routing_cases::moment;
use crate::routing_cases::say::parts;

/// `Ok` if it is so, else how it is.
type Look = fn(&World, &[&str]) -> Result<(), String>;

/// All sentences of `then`.
const LOOKS: &[(&str, Look)] = &[
    ("{} is offered to {}", |w, p| {
        let item = w.item(p[0])?;
        match &item.assignment {
            Assignment::Offered { agent, .. } if *agent == *p[1] => Ok(()),
            _ => Err(standing(w, &item)),
        }
    }),
    ("{} is with {}", |w, p| {
        let item = w.item(p[0])?;
        match &item.assignment {
            Assignment::Assigned { agent, .. } if *agent == *p[1] => Ok(()),
            _ => Err(standing(w, &item)),
        }
    }),
    ("{} is in wrap-up with {}", |w, p| {
        let item = w.item(p[0])?;
        match &item.assignment {
            Assignment::WrapUp { agent, .. } if *agent == *p[1] => Ok(()),
            _ => Err(standing(w, &item)),
        }
    }),
    ("{} waits for the source", |w, p| {
        let item = w.item(p[0])?;
        let confirming = matches!(item.assignment, Assignment::Confirming { .. });
        so(confirming, || standing(w, &item))
    }),
    ("{} waits for its activation date", |w, p| {
        let item = w.item(p[0])?;
        so(matches!(item.hold, Hold::Activation { .. }), || standing(w, &item))
    }),
    ("{} waits", |w, p| {
        let item = w.item(p[0])?;
        so(item.waiting(), || standing(w, &item))
    }),
    ("{} waits: {…}", |w, p| {
        let item = w.item(p[0])?;
        let why = why(w, &item);
        so(item.waiting() && why.contains(p[1]), || why)
    }),
    ("{} lies in the workbin of {}", |w, p| lies(w, p[0], &Workbin::Agent(p[1].into()))),
    ("{} lies in the workbin of group {}", |w, p| lies(w, p[0], &Workbin::Group(p[1].into()))),
    ("{} lies with the supervisors of {}", |w, p| lies(w, p[0], &Workbin::Supervisor(p[1].into()))),
    ("{} is completed", |w, p| life(w, p[0], LifeCycle::Completed)),
    ("{} is canceled", |w, p| life(w, p[0], LifeCycle::Canceled)),
    ("{} is expired", |w, p| life(w, p[0], LifeCycle::Expired)),
    ("{} is rejected", |w, p| life(w, p[0], LifeCycle::Rejected)),
    ("{} is held: {…}", |w, p| {
        let item = w.item(p[0])?;
        match &item.hold {
            Hold::Held { reason, .. } if reason.contains(p[1]) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    }),
    ("{} is held by an error: {…}", |w, p| {
        let item = w.item(p[0])?;
        match &item.hold {
            Hold::Error { reason, .. } if reason.contains(p[1]) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    }),
    ("{} has priority {}", |w, p| {
        let (item, wanted) = (w.item(p[0])?, number(p[1])?);
        let (priority, _) = w.state.priority(w.now, &item);
        so(priority.points() == wanted, || format!("it has {priority}"))
    }),
    ("{} stands before {}", |w, p| {
        let (first, second) = (w.item(p[0])?.id, w.item(p[1])?.id);
        let top = w.state.top(w.now, usize::MAX);
        let place = |id| top.iter().position(|(item, _)| item.id == id);
        match (place(first), place(second)) {
            (Some(first), Some(second)) if first < second => Ok(()),
            other => Err(format!("they have the places {other:?} among those who wait")),
        }
    }),
    ("{} is in stage {}", |w, p| {
        let item = w.item(p[0])?;
        let explained = w.state.explain_at(w.now, item.id).ok_or("it has ended")?;
        let name = match explained.stage {
            None => "none",
            Some(Stage::Preferred) => "preferred",
            Some(Stage::Target(0)) => "primary",
            Some(Stage::Target(1)) => "secondary",
            Some(Stage::Target(2)) => "tertiary",
            Some(Stage::Target(_)) => "later",
        };
        so(name == p[1], || format!("it is in stage {name}"))
    }),
    ("{} is in process {}", |w, p| {
        let item = w.item(p[0])?;
        so(item.process().is_some_and(|has| *has == *p[1]), || format!("{:?}", item.process()))
    }),
    ("{} is in queue {}", |w, p| {
        let item = w.item(p[0])?;
        so(item.queue().is_some_and(|has| *has == *p[1]), || format!("{:?}", item.queue()))
    }),
    ("{} was hit by {…}", |w, p| {
        let item = w.item(p[0])?;
        let rules = item.class.as_ref().map(|class| class.rules.join(", ")).unwrap_or_default();
        so(rules == p[1], || format!("it was hit by {rules}"))
    }),
    ("{} has schema {}", |w, p| {
        let item = w.item(p[0])?;
        let schema = item.class.as_ref().map(|class| class.schema.to_string());
        so(schema.as_deref() == Some(p[1]), || format!("{schema:?}"))
    }),
    ("{} is due {…}", |w, p| {
        let (item, wanted) = (w.item(p[0])?, moment::read(p[1], w.now)?);
        so(item.due_at == Some(wanted), || format!("it is due {:?}", item.due_at))
    }),
    ("{} has no due date", |w, p| {
        let item = w.item(p[0])?;
        so(item.due_at.is_none(), || format!("it is due {:?}", item.due_at))
    }),
    ("{} is ready", |w, p| presence(w, p[0], &Presence::Ready)),
    ("{} is signed off", |w, p| presence(w, p[0], &Presence::SignedOff)),
    ("{} is not ready: {…}", |w, p| {
        presence(w, p[0], &Presence::NotReady { reason: p[1].into() })
    }),
    ("{} does not get {}: {…}", |w, p| {
        let item = w.item(p[1])?;
        let found = w.state.why_not(w.now, item.id, p[0]);
        let found = found.ok_or("there is no such agent, or it has ended")?;
        let json = serde_json::to_string(&found.failed).map_err(|error| error.to_string())?;
        so(json.contains(p[2]), || format!("the first test that failed is {json}"))
    }),
    ("{} is not served: {…}", |w, p| {
        let item = w.item(p[0])?;
        let unserved = w.state.unserved(w.now);
        let mine = unserved.iter().filter(|one| item.queue() == Some(&one.queue));
        let reasons: Vec<_> = mine.map(|one| one.reason.as_str()).collect();
        let told = reasons.iter().any(|reason| reason.contains(p[1]));
        so(told, || format!("what is not served in its queue: {reasons:?}"))
    }),
    ("nothing happened to {}", |w, p| {
        let id = w.id(p[0])?;
        let of_item = w.happened.iter().filter(|entry| entry.event.item() == Some(id));
        let names: Vec<_> = of_item.map(|entry| entry.event.name()).collect();
        so(names.is_empty(), || format!("what happened to it is {names:?}"))
    }),
    ("{} happened to {}", |w, p| {
        let id = w.id(p[1])?;
        let of_item = w.happened.iter().filter(|entry| entry.event.item() == Some(id));
        let names: Vec<_> = of_item.map(|entry| entry.event.name()).collect();
        so(names.contains(&p[0]), || format!("what happened to it is {names:?}"))
    }),
    ("{} escalated by {}", |w, p| {
        let item = w.item(p[0])?;
        let escalated = || format!("its steps are {:?}", item.escalated);
        so(item.escalated.iter().any(|step| **step == *p[1]), escalated)
    }),
    ("refused: {…}", |w, p| {
        let refusal = w.refusal();
        so(refusal.contains(p[0]), || refusal.clone())
    }),
];

fn so(holds: bool, how: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(how()) }
}

fn number(text: &str) -> Result<i64, String> {
    text.parse().map_err(|_| format!("{text:?} is no number"))
}

fn life(world: &World, name: &str, wanted: LifeCycle) -> Result<(), String> {
    let item = world.item(name)?;
    so(item.life_cycle == wanted, || standing(world, &item))
}

fn lies(world: &World, name: &str, wanted: &Workbin) -> Result<(), String> {
    let item = world.item(name)?;
    match &item.assignment {
        Assignment::Parked { workbin, .. } if workbin == wanted => Ok(()),
        _ => Err(standing(world, &item)),
    }
}

fn presence(world: &World, agent: &str, wanted: &Presence) -> Result<(), String> {
    let agent = world.state.agent(agent).ok_or("there is no such agent")?;
    so(agent.presence == *wanted, || format!("{:?}", agent.presence))
}

fn standing(world: &World, item: &WorkItem) -> String {
    let explained = world.state.explain_at(world.now, item.id);
    explained.map_or_else(
        || format!("it is {}", item.life_cycle.as_str()),
        |explained| format!("it is {} ({})", explained.standing, why(world, item)),
    )
}

/// Why an item waits, as the hub would tell it.
fn why(world: &World, item: &WorkItem) -> String {
    let explained = world.state.explain_at(world.now, item.id);
    explained.map_or_else(String::new, |explained| {
        serde_json::to_string(&explained.why_not).unwrap_or_default()
    })
}

impl World {
    pub(super) fn expect(&self, sentence: &str) -> Result<(), String> {
        let found =
            LOOKS.iter().find_map(|(pattern, look)| Some((look, parts(pattern, sentence)?)));
        let (look, parts) = found.ok_or("there is no such sentence; README.md lists them")?;
        look(self, &parts)
    }
}
