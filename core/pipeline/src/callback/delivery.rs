//! One call of a callback: reads what its events are about, delivers them, and says how each ended.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gantry_model::journal::Entry;
use gantry_model::spec::{CallbackSpec, Confirm, Spec};
use gantry_model::{Assignment, Command, Event, ItemId, Name, Timestamp};
use gantry_plugin_host::api::{Delivery, DeliveryOutcome, ErrorClass, Json};
use gantry_store::Store;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::alerts::ALERTS;
use super::lanes::{Due, Place};
use crate::port::{CallbackPort, Trouble};

/// Bits of a sequence that number the entry within its segment; the commit stands above them, and
/// 33 bits are left for it in what JSON readers take for an exact number.
const ENTRY_BITS: u32 = 20;

/// What a call needs; shared by all calls of a subscriber.
pub(crate) struct Caller {
    pub(crate) name: Name,
    pub(crate) spec: CallbackSpec,
    pub(crate) whole: Arc<Spec>,
    /// Capture points whose items are meant.
    pub(crate) captures: BTreeSet<Name>,
    pub(crate) port: Arc<dyn CallbackPort>,
    pub(crate) hub: gantry_hub::Handle,
    pub(crate) store: Arc<dyn Store>,
}

/// How a call ended.
pub(crate) enum Called {
    /// Each event ended somehow.
    Each(Vec<(Due, Ended)>),
    /// The callback as a whole does not work at the moment: nothing was delivered.
    Down(Vec<Due>, Trouble),
}

/// How the delivery of one event ended.
pub(crate) enum Ended {
    /// The other side has it; what the hub has to be told.
    Delivered(Option<Command>, Timestamp),
    /// It is about an item of another source.
    NotMeant,
    /// To be tried again.
    Retry(Trouble, Body),
    /// Never to be tried again by itself.
    Refused(Trouble, Body),
}

/// What a dead letter shows of a delivery.
#[derive(Clone, Debug, Default)]
pub(crate) struct Body {
    pub(crate) external_id: Option<String>,
    pub(crate) payload: Bytes,
}

/// An event with what is delivered of it.
struct Prepared {
    due: Due,
    entry: Entry,
    capture_point: Name,
    delivery: Delivery,
}

/// The number of an event in the life of its item: rising, and the same on every retry.
pub(crate) fn sequence((seq, index): Place) -> u64 {
    (seq << ENTRY_BITS) | u64::from(index)
}

/// Names a delivery for good.
pub(crate) fn idempotency_key(subscriber: &Name, item: ItemId, place: Place) -> String {
    format!("{subscriber}/{item}/{}", sequence(place))
}

impl Caller {
    /// Delivers events of different lanes.
    pub(crate) async fn call(self: Arc<Self>, dues: Vec<Due>) -> Called {
        let mut ended = Vec::with_capacity(dues.len());
        let mut prepared = Vec::with_capacity(dues.len());
        let mut dues = dues.into_iter();
        while let Some(due) = dues.next() {
            match self.prepare(&due).await {
                Ok(Some((entry, capture_point, delivery))) => {
                    prepared.push(Prepared { due, entry, capture_point, delivery });
                }
                Ok(None) => ended.push((due, Ended::NotMeant)),
                Err(trouble) if trouble.passes() => {
                    // The store cannot be read: that is no event's fault.
                    let rest = prepared.into_iter().map(|prepared| prepared.due);
                    let settled = ended.into_iter().map(|(due, _)| due);
                    let all = settled.chain(rest).chain([due]).chain(dues).collect();
                    return Called::Down(all, trouble);
                }
                Err(trouble) => ended.push((due, Ended::Refused(trouble, Body::default()))),
            }
        }
        if prepared.is_empty() {
            return Called::Each(ended);
        }
        let deliveries = prepared.iter().map(|prepared| prepared.delivery.clone()).collect();
        let timeout = self.spec.timeout.to_std();
        let outcomes = tokio::time::timeout(timeout, self.port.deliver(deliveries)).await;
        let outcomes = match outcomes {
            Ok(Ok(outcomes)) => outcomes,
            Ok(Err(trouble)) if is_down(&trouble) => {
                let settled = ended.into_iter().map(|(due, _)| due);
                let all = settled.chain(prepared.into_iter().map(|prepared| prepared.due));
                return Called::Down(all.collect(), trouble);
            }
            // One of the events may be what the plug-in stumbles over: each is tried alone.
            Ok(Err(trouble)) => {
                ended.extend(prepared.into_iter().map(|prepared| prepared.retry(trouble.clone())));
                return Called::Each(ended);
            }
            Err(_) => {
                let trouble = timed_out(&self.name, timeout);
                ended.extend(prepared.into_iter().map(|prepared| prepared.retry(trouble.clone())));
                return Called::Each(ended);
            }
        };
        for (prepared, outcome) in prepared.into_iter().zip(outcomes) {
            ended.push(self.end(prepared, outcome).await);
        }
        Called::Each(ended)
    }

    async fn end(&self, prepared: Prepared, outcome: DeliveryOutcome) -> (Due, Ended) {
        match outcome {
            DeliveryOutcome::Done | DeliveryOutcome::AlreadyDone => {
                let confirm = self.confirm(&prepared).await;
                (prepared.due, Ended::Delivered(confirm, prepared.entry.at))
            }
            DeliveryOutcome::Retry(error) => prepared.retry(error.into()),
            DeliveryOutcome::Refused(error) => {
                let body = prepared.body();
                (prepared.due, Ended::Refused(error.into(), body))
            }
            _ => {
                let message = "the plug-in's outcome is not known to this version of the hub";
                prepared.retry(Trouble::new(ErrorClass::Protocol, message))
            }
        }
    }

