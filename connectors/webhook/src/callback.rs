//! Callbacks: each event is posted to the receiver, signed as Standard Webhooks has it.
//!
//! The message id is that of the delivery, the same in each attempt, so the receiver drops repeats;
//! the time is that of the attempt. Only a 2xx counts as delivered.

use gantry_plugin_api::{Callback, ConfigFault, Context, Delivery, DeliveryOutcome, Error};
use gantry_plugin_http::Request;
use serde_json::{Map, Value, json};

use crate::config::{CallbackSettings, Format};
use crate::signature;
use crate::{Receiver, Webhook};

impl Callback for Webhook {
    type Settings = CallbackSettings;

    fn validate_settings(settings: &CallbackSettings) -> Vec<ConfigFault> {
        let mut faults = signature::key_faults("secrets", &settings.secrets);
        if settings.event_source.is_empty() {
            faults
                .push(ConfigFault::new("event_source", "must name the hub, such as `urn:gantry`"));
        }
        faults
    }

    /// A receiver has no request that changes nothing, so only what is needed is looked for.
    async fn check_settings(&self, _: &CallbackSettings, _: &Context) -> Result<(), Error> {
        self.receiver().map(drop)
    }

    async fn deliver(
        &self,
        settings: &CallbackSettings,
        cx: &Context,
        deliveries: Vec<Delivery>,
    ) -> Vec<DeliveryOutcome> {
        let mut outcomes = Vec::with_capacity(deliveries.len());
        for delivery in deliveries {
            let sent = self.send(settings, cx.now_ms(), &delivery).await;
            outcomes.push(sent.map_or_else(Into::into, |()| DeliveryOutcome::Done));
        }
        outcomes
    }
}

impl Webhook {
    fn receiver(&self) -> Result<&Receiver, Error> {
        let message = "is missing: callbacks need the receiver's address";
        self.receiver.as_ref().ok_or_else(|| Error::config("endpoint", message))
    }

    async fn send(
        &self,
        settings: &CallbackSettings,
        now_ms: i64,
        delivery: &Delivery,
    ) -> Result<(), Error> {
        let Receiver { client, endpoint } = self.receiver()?;
        let request = request(settings, endpoint, now_ms, delivery)?;
        client.send(request).await?.ok().map(drop)
    }
}

/// The signed request of one attempt.
fn request(
    settings: &CallbackSettings,
    endpoint: &str,
    now_ms: i64,
    delivery: &Delivery,
) -> Result<Request, Error> {
    // With a full stop in the id the signature would fit another split of the signed bytes.
    let id = delivery.idempotency_key.replace('.', "%2E");
    let body = body(settings, &id, delivery)?.to_string();
    let timestamp = now_ms.div_euclid(1_000).to_string();
    let signatures = signature::signatures(&settings.secrets, &id, &timestamp, body.as_bytes())
        .ok_or_else(|| Error::config("secrets", "has a key that is none"))?;
    let content_type = match settings.format {
        Format::StandardWebhooks => "application/json",
        Format::CloudEvents => "application/cloudevents+json",
    };
    let path = if settings.path.is_empty() { endpoint } else { &settings.path };
    Ok(Request::post(path)
        .header("webhook-id", id)
        .header("webhook-timestamp", timestamp)
        .header("webhook-signature", signatures)
        .traceparent(delivery.traceparent.as_deref())
        .body(content_type, body))
}

fn body(settings: &CallbackSettings, id: &str, delivery: &Delivery) -> Result<Value, Error> {
    let time = delivery.occurred_at()?.to_string();
    let details: Map<String, Value> = delivery.details.parse()?;
    let attributes: Map<String, Value> = delivery.attributes.parse()?;
    let data = json!({
        "item_id": delivery.item_id.to_string(),
        "external_id": delivery.external_id,
        "capture_point": delivery.capture_point,
        "sequence": delivery.sequence.to_string(),
        "details": details,
        "attributes": attributes,
    });
    let event = &delivery.event;
    Ok(match settings.format {
        Format::StandardWebhooks => {
            json!({ "type": format!("item.{event}"), "timestamp": time, "data": data })
        }
        Format::CloudEvents => {
            let mut whole = json!({
                "specversion": "1.0",
                "id": id,
                "source": settings.event_source,
                "type": format!("gantry.item.{event}"),
                "subject": delivery.external_id,
                "time": time,
                "datacontenttype": "application/json",
                "data": data,
            });
            if let Some(traceparent) = &delivery.traceparent {
                whole["traceparent"] = traceparent.clone().into();
            }
            whole
        }
    })
}
