//! Callbacks: what happens to an item becomes a completion, a BPMN error, a failure or a claim.
//!
//! The engine has no idempotency keys, so each delivery first looks where the task stands: one that
//! has ended by our own hand is a repeat whose answer was lost, one that ended otherwise is gone.

use std::collections::BTreeSet;

use futures_util::{StreamExt as _, stream};
use gantry_plugin_api::{
    Callback, ConfigFault, Context, Delivery, DeliveryOutcome, Error, ErrorClass,
};
use gantry_plugin_http::escape;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::Camunda;
use crate::client::is_from_process;
use crate::config::{Assign, CallbackSettings, CompleteOn, Failure, GiveUp, Tasks};
use crate::external::{N_AT_ONCE, lending, path, task_of, text};
use crate::variables::typed;

/// So many times a completion may fail in the process itself: what comes after it there may be down
/// for a moment, or broken.
const N_TRIES: u32 = 3;
/// A task of which somebody else's lock has ended is locked for so long, to be completed at once.
const LOCK_MS: u64 = 60_000;

/// What a delivery means to the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Complete,
    GiveUp,
    Claim,
    HandBack,
    Nothing,
}

/// An external task, as far as it matters here.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct External {
    #[serde(default)]
    worker_id: Option<String>,
    #[serde(default)]
    retries: Option<u64>,
    #[serde(default)]
    error_message: Option<String>,
}

impl Callback for Camunda {
    type Settings = CallbackSettings;

    fn validate_settings(settings: &CallbackSettings) -> Vec<ConfigFault> {
        let mut faults = Vec::new();
        if settings.tasks == Tasks::User && !settings.failures.is_empty() {
            faults.push(ConfigFault::new("failures", "user tasks cannot fail; remove it"));
        }
        let both = settings.failures.keys().find(|key| settings.bpmn_errors.contains_key(*key));
        if let Some(disposition) = both {
            let message = format!("`{disposition}` is among `bpmn_errors` as well");
            faults.push(ConfigFault::new("failures", message));
        }
        faults
    }

    async fn check_settings(&self, _: &CallbackSettings, _: &Context) -> Result<(), Error> {
        self.engine.check().await
    }

    async fn deliver(
        &self,
        settings: &CallbackSettings,
        _: &Context,
        deliveries: Vec<Delivery>,
    ) -> Vec<DeliveryOutcome> {
        let items: BTreeSet<_> = deliveries.iter().map(|delivery| &delivery.external_id).collect();
        // What concerns one task is done in order.
        let n_at_once = if items.len() == deliveries.len() { N_AT_ONCE } else { 1 };
        let deliver = |delivery: Delivery| async move {
            let done = self.deliver_one(settings, &delivery).await;
            done.unwrap_or_else(|error| failed(error, &delivery))
        };
        stream::iter(deliveries).map(deliver).buffered(n_at_once).collect().await
    }
}

impl Camunda {
    async fn deliver_one(
        &self,
        settings: &CallbackSettings,
        delivery: &Delivery,
    ) -> Result<DeliveryOutcome, Error> {
        let act = act(settings, &delivery.event);
        if act == Act::Nothing {
            return Ok(DeliveryOutcome::Done);
        }
        let values = delivery.values()?;
        match (settings.tasks, act) {
            (Tasks::External, Act::Complete) => {
                self.end_external(settings, delivery, &values).await
            }
            (Tasks::External, _) => self.give_up(settings, delivery, &values).await,
            (Tasks::User, Act::Complete) => self.end_user(settings, delivery, &values).await,
            (Tasks::User, Act::Claim) => self.claim(settings, delivery, &values).await,
            (Tasks::User, _) => self.hand_back_user(delivery, &values).await,
        }
    }

    async fn end_external(
        &self,
        settings: &CallbackSettings,
        delivery: &Delivery,
        values: &Map<String, Value>,
    ) -> Result<DeliveryOutcome, Error> {
        let id = task_of(&delivery.external_id);
        let disposition = text(values, "disposition");
        let bpmn_error = settings.bpmn_errors.get(&disposition);
        let Some((task, worker)) = self.hold(delivery).await? else {
            return self.ended_external(delivery, bpmn_error.is_some()).await;
        };
        let (operation, body) = if let Some(failure) = settings.failures.get(&disposition) {
            let message = reason(delivery, values);
            // By our own word, or it would not have been lent again since.
            let is_lent_again =
                id != delivery.external_id && lending(id, task.retries) != delivery.external_id;
            if is_lent_again || task.error_message.as_deref() == Some(&message) {
                return Ok(DeliveryOutcome::AlreadyDone);
            }
            ("failure", fail(failure, &task, &worker, &message))
        } else if let Some(code) = bpmn_error {
            let variables = self.variables(settings, values)?;
            let body = json!({ "workerId": worker, "errorCode": code, "variables": variables });
            ("bpmnError", body)
        } else {
            let variables = self.variables(settings, values)?;
            ("complete", json!({ "workerId": worker, "variables": variables }))
        };
        let trace = delivery.traceparent.as_deref();
        match self.engine.act(&path(id, operation), &body, trace).await {
            Ok(()) => Ok(DeliveryOutcome::Done),
            Err(error) if error.class() == ErrorClass::Gone => {
                self.ended_external(delivery, bpmn_error.is_some()).await
            }
            // Between the two questions it changed hands; the next attempt finds out to whom.
            Err(error) if error.class() == ErrorClass::Conflict => {
                Err(Error::transient("external task changed hands").because(&error))
            }
            Err(error) => Err(error),
        }
    }

