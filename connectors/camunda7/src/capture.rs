//! Capture: external tasks ([`crate::external`]) or user tasks ([`crate::user`]), as the settings
//! say.

use std::time::Duration;

use gantry_plugin_api::{
    Batch, Capture, ConfigFault, Context, Error, Extended, Lease, Position, RecordOutcome,
};

use crate::Camunda;
use crate::config::{CaptureSettings, ExternalTasks};

/// The engine refuses to keep a poll open for longer.
const LONG_POLL_MAX: Duration = Duration::from_mins(30);

impl Capture for Camunda {
    type Settings = CaptureSettings;

    fn validate_settings(settings: &CaptureSettings) -> Vec<ConfigFault> {
        let CaptureSettings { external_tasks, user_tasks } = settings;
        let external =
            |wrong: fn(&ExternalTasks) -> bool| external_tasks.as_ref().is_some_and(wrong);
        let wrong = [
            (
                external_tasks.is_some() == user_tasks.is_some(),
                ("", "write either `external_tasks` or `user_tasks`"),
            ),
            (
                external(|tasks| tasks.topics.is_empty()),
                ("external_tasks.topics", "name at least one topic"),
            ),
            (
                external(|tasks| tasks.lock.get() < Duration::from_secs(1)),
                ("external_tasks.lock", "must be 1 s or more; people need minutes"),
            ),
            (
                external(|tasks| tasks.long_poll.get() > LONG_POLL_MAX),
                ("external_tasks.long_poll", "must be 30 minutes or less"),
            ),
        ];
        let faults = wrong.into_iter().filter(|(wrong, _)| *wrong);
        faults.map(|(_, (path, message))| ConfigFault::new(path, message)).collect()
    }

    async fn check_settings(&self, settings: &CaptureSettings, _: &Context) -> Result<(), Error> {
        match &settings.user_tasks {
            Some(tasks) => self.check_user(tasks).await,
            None => self.engine.check().await,
        }
    }

    async fn poll(
        &self,
        settings: &CaptureSettings,
        cx: &Context,
        from: Option<&Position>,
        limit: usize,
    ) -> Result<Batch, Error> {
        match (&settings.external_tasks, &settings.user_tasks) {
            (Some(tasks), _) => self.poll_external(tasks, cx, from, limit).await,
            (None, Some(tasks)) => self.poll_user(tasks, cx, from, limit).await,
            (None, None) => Err(Error::config("", "no tasks are to be captured")),
        }
    }

    async fn acknowledge(
        &self,
        settings: &CaptureSettings,
        cx: &Context,
        outcomes: &[RecordOutcome],
    ) -> Result<(), Error> {
        if settings.external_tasks.is_some() {
            return self.refuse_external(outcomes).await;
        }
        self.sweeps.settle(cx.name(), outcomes);
        Ok(())
    }

    async fn extend(
        &self,
        settings: &CaptureSettings,
        cx: &Context,
        leases: &[Lease],
    ) -> Result<Vec<Extended>, Error> {
        match &settings.external_tasks {
            Some(tasks) => self.extend_external(tasks, cx, leases).await,
            None => Err(Error::unsupported("extend")),
        }
    }
}
