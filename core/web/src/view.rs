//! What people and programs get to see: one struct a view, the same for JSON and for pages.

use gantry_model::item::Hold;
use gantry_model::journal::Entry;
use gantry_model::priority::Priority;
use gantry_model::{
    Actor, Assignment, Attributes, Event, Explanation, ItemId, LifeCycle, Name, Origin, Presence,
    Timestamp, Value, WorkItem,
};
use gantry_store::{HistoryEntry, ItemView};
use serde::{Serialize, Serializer};

use crate::api::workbins::Bin;
use crate::form::Field;

/// A work item in a list.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Summary {
    /// The hub's id.
    pub(crate) item: ItemId,
    /// The source's own id.
    pub(crate) external_id: Option<String>,
    /// Attribute `name`.
    pub(crate) name: Option<String>,
    /// Where the item can be worked on.
    pub(crate) source_url: Option<String>,
    pub(crate) capture_point: Name,
    /// How the item stands, in one word: see [`status`].
    pub(crate) status: &'static str,
    pub(crate) process: Option<Name>,
    pub(crate) department: Option<String>,
    /// Whole points now; only while the item waits or is with an agent.
    pub(crate) priority: Option<i64>,
    pub(crate) due_at: Option<Timestamp>,
    /// `true` if the due date has passed and the item has not ended.
    pub(crate) overdue: bool,
    /// Who it is offered or assigned to.
    pub(crate) agent: Option<Name>,
    pub(crate) captured_at: Timestamp,
    pub(crate) queued_at: Option<Timestamp>,
}

/// A page of a list.
#[derive(Debug, Serialize)]
pub(crate) struct List {
    pub(crate) items: Vec<Summary>,
    /// `after` of the next page; none = this was the last.
    pub(crate) next: Option<ItemId>,
    /// Hub time.
    pub(crate) now: Timestamp,
}

/// Everything about a work item but its history.
#[derive(Debug, Serialize)]
pub(crate) struct Dossier {
    #[serde(flatten)]
    pub(crate) summary: Summary,
    /// The item as the engine keeps it.
    pub(crate) state: WorkItem,
    pub(crate) attributes: Attributes,
    /// Where the attributes that were not captured came from.
    pub(crate) origins: std::collections::BTreeMap<Name, Origin>,
}

/// An attribute as agents see it.
#[derive(Debug, Serialize)]
pub(crate) struct Shown {
    pub(crate) name: Name,
    pub(crate) value: Value,
    /// Where it came from; none = captured.
    pub(crate) origin: Option<Origin>,
}

/// A work item on an agent's desk.
#[derive(Debug, Serialize)]
pub(crate) struct Card {
    #[serde(flatten)]
    pub(crate) summary: Summary,
    /// Names the offer or assignment; every action needs it.
    pub(crate) epoch: u32,
    /// Since when it is offered, assigned, or marked done.
    pub(crate) since: Option<Timestamp>,
    /// The offer rings until then, or the source has until then to confirm.
    pub(crate) until: Option<Timestamp>,
    /// What the process shows to agents.
    pub(crate) attributes: Vec<Shown>,
    /// What the agent may choose from at the end.
    pub(crate) dispositions: Vec<Name>,
    pub(crate) disposition_required: bool,
    /// `false` if only the source says that the item is done.
    pub(crate) may_mark_done: bool,
    /// JSON Schema of the attributes that mark done asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) form: Option<serde_json::Value>,
    /// The same for the page, with what stands in the attributes now.
    #[serde(skip)]
    pub(crate) fields: Vec<Field>,
}

/// An agent's desk.
#[derive(Debug, Serialize)]
pub(crate) struct Desk {
    pub(crate) agent: Name,
    pub(crate) name: String,
    pub(crate) presence: Presence,
    pub(crate) presence_since: Timestamp,
    /// Hub time, so that a countdown does not depend on the clock of the page.
    pub(crate) now: Timestamp,
    /// Reasons for not being ready that the config has.
    pub(crate) reasons: Vec<Name>,
    pub(crate) offers: Vec<Card>,
    pub(crate) assigned: Vec<Card>,
    /// Marked done; the disposition may be given until the wrap-up is over.
    pub(crate) wrap_up: Vec<Card>,
    /// Marked done; the source has yet to confirm.
    pub(crate) confirming: Vec<Card>,
    /// The own workbin, and those of the own groups in which anything lies.
    pub(crate) workbins: Vec<Bin>,
    /// `true` if there are queues that let agents choose.
    pub(crate) choosing: bool,
    /// What the agent may choose from those, the most urgent first.
    pub(crate) choices: Vec<Summary>,
    /// Queues that an item can be transferred to.
    pub(crate) queues: Vec<Name>,
}

