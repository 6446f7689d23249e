//! One text form of the whole state, for snapshots and for people who look for a defect.

use std::fmt::Write as _;

use gantry_model::decision::Stage;
use gantry_model::{Agent, Assignment, Hold, Presence, Timestamp, WorkItem};

use crate::state::State;

/// Renders the state: first the agents, then the items, each by id. Equal states give equal
/// text.
pub fn render(state: &State) -> String {
    let mut text = String::new();
    for agent in state.agents() {
        render_agent(state, agent, &mut text);
    }
    for item in state.items() {
        render_item(state, &item, &mut text);
    }
    text
}

fn render_agent(state: &State, agent: &Agent, text: &mut String) {
    let presence = match &agent.presence {
        Presence::SignedOff => "signed off".to_owned(),
        Presence::Ready => "ready".to_owned(),
        Presence::FinishSoon => "finish soon".to_owned(),
        Presence::NotReady { reason } => format!("not ready ({reason})"),
    };
    let desk: Vec<String> = state
        .desk(&agent.profile.id)
        .map(|item| format!("{} {}", item.id, item.assignment.as_str()))
        .collect();
    let desk = if desk.is_empty() { "nothing".to_owned() } else { desk.join(", ") };
    let idle = agent.idle_since;
    let _ = writeln!(text, "{} {presence}, idle since {idle}: {desk}", agent.profile.id);
}

fn render_item(state: &State, item: &WorkItem, text: &mut String) {
    let now = state.clock();
    let (priority, _) = state.priority(now, item);
    let process = item.process().map_or("no process", |name| name.as_str());
    let _ = write!(
        text,
        "{} {process} {} r{} priority {priority}",
        item.id,
        item.life_cycle.as_str(),
        item.revision,
    );
    if item.run_open {
        let _ = write!(text, " run {} open", item.run);
    }
    for (name, at) in
        [("due", item.due_at), ("warned", item.warned_at), ("breached", item.breached_at)]
    {
        if let Some(at) = at {
            let _ = write!(text, " {name} {at}");
        }
    }
    if let Some(queue) = &item.queue {
        let _ = write!(text, " in queue {queue}");
    }
    if let Some(target) = &item.target {
        let _ = write!(text, " for {target}");
    }
    if item.boost != 0 {
        let _ = write!(text, " boost {}", item.boost);
    }
    let _ = writeln!(text, ": {}", whereabouts(state, item, now));
}

fn whereabouts(state: &State, item: &WorkItem, now: Timestamp) -> String {
    let mut parts = Vec::new();
    match &item.hold {
        Hold::None => {}
        Hold::Held { reason, .. } => parts.push(format!("held ({reason})")),
        Hold::Error { reason, retry_at, .. } => {
            let retry = retry_at.map_or(String::new(), |at| format!(", again at {at}"));
            parts.push(format!("error ({reason}{retry})"));
        }
        Hold::Activation { until } => parts.push(format!("activation at {until}")),
    }
    let epoch = item.epoch;
    match &item.assignment {
        Assignment::None => {}
        Assignment::Offered { agent, expires_at, .. } => {
            parts.push(format!("offered to {agent} until {expires_at} e{epoch}"));
        }
        Assignment::Assigned { agent, confirm_by, .. } => {
            let by = confirm_by.map_or(String::new(), |by| format!(", confirm by {by}"));
            parts.push(format!("assigned to {agent}{by} e{epoch}"));
        }
        Assignment::WrapUp { agent, until, disposition, confirm_by, .. } => {
            let by = confirm_by.map_or(String::new(), |by| format!(", confirm by {by}"));
            let said = disposition.as_ref().map_or(String::new(), |said| format!(" ({said})"));
            parts.push(format!("in wrap-up with {agent} until {until}{said}{by} e{epoch}"));
        }
        Assignment::Parked { workbin, until, prefilled, .. } => {
            let advance = if *prefilled { " in advance" } else { "" };
            let until = until.map_or(String::new(), |until| format!(" until {until}"));
            parts.push(format!("in the {workbin}{advance}{until} e{epoch}"));
        }
        Assignment::Confirming { agent, confirm_by, .. } => {
            parts.push(format!("done by {agent}, confirm by {confirm_by} e{epoch}"));
        }
    }
    if item.waiting() {
        let process = state.index.routes.queue(item);
        let rung = process.map(|process| state.rung(item, process, now));
        let stage = rung.map_or(String::new(), |rung| stage_name(rung.stage));
        parts.push(format!("waits in {stage}"));
    }
    for excluded in &item.exclusions {
        if excluded.until > now {
            parts.push(format!("not {} before {}", excluded.agent, excluded.until));
        }
    }
    if parts.is_empty() {
        parts.push("nowhere yet".to_owned());
    }
    parts.join(", ")
}

/// The stage in the field's words, from 1.
fn stage_name(stage: Stage) -> String {
    match stage {
        Stage::Preferred => "the preferred stage".to_owned(),
        Stage::Target(number) => format!("stage {}", u16::from(number) + 1),
    }
}
