//! Events and decisions as sentences.

use gantry_hub::{LiveExplanation, WhyNot};
use gantry_model::decision::{Candidate, Stage, TieBreak, Trigger};
use gantry_model::event::{ReturnReason, RevokeReason};
use gantry_model::{Actor, Event, Presence, Timestamp};
use gantry_store::HistoryEntry;

use crate::view::Decision;

/// A line of an item's history.
pub(super) struct Line {
    pub(super) at: Timestamp,
    pub(super) event: &'static str,
    pub(super) text: String,
    pub(super) actor: String,
}

impl Line {
    pub(super) fn new(entry: &HistoryEntry) -> Self {
        Self {
            at: entry.entry.at,
            event: entry.entry.event.name(),
            text: sentence(&entry.entry.event),
            actor: actor(&entry.entry.actor),
        }
    }
}

fn actor(actor: &Actor) -> String {
    match actor {
        Actor::Hub => "the hub".to_owned(),
        Actor::Source(name) => format!("source {name}"),
        Actor::Agent(name) => format!("agent {name}"),
        Actor::User(name) => name.to_string(),
    }
}

/// What happened, in a sentence.
fn sentence(event: &Event) -> String {
    match event {
        Event::Captured { capture_point, previous: Some(previous), .. } => {
            format!("Captured at {capture_point}; follows {previous}.")
        }
        Event::Captured { capture_point, .. } => format!("Captured at {capture_point}."),
        Event::Updated { revision, .. } => format!("Attributes changed: revision {revision}."),
        Event::RunStarted { run, .. } => format!("Look-ups and rules began, run {run}."),
        Event::Enriched { .. } => "The look-ups answered.".to_owned(),
        Event::Classified { classified, .. } => classified.class.as_ref().map_or_else(
            || "Classified.".to_owned(),
            |class| format!("Classified as {}.", class.process),
        ),
        Event::ErrorHeld { reason, .. } => format!("Held by an error: {reason}"),
        Event::ActivationAwaited { until, .. } => format!("Waits for its activation at {until}."),
        Event::Queued { .. } => "Entered the queue.".to_owned(),
        Event::Held { reason, .. } => format!("Held: {reason}"),
        Event::Resumed { .. } => "Resumed.".to_owned(),
        Event::Restarted { .. } => "Taken out of the queue to be classified anew.".to_owned(),
        Event::SlaBreached { .. } => "The due date passed.".to_owned(),
        Event::Canceled { reason, .. } => format!("Canceled: {reason}"),
        Event::Rejected { reason, .. } => format!("Rejected: {reason}"),
        Event::Expired { .. } => "Expired.".to_owned(),
        other => at_a_desk(other),
    }
}

/// What happened between the item and an agent.
fn at_a_desk(event: &Event) -> String {
    match event {
        Event::Offered { agent, expires_at, .. } => {
            format!("Offered to {agent}, until {expires_at}.")
        }
        Event::Accepted { agent, .. } => format!("Accepted by {agent}."),
        Event::Declined { agent, reason, .. } => format!("Declined by {agent}: {reason}"),
        Event::Rona { agent, .. } => format!("{agent} did not answer in time."),
        Event::Revoked { agent, reason, .. } => {
            format!("Taken back from {agent}: {}.", revoked(*reason))
        }
        Event::MarkedDone { agent, disposition: Some(disposition), .. } => {
            format!("Marked done by {agent}: {disposition}.")
        }
        Event::MarkedDone { agent, .. } => format!("Marked done by {agent}."),
        Event::ConfirmationMissed { .. } => {
            "The source did not confirm in time; back in the queue.".to_owned()
        }
        Event::Completed { result_code: Some(code), .. } => format!("Completed: {code}."),
        Event::Completed { .. } => "Completed.".to_owned(),
        Event::PresenceChanged { agent, presence } => match presence {
            Presence::NotReady { reason } => format!("{agent} is not ready: {reason}."),
            _ => format!("{agent} changed presence."),
        },
        other => moved(other),
    }
}

