//! The other system hears what happened to its things.

use gantry_plugin_api::{Callback, Context, Delivery, DeliveryOutcome, ErrorClass};
use serde_json::json;

use crate::@Name@;
use crate::config::CallbackSettings;

impl Callback for @Name@ {
    type Settings = CallbackSettings;

    async fn deliver(
        &self,
        settings: &CallbackSettings,
        _: &Context,
        deliveries: Vec<Delivery>,
    ) -> Vec<DeliveryOutcome> {
        let mut outcomes = Vec::with_capacity(deliveries.len());
        for delivery in &deliveries {
            outcomes.push(self.tell(settings, delivery).await);
        }
        outcomes
    }
}

impl @Name@ {
    async fn tell(&self, settings: &CallbackSettings, delivery: &Delivery) -> DeliveryOutcome {
        let Delivery { event, external_id, occurred_at_ms, idempotency_key, .. } = delivery;
        let body = json!({ "event": event, "id": external_id, "at": occurred_at_ms });
        match self.client.post(&settings.path, idempotency_key, &body).await {
            Ok(true) => DeliveryOutcome::Done,
            Ok(false) => DeliveryOutcome::AlreadyDone,
            // Trying again would be pointless: a person has to see to it.
            Err(error) if error.class() == ErrorClass::Permanent => DeliveryOutcome::Refused(error),
            Err(error) => DeliveryOutcome::Retry(error),
        }
    }
}
