//! Callbacks of user tasks: complete, BPMN error, claim, and handing back.

use gantry_plugin_api::{DeliveryOutcome, Error, ErrorClass};
use gantry_plugin_http::escape;
use serde_json::{Map, Value, json};

use super::Event;
use crate::client::is_from_process;
use crate::config::Assign;
use crate::external::text;

impl Event<'_> {
    pub(super) async fn end_user(&self) -> Result<DeliveryOutcome, Error> {
        let variables = self.variables()?;
        let bpmn_error = self.settings.bpmn_errors.get(&self.said("disposition"));
        let done = match bpmn_error {
            Some(code) => {
                let body = json!({ "errorCode": code, "variables": variables });
                self.act_on_user("bpmnError", &body).await
            }
            None => self.act_on_user("complete", &json!({ "variables": variables })).await,
        };
        match done {
            Ok(()) => Ok(DeliveryOutcome::Done),
            Err(error) if self.engine.is_gone(self.id(), &error).await? => self.ended_user().await,
            Err(error) => Err(error),
        }
    }

    pub(super) async fn claim(&self) -> Result<DeliveryOutcome, Error> {
        let operation = match self.settings.assign {
            Assign::Claim => "claim",
            Assign::Force => "assignee",
            Assign::Never => return Ok(DeliveryOutcome::Done),
        };
        let agent = self.said("agent");
        let Err(error) = self.act_on_user(operation, &json!({ "userId": agent })).await else {
            return Ok(DeliveryOutcome::Done);
        };
        if !is_from_process(&error) && error.class() != ErrorClass::Gone {
            return Err(error);
        }
        let Some(assignee) = self.assignee().await? else {
            // Nobody can have it any more; its end is on its way to the agent.
            return Ok(DeliveryOutcome::AlreadyDone);
        };
        if assignee.is_empty() || assignee == agent {
            return Err(error);
        }
        let id = self.id();
        let message = format!("user task `{id}` is claimed by `{assignee}` in the engine");
        Err(Error::conflict(message).because(&error))
    }

    pub(super) async fn hand_back(&self) -> Result<DeliveryOutcome, Error> {
        let agent = self.said("agent");
        let is_theirs = |who: &String| !who.is_empty() && (agent.is_empty() || *who == agent);
        if !self.assignee().await?.as_ref().is_some_and(is_theirs) {
            return Ok(DeliveryOutcome::AlreadyDone);
        }
        match self.act_on_user("unclaim", &json!({})).await {
            Err(error) if self.engine.is_gone(self.id(), &error).await? => {
                Ok(DeliveryOutcome::AlreadyDone)
            }
            done => done.map(|()| DeliveryOutcome::Done),
        }
    }

    /// How a task that is no longer there has ended.
    async fn ended_user(&self) -> Result<DeliveryOutcome, Error> {
        let id = self.id();
        let list = "history/task?firstResult=0&maxResults=1";
        let body = json!({ "taskId": id });
        let (found, _): (Vec<Map<String, Value>>, _) = self.engine.query(list, &body).await?;
        let Some(task) = found.first() else {
            return Err(Error::gone(format!("the engine has no user task `{id}`")));
        };
        let (assignee, ended) = (text(task, "assignee"), text(task, "deleteReason"));
        let is_ours = assignee.is_empty()
            || assignee == self.said("agent")
            || self.settings.assign == Assign::Never;
        let is_end = ended == "completed" || !self.settings.bpmn_errors.is_empty();
        if is_ours && is_end {
            return Ok(DeliveryOutcome::AlreadyDone);
        }
        let message = format!("user task `{id}` of `{assignee}` has ended in the engine: {ended}");
        Err(Error::gone(message))
    }

    fn id(&self) -> &str {
        &self.delivery.external_id
    }

    /// Who has the task, empty for nobody; none if it is not there.
    async fn assignee(&self) -> Result<Option<String>, Error> {
        let task: Option<Map<String, Value>> = self.engine.user_task(self.id()).await?;
        Ok(task.map(|task| text(&task, "assignee")))
    }

    async fn act_on_user(&self, operation: &str, body: &Value) -> Result<(), Error> {
        self.act(&format!("task/{}/{operation}", escape(self.id())), body).await
    }
}
