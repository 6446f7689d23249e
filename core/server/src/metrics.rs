//! What monitors read: the hub, its store and its plug-ins in figures, as OpenMetrics text.
//!
//! Nothing is kept here: each question reads what the parts have counted. The words that labels may
//! have are names in the config, outcomes, states and classes of errors, so their number is
//! bounded.
//!
//! Source: OpenMetrics 1.0, <https://prometheus.io/docs/specs/om/open_metrics_spec/>.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use gantry_hub::Health;
use gantry_model::{Name, Timestamp};
use gantry_pipeline::{Histogram, OperationStatus, Status};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::exemplar::Exemplar;
use prometheus_client::registry::{Registry, Unit};
use serde::Serialize;

#[cfg(test)]
mod tests;

/// All that is told, as it was at one instant.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) now: Timestamp,
    pub(crate) health: Health,
    pub(crate) pipeline: Status,
    pub(crate) hub: gantry_hub::Stats,
    pub(crate) store: gantry_store::Stats,
}

/// The text.
pub(crate) fn text(seen: Seen) -> String {
    let mut registry = Registry::with_prefix("gantry");
    registry.register_collector(Box::new(seen));
    let mut text = String::new();
    let written = prometheus_client::encoding::text::encode(&mut text, &registry);
    written.expect("invariant: writing to memory cannot fail");
    text
}

impl Collector for Seen {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut page = Page(encoder);
        self.hub(&mut page)?;
        self.sources(&mut page)?;
        self.captures(&mut page)?;
        self.lookups(&mut page)?;
        self.callbacks(&mut page)?;
        self.operations(&mut page)
    }
}

impl Seen {
    fn hub(&self, page: &mut Page<'_>) -> fmt::Result {
        let (hub, store, runs) = (&self.hub, &self.store, &self.pipeline.runs);
        let waited = hub.commit_micros as f64 / 1e6;
        page.gauge(READY, one(f64::from(u8::from(matches!(self.health, Health::Ready)))))?;
        page.counter(COMMITS, one(hub.commits as f64))?;
        page.counter(COMMANDS, one(hub.commands as f64))?;
        page.counter(EVENTS, one(hub.events as f64))?;
        page.counter(COMMIT_WAIT, one(waited))?;
        page.counter(COMMIT_RETRIES, one(hub.retries as f64))?;
        page.gauge(STORE_LOG, one(store.log_bytes as f64))?;
        page.counter(STORE_STALLS, one(store.stalls.count as f64))?;
        page.counter(RUNS_ENDED, one(runs.ended as f64))?;
        page.counter(RUNS_STALE, one(runs.stale as f64))?;
        page.counter(RUNS_FAILED, one(runs.failed as f64))?;
        page.gauge(RUNS_UNDER_WAY, one(runs.under_way as f64))
    }

    fn sources(&self, page: &mut Page<'_>) -> fmt::Result {
        let sources = &self.pipeline.sources;
        page.gauge(SOURCE_STATE, states(sources, "source", |source| word(&source.state)))?;
        let each = |number: fn(&gantry_pipeline::SourceStatus) -> u64| {
            each(sources, "source", move |source| Some(number(source) as f64))
        };
        page.gauge(SOURCE_IN_FLIGHT, each(|source| source.in_flight))?;
        page.counter(SOURCE_VIOLATIONS, each(|source| source.violations))?;
        page.counter(SOURCE_RENEWALS, each(|source| source.renewals))?;
        // Only those in processes of their own have these.
        let process = |number: fn(&gantry_pipeline::ProcessStatus) -> f64| {
            self::each(sources, "source", move |source| source.process.as_ref().map(number))
        };
        page.counter(SOURCE_RESTARTS, process(|process| process.restarts as f64))?;
        page.counter(SOURCE_QUARANTINES, process(|process| process.quarantines as f64))?;
        page.counter(SOURCE_CPU, process(|process| process.cpu_seconds))?;
        page.gauge(SOURCE_MEMORY, process(|process| process.memory_bytes as f64))?;
        page.gauge(SOURCE_PROCESSES, process(|process| process.processes as f64))
    }

