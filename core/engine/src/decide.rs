//! Decides what a command does: events, and the answer. Changes nothing.
//!
//! Start here to find what a command means; [`crate::facts`] says what an event does.

mod capture;
mod hold;
pub(crate) mod staff;
mod work;

use gantry_model::command::{Refusal, Reply, RunId};
use gantry_model::event::RevokeReason;
use gantry_model::{Assignment, Command, Event, Hold, ItemId, LifeCycle, Timestamp, WorkItem};

use crate::state::State;

/// Decides on a command at `now`. The state must have been moved to `now`.
///
/// Events come in the order in which they are to be applied. A refusal has none.
pub fn decide(state: &State, now: Timestamp, command: &Command) -> (Vec<Event>, Reply) {
    let mut events = Vec::new();
    let reply = match dispatch(state, now, command, &mut events) {
        Ok(reply) => reply,
        Err(refusal) => {
            events.clear();
            Reply::Refused(refusal)
        }
    };
    (events, reply)
}

fn dispatch(
    state: &State,
    now: Timestamp,
    command: &Command,
    events: &mut Vec<Event>,
) -> Result<Reply, Refusal> {
    let ctx = Context { state, now };
    match command {
        Command::Capture(capture) => capture::capture(ctx, capture, events),
        Command::Update { item, base_revision, rerun, verdict } => {
            let item = &ctx.item(*item)?;
            capture::update(ctx, item, *base_revision, *rerun, verdict.as_deref(), events)
        }
        Command::EndRun { item, revision, run, enriched, verdict } => {
            let item = &ctx.item(*item)?;
            capture::check_run(ctx, item, *revision, *run, verdict)?;
            Ok(capture::end_run(ctx, item, *enriched, verdict, events))
        }
        Command::Hold { item, reason } => hold::hold(&ctx.item(*item)?, reason, events),
        Command::Resume { item } => hold::resume(ctx, &ctx.item(*item)?, events),
        Command::Cancel { item, reason } => {
            let item = &ctx.item(*item)?;
            let reason = reason.clone();
            take_back(item, RevokeReason::Ended, events);
            events.push(Event::Canceled { item: item.id, reason });
            Ok(done(item))
        }
        Command::Complete { item, result_code } => {
            Ok(work::complete(&ctx.item(*item)?, result_code.as_ref(), events))
        }
        Command::Restart { item, force } => hold::restart(&ctx.item(*item)?, *force, events),
        Command::Accept { item, epoch, agent } => {
            work::accept(ctx, &ctx.item(*item)?, *epoch, agent, events)
        }
        Command::Decline { item, epoch, agent, reason } => {
            work::decline(ctx, &ctx.item(*item)?, *epoch, agent, reason, events)
        }
        Command::MarkDone { item, epoch, agent, disposition, attributes_changed } => {
            let item = &ctx.item(*item)?;
            work::check_assigned(item, *epoch, agent)?;
            work::check_disposition(ctx, item, disposition.as_ref())?;
            Ok(work::mark_done(ctx, item, disposition.as_ref(), *attributes_changed, events))
        }
        Command::Confirm { item, epoch } => work::confirm(&ctx.item(*item)?, *epoch, events),
        Command::PutAgent(profile) => staff::put(ctx, profile, events),
        Command::RemoveAgent(agent) => staff::remove(ctx, agent, events),
        Command::SetPresence { agent, presence } => {
            staff::set_presence(ctx, agent, presence, events)
        }
        Command::Activate { version, routing } => staff::activate(ctx, *version, routing, events),
        Command::Boot => Ok(staff::boot(ctx, events)),
        Command::ClockStepped { by } => {
            events.push(Event::ClockStepped { by: *by });
            Ok(nothing())
        }
        Command::Tick => Ok(nothing()),
    }
}

/// What a decision may look at.
#[derive(Clone, Copy)]
struct Context<'a> {
    state: &'a State,
    now: Timestamp,
}

impl Context<'_> {
    fn item(self, id: ItemId) -> Result<WorkItem, Refusal> {
        let item = self.state.item(id);
        item.ok_or(Refusal::UnknownItem { item: id })
    }
}

/// Takes an item from the agent it is offered or assigned to, if there is one.
pub(crate) fn take_back(item: &WorkItem, reason: RevokeReason, events: &mut Vec<Event>) {
    if let Assignment::Offered { agent, .. } | Assignment::Assigned { agent, .. } = &item.assignment
    {
        events.push(Event::Revoked { item: item.id, agent: agent.clone(), reason });
    }
}

/// Starts the item's next run.
fn begin_run(item: &WorkItem, events: &mut Vec<Event>) -> RunId {
    let run = RunId { item: item.id, revision: item.revision, run: item.run + 1 };
    events.push(Event::RunStarted { item: run.item, run: run.run });
    run
}

fn done(item: &WorkItem) -> Reply {
    done_with(item, item.revision, None)
}

fn done_with(item: &WorkItem, revision: u32, run: Option<RunId>) -> Reply {
    Reply::Done { item: Some(item.id), revision: Some(revision), run }
}

const fn nothing() -> Reply {
    Reply::Done { item: None, revision: None, run: None }
}

const fn stale(item: &WorkItem, what: &'static str, current: u32, given: u32) -> Refusal {
    Refusal::Stale { item: item.id, what, current, given }
}

fn wrong_state(item: &WorkItem, action: &'static str) -> Refusal {
    Refusal::WrongState { item: item.id, action, state: standing(item) }
}

/// How an item stands, in words.
pub(crate) fn standing(item: &WorkItem) -> String {
    match (&item.assignment, &item.hold) {
        (Assignment::Offered { agent, .. }, _) => format!("offered to agent {agent:?}"),
        (Assignment::Assigned { agent, .. }, _) => format!("assigned to agent {agent:?}"),
        (Assignment::Confirming { agent, .. }, _) => {
            format!("marked done by agent {agent:?} and waits for the source")
        }
        (Assignment::None, Hold::Held { .. }) => "held".into(),
        (Assignment::None, Hold::Error { .. }) => "held by an error".into(),
        (Assignment::None, Hold::Activation { until }) => {
            format!("waiting for its activation date {until}")
        }
        (Assignment::None, Hold::None) if item.life_cycle == LifeCycle::Queued => "waiting".into(),
        (Assignment::None, Hold::None) => item.life_cycle.as_str().into(),
    }
}
