//! Questions that look at every open item. They hold the hub's thread for as long as they take, so
//! their answers are kept for a while, and nobody can slow the hub down by asking often.

use std::time::{Duration, Instant};

use gantry_hub::{Error, Handle, State};
use gantry_model::Timestamp;
use tokio::sync::Mutex;

use crate::live;

/// An answer is kept for so many times the time that it took: 2 % of the hub's thread at most.
const KEPT: u32 = 50;

/// The latest answer to one such question.
#[derive(Debug)]
pub(crate) struct Scan<T> {
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
    pub(crate) async fn get(
        &self,
        hub: &Handle,
        question: fn(&State, Timestamp) -> T,
    ) -> Result<(T, Timestamp), Error> {
        let mut latest = self.latest.lock().await;
        if let Some(answer) = latest.as_ref().filter(|answer| Instant::now() < answer.good_until) {
            return Ok((answer.value.clone(), answer.at));
        }
        let (value, at, took): (T, Timestamp, Duration) = live::ask(hub, move |state, now| {
            let begun = Instant::now();
            (question(state, now), now, begun.elapsed())
        })
        .await?;
        let good_until = Instant::now() + took * KEPT;
        *latest = Some(Answer { value: value.clone(), at, good_until });
        Ok((value, at))
    }
}
