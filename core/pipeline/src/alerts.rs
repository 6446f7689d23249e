//! Alerts: live statistics that are looked at again and again, and what is said when one goes over
//! its limit, and when it no longer is.
//!
//! Statistics are soft: nothing of them is stored, and how long one has been over its limit counts
//! from the hub's start at most. That an alert was raised is an event, and it is raised until an
//! event clears it, whatever happens to the hub in between. Start reading at [`Alerts::run`].

use std::collections::BTreeMap;
use std::sync::Arc;

use gantry_hub::{QueueFigures, Scan, Service, State as Live, Unserved};
use gantry_model::spec::{AlertSpec, Statistic};
use gantry_model::{Actor, Command, Millis, Name, Timestamp};
use tokio_util::sync::CancellationToken;

use crate::backoff::Backoff;
use crate::pipeline::Handle;
use crate::status::State;

/// Watches the statistics of all `[alert.NAME]`.
pub(crate) struct Alerts {
    pipeline: Handle,
    watches: BTreeMap<Name, Watch>,
    queues: Scan<Vec<QueueFigures>>,
    unserved: Scan<Vec<Unserved>>,
}

/// How one alert stands.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Watch {
    /// Since when the statistic is over the limit.
    over_since: Option<Timestamp>,
    raised: bool,
}

impl Watch {
    /// What has to be said of a value: that the alert is raised, or cleared, or nothing.
    pub(crate) fn judge(&mut self, spec: &AlertSpec, value: i64, now: Timestamp) -> Option<bool> {
        if value <= spec.over {
            self.over_since = None;
            return self.raised.then_some(false);
        }
        let since = *self.over_since.get_or_insert(now);
        (!self.raised && now.since(since) >= spec.lasts).then_some(true)
    }

    pub(crate) fn said(&mut self, raised: bool) {
        self.raised = raised;
    }
}

impl Alerts {
    pub(crate) fn new(pipeline: Handle) -> Self {
        let names = pipeline.intake().spec.alerts.keys().cloned();
        let watches = names.map(|name| (name, Watch::default())).collect();
        Self { pipeline, watches, queues: Scan::default(), unserved: Scan::default() }
    }

    /// Runs until `stop`.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let watch = async {
            self.take_up().await;
            let every = self.pipeline.intake().limits.alerts_every;
            while !self.watches.is_empty() {
                self.look().await;
                tokio::time::sleep(every).await;
            }
        };
        tokio::select! {
            () = watch => stop.cancelled().await,
            () = stop.cancelled() => {}
        }
    }

    /// Takes up the alerts that were raised before the start; those that the config no longer has
    /// are cleared.
    async fn take_up(&mut self) {
        let mut backoff = Backoff::new(&self.pipeline.intake().limits);
        loop {
            match self.pipeline.store().alerts().await {
                Ok(raised) => {
                    for row in raised {
                        match self.watches.get_mut(&row.alert) {
                            Some(watch) => watch.said(true),
                            None => _ = self.say(&row.alert, false, 0).await,
                        }
                    }
                    return;
                }
                Err(error) => tracing::warn!(%error, "cannot read which alerts are raised"),
            }
            tokio::time::sleep(backoff.next()).await;
        }
    }

    /// Looks at every statistic once. What cannot be read or said now is left to the next look.
    async fn look(&mut self) {
        let config = Arc::clone(&self.pipeline.intake().spec);
        for (name, spec) in &config.alerts {
            let Some(value) = self.value(spec).await else { continue };
            let now = self.pipeline.hub().now();
            let Some(watch) = self.watches.get_mut(name) else { continue };
            let Some(raised) = watch.judge(spec, value, now) else { continue };
            if self.say(name, raised, value).await
                && let Some(watch) = self.watches.get_mut(name)
            {
                watch.said(raised);
            }
        }
    }

    /// `true` once it is durable.
    async fn say(&self, alert: &Name, raised: bool, value: i64) -> bool {
        let command = Command::Alert { alert: alert.clone(), raised, value };
        match self.pipeline.hub().command(Actor::Hub, command).await {
            Ok(_) => {
                tracing::info!(%alert, raised, value, "an alert changed");
                true
            }
            Err(error) => {
                tracing::debug!(%alert, %error, "an alert waits for the hub");
                false
            }
        }
    }

    /// The statistic at the moment; `None`: it is not known.
    async fn value(&self, spec: &AlertSpec) -> Option<i64> {
        match spec.when {
            Statistic::CaptureDown => self.captures_down(spec.capture.as_ref()),
            Statistic::Unserved => {
                let (unserved, _) =
                    self.unserved.get(self.pipeline.hub(), Live::unserved).await.ok()?;
                let meant = unserved.iter().filter(|found| {
                    found.service == Service::Never && of_queue(spec, &found.queue)
                });
                Some(meant.map(|found| i64::from(found.items)).sum())
            }
            when => {
                let scan = self.queues.get(self.pipeline.hub(), gantry_hub::queues).await;
                let (queues, at) = scan.ok()?;
                let meant = queues.iter().filter(|figures| of_queue(spec, &figures.queue));
                Some(figure(when, meant, at))
            }
        }
    }

    /// How many capture points are in trouble. As long as one of them has done nothing since the
    /// start, nobody knows that none is.
    fn captures_down(&self, capture: Option<&Name>) -> Option<i64> {
        let points = self.pipeline.fed_points();
        let states = points.filter(|(name, _)| capture.is_none_or(|only| only == *name));
        let (mut down, mut idle) = (0, false);
        for (_, state) in states {
            match state {
                State::BackingOff | State::Stopped => down += 1,
                State::Idle => idle = true,
                State::Running | State::Paused => {}
            }
        }
        (down > 0 || !idle).then_some(down)
    }
}

fn of_queue(spec: &AlertSpec, queue: &Name) -> bool {
    spec.queue.as_ref().is_none_or(|only| only == queue)
}

/// A statistic of some queues together, at the instant that their figures are of.
fn figure<'f>(
    when: Statistic,
    queues: impl Iterator<Item = &'f QueueFigures>,
    at: Timestamp,
) -> i64 {
    if when == Statistic::OldestWait {
        let oldest = queues.filter_map(|figures| figures.oldest_since).min();
        return oldest.map_or(Millis(0), |since| at.since(since)).0;
    }
    let count = |figures: &QueueFigures| match when {
        Statistic::Backlog => figures.waiting,
        Statistic::InDanger => figures.in_danger,
        Statistic::Overdue => figures.overdue,
        Statistic::Parked => figures.parked,
        Statistic::WithAgents => figures.with_agents,
        Statistic::CaptureDown | Statistic::OldestWait | Statistic::Unserved => 0,
    };
    queues.map(|figures| i64::from(count(figures))).sum()
}
