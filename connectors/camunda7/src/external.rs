//! External tasks: the engine lends each to one worker at a time, and the hub is that worker.
//!
//! A task that was fetched is not given again, so an answer that never arrived (the hub was killed,
//! the connection broke) would leave its tasks locked and unknown until the lock ends. Therefore
//! fetches are numbered, each has a worker id of its own, and the number of the last fetch whose
//! tasks the hub has settled is the position. What is locked by the worker of the next number was
//! lost on its way: it is unlocked and fetched anew. A long poll that was called off goes on in the
//! engine until its time is over, so it is looked after for that long.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use gantry_plugin_api::{
    Batch, Context, Error, ErrorClass, Extended, Lease, Outcome, Position, Record, RecordOutcome,
};
use gantry_plugin_http::escape;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::Camunda;
use crate::config::ExternalTasks;
use crate::variables::{dates, plain};

/// Requests about single tasks that run at once.
pub(crate) const N_AT_ONCE: usize = 8;
/// A long poll lasts no longer than this while one that was called off may still go on.
const SHORT_POLL: Duration = Duration::from_secs(1);
/// So much longer than it was asked to, the engine may keep a poll open.
const MARGIN: Duration = Duration::from_secs(5);
/// Why a task that is not there was lost.
const ENDED: &str = "it has ended in the engine";
/// Tasks listed at once.
const N_LISTED_MAX: usize = 1000;

/// The position: all tasks of this fetch and those before it are settled.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Mark {
    fetch: u64,
}

/// What is known of each capture point's fetches, by its name.
#[derive(Debug, Default)]
pub(crate) struct Fetches(Mutex<BTreeMap<String, State>>);

#[derive(Debug, Default)]
struct State {
    /// The last fetch whose answer arrived; none while one is under way, or after one whose answer
    /// did not.
    arrived: Option<u64>,
    suspects: Vec<Suspect>,
}

/// A fetch of which tasks may have been lost on their way.
#[derive(Clone, Debug)]
struct Suspect {
    fetch: u64,
    until: Instant,
    /// Those that did arrive.
    arrived: BTreeSet<String>,
}

impl Fetches {
    fn with<T>(&self, name: &str, act: impl FnOnce(&mut State) -> T) -> T {
        let mut states = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        act(states.entry(name.to_owned()).or_default())
    }

    /// Begins a fetch; gives those of which something may have been lost.
    fn begin(&self, name: &str, fetch: u64, wait: Duration) -> Vec<Suspect> {
        let now = Instant::now();
        self.with(name, |state| {
            if state.arrived.take() != Some(fetch - 1) {
                state.suspects.retain(|suspect| suspect.fetch != fetch);
                let until = now + wait + MARGIN;
                state.suspects.push(Suspect { fetch, until, arrived: BTreeSet::new() });
            }
            let suspects = state.suspects.clone();
            state.suspects.retain(|suspect| now < suspect.until);
            suspects
        })
    }

    fn end(&self, name: &str, fetch: u64, ids: BTreeSet<String>) {
        self.with(name, |state| {
            state.arrived = Some(if ids.is_empty() { fetch - 1 } else { fetch });
            let suspect = state.suspects.iter_mut().find(|suspect| suspect.fetch == fetch);
            if let Some(suspect) = suspect {
                suspect.arrived.extend(ids);
            }
        });
    }
}

impl Camunda {
    pub(crate) async fn poll_external(
        &self,
        settings: &ExternalTasks,
        cx: &Context,
        from: Option<&Position>,
        limit: usize,
    ) -> Result<Batch, Error> {
        let mark = from.map(|from| from.parse::<Mark>("{\"fetch\": NUMBER}")).transpose()?;
        let fetch = mark.map_or(0, |mark| mark.fetch) + 1;
        let wait = settings.long_poll.get();
        let suspects = self.fetches.begin(cx.name(), fetch, wait);
        let wait = if suspects.is_empty() { wait } else { wait.min(SHORT_POLL) };
        for suspect in &suspects {
            self.hand_back(&worker(self, cx, suspect.fetch), &suspect.arrived).await?;
        }
        let worker = worker(self, cx, fetch);
        let body = request(settings, &worker, limit, wait);
        let fetched = self.engine.long_poll("external-task/fetchAndLock", &body, wait);
        let mut tasks: Vec<Map<String, Value>> = tokio::select! {
            fetched = fetched => fetched?,
            () = cx.draining() => return Ok(Batch::default()),
        };
        tasks.sort_by_cached_key(|task| (text(task, "createTime"), text(task, "id")));
        let ids = tasks.iter().map(|task| text(task, "id")).collect();
        let more = tasks.len() >= limit;
        let records = tasks.into_iter().map(|task| self.external_record(settings, task, &worker));
        let records = records.collect::<Result<Vec<_>, _>>()?;
        self.fetches.end(cx.name(), fetch, ids);
        let position_after =
            (!records.is_empty()).then(|| Position::of(&Mark { fetch })).transpose()?;
        Ok(Batch { records, position_after, more })
    }