    /// `None`: the item belongs to another source.
    async fn prepare(&self, due: &Due) -> Result<Option<(Entry, Name, Delivery)>, Trouble> {
        if due.item == ALERTS {
            return self.prepare_alert(due).await;
        }
        let missing = |what: &str| {
            let message = format!("{what} of work item {} is missing in the store", due.item);
            Trouble::new(ErrorClass::Permanent, message)
        };
        let view = self.store.item(due.item).await.map_err(unreadable)?;
        let view = view.ok_or_else(|| missing("the row"))?;
        if !self.captures.contains(&view.item.capture_point) {
            return Ok(None);
        }
        let entry = if let Some(entry) = due.entry.clone() {
            entry
        } else {
            let history = self.store.history(due.item).await.map_err(unreadable)?;
            let mut history = history.into_iter();
            let found = history.find(|entry| (entry.seq, entry.index) == due.place);
            found.ok_or_else(|| missing("the event"))?.entry
        };
        let document = self.store.document(due.item, None).await.map_err(unreadable)?;
        let document = document.ok_or_else(|| missing("the document"))?;
        let stored = stored(&document.attributes).ok_or_else(|| missing("the content"))?;

        let key = idempotency_key(&self.name, due.item, due.place);
        let external_id = view.head.external_id.clone().unwrap_or_default();
        let mut delivery = Delivery::new(key, entry.event.name(), due.item.as_u64(), external_id);
        delivery.capture_point = view.item.capture_point.to_string();
        delivery.occurred_at_ms = entry.at.0;
        delivery.sequence = sequence(due.place);
        delivery.attempt = due.attempts + 1;
        delivery.details = details(&entry.event);
        (delivery.attributes, delivery.traceparent) = stored;
        Ok(Some((entry, view.item.capture_point, delivery)))
    }

    /// What a delivered `done` confirms: the very assignment that was marked done, if the source
    /// confirms by taking the callback and the item still waits for that.
    async fn confirm(&self, prepared: &Prepared) -> Option<Command> {
        let Event::MarkedDone { item, agent, confirm_by: Some(_), .. } = &prepared.entry.event
        else {
            return None;
        };
        let point = self.whole.captures.get(&prepared.capture_point)?;
        if point.confirm != Confirm::Callback {
            return None;
        }
        let (item, agent, done_at) = (*item, agent.clone(), prepared.entry.at);
        let epoch = self.hub.query(move |state, _| {
            let waiting = state.item(item)?;
            let (Assignment::Confirming { agent: by, at, .. }
            | Assignment::WrapUp { agent: by, at, .. }) = &waiting.assignment
            else {
                return None;
            };
            (*by == agent && *at == done_at).then_some(waiting.epoch)
        });
        let epoch = epoch.await.ok().flatten()?;
        Some(Command::Confirm { item, epoch })
    }
}

impl Prepared {
    fn retry(self, trouble: Trouble) -> (Due, Ended) {
        let body = self.body();
        (self.due, Ended::Retry(trouble, body))
    }

    fn body(&self) -> Body {
        let Delivery { external_id, event, idempotency_key, details, attributes, .. } =
            &self.delivery;
        let raw = |json: &Json| {
            serde_json::from_slice::<serde_json::Value>(json.as_bytes()).unwrap_or_default()
        };
        let payload = serde_json::json!({
            "idempotency_key": idempotency_key,
            "event": event,
            "item": self.due.item,
            "external_id": external_id,
            "occurred_at": self.entry.at,
            "details": raw(details),
            "attributes": raw(attributes),
        });
        Body { external_id: Some(external_id.clone()), payload: payload.to_string().into() }
    }
}

/// `true` if no event can be what the trouble comes from.
fn is_down(trouble: &Trouble) -> bool {
    !matches!(trouble.class, ErrorClass::Panic | ErrorClass::Protocol)
}

fn timed_out(name: &Name, timeout: Duration) -> Trouble {
    Trouble::timeout(format_args!("callback {name:?}"), timeout)
}

pub(super) fn unreadable(error: gantry_store::Error) -> Trouble {
    Trouble::new(ErrorClass::Transient, format!("cannot read the store: {error}"))
}

/// The attributes in a stored document, not parsed any further, and the trace it came with.
fn stored(document: &[u8]) -> Option<(Json, Option<String>)> {
    #[derive(Deserialize)]
    struct Stored<'a> {
        #[serde(borrow)]
        attributes: &'a RawValue,
        traceparent: Option<String>,
    }
    let Stored { attributes, traceparent } = serde_json::from_slice(document).ok()?;
    Some((Json::from_bytes(attributes.get().as_bytes().to_vec()), traceparent))
}

/// What an event says, without what stands in the delivery already and without what explains the
/// hub's decision to itself.
fn details(event: &Event) -> Json {
    let mut details = serde_json::Map::new();
    if let Ok(serde_json::Value::Object(tagged)) = serde_json::to_value(event) {
        for (_, fields) in tagged {
            if let serde_json::Value::Object(fields) = fields {
                details = fields;
            }
        }
    }
    details.retain(|name, value| {
        !matches!(name.as_str(), "item" | "explanation" | "hash") && !value.is_null()
    });
    Json::of(&details).unwrap_or_default()
}