/// A journal entry, the same in an item's history and among live events.
#[derive(Debug, Serialize)]
pub(crate) struct EventView<'a> {
    /// Its commit.
    pub(crate) seq: u64,
    /// Its place in the commit, from 0.
    pub(crate) index: u32,
    pub(crate) at: Timestamp,
    /// The event's name.
    pub(crate) event: &'static str,
    pub(crate) actor: &'a Actor,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) item: Option<ItemId>,
    pub(crate) config_version: u32,
    /// What else the event says.
    pub(crate) data: serde_json::Value,
}

/// What happened to an item.
#[derive(Debug, Serialize)]
pub(crate) struct History {
    pub(crate) item: ItemId,
    /// Oldest first.
    #[serde(serialize_with = "as_events")]
    pub(crate) entries: Vec<HistoryEntry>,
}

/// A stored decision.
#[derive(Debug, Serialize)]
pub(crate) struct Decision {
    pub(crate) seq: u64,
    pub(crate) at: Timestamp,
    pub(crate) agent: Name,
    pub(crate) explanation: Explanation,
}

impl Summary {
    /// `priority` is the live one, where the item has one.
    pub(crate) fn new(view: &ItemView, priority: Option<Priority>, now: Timestamp) -> Self {
        let ItemView { item, head } = view;
        Self {
            item: item.id,
            external_id: head.external_id.clone(),
            name: head.name.clone(),
            source_url: head.source_url.clone(),
            capture_point: item.capture_point.clone(),
            status: status(item),
            process: item.process().cloned(),
            department: item.class.as_ref().map(|class| class.department().to_owned()),
            priority: priority.map(Priority::points),
            due_at: item.due_at,
            overdue: !item.ended() && item.due_at.is_some_and(|due| due <= now),
            agent: item.agent().cloned(),
            captured_at: item.captured_at,
            queued_at: item.queued_at,
        }
    }

    /// What lists call it.
    pub(crate) fn title(&self) -> String {
        let name = self.name.as_ref().or(self.external_id.as_ref());
        name.filter(|name| !name.trim().is_empty())
            .map_or_else(|| self.item.to_string(), Clone::clone)
    }

    /// The source's address, if a browser may follow it: a source must not smuggle in a script.
    pub(crate) fn link(&self) -> Option<&str> {
        let url = self.source_url.as_deref()?;
        let scheme = url.split_once(':')?.0.to_ascii_lowercase();
        matches!(scheme.as_str(), "http" | "https").then_some(url)
    }

    /// The process for a table cell.
    pub(crate) fn process_or_dash(&self) -> &str {
        self.process.as_ref().map_or("–", Name::as_str)
    }
}

impl<'a> EventView<'a> {
    pub(crate) fn new(seq: u64, index: u32, entry: &'a Entry) -> Self {
        let Entry { at, version, actor, event } = entry;
        Self {
            seq,
            index,
            at: *at,
            event: event.name(),
            actor,
            item: event.item(),
            config_version: *version,
            data: fields(event),
        }
    }
}

/// The fields of an event, without its name and without the item, which stand beside them.
fn fields(event: &Event) -> serde_json::Value {
    let mut fields = match serde_json::to_value(event) {
        Ok(serde_json::Value::Object(tagged)) => tagged.into_iter().next().map(|(_, data)| data),
        _ => None,
    };
    if let Some(serde_json::Value::Object(fields)) = &mut fields {
        fields.remove("item");
    }
    fields.unwrap_or_default()
}

fn as_events<S: Serializer>(entries: &[HistoryEntry], serializer: S) -> Result<S::Ok, S::Error> {
    let views = entries.iter().map(|entry| EventView::new(entry.seq, entry.index, &entry.entry));
    serializer.collect_seq(views)
}

