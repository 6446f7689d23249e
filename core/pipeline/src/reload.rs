//! A plug-in put in place of the one that runs, without a record lost or doubled.
//!
//! The new one stands beside the old one until it has shown that it works: made, attached, checked.
//! Then the source's capture points stand still between two turns, the new one takes over, and they
//! read on from the stored position. What the old one has under way it finishes. A new one that
//! fails at its first turns is taken back, and the old one goes on.

use std::time::Duration;

use gantry_model::Name;
use gantry_model::spec::Spec;
use gantry_plugin_host::api::ErrorClass;
use gantry_plugin_host::{
    CallError, CallbackHandle, CaptureHandle, Instance, LookupHandle, State as InstanceState,
};
use thiserror::Error;
use tokio::time::{Instant, timeout};

use crate::control::Still;
use crate::pipeline::{Handle, PointParts};
use crate::port::Trouble;
use crate::source::{Role, Source, SourceParts, Standing, chain};
use crate::status::State;

/// How often the first turns of a new plug-in are looked at.
const LOOK: Duration = Duration::from_millis(5);

/// A source runs with another plug-in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reloaded {
    /// What does not work at the moment, but may by itself: a system that cannot be reached.
    pub troubles: Vec<String>,
}

/// Why a source runs on as before.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReloadError {
    /// No such source.
    #[error("source {name:?} is not configured")]
    UnknownSource {
        /// Its name.
        name: String,
    },
    /// It does not work with the config.
    #[error("{part} does not work with it: {reason}")]
    Unfit {
        /// The part of the config, as `capture.leads`.
        part: String,
        /// What the plug-in said.
        reason: String,
    },
    /// A capture point did not reach a safe point in time.
    #[error("capture point {point:?} is still busy with a batch; try again")]
    Busy {
        /// The capture point.
        point: Name,
    },
    /// It was put in place, failed, and what ran before was put back.
    #[error("it failed and was taken back: {reason}")]
    TakenBack {
        /// How it failed.
        reason: String,
    },
}

/// A capture point of the source, and whether it worked before.
struct Fed<'p> {
    name: &'p Name,
    parts: &'p PointParts,
    worked: bool,
}

impl Handle {
    /// Puts a source's plug-in, config and secrets in place of those that run, or puts everything
    /// back as it was. The plug-in that is not used any more is drained and ended.
    ///
    /// # Errors
    /// [`ReloadError`]: the source runs as before.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the source with either plug-in, whole; what the other one had
    /// under way is called off. Keep it alive where that matters.
    pub async fn reload(&self, name: &str, parts: SourceParts) -> Result<Reloaded, ReloadError> {
        let unknown = || ReloadError::UnknownSource { name: name.to_owned() };
        let source = self.source(name).ok_or_else(unknown)?;
        let spec = &self.intake().spec;
        let (limits, deadline) = (&self.intake().limits, spec.hub.drain_timeout.to_std());
        let _one = source.reloading.lock().await;
        let mut trial = Trial { name: source.name(), spec, troubles: Vec::new() };
        let tried = timeout(limits.rest_timeout, trial.run(&parts)).await;
        let late = || ReloadError::Unfit {
            part: format!("source.{name}"),
            reason: format!("it was not ready within {} s", limits.rest_timeout.as_secs()),
        };
        let instance = match tried.unwrap_or_else(|_| Err(late())) {
            Ok(instance) => instance,
            Err(error) => {
                Standing::new(parts, None).stop(source.name(), deadline).await;
                return Err(error);
            }
        };
        let troubles = trial.troubles;
        let fresh = Standing::new(parts, Some(instance));
        let (former, fed) = match self.switch(source, fresh).await {
            Ok(switched) => switched,
            Err((point, fresh)) => {
                fresh.stop(source.name(), deadline).await;
                return Err(ReloadError::Busy { point });
            }
        };
        let Err(reason) = self.proves_itself(source, &fed).await else {
            former.stop(source.name(), deadline).await;
            return Ok(Reloaded { troubles });
        };
        // One that is busy for too long is left to its error: its batch is settled all the same.
        let failed = match self.switch(source, former).await {
            Ok((failed, _)) => failed,
            Err((_, former)) => source.switch(former).await,
        };
        failed.stop(source.name(), deadline).await;
        Err(ReloadError::TakenBack { reason })
    }