    /// Makes sure that the task is ours, and says as which worker; none if it has ended.
    async fn hold(&self, delivery: &Delivery) -> Result<Option<(External, String)>, Error> {
        let id = task_of(&delivery.external_id);
        let found = self.engine.find(&format!("external-task/{}", escape(id))).await?;
        let Some(task): Option<External> = found else { return Ok(None) };
        let ours = self.engine.workers_of(&delivery.capture_point);
        if let Some(worker) = task.worker_id.clone().filter(|worker| worker.starts_with(&ours)) {
            return Ok(Some((task, worker)));
        }
        let worker = format!("{ours}0");
        let body = json!({ "workerId": worker, "lockDuration": LOCK_MS });
        match self.engine.act(&path(id, "lock"), &body, None).await {
            Ok(()) => Ok(Some((task, worker))),
            Err(error) if error.class() == ErrorClass::Gone => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// By whom a task that is no longer there was ended.
    async fn ended_external(
        &self,
        delivery: &Delivery,
        by_error: bool,
    ) -> Result<DeliveryOutcome, Error> {
        let id = task_of(&delivery.external_id);
        // An error that was thrown shows as a deletion.
        let kind = if by_error { "deletionLog" } else { "successLog" };
        let mut body = json!({ "externalTaskId": id });
        body[kind] = true.into();
        let list = "history/external-task-log?firstResult=0&maxResults=10";
        let (logs, _): (Vec<External>, _) = self.engine.query(list, &body).await?;
        let ours = self.engine.workers_of(&delivery.capture_point);
        let is_ours =
            |log: &External| log.worker_id.as_ref().is_some_and(|id| id.starts_with(&ours));
        if logs.iter().any(is_ours) {
            return Ok(DeliveryOutcome::AlreadyDone);
        }
        let message = format!("external task `{id}` has ended in the engine, and not by us");
        Err(Error::gone(message))
    }

    async fn give_up(
        &self,
        settings: &CallbackSettings,
        delivery: &Delivery,
        values: &Map<String, Value>,
    ) -> Result<DeliveryOutcome, Error> {
        let id = task_of(&delivery.external_id);
        let found = self.engine.find(&format!("external-task/{}", escape(id))).await?;
        let ours = self.engine.workers_of(&delivery.capture_point);
        let worker = found.and_then(|task: External| task.worker_id);
        // What has ended or is somebody else's is not ours to give up.
        let Some(worker) = worker.filter(|worker| worker.starts_with(&ours)) else {
            return Ok(DeliveryOutcome::AlreadyDone);
        };
        let (operation, body) = match settings.give_up {
            GiveUp::Unlock => ("unlock", json!({})),
            GiveUp::Incident => {
                let message = reason(delivery, values);
                let body = json!({
                    "workerId": worker, "errorMessage": message, "retries": 0, "retryTimeout": 0,
                });
                ("failure", body)
            }
        };
        match self.engine.act(&path(id, operation), &body, None).await {
            Err(error) if error.class() == ErrorClass::Gone => Ok(DeliveryOutcome::AlreadyDone),
            done => done.map(|()| DeliveryOutcome::Done),
        }
    }

    async fn end_user(
        &self,
        settings: &CallbackSettings,
        delivery: &Delivery,
        values: &Map<String, Value>,
    ) -> Result<DeliveryOutcome, Error> {
        let id = &delivery.external_id;
        let variables = self.variables(settings, values)?;
        let (operation, body) = match settings.bpmn_errors.get(&text(values, "disposition")) {
            Some(code) => ("bpmnError", json!({ "errorCode": code, "variables": variables })),
            None => ("complete", json!({ "variables": variables })),
        };
        let trace = delivery.traceparent.as_deref();
        match self.engine.act(&user_path(id, operation), &body, trace).await {
            Ok(()) => Ok(DeliveryOutcome::Done),
            Err(error) if self.is_gone(id, &error).await? => {
                self.ended_user(settings, id, &text(values, "agent")).await
            }
            Err(error) => Err(error),
        }
    }

    /// How a task that is no longer there has ended.
    async fn ended_user(
        &self,
        settings: &CallbackSettings,
        id: &str,
        agent: &str,
    ) -> Result<DeliveryOutcome, Error> {
        let list = "history/task?firstResult=0&maxResults=1";
        let body = json!({ "taskId": id });
        let (found, _): (Vec<Map<String, Value>>, _) = self.engine.query(list, &body).await?;
        let Some(task) = found.first() else {
            return Err(Error::gone(format!("the engine has no user task `{id}`")));
        };
        let (assignee, ended) = (text(task, "assignee"), text(task, "deleteReason"));
        let is_ours = assignee == agent || assignee.is_empty() || settings.assign == Assign::Never;
        let is_end = ended == "completed" || !settings.bpmn_errors.is_empty();
        if is_ours && is_end {
            return Ok(DeliveryOutcome::AlreadyDone);
        }
        let message = format!("user task `{id}` of `{assignee}` has ended in the engine: {ended}");
        Err(Error::gone(message))
    }

    async fn claim(
        &self,
        settings: &CallbackSettings,
        delivery: &Delivery,
        values: &Map<String, Value>,
    ) -> Result<DeliveryOutcome, Error> {
        let id = &delivery.external_id;
        let operation = match settings.assign {
            Assign::Claim => "claim",
            Assign::Force => "assignee",
            Assign::Never => return Ok(DeliveryOutcome::Done),
        };
        let agent = text(values, "agent");
        let body = json!({ "userId": agent });
        let Err(error) = self.engine.act(&user_path(id, operation), &body, None).await else {
            return Ok(DeliveryOutcome::Done);
        };
        if !is_from_process(&error) && error.class() != ErrorClass::Gone {
            return Err(error);
        }
        let found = self.engine.find(&format!("task/{}", escape(id))).await?;
        let Some(task): Option<Map<String, Value>> = found else {
            // Nobody can have it any more; its end is on its way to the agent.
            return Ok(DeliveryOutcome::AlreadyDone);
        };
        match text(&task, "assignee") {
            assignee if assignee.is_empty() || assignee == agent => Err(error),
            assignee => {
                let message = format!("user task `{id}` is claimed by `{assignee}` in the engine");
                Err(Error::conflict(message).because(&error))
            }
        }
    }

    async fn hand_back_user(
        &self,
        delivery: &Delivery,
        values: &Map<String, Value>,
    ) -> Result<DeliveryOutcome, Error> {
        let id = &delivery.external_id;
        let found = self.engine.find(&format!("task/{}", escape(id))).await?;
        let assignee = found.map(|task: Map<String, Value>| text(&task, "assignee"));
        let agent = text(values, "agent");
        let is_theirs = |who: &String| !who.is_empty() && (agent.is_empty() || *who == agent);
        if !assignee.as_ref().is_some_and(is_theirs) {
            return Ok(DeliveryOutcome::AlreadyDone);
        }
        match self.engine.act(&user_path(id, "unclaim"), &json!({}), None).await {
            Err(error) if self.is_gone(id, &error).await? => Ok(DeliveryOutcome::AlreadyDone),
            done => done.map(|()| DeliveryOutcome::Done),
        }
    }

    fn variables(
        &self,
        settings: &CallbackSettings,
        values: &Map<String, Value>,
    ) -> Result<Value, Error> {
        let mut variables = Map::new();
        for (name, written) in &settings.variables {
            if let Some(value) = values.get(&written.from) {
                variables.insert(name.clone(), typed(&self.engine, name, value, written)?);
            }
        }
        Ok(variables.into())
    }
}

fn act(settings: &CallbackSettings, event: &str) -> Act {
    let completes = match settings.complete_on {
        CompleteOn::Done => "done",
        CompleteOn::WrapUpEnded => "wrap_up_ended",
        CompleteOn::Completed => "completed",
    };
    match (settings.tasks, event) {
        (_, event) if event == completes => Act::Complete,
        (Tasks::External, "canceled" | "expired" | "rejected") => Act::GiveUp,
        (Tasks::User, "assigned" | "pulled") => Act::Claim,
        (
            Tasks::User,
            "revoked"
            | "returned"
            | "retrieved"
            | "transferred"
            | "confirmation_missed"
            | "canceled"
            | "expired"
            | "rejected",
        ) => Act::HandBack,
        _ => Act::Nothing,
    }
}

fn user_path(id: &str, operation: &str) -> String {
    format!("task/{}/{operation}", escape(id))
}

fn fail(failure: &Failure, task: &External, worker: &str, message: &str) -> Value {
    let retries = task.retries.map_or(u64::from(failure.retries), |left| left.saturating_sub(1));
    json!({
        "workerId": worker,
        "errorMessage": message,
        "retries": retries,
        "retryTimeout": failure.retry_after.get().as_millis() as u64,
    })
}

/// Why a task failed or is given up, for the owner of the process; by its key a repeat is known.
fn reason(delivery: &Delivery, values: &Map<String, Value>) -> String {
    let said = ["reason", "disposition"].map(|key| text(values, key));
    let said = said.into_iter().find(|said| !said.is_empty());
    let said = said.map(|said| format!(": {said}")).unwrap_or_default();
    format!("{}{said} ({})", delivery.event, delivery.idempotency_key)
}

fn failed(error: Error, delivery: &Delivery) -> DeliveryOutcome {
    if is_from_process(&error) && delivery.attempt >= N_TRIES {
        let message = format!("the process cannot go on: {}", error.message());
        return DeliveryOutcome::Refused(Error::permanent(message));
    }
    error.into()
}
