//! Live statistics: questions that look at every open item. They hold the hub's thread for as long
//! as they take, so their answers are kept for a while, and nobody can slow the hub down by asking
//! often.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use gantry_engine::State;
use gantry_model::priority::Priority;
use gantry_model::{Name, Timestamp};
use serde::Serialize;
use tokio::sync::Mutex;

use crate::error::Error;
use crate::handle::Handle;

/// A queue in figures.
#[derive(Clone, Debug, Default, Serialize)]
pub struct QueueFigures {
    /// Its name.
    pub queue: Name,
    /// Items that wait for an agent.
    pub waiting: u32,
    /// Since when the one of them is in routing that is so the longest.
    pub oldest_since: Option<Timestamp>,
    /// The highest priority among them, in whole points.
    pub top: Option<Priority>,
    /// Items that are offered, assigned or in wrap-up.
    pub with_agents: u32,
    /// Items in workbins.
    pub parked: u32,
    /// Open items, wherever they are, whose due date has passed.
    pub overdue: u32,
    /// Open items, wherever they are, that are past their warning or their due date.
    pub in_danger: u32,
}

/// Every queue in figures, by name. Looks at every open item: see [`Scan`].
pub fn queues(state: &State, now: Timestamp) -> Vec<QueueFigures> {
    let known = state.routing().processes.keys();
    let mut queues: BTreeMap<Name, QueueFigures> = known
        .map(|name| (name.clone(), QueueFigures { queue: name.clone(), ..Default::default() }))
        .collect();
    for item in state.items() {
        let Some(name) = item.queue() else { continue };
        let figures = queues.entry(name.clone()).or_default();
        figures.queue = name.clone();
        let overdue = item.due_at.is_some_and(|due| due <= now);
        figures.overdue += u32::from(overdue);
        figures.in_danger += u32::from(overdue || item.warned_at.is_some());
        figures.with_agents += u32::from(item.occupies().is_some());
        figures.parked += u32::from(item.workbin().is_some() && !item.waiting());
        if item.waiting() {
            figures.waiting += 1;
            figures.top = figures.top.max(Some(state.priority(now, &item).0));
            let since = [figures.oldest_since, item.routing_at];
            figures.oldest_since = since.into_iter().flatten().min();
        }
    }
    queues.into_values().collect()
}

/// An answer is kept for so many times the time that it took: 2 % of the hub's thread at most.
const KEPT: u32 = 50;

/// The latest answer to one such question.
#[derive(Debug)]
pub struct Scan<T> {
    latest: Mutex<Option<Answer<T>>>,
}

#[derive(Debug)]
struct Answer<T> {
    value: T,
    at: Timestamp,
    good_until: Instant,
}

impl<T> Default for Scan<T> {
    fn default() -> Self {
        Self { latest: Mutex::new(None) }
    }
}

impl<T: Clone + Send + 'static> Scan<T> {
    /// The answer, and the instant that it is of. Whoever asks at once with others waits for one
    /// answer for all.
    ///
    /// # Errors
    /// As [`Handle::ask`].
    ///
    /// # Cancel safety
    /// Dropping the future drops the question.
    pub async fn get(
        &self,
        hub: &Handle,
        question: fn(&State, Timestamp) -> T,
    ) -> Result<(T, Timestamp), Error> {
        let mut latest = self.latest.lock().await;
        if let Some(answer) = latest.as_ref().filter(|answer| Instant::now() < answer.good_until) {
            return Ok((answer.value.clone(), answer.at));
        }
        let (value, at, took): (T, Timestamp, Duration) = hub
            .ask(move |state, now| {
                let begun = Instant::now();
                (question(state, now), now, begun.elapsed())
            })
            .await?;
        let good_until = Instant::now() + took * KEPT;
        *latest = Some(Answer { value: value.clone(), at, good_until });
        Ok((value, at))
    }
}
