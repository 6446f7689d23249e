//! Decides what a command does: events, and the answer. Changes nothing.
//!
//! Start here to find what a command means; [`crate::facts`] says what an event does.

mod capture;
mod hold;
pub(crate) mod moves;
mod pull;
pub(crate) mod room;
mod settle;
pub(crate) mod staff;
pub(crate) mod work;

use gantry_model::command::{Refusal, Reply, RunId};
use gantry_model::event::RevokeReason;
use gantry_model::{
    Assignment, Command, Event, Hold, ItemId, LifeCycle, Millis, Timestamp, WorkItem,
};

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
        Command::Update { item, base_revision, rerun, verdict, reschedule, by } => {
            let update = capture::Update {
                base_revision: *base_revision,
                rerun: *rerun,
                verdict: verdict.as_deref(),
                reschedule: *reschedule,
                by: by.as_ref(),
            };
            capture::update(ctx, &ctx.item(*item)?, &update, events)
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
        Command::Confirm { item, epoch } => work::confirm(&ctx.item(*item)?, *epoch, events),
        Command::PutAgent(profile) => staff::put(ctx, profile, events),
        Command::RemoveAgent(agent) => staff::remove(ctx, agent, events),
        Command::SetPresence { agent, presence } => {
            staff::set_presence(ctx, agent, presence, events)
        }
        Command::ReportLoad { agent, media, count } => {
            staff::report_load(ctx, agent, media, *count, events)
        }
        Command::Activate { version, routing } => staff::activate(ctx, *version, routing, events),
        Command::Boot { down } => Ok(staff::boot(ctx, *down, events)),
        Command::Alert { alert, raised, value } => {
            let (alert, value) = (alert.clone(), *value);
            events.push(if *raised {
                Event::AlertRaised { alert, value }
            } else {
                Event::AlertCleared { alert, value }
            });
            Ok(nothing())
        }
        Command::OperateCapture { capture_point, act } => {
            let (capture_point, act) = (capture_point.clone(), act.clone());
            events.push(Event::CaptureOperated { capture_point, act });
            Ok(nothing())
        }
        Command::ClockStepped { by } => {
            events.push(Event::ClockStepped { by: *by });
            Ok(nothing())
        }
        Command::Tick => Ok(nothing()),
        by_hand => at_work(ctx, by_hand, events),
    }
}

/// What agents and supervisors do with items.
fn at_work(ctx: Context<'_>, command: &Command, events: &mut Vec<Event>) -> Result<Reply, Refusal> {
    match command {
        Command::Accept { item, epoch, agent } => {
            work::accept(ctx, &ctx.item(*item)?, *epoch, agent, events)
        }
        Command::Decline { item, epoch, agent, reason } => {
            work::decline(ctx, &ctx.item(*item)?, *epoch, agent, reason, events)
        }
        Command::MarkDone { item, epoch, agent, disposition, changed_from } => {
            let item = &ctx.item(*item)?;
            work::check_assigned(item, *epoch, agent)?;
            work::check_changes(item, *changed_from)?;
            Ok(work::mark_done(ctx, item, disposition.as_ref(), changed_from.is_some(), events)?)
        }
        Command::EndWrapUp { item, by, disposition } => {
            work::end_wrap_up(ctx, &ctx.item(*item)?, by, disposition.as_ref(), events)
        }
        Command::Transfer { item, by, to, note } => {
            moves::transfer(ctx, &ctx.item(*item)?, by.as_ref(), to, note.as_ref(), events)
        }
        Command::Park { item, by, workbin, until, note } => {
            let (item, by) = (&ctx.item(*item)?, by.as_ref());
            moves::park(ctx, item, by, workbin, *until, note.as_ref(), events)
        }
        Command::Pull { item, agent, over_capacity } => {
            pull::pull(ctx, &ctx.item(*item)?, agent, over_capacity.as_ref(), events)
        }
        Command::Return { item, by, note } => {
            moves::give_back(ctx, &ctx.item(*item)?, by.as_ref(), note.as_ref(), events)
        }
        Command::EmptyWorkbin { workbin } => Ok(moves::empty(ctx, workbin, events)),
        Command::Retrieve { item, reason } => {
            moves::retrieve(ctx, &ctx.item(*item)?, reason, events)
        }
        Command::Boost { item, points } => moves::boost(&ctx.item(*item)?, *points, events),
        _ => unreachable!("invariant: every other command is dispatched before"),
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

    /// Until when an agent who gave the item away is not asked again.
    fn cool_down(self, item: &WorkItem) -> Timestamp {
        let queue = self.state.index.routes.queue(item);
        self.now.plus(queue.map_or(Millis(0), |queue| queue.decline_cool_down))
    }
}

/// Takes an item from the agent it occupies, if there is one.
pub(crate) fn take_back(item: &WorkItem, reason: RevokeReason, events: &mut Vec<Event>) {
    if let Some(agent) = item.occupies() {
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
        (Assignment::WrapUp { agent, .. }, _) => format!("in wrap-up with agent {agent:?}"),
        (Assignment::Parked { workbin, .. }, Hold::Held { .. }) => {
            format!("held in the {workbin}")
        }
        (Assignment::Parked { workbin, .. }, Hold::Error { .. }) => {
            format!("held by an error in the {workbin}")
        }
        (Assignment::Parked { workbin, prefilled: true, .. }, _) => {
            format!("waiting, in the {workbin} in advance")
        }
        (Assignment::Parked { workbin, .. }, _) => format!("in the {workbin}"),
        (Assignment::None, Hold::Held { .. }) => "held".into(),
        (Assignment::None, Hold::Error { .. }) => "held by an error".into(),
        (Assignment::None, Hold::Activation { until }) => {
            format!("waiting for its activation date {until}")
        }
        (Assignment::None, Hold::None) if item.life_cycle == LifeCycle::Queued => "waiting".into(),
        (Assignment::None, Hold::None) => item.life_cycle.as_str().into(),
    }
}