    fn captures(&self, page: &mut Page<'_>) -> fmt::Result {
        let (now, captures) = (self.now, &self.pipeline.captures);
        let state = |capture: &gantry_pipeline::CaptureStatus| word(&capture.health.state);
        page.gauge(CAPTURE_STATE, states(captures, "capture_point", state))?;
        let records = captures.iter().flat_map(|(name, capture)| {
            let counts = &capture.counts;
            let outcomes = [
                ("created", counts.created),
                ("updated", counts.updated),
                ("done", counts.done),
                ("repeat", counts.repeats),
                ("filtered", counts.filtered),
                ("refused", counts.refused),
                ("retry", counts.retried),
            ];
            outcomes.map(|(outcome, n)| {
                (vec![("capture_point", name.to_string()), ("outcome", outcome.into())], n as f64)
            })
        });
        page.counter(CAPTURE_RECORDS, records)?;
        let each = |number: fn(&gantry_pipeline::CaptureStatus) -> Option<u64>| {
            each(captures, "capture_point", move |capture| Some(number(capture)? as f64))
        };
        page.gauge(CAPTURE_IN_HAND, each(|capture| Some(capture.counts.in_hand)))?;
        page.counter(CAPTURE_BYTES, each(|capture| Some(capture.bytes)))?;
        page.gauge(CAPTURE_CREDIT, each(|capture| capture.credit))?;
        page.gauge(CAPTURE_LEASES, each(|capture| Some(capture.leases.as_ref()?.held)))?;
        page.counter(CAPTURE_LEASES_LOST, each(|capture| Some(capture.leases.as_ref()?.lost)))?;
        let oldest = self::each(captures, "capture_point", |capture| {
            Some(age(capture.oldest_unacknowledged_at, now))
        });
        page.gauge(CAPTURE_OLDEST, oldest)?;
        let histograms = |histogram: fn(&gantry_pipeline::CaptureStatus) -> &Histogram| {
            captures.iter().map(move |(name, capture)| {
                (vec![("capture_point", name.to_string())], histogram(capture))
            })
        };
        page.histogram(CAPTURE_LAG, histograms(|capture| &capture.lag))?;
        page.histogram(CAPTURE_SETTLING, histograms(|capture| &capture.settling))
    }

    fn lookups(&self, page: &mut Page<'_>) -> fmt::Result {
        let lookups = &self.pipeline.lookups;
        let state = |lookup: &gantry_pipeline::LookupStatus| word(&lookup.health.state);
        page.gauge(LOOKUP_STATE, states(lookups, "lookup", state))?;
        let each = |number: fn(&gantry_pipeline::LookupStatus) -> u64| {
            each(lookups, "lookup", move |lookup| Some(number(lookup) as f64))
        };
        page.counter(LOOKUP_ASKED, each(|lookup| lookup.asked))?;
        page.counter(LOOKUP_CACHED, each(|lookup| lookup.cached))?;
        page.counter(LOOKUP_FAILED, each(|lookup| lookup.failed))
    }

    fn callbacks(&self, page: &mut Page<'_>) -> fmt::Result {
        let (now, callbacks) = (self.now, &self.pipeline.callbacks);
        let state = |callback: &gantry_pipeline::CallbackStatus| word(&callback.health.state);
        page.gauge(CALLBACK_STATE, states(callbacks, "callback", state))?;
        let events = callbacks.iter().flat_map(|(name, callback)| {
            let outcomes = [
                ("delivered", callback.delivered),
                ("retry", callback.retried),
                ("dead", callback.dead),
            ];
            outcomes.map(|(outcome, n)| {
                (vec![("callback", name.to_string()), ("outcome", outcome.into())], n as f64)
            })
        });
        page.counter(CALLBACK_EVENTS, events)?;
        let lanes = callbacks.iter().flat_map(|(name, callback)| {
            let lanes = [("retrying", callback.lanes_retrying), ("dead", callback.lanes_dead)];
            lanes.map(|(state, n)| {
                (vec![("callback", name.to_string()), ("state", state.into())], n as f64)
            })
        });
        page.gauge(CALLBACK_LANES, lanes)?;
        page.gauge(
            CALLBACK_OPEN,
            each(callbacks, "callback", |callback| Some(callback.open as f64)),
        )?;
        let oldest =
            each(callbacks, "callback", |callback| Some(age(callback.oldest_open_at, now)));
        page.gauge(CALLBACK_OLDEST, oldest)?;
        let lag = callbacks
            .iter()
            .map(|(name, callback)| (vec![("callback", name.to_string())], &callback.lag));
        page.histogram(CALLBACK_LAG, lag)
    }