impl Dossier {
    /// Attributes with their origins, for a table.
    pub(crate) fn rows(&self) -> Vec<Shown> {
        let row = |(name, value): (&Name, &Value)| Shown {
            name: name.clone(),
            value: value.clone(),
            origin: self.origins.get(name).cloned(),
        };
        self.attributes.iter().map(row).collect()
    }

    /// Why the item is held, if it is.
    pub(crate) fn hold_text(&self) -> Option<String> {
        match &self.state.hold {
            Hold::None => None,
            Hold::Held { since, reason } => Some(format!("held since {since}: {reason}")),
            Hold::Error { reason, retry_at: Some(at), .. } => {
                Some(format!("{reason}; tried again at {at}"))
            }
            Hold::Error { reason, .. } => Some(format!("{reason}; resume tries again")),
            Hold::Activation { until } => Some(format!("not distributed before {until}")),
        }
    }

    /// Escalation steps that it has been through.
    pub(crate) fn escalated_text(&self) -> String {
        self.state.escalated.iter().map(Name::as_str).collect::<Vec<_>>().join(", ")
    }

    /// The rules that classified it.
    pub(crate) fn rules_text(&self) -> String {
        let rules = self.state.class.iter().flat_map(|class| class.rules.iter());
        rules.map(Name::as_str).collect::<Vec<_>>().join(", ")
    }
}

impl Shown {
    /// The value as people read it.
    pub(crate) fn text(&self) -> String {
        match &self.value {
            Value::Text(text) => text.clone(),
            Value::Boolean(truth) => if *truth { "yes" } else { "no" }.to_owned(),
            Value::Timestamp(at) => at.to_string(),
            Value::Decimal(number) => number.to_string(),
            other => other.to_json().to_string(),
        }
    }

    /// The name as people read it: `customer_id` is "Customer id".
    pub(crate) fn label(&self) -> String {
        crate::form::label(&self.name)
    }

    /// Where the value came from, as people read it.
    pub(crate) fn origin_text(&self) -> String {
        match &self.origin {
            None => "captured".to_owned(),
            Some(Origin::Lookup(name)) => format!("look-up {name}"),
            Some(Origin::Rule(name)) => format!("rule {name}"),
            Some(Origin::Agent(name)) => format!("agent {name}"),
        }
    }
}

impl Card {
    /// Names the card in a page: another offer of the same item is another card.
    pub(crate) fn key(&self) -> String {
        format!("{}-{}", self.summary.item, self.epoch)
    }
}

impl Desk {
    /// `true` if the agent has this presence.
    pub(crate) fn is(&self, state: &str) -> bool {
        state
            == match self.presence {
                Presence::SignedOff => "signed_off",
                Presence::Ready => "ready",
                Presence::FinishSoon => "finish_soon",
                Presence::NotReady { .. } => "not_ready",
            }
    }

    /// Why the agent is not ready.
    pub(crate) fn reason(&self) -> &str {
        match &self.presence {
            Presence::NotReady { reason } => reason,
            _ => "",
        }
    }
}

/// The statuses a list can be filtered by, with the words that pages use.
pub(crate) const STATUSES: &[(&str, &str)] = &[
    ("open", "Open (all that has not ended)"),
    ("new", "New, not yet in the queue"),
    ("waiting", "Waiting for an agent"),
    ("offered", "Offered"),
    ("assigned", "Assigned"),
    ("wrap_up", "In wrap-up"),
    ("parked", "In a workbin"),
    ("confirming", "Waiting for the source"),
    ("held", "Held"),
    ("error", "Held by an error"),
    ("activation", "Waiting for activation"),
    ("ended", "Ended (all ways)"),
    ("completed", "Completed"),
    ("canceled", "Canceled"),
    ("rejected", "Rejected"),
    ("expired", "Expired"),
];

/// The three axes in one word, the one that says most: how the item ended, else what holds it,
/// else whose it is, else how far it has come.
pub(crate) const fn status(item: &WorkItem) -> &'static str {
    if item.life_cycle.ended() {
        return item.life_cycle.as_str();
    }
    match (&item.hold, &item.assignment, item.life_cycle) {
        (Hold::None, Assignment::None, LifeCycle::Queued) => "waiting",
        (Hold::None, Assignment::None, _) => "new",
        (Hold::None, assignment, _) => assignment.as_str(),
        (hold, _, _) => hold.as_str(),
    }
}