/// What was moved by hand, by time, or by escalation.
fn moved(event: &Event) -> String {
    match event {
        Event::WrapUpEnded { agent, disposition: Some(disposition), .. } => {
            format!("Wrap-up ended by {agent}: {disposition}.")
        }
        Event::WrapUpEnded { .. } => "The wrap-up ended.".to_owned(),
        Event::Confirmed { .. } => "The source confirmed, during the wrap-up.".to_owned(),
        Event::Transferred { to, note, .. } => format!("Sent to {to}{}.", noted(note.as_ref())),
        Event::Parked { workbin, prefilled: true, .. } => {
            format!("Laid in the {workbin} in advance; whoever is free first is offered it.")
        }
        Event::Parked { workbin, until: Some(until), note, .. } => {
            format!("Parked in the {workbin} until {until}{}.", noted(note.as_ref()))
        }
        Event::Parked { workbin, note, .. } => {
            format!("Parked in the {workbin}{}.", noted(note.as_ref()))
        }
        Event::Pulled { agent, workbin, passed_over, over_capacity, .. } => {
            let from = workbin.as_ref().map_or("the queue".to_owned(), |bin| format!("the {bin}"));
            let before = match passed_over {
                0 => String::new(),
                1 => ", before 1 item of higher priority".to_owned(),
                count => format!(", before {count} items of higher priority"),
            };
            let over = over_capacity
                .as_ref()
                .map_or(String::new(), |why| format!(", over capacity: {why}"));
            format!("Taken by {agent} from {from}{before}{over}.")
        }
        Event::Returned { why, note, .. } => {
            format!("Back in distribution: {}{}.", returned(*why), noted(note.as_ref()))
        }
        Event::Retrieved { agent: Some(agent), reason, .. } => {
            format!("Taken back from {agent} by a supervisor: {reason}")
        }
        Event::Retrieved { reason, .. } => format!("Taken back by a supervisor: {reason}"),
        Event::Boosted { points, .. } => format!("Boosted by {points} points."),
        Event::Escalated { step, boost, queue, workbin, alert, .. } => {
            let mut text = format!("Escalated, step {step}; boost {boost}");
            let to = queue.as_ref().map(|queue| format!("; to queue {queue}"));
            text.extend(to);
            text.extend(workbin.as_ref().map(|workbin| format!("; to the {workbin}")));
            text.extend(alert.as_ref().map(|alert| format!("; alert: {alert}")));
            text + "."
        }
        Event::SlaWarned { .. } => "The SLA is in danger.".to_owned(),
        Event::Rescheduled { .. } => "It has new dates.".to_owned(),
        Event::Postponed { by, .. } => {
            format!("The hub was down: its deadline comes {by} later.")
        }
        other => other.name().replace('_', " "),
    }
}

fn noted(note: Option<&String>) -> String {
    note.map_or(String::new(), |note| format!(", with a note: {note}"))
}

const fn returned(why: ReturnReason) -> &'static str {
    match why {
        ReturnReason::ByHand => "given back",
        ReturnReason::Emptied => "its workbin was emptied",
        ReturnReason::ParkedUntil => "it had been parked until now",
        ReturnReason::NotTheirs => "the agent could not have it any more",
        ReturnReason::ParkLimit => "it was parked for as long as its queue allows",
    }
}

const fn revoked(reason: RevokeReason) -> &'static str {
    match reason {
        RevokeReason::Held => "the item was held",
        RevokeReason::Ended => "the item ended",
        RevokeReason::Restarted => "the item was restarted",
        RevokeReason::HubRestarted => "the hub was restarted",
        RevokeReason::AgentNotReady => "the agent is no longer ready",
        RevokeReason::Reclassified => "the item was classified anew",
        RevokeReason::AgentChanged => "the agent no longer fits",
        RevokeReason::AgentAbsent => "the agent stayed away",
    }
}