    /// Unlocks what a worker has, but for what arrived.
    async fn hand_back(&self, worker: &str, arrived: &BTreeSet<String>) -> Result<(), Error> {
        let list = format!("external-task?firstResult=0&maxResults={N_LISTED_MAX}");
        let body = json!({ "workerId": worker, "locked": true });
        let (tasks, _): (Vec<Map<String, Value>>, _) = self.engine.query(&list, &body).await?;
        let ids = tasks.iter().map(|task| text(task, "id"));
        let lost: Vec<_> = ids.filter(|id| !arrived.contains(id)).collect();
        let unlock = |id: String| async move {
            let done = self.engine.act(&path(&id, "unlock"), &json!({}), None).await;
            tolerate_gone(done)
        };
        stream::iter(lost).map(unlock).buffer_unordered(N_AT_ONCE).try_collect().await
    }

    fn external_record(
        &self,
        settings: &ExternalTasks,
        mut task: Map<String, Value>,
        worker: &str,
    ) -> Result<Record, Error> {
        let lock_ms = settings.lock.get().as_millis() as u64;
        let id = text(&task, "id");
        let created_at = task.get("createTime").and_then(Value::as_str);
        let created_at = created_at.map(|date| self.engine.instant(date)).transpose()?;
        dates(&self.engine, &mut task, &["createTime", "lockExpirationTime"])?;
        if let Some(Value::Object(variables)) = task.get("variables") {
            let plain = plain(&self.engine, variables)?;
            task.insert("variables".to_owned(), plain);
        }
        let lending = lending(&id, task.get("retries").and_then(Value::as_u64));
        task.insert("lending".to_owned(), lending.clone().into());
        let mut record = Record::json(Value::Object(task).to_string());
        record.message_id = Some(lending);
        record.occurred_at_ms = created_at.map(jiff::Timestamp::as_millisecond);
        record.ack_token = Some(format!("{worker} {id}").into());
        Ok(record.with_lease(Lease::new(id, lock_ms)))
    }

    /// Extends the locks of tasks whose items are open. A lock that ended while the hub was gone is
    /// taken anew, unless another worker has the task.
    pub(crate) async fn extend_external(
        &self,
        settings: &ExternalTasks,
        cx: &Context,
        leases: &[Lease],
    ) -> Result<Vec<Extended>, Error> {
        let ids: Vec<_> = leases.iter().map(|lease| &lease.token).collect();
        let list = format!("external-task?firstResult=0&maxResults={}", ids.len());
        let body = json!({ "externalTaskIdIn": ids });
        let (tasks, _): (Vec<Map<String, Value>>, _) = self.engine.query(&list, &body).await?;
        let workers: BTreeMap<_, _> =
            tasks.iter().map(|task| (text(task, "id"), text(task, "workerId"))).collect();
        let ours = self.engine.workers_of(cx.name());
        let extend = |id: String| {
            let worker = workers.get(&id).cloned();
            let ours = ours.clone();
            async move {
                let Some(worker) = worker else { return lost(ENDED) };
                let extended = self.extend_one(settings, &id, &worker, &ours).await;
                extended.unwrap_or_else(Extended::Failed)
            }
        };
        let ids: Vec<_> = leases.iter().map(|lease| lease.token.clone()).collect();
        Ok(stream::iter(ids).map(extend).buffered(N_AT_ONCE).collect().await)
    }