    fn operations(&self, page: &mut Page<'_>) -> fmt::Result {
        let Status { captures, lookups, callbacks, .. } = &self.pipeline;
        let captures =
            captures.iter().map(|(name, it)| ("capture", name, it.in_flight, &it.operations));
        let lookups =
            lookups.iter().map(|(name, it)| ("lookup", name, it.in_flight, &it.operations));
        let callbacks =
            callbacks.iter().map(|(name, it)| ("callback", name, it.in_flight, &it.operations));
        let parts: Vec<_> = captures.chain(lookups).chain(callbacks).collect();
        let labels = |part: &str, name: &Name| -> Labels {
            vec![("part", part.to_owned()), ("name", name.to_string())]
        };
        let in_flight = parts.iter().map(|(part, name, n, _)| (labels(part, name), *n as f64));
        page.gauge(OPERATIONS_IN_FLIGHT, in_flight)?;
        let took = parts.iter().flat_map(|(part, name, _, operations)| {
            operations.iter().map(move |OperationStatus { operation, outcome, took }| {
                let mut labels = labels(part, name);
                labels.push(("operation", (*operation).to_owned()));
                labels.push(("outcome", (*outcome).to_owned()));
                (labels, took)
            })
        });
        page.histogram(OPERATIONS, took)
    }
}

type Labels = Vec<(&'static str, String)>;

/// What a metric is called, in what it is told, and what it means. The name stands between the
/// prefix and the unit.
type Metric = (&'static str, Option<Unit>, &'static str);

const READY: Metric = ("hub_ready", None, "1 if the hub takes work, else 0");
const COMMITS: Metric = ("hub_commits", None, "Commits");
const COMMANDS: Metric = ("hub_commands", None, "Commands that were committed");
const EVENTS: Metric = ("hub_events", None, "Events that were committed");
const COMMIT_WAIT: Metric =
    ("hub_commit_wait", Some(Unit::Seconds), "Time spent waiting for the store");
const COMMIT_RETRIES: Metric = ("hub_commit_retries", None, "Commits that had to be tried again");
const STORE_LOG: Metric = ("store_log", Some(Unit::Bytes), "Size of the write-ahead log");
const STORE_STALLS: Metric = ("store_stalls", None, "Waits of the writer for the write-ahead log");
const RUNS_ENDED: Metric = ("runs_ended", None, "Runs of look-ups and rules that ended");
const RUNS_STALE: Metric =
    ("runs_stale", None, "Runs that ended in vain, because the item had moved on");
const RUNS_FAILED: Metric = ("runs_failed", None, "Runs that ended with a failure");
const RUNS_UNDER_WAY: Metric = ("runs_under_way", None, "Runs under way");
const SOURCE_STATE: Metric = ("source_state", None, "1 for the state that the source is in");
const SOURCE_IN_FLIGHT: Metric =
    ("source_operations_in_flight", None, "Operations under way, streams among them");
const SOURCE_VIOLATIONS: Metric = (
    "source_protocol_violations",
    None,
    "Answers and batches of the plug-in that broke the protocol",
);
const SOURCE_RENEWALS: Metric = (
    "source_renewals",
    None,
    "How often the source was made anew, after a panic or expired credentials",
);
const SOURCE_RESTARTS: Metric =
    ("source_restarts", None, "How often the process was started again");
const SOURCE_QUARANTINES: Metric =
    ("source_quarantines", None, "How often the process failed too often and was given up");
const SOURCE_CPU: Metric = (
    "source_cpu",
    Some(Unit::Seconds),
    "Time of the processors that the process took, with what it started and those before it",
);
const SOURCE_MEMORY: Metric = (
    "source_resident_memory",
    Some(Unit::Bytes),
    "Resident memory of the process and what it started",
);
const SOURCE_PROCESSES: Metric = ("source_processes", None, "The process and what it started");
const CAPTURE_STATE: Metric =
    ("capture_state", None, "1 for the state that the capture point is in");
const CAPTURE_RECORDS: Metric =
    ("capture_records", None, "Records by what became of them, each as often as it came");
const CAPTURE_IN_HAND: Metric = ("capture_in_hand", None, "Records that are being settled");
const CAPTURE_BYTES: Metric =
    ("capture_payload", Some(Unit::Bytes), "Payloads of the records that came in");
const CAPTURE_CREDIT: Metric =
    ("capture_credit", None, "Records that a stream may send before it is granted more");
const CAPTURE_LEASES: Metric =
    ("capture_leases", None, "Open items whose thing in the source is only lent");
const CAPTURE_LEASES_LOST: Metric =
    ("capture_leases_lost", None, "Items withdrawn because the source took the thing back");
const CAPTURE_OLDEST: Metric = (
    "capture_oldest_unacknowledged",
    Some(Unit::Seconds),
    "Age of the oldest batch whose source does not know what became of it; 0 if there is none",
);
const CAPTURE_LAG: Metric = (
    "capture_lag",
    Some(Unit::Seconds),
    "From when new content happened in the source to when it was durable",
);
const CAPTURE_SETTLING: Metric =
    ("capture_settling", Some(Unit::Seconds), "From when a batch came to when it was durable");
const LOOKUP_STATE: Metric = ("lookup_state", None, "1 for the state that the look-up is in");
const LOOKUP_ASKED: Metric = ("lookup_asked", None, "Questions that were sent, retries included");
const LOOKUP_CACHED: Metric = (
    "lookup_cached",
    None,
    "Questions that were answered from the cache, or together with another one",
);
const LOOKUP_FAILED: Metric =
    ("lookup_failed", None, "Questions without an answer after all retries");
const CALLBACK_STATE: Metric = ("callback_state", None, "1 for the state that the callback is in");
const CALLBACK_EVENTS: Metric =
    ("callback_events", None, "Attempts to deliver an event, by how they ended");
const CALLBACK_LANES: Metric =
    ("callback_lanes", None, "Items whose events wait for another attempt, or for a person");
const CALLBACK_OPEN: Metric =
    ("callback_open_events", None, "Events to deliver, without those that wait in lanes");
const CALLBACK_OLDEST: Metric =
    ("callback_oldest_open", Some(Unit::Seconds), "Age of the oldest of them; 0 if there is none");
const CALLBACK_LAG: Metric =
    ("callback_lag", Some(Unit::Seconds), "From when something happened to when it was delivered");
const OPERATIONS_IN_FLIGHT: Metric =
    ("operations_in_flight", None, "Operations of a plug-in under way");
const OPERATIONS: Metric = (
    "operation_duration",
    Some(Unit::Seconds),
    "How long operations of plug-ins took, by how they ended; streams: how long they were open",
);

/// Where metrics are written.
struct Page<'p>(DescriptorEncoder<'p>);