/// Why the item was offered to that agent.
pub(super) fn decision_text(decision: &Decision) -> Vec<String> {
    let explanation = &decision.explanation;
    let trigger = match explanation.trigger {
        Trigger::ItemArrived => "the item arrived in the queue",
        Trigger::AgentFreed => "the agent became free",
        Trigger::TimePassed => "time passed",
    };
    let among = match explanation.items_considered {
        1 => "the only item".to_owned(),
        count => format!("the first of {count} items"),
    };
    let mut lines = vec![format!(
        "Offered to {} ({}) because {trigger}. Priority {}, {among} that waited for this \
         agent; {}, {} in the demanded skills, {} (config version {}).",
        decision.agent,
        decision.at,
        explanation.priority,
        stage(explanation.stage),
        explanation.winner.level_sum,
        tie_break(explanation.tie_break),
        explanation.version,
    )];
    lines.extend(explanation.nearest.iter().map(candidate));
    lines.extend(explanation.counts.iter().map(|count| {
        let who = if count.count == 1 { "agent" } else { "agents, each" };
        format!("Passed over: {} {who} {}.", count.count, count.reason)
    }));
    lines
}

/// How the item stands, and what keeps it from an agent.
pub(super) fn standing_text(now: &LiveExplanation) -> Vec<String> {
    let mut lines = vec![format!("It is {}, with priority {}.", now.standing, now.priority)];
    if !now.agents.is_empty() {
        let asked = now.stage.zip(now.requirement.as_ref());
        lines.extend(asked.map(|(at, asks)| format!("Open now: {}, for {asks}.", stage(at))));
    }
    lines.extend(now.why_not.as_ref().map(why_not));
    lines.extend(now.stage_ends_at.map(|at| format!("The next stage begins at {at}.")));
    lines.extend(now.agents.iter().map(candidate));
    lines
}

fn why_not(why: &WhyNot) -> String {
    match why {
        WhyNot::NotClassified => "Look-ups and rules have not said yet where it belongs.".into(),
        WhyNot::Held { reason } => format!("It is held: {reason}"),
        WhyNot::Error { reason, retry_at: Some(at) } => {
            format!("It is held by an error: {reason}. The hub tries again at {at}.")
        }
        WhyNot::Error { reason, .. } => format!("It is held by an error: {reason}"),
        WhyNot::Activation { until } => format!("It waits for its activation at {until}."),
        WhyNot::NobodyFits { reason } => {
            format!("No agent meets what this stage asks for: {reason}.")
        }
        WhyNot::NobodyReady => "Agents fit, but none of them is ready.".into(),
        WhyNot::NobodyHasRoom => "Agents fit and are ready, but none has room.".into(),
        WhyNot::AllExcluded { until } => {
            format!("All who could have it declined; the first is asked again at {until}.")
        }
        WhyNot::RateLimited { until } => {
            format!("Its flow has had as many offers as it may; the next comes at {until}.")
        }
    }
}

fn candidate(candidate: &Candidate) -> String {
    let why = candidate.failed.as_ref().map_or_else(|| "fits".to_owned(), ToString::to_string);
    format!("{} {why} ({} in the skills).", candidate.agent, candidate.level_sum)
}

fn stage(stage: Stage) -> String {
    match stage {
        Stage::Preferred => "preferred agent only".to_owned(),
        Stage::Target(number) => format!("stage {}", number + 1),
    }
}

const fn tie_break(tie_break: TieBreak) -> &'static str {
    match tie_break {
        TieBreak::None => "without a tie",
        TieBreak::HighestLevel => "by the highest level",
        TieBreak::LongestIdle => "by the longest idle time",
        TieBreak::LeastLoaded => "by the smaller share of capacity in use",
        TieBreak::SmallerId => "by the smaller id",
    }
}
