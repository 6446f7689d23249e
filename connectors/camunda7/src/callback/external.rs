//! Callbacks of external tasks: complete, BPMN error, failure, and giving up what nobody will do.

use gantry_plugin_api::{DeliveryOutcome, Error, ErrorClass};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Event;
use crate::config::{Failure, GiveUp};
use crate::external::{lending, path, task_of};

/// A task of which somebody else's lock has ended is locked for so long, to be completed at once.
const LOCK_MS: u64 = 60_000;

/// An external task, as far as it matters here.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Task {
    #[serde(default)]
    worker_id: Option<String>,
    #[serde(default)]
    retries: Option<u64>,
    #[serde(default)]
    error_message: Option<String>,
}

impl Event<'_> {
    pub(super) async fn end_external(&self) -> Result<DeliveryOutcome, Error> {
        let external_id = &self.delivery.external_id;
        let id = task_of(external_id);
        let disposition = self.said("disposition");
        let bpmn_error = self.settings.bpmn_errors.get(&disposition);
        let Some((task, worker)) = self.hold(id).await? else {
            return self.ended_external(id, bpmn_error.is_some()).await;
        };
        let (operation, body) = if let Some(failure) = self.settings.failures.get(&disposition) {
            let message = self.reason();
            // By our own word, or it would not have been lent again since.
            let is_lent_again = id != external_id && lending(id, task.retries) != *external_id;
            if is_lent_again || task.error_message.as_deref() == Some(&message) {
                return Ok(DeliveryOutcome::AlreadyDone);
            }
            ("failure", fail(failure, &task, &worker, &message))
        } else if let Some(code) = bpmn_error {
            let variables = self.variables()?;
            let body = json!({ "workerId": worker, "errorCode": code, "variables": variables });
            ("bpmnError", body)
        } else {
            ("complete", json!({ "workerId": worker, "variables": self.variables()? }))
        };
        match self.act(&path(id, operation), &body).await {
            Ok(()) => Ok(DeliveryOutcome::Done),
            Err(error) if error.class() == ErrorClass::Gone => {
                self.ended_external(id, bpmn_error.is_some()).await
            }
            // Between the two questions it changed hands; the next attempt finds out to whom.
            Err(error) if error.class() == ErrorClass::Conflict => {
                Err(Error::transient("external task changed hands").because(&error))
            }
            Err(error) => Err(error),
        }
    }

    pub(super) async fn give_up(&self) -> Result<DeliveryOutcome, Error> {
        let id = task_of(&self.delivery.external_id);
        let worker = self.engine.external_task(id).await?.and_then(|task: Task| task.worker_id);
        // What has ended or is somebody else's is not ours to give up.
        let Some(worker) = worker.filter(|worker| self.is_ours(worker)) else {
            return Ok(DeliveryOutcome::AlreadyDone);
        };
        let (operation, body) = match self.settings.give_up {
            GiveUp::Unlock => ("unlock", json!({})),
            GiveUp::Incident => {
                let body = json!({
                    "workerId": worker, "errorMessage": self.reason(), "retries": 0,
                    "retryTimeout": 0,
                });
                ("failure", body)
            }
        };
        match self.act(&path(id, operation), &body).await {
            Err(error) if error.class() == ErrorClass::Gone => Ok(DeliveryOutcome::AlreadyDone),
            done => done.map(|()| DeliveryOutcome::Done),
        }
    }

    /// Makes sure that the task is ours, and says as which worker; none if it has ended.
    async fn hold(&self, id: &str) -> Result<Option<(Task, String)>, Error> {
        let Some(task): Option<Task> = self.engine.external_task(id).await? else {
            return Ok(None);
        };
        if let Some(worker) = task.worker_id.clone().filter(|worker| self.is_ours(worker)) {
            return Ok(Some((task, worker)));
        }
        let worker = format!("{}0", self.engine.workers_of(&self.delivery.capture_point));
        let body = json!({ "workerId": worker, "lockDuration": LOCK_MS });
        match self.act(&path(id, "lock"), &body).await {
            Ok(()) => Ok(Some((task, worker))),
            Err(error) if error.class() == ErrorClass::Gone => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// By whom a task that is no longer there was ended.
    async fn ended_external(&self, id: &str, by_error: bool) -> Result<DeliveryOutcome, Error> {
        // An error that was thrown shows as a deletion.
        let kind = if by_error { "deletionLog" } else { "successLog" };
        let mut body = json!({ "externalTaskId": id });
        body[kind] = true.into();
        let list = "history/external-task-log?firstResult=0&maxResults=10";
        let (logs, _): (Vec<Task>, _) = self.engine.query(list, &body).await?;
        if logs.iter().any(|log| log.worker_id.as_ref().is_some_and(|id| self.is_ours(id))) {
            return Ok(DeliveryOutcome::AlreadyDone);
        }
        let message = format!("external task `{id}` has ended in the engine, and not by us");
        Err(Error::gone(message))
    }

    fn is_ours(&self, worker: &str) -> bool {
        worker.starts_with(&self.engine.workers_of(&self.delivery.capture_point))
    }

    /// Why a task failed or is given up, for the owner of the process; by its key a repeat is
    /// known.
    fn reason(&self) -> String {
        let said = ["reason", "disposition"].map(|key| self.said(key));
        let said = said.into_iter().find(|said| !said.is_empty());
        let said = said.map(|said| format!(": {said}")).unwrap_or_default();
        format!("{}{said} ({})", self.delivery.event, self.delivery.idempotency_key)
    }
}

fn fail(failure: &Failure, task: &Task, worker: &str, message: &str) -> Value {
    let retries = task.retries.map_or(u64::from(failure.retries), |left| left.saturating_sub(1));
    json!({
        "workerId": worker,
        "errorMessage": message,
        "retries": retries,
        "retryTimeout": failure.retry_after.get().as_millis() as u64,
    })
}
