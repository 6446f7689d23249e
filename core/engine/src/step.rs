//! One step: what the hub calls for every command.

use gantry_model::command::RunId;
use gantry_model::journal::Entry;
use gantry_model::{Actor, Command, Event, Reply, Timestamp};

use crate::decide::decide;
use crate::follow_up::follow_up;
use crate::state::State;

/// The last instant that has a date: 9999-12-30T22:00:00Z. Timers beyond it never fire, so
/// "never" needs no other word than the end of the range.
pub const LAST: Timestamp = Timestamp(253_402_207_200_000);

/// What one command did.
#[derive(Clone, Debug, PartialEq)]
#[must_use = "the entries must be made durable before the reply leaves"]
pub struct Step {
    /// Events for the journal, in the order in which they were applied.
    pub entries: Vec<Entry>,
    /// The answer to the command.
    pub reply: Reply,
    /// Every run of look-ups and rules that this step began and did not end, by command or by
    /// timer; the one named in `reply` is among them. Runs of [`Reply::Booted`] are not.
    pub runs: Vec<RunId>,
}

/// Lets time pass up to `now`, decides on the command, applies what it does, and then all that
/// follows from it. An instant before the state's own counts as the state's own, one that has no
/// date any more as [`LAST`].
///
/// Timers that were due before `now` fire before the command is looked at, so an answer that
/// comes after its offer has run out is stale. Only `Boot` comes before the timers: what was due
/// while the hub was down is nobody's fault.
pub fn step(state: &mut State, now: Timestamp, actor: Actor, command: &Command) -> Step {
    let now = now.min(LAST).max(state.clock());
    let mut entries = Vec::new();
    state.advance(now);
    if !matches!(command, Command::Boot { .. }) {
        follow(state, now, &mut entries);
    }
    let (events, reply) = decide(state, now, command);
    apply(state, now, &actor, events, &mut entries);
    follow(state, now, &mut entries);
    let runs = open_runs(state, &entries);
    Step { entries, reply, runs }
}

fn follow(state: &mut State, now: Timestamp, entries: &mut Vec<Entry>) {
    loop {
        if state.index.anybody_free() {
            state.index.sharpen(&state.facts);
        }
        let events = follow_up(state, now);
        if events.is_empty() {
            state.index.settle();
            return;
        }
        apply(state, now, &Actor::Hub, events, entries);
    }
}

fn apply(
    state: &mut State,
    at: Timestamp,
    actor: &Actor,
    events: Vec<Event>,
    entries: &mut Vec<Entry>,
) {
    let version = state.config_version();
    state.apply_all(at, &events).expect("invariant: what was decided for a state applies to it");
    let entry = |event| Entry { at, version, actor: actor.clone(), event };
    entries.extend(events.into_iter().map(entry));
}

fn open_runs(state: &State, entries: &[Entry]) -> Vec<RunId> {
    let started = entries.iter().filter_map(|entry| match &entry.event {
        Event::RunStarted { item, run } => Some((state.item(*item)?, *run)),
        _ => None,
    });
    started
        .filter(|(item, run)| item.run_open && item.run == *run)
        .map(|(item, run)| RunId { item: item.id, revision: item.revision, run })
        .collect()
}