    /// Puts another plug-in in place while the source's capture points stand still; gives what
    /// stood, or what should have stood and the capture point that did not come to rest.
    async fn switch(
        &self,
        source: &Source,
        to: Standing,
    ) -> Result<(Standing, Vec<Fed<'_>>), (Name, Standing)> {
        let points = self.points_of(source.name());
        let rest_timeout = self.intake().limits.rest_timeout;
        let (mut operations, mut stills) = (Vec::new(), Vec::<Still<'_>>::new());
        for (name, parts) in &points {
            let operation = parts.control.operate().await;
            match parts.control.still(rest_timeout, &operation).await {
                Some(still) => stills.push(still),
                None => return Err(((*name).clone(), to)),
            }
            operations.push(operation);
        }
        let former = source.switch(to).await;
        let fed = points
            .into_iter()
            .filter(|(_, parts)| parts.feed().is_some() && parts.control.paused().is_none());
        let fed = fed.map(|(name, parts)| {
            let worked = parts.pulse.begin_anew() == State::Running;
            Fed { name, parts, worked }
        });
        Ok((former, fed.collect()))
    }

    /// Waits until each capture point has had a turn that went well, for a while at most.
    async fn proves_itself(&self, source: &Source, fed: &[Fed<'_>]) -> Result<(), String> {
        let until = Instant::now() + self.intake().limits.probation;
        loop {
            let over = Instant::now() >= until;
            let mut all_work = true;
            for Fed { name, parts, worked } in fed {
                let health = parts.pulse.read();
                let error = health.last_error.as_ref();
                let in_words =
                    || format!("capture.{name}: {}", error.map_or("", |error| &error.message));
                let panicked = error.is_some_and(|error| error.class == ErrorClass::Panic.name());
                match health.state {
                    State::Stopped => return Err(in_words()),
                    State::BackingOff if panicked || (over && *worked) => return Err(in_words()),
                    State::Running => {}
                    _ => all_work = false,
                }
            }
            let state = source.health().await.map(|health| health.state);
            if matches!(state, Some(InstanceState::Restarting | InstanceState::Quarantined)) {
                let said = fed.iter().find_map(|fed| fed.parts.pulse.read().last_error);
                return Err(said.map_or_else(|| "its process failed".into(), |said| said.message));
            }
            if all_work || over {
                return Ok(());
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// The capture points of a source.
    fn points_of(&self, source: &Name) -> Vec<(&Name, &PointParts)> {
        let captures = self.intake().spec.captures.iter();
        let names = captures.filter(|(_, capture)| capture.source.as_ref() == Some(source));
        names.filter_map(|(name, _)| self.parts(name)).collect()
    }
}

/// A plug-in tried out beside the one that runs.
struct Trial<'s> {
    name: &'s Name,
    spec: &'s Spec,
    troubles: Vec<String>,
}

impl Trial<'_> {
    /// An instance that everything could be attached to, and that could connect, unless that may
    /// pass.
    async fn run(&mut self, parts: &SourceParts) -> Result<Instance, ReloadError> {
        let (name, spec) = (self.name, self.spec);
        let part = format!("source.{name}");
        let instance = parts.create(name).await.map_err(|error| unfit(&part, &error))?;
        self.note(&part, instance.check().await)?;
        for (capture, of) in &spec.captures {
            if of.source.as_ref() == Some(name) {
                self.attach::<CaptureHandle>(parts, &instance, "capture", capture).await?;
            }
        }
        for (lookup, of) in &spec.lookups {
            if of.source == *name {
                self.attach::<LookupHandle>(parts, &instance, "lookup", lookup).await?;
            }
        }
        for (callback, of) in &spec.callbacks {
            if of.source == *name {
                self.attach::<CallbackHandle>(parts, &instance, "callback", callback).await?;
            }
        }
        Ok(instance)
    }

    async fn attach<H: Role>(
        &mut self,
        parts: &SourceParts,
        instance: &Instance,
        kind: &str,
        name: &Name,
    ) -> Result<(), ReloadError> {
        let part = format!("{kind}.{name}");
        let handle = H::attach(instance, name, parts.settings_of::<H>(name)).await;
        let handle = handle.map_err(|error| unfit(&part, &error))?;
        self.note(&part, handle.check().await)
    }

    fn note(&mut self, part: &str, checked: Result<(), CallError>) -> Result<(), ReloadError> {
        let Err(error) = checked else { return Ok(()) };
        if Trouble::from(error.clone()).passes() {
            self.troubles.push(format!("{part}: {}", chain(&error)));
            return Ok(());
        }
        // A plug-in need not be able to check.
        match error.class() {
            ErrorClass::Unsupported => Ok(()),
            _ => Err(unfit(part, &error)),
        }
    }
}

fn unfit(part: &str, error: &CallError) -> ReloadError {
    ReloadError::Unfit { part: part.to_owned(), reason: chain(error) }
}
