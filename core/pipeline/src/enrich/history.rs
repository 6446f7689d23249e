//! The look-up that the hub answers itself: what is known of a customer's earlier items.

use std::sync::Arc;

use async_trait::async_trait;
use gantry_model::{Event, ItemId, Name, Timestamp};
use gantry_plugin_host::api::{ErrorClass, Query};
use gantry_store::{ItemView, Store};
use serde_json::{Value, json};

use crate::port::{LookupPort, Trouble};

/// Earlier items that are looked at: the latest ones.
const ITEMS_MAX: u32 = 100;
/// Of those that an agent was ever offered, whose history is read.
const HISTORIES_MAX: usize = 10;

/// Answers from the store.
pub(crate) struct History {
    store: Arc<dyn Store>,
    /// The attribute that names the customer.
    key: String,
}

/// What agents did with a customer's earlier items.
#[derive(Debug, Default)]
struct Past {
    agent: Option<Name>,
    disposition: Option<Name>,
    contact_at: Option<Timestamp>,
}

impl History {
    pub(crate) fn new(store: Arc<dyn Store>, key: &str) -> Self {
        Self { store, key: key.to_owned() }
    }

    async fn past(&self, earlier: &[ItemView]) -> Result<Past, gantry_store::Error> {
        let mut past = Past::default();
        // An item that nobody was ever offered has nothing to tell.
        let offered = earlier.iter().filter(|view| view.item.epoch > 0);
        for view in offered.take(HISTORIES_MAX) {
            for entry in self.store.history(view.item.id).await?.into_iter().rev() {
                past.note(&entry.entry.event, entry.entry.at);
            }
            if past.agent.is_some() && past.disposition.is_some() {
                break;
            }
        }
        Ok(past)
    }
}

impl Past {
    /// Takes an event that is older than all before it.
    fn note(&mut self, event: &Event, at: Timestamp) {
        let (agent, disposition) = match event {
            Event::Accepted { agent, .. } => (agent, None),
            Event::MarkedDone { agent, disposition, .. } => (agent, disposition.as_ref()),
            _ => return,
        };
        self.agent.get_or_insert_with(|| agent.clone());
        self.contact_at.get_or_insert(at);
        if let (None, Some(disposition)) = (&self.disposition, disposition) {
            self.disposition = Some(disposition.clone());
        }
    }
}

#[async_trait]
impl LookupPort for History {
    async fn ask(&self, query: Query, about: ItemId) -> Result<Option<Value>, Trouble> {
        let question: Value = query.attributes.parse()?;
        let Some(customer) = question.get(&self.key).and_then(Value::as_str) else {
            return Ok(None);
        };
        let trouble = |error: gantry_store::Error| {
            Trouble::new(ErrorClass::Transient, format!("cannot read earlier items: {error}"))
        };
        let items = self.store.customer_items(customer, ITEMS_MAX).await.map_err(trouble)?;
        let earlier: Vec<ItemView> =
            items.into_iter().filter(|view| view.item.id < about).collect();
        let open = earlier.iter().filter(|view| !view.item.ended()).count();
        let past = self.past(&earlier).await.map_err(trouble)?;
        Ok(Some(json!({
            "open_items": open,
            "last_agent": past.agent,
            "last_disposition": past.disposition,
            "last_contact_at": past.contact_at,
        })))
    }
}