impl Page<'_> {
    fn counter(
        &mut self,
        metric: Metric,
        rows: impl IntoIterator<Item = (Labels, f64)>,
    ) -> fmt::Result {
        let (name, unit, help) = metric;
        let mut family =
            self.0.encode_descriptor(name, help, unit.as_ref(), MetricType::Counter)?;
        for (labels, value) in rows {
            if labels.is_empty() {
                family.encode_counter::<NoLabelSet, _, f64>(&value, None)?;
                continue;
            }
            let mut row = family.encode_family(&labels)?;
            row.encode_counter::<NoLabelSet, _, f64>(&value, None)?;
        }
        Ok(())
    }

    fn gauge(
        &mut self,
        metric: Metric,
        rows: impl IntoIterator<Item = (Labels, f64)>,
    ) -> fmt::Result {
        let (name, unit, help) = metric;
        let mut family = self.0.encode_descriptor(name, help, unit.as_ref(), MetricType::Gauge)?;
        for (labels, value) in rows {
            if labels.is_empty() {
                family.encode_gauge(&value)?;
                continue;
            }
            family.encode_family(&labels)?.encode_gauge(&value)?;
        }
        Ok(())
    }

    fn histogram<'h>(
        &mut self,
        metric: Metric,
        rows: impl IntoIterator<Item = (Labels, &'h Histogram)>,
    ) -> fmt::Result {
        let (name, unit, help) = metric;
        let mut family =
            self.0.encode_descriptor(name, help, unit.as_ref(), MetricType::Histogram)?;
        let no_exemplars = None::<&HashMap<usize, Exemplar<NoLabelSet, f64>>>;
        for (labels, histogram) in rows {
            let Histogram { buckets, sum } = histogram;
            let mut row = family.encode_family(&labels)?;
            row.encode_histogram(*sum, histogram.count(), buckets, no_exemplars)?;
        }
        Ok(())
    }
}

/// A value without labels.
fn one(value: f64) -> [(Labels, f64); 1] {
    [(Labels::new(), value)]
}

/// A value of each part that has one.
fn each<'p, P>(
    parts: &'p BTreeMap<Name, P>,
    label: &'static str,
    value: impl Fn(&P) -> Option<f64> + 'p,
) -> impl Iterator<Item = (Labels, f64)> + 'p {
    parts
        .iter()
        .filter_map(move |(name, part)| Some((vec![(label, name.to_string())], value(part)?)))
}

fn states<'p, P>(
    parts: &'p BTreeMap<Name, P>,
    label: &'static str,
    state: impl Fn(&P) -> String + 'p,
) -> impl Iterator<Item = (Labels, f64)> + 'p {
    parts
        .iter()
        .map(move |(name, part)| (vec![(label, name.to_string()), ("state", state(part))], 1.0))
}

/// How a state is written in the API.
fn word(state: &impl Serialize) -> String {
    let word = serde_json::to_value(state).ok();
    word.and_then(|word| word.as_str().map(ToOwned::to_owned)).unwrap_or_default()
}

/// Seconds since an instant; 0 without one.
fn age(since: Option<Timestamp>, now: Timestamp) -> f64 {
    since.map_or(0.0, |since| now.since(since).0.max(0) as f64 / 1000.0)
}
