//! What a case of the suite is, and how it ends.

use std::future::Future;
use std::pin::Pin;

use gantry_plugin_host::CallError;

use crate::bench::Bench;

/// One thing that is asked of every plug-in.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// `GROUP/NAME`; never changes, for waivers name it.
    pub id: &'static str,
    /// What is asked, as one sentence.
    pub about: &'static str,
    /// What an author does who fails it.
    pub remedy: &'static str,
    pub(crate) run: Run,
}

pub(crate) type Run = for<'b> fn(&'b Bench) -> Pin<Box<dyn Future<Output = Outcome> + 'b>>;

impl Case {
    /// The part of the id before the slash.
    pub fn group(&self) -> &'static str {
        self.id.split_once('/').map_or(self.id, |(group, _)| group)
    }
}

/// How a case ends; without an error it has passed.
pub(crate) type Outcome = Result<(), Stop>;

/// Why a case has not passed.
#[derive(Clone, Debug)]
pub(crate) enum Stop {
    /// It needs what is not there: the reason.
    Skip(String),
    /// The plug-in does not do what is asked.
    Fail {
        /// What should have been seen.
        expected: String,
        /// What was seen.
        seen: String,
    },
}

pub(crate) fn skip(reason: impl Into<String>) -> Stop {
    Stop::Skip(reason.into())
}

pub(crate) fn fail(expected: impl Into<String>, seen: impl Into<String>) -> Stop {
    Stop::Fail { expected: expected.into(), seen: seen.into() }
}

/// Fails unless something holds.
pub(crate) fn ensure(holds: bool, expected: &str, seen: impl FnOnce() -> String) -> Outcome {
    if holds { Ok(()) } else { Err(fail(expected, seen())) }
}

/// An error with its class and causes, in one line.
pub(crate) fn in_words(error: &CallError) -> String {
    let class = error.class();
    let causes = std::iter::successors(Some(error as &dyn std::error::Error), |e| e.source());
    let words = causes.map(ToString::to_string).collect::<Vec<_>>().join(": ");
    format!("error of class `{class}`: {words}")
}

/// What must go well.
pub(crate) trait Works<T> {
    /// Fails with what was expected, if it did not.
    fn works(self, expected: &str) -> Result<T, Stop>;
}

impl<T> Works<T> for Result<T, CallError> {
    fn works(self, expected: &str) -> Result<T, Stop> {
        self.map_err(|error| fail(expected, in_words(&error)))
    }
}
