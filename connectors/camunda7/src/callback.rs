//! Callbacks: what happens to an item becomes a completion, a BPMN error, a failure or a claim.
//!
//! The engine has no idempotency keys, so each delivery first looks where the task stands: one that
//! has ended by our own hand is a repeat whose answer was lost, one that ended otherwise is gone.

mod external;
mod user;

use std::collections::BTreeSet;

use futures_util::{StreamExt as _, stream};
use gantry_plugin_api::{Callback, ConfigFault, Context, Delivery, DeliveryOutcome, Error};
use serde_json::{Map, Value};

use crate::Camunda;
use crate::client::{Engine, is_from_process};
use crate::config::{CallbackSettings, CompleteOn, Tasks};
use crate::external::{N_AT_ONCE, text};
use crate::variables::typed;

/// So many times a completion may fail in the process itself: what comes after it there may be down
/// for a moment, or broken.
const N_TRIES: u32 = 3;

/// What a delivery means to the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Complete,
    GiveUp,
    Claim,
    HandBack,
    Nothing,
}

/// A delivery on its way to its task.
struct Event<'a> {
    engine: &'a Engine,
    settings: &'a CallbackSettings,
    delivery: &'a Delivery,
    /// All that settings may name.
    values: Map<String, Value>,
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
        let event = Event { engine: &self.engine, settings, delivery, values };
        match (settings.tasks, act) {
            (Tasks::External, Act::Complete) => event.end_external().await,
            (Tasks::External, _) => event.give_up().await,
            (Tasks::User, Act::Complete) => event.end_user().await,
            (Tasks::User, Act::Claim) => event.claim().await,
            (Tasks::User, _) => event.hand_back().await,
        }
    }
}

impl Event<'_> {
    /// A text that it carries; empty if there is none.
    fn said(&self, name: &str) -> String {
        text(&self.values, name)
    }

    async fn act(&self, path: &str, body: &Value) -> Result<(), Error> {
        self.engine.act(path, body, self.delivery.traceparent.as_deref()).await
    }

    /// The variables that are written back.
    fn variables(&self) -> Result<Value, Error> {
        let mut variables = Map::new();
        for (name, written) in &self.settings.variables {
            if let Some(value) = self.values.get(&written.from) {
                variables.insert(name.clone(), typed(self.engine, name, value, written)?);
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

fn failed(error: Error, delivery: &Delivery) -> DeliveryOutcome {
    if is_from_process(&error) && delivery.attempt >= N_TRIES {
        let message = format!("the process cannot go on: {}", error.message());
        return DeliveryOutcome::Refused(Error::permanent(message));
    }
    error.into()
}