    async fn extend_one(
        &self,
        settings: &ExternalTasks,
        id: &str,
        worker: &str,
        ours: &str,
    ) -> Result<Extended, Error> {
        let lock_ms = settings.lock.get().as_millis() as u64;
        let kept = Ok(Extended::Kept { for_ms: lock_ms });
        let is_ours = worker.starts_with(ours);
        if is_ours {
            let body = json!({ "workerId": worker, "newDuration": lock_ms });
            match self.engine.act(&path(id, "extendLock"), &body, None).await {
                Ok(()) => return kept,
                // The lock has ended; perhaps nobody has taken it.
                Err(error) if error.class() == ErrorClass::Conflict => {}
                Err(error) if error.class() == ErrorClass::Gone => return Ok(lost(ENDED)),
                Err(error) => return Err(error),
            }
        }
        let worker = if is_ours { worker.to_owned() } else { format!("{ours}0") };
        let body = json!({ "workerId": worker, "lockDuration": lock_ms });
        match self.engine.act(&path(id, "lock"), &body, None).await {
            Ok(()) => kept,
            Err(error) if error.class() == ErrorClass::Gone => Ok(lost(ENDED)),
            Err(error) if error.class() == ErrorClass::Conflict => {
                // A fetch of ours may just have been lent it again.
                let found = self.engine.external_task(id).await?;
                let holder = found.map(|task: Map<String, Value>| text(&task, "workerId"));
                match holder {
                    None => Ok(lost(ENDED)),
                    Some(holder) if holder.starts_with(ours) => kept,
                    Some(holder) => Ok(lost(&format!("worker `{holder}` has it"))),
                }
            }
            Err(error) => Err(error),
        }
    }

    /// Tells the engine of tasks that the hub refused: an incident, so that they do not come again
    /// and again. The dead letter can still be mended and replayed.
    pub(crate) async fn refuse_external(&self, outcomes: &[RecordOutcome]) -> Result<(), Error> {
        let refused = outcomes.iter().filter(|outcome| outcome.outcome == Outcome::Refused);
        let refused: Vec<_> = refused.cloned().collect();
        let refuse = |outcome: RecordOutcome| async move {
            let token = outcome.ack_token.as_deref().unwrap_or_default();
            let token = std::str::from_utf8(token).unwrap_or_default();
            let Some((worker, id)) = token.rsplit_once(' ') else { return Ok(()) };
            let body = json!({
                "workerId": worker,
                "errorMessage": format!("refused: {}", outcome.reason.unwrap_or_default()),
                "retries": 0,
                "retryTimeout": 0,
            });
            tolerate_gone(self.engine.act(&path(id, "failure"), &body, None).await)
        };
        stream::iter(refused).map(refuse).buffer_unordered(N_AT_ONCE).try_collect().await
    }
}

/// The path of an operation on an external task.
pub(crate) fn path(id: &str, operation: &str) -> String {
    format!("external-task/{}/{operation}", escape(id))
}

/// A text of a JSON object; empty if there is none.
pub(crate) fn text(object: &Map<String, Value>, key: &str) -> String {
    object.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// That somebody else was faster is no trouble.
fn tolerate_gone(done: Result<(), Error>) -> Result<(), Error> {
    match done {
        Err(error) if matches!(error.class(), ErrorClass::Gone | ErrorClass::Conflict) => Ok(()),
        done => done,
    }
}

/// The id of one lending: a task that failed and is lent again is other work, even if the hub has
/// not heard yet that the engine took the failure.
pub(crate) fn lending(id: &str, tries_left: Option<u64>) -> String {
    match tries_left {
        Some(tries_left) => format!("{id}@{tries_left}"),
        None => format!("{id}@new"),
    }
}

/// The id of the task in that of a lending, or as it stands.
pub(crate) fn task_of(external_id: &str) -> &str {
    external_id.rsplit_once('@').map_or(external_id, |(id, _)| id)
}

fn lost(reason: &str) -> Extended {
    Extended::Lost { reason: reason.to_owned() }
}

fn worker(camunda: &Camunda, cx: &Context, fetch: u64) -> String {
    format!("{}{fetch}", camunda.engine.workers_of(cx.name()))
}

fn request(settings: &ExternalTasks, worker: &str, limit: usize, wait: Duration) -> Value {
    let mut topic = json!({ "lockDuration": settings.lock.get().as_millis() as u64 });
    topic["includeExtensionProperties"] = true.into();
    if let Some(variables) = &settings.variables {
        topic["variables"] = json!(variables);
    }
    if !settings.process_definitions.is_empty() {
        topic["processDefinitionKeyIn"] = json!(settings.process_definitions);
    }
    if !settings.tenants.is_empty() {
        topic["tenantIdIn"] = json!(settings.tenants);
    }
    if let Some(key) = &settings.business_key {
        topic["businessKey"] = json!(key);
    }
    let topics = settings.topics.iter().map(|name| {
        let mut topic = topic.clone();
        topic["topicName"] = json!(name);
        topic
    });
    let mut body = json!({
        "workerId": worker,
        "maxTasks": limit,
        "usePriority": settings.by_priority,
        "topics": topics.collect::<Vec<_>>(),
    });
    let wait_ms = wait.as_millis() as u64;
    if wait_ms > 0 {
        body["asyncResponseTimeout"] = wait_ms.into();
    }
    body
}
