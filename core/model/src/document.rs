//! Documents: what a work item says, kept in the store by (item, revision), never in the engine.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::attribute::{AttributeType, Value};
use crate::name::Name;
use crate::time::Millis;
use crate::trace::TraceParent;

/// Attributes by name, in order of name.
pub type Attributes = BTreeMap<Name, Value>;

/// Where an attribute's value came from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The look-up of that name.
    Lookup(Name),
    /// The segmentation rule of that id.
    Rule(Name),
    /// The agent of that id, at mark done.
    Agent(Name),
}

/// The attributes of one revision of a work item. Attributes without an origin were captured.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Document {
    /// The attributes.
    pub attributes: Attributes,
    /// Origins of the attributes that were not captured.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub origins: BTreeMap<Name, Origin>,
    /// What rules replaced, so that a later run of the rules starts from what the source and the
    /// look-ups said and not from what the rules said last time.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub replaced: BTreeMap<Name, Replaced>,
    /// The trace that the latest content came with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<TraceParent>,
    /// The source has only lent it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lease: Option<Lease>,
}

/// What the source extends a loan by: a lock, a visibility time-out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// Text that the plug-in understands; the same for the same thing, whenever it is lent.
    pub token: Box<str>,
    /// How long it was lent for.
    pub span: Millis,
}

/// An attribute's value before a rule replaced it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Replaced {
    /// The value.
    pub value: Value,
    /// Its origin; none = captured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
}

impl Document {
    /// Reads the stored JSON; `kind` tells the declared type of an attribute.
    ///
    /// A value that no longer fits its declared type is read by its own type: the declaration
    /// changed after it was stored, and rules report the mismatch where it matters.
    ///
    /// # Errors
    /// The JSON error if the bytes are not a document.
    pub fn from_slice<'a>(
        bytes: &[u8],
        kind: impl Fn(&str) -> Option<&'a AttributeType>,
    ) -> Result<Self, serde_json::Error> {
        #[derive(Deserialize)]
        struct Stored {
            attributes: BTreeMap<Name, serde_json::Value>,
            #[serde(default)]
            origins: BTreeMap<Name, Origin>,
            #[serde(default)]
            replaced: BTreeMap<Name, StoredReplaced>,
            #[serde(default)]
            traceparent: Option<TraceParent>,
            #[serde(default)]
            lease: Option<Lease>,
        }
        #[derive(Deserialize)]
        struct StoredReplaced {
            value: serde_json::Value,
            #[serde(default)]
            origin: Option<Origin>,
        }
        let stored: Stored = serde_json::from_slice(bytes)?;
        let read = |name: &str, json: &serde_json::Value| {
            let typed = kind(name).and_then(|kind| Value::from_json(json, kind).ok());
            typed.unwrap_or_else(|| Value::from_untyped(json))
        };
        let attributes = stored.attributes.into_iter().map(|(name, json)| {
            let value = read(&name, &json);
            (name, value)
        });
        let replaced = stored.replaced.into_iter().map(|(name, old)| {
            let value = read(&name, &old.value);
            let origin = old.origin;
            (name, Replaced { value, origin })
        });
        Ok(Self {
            attributes: attributes.collect(),
            origins: stored.origins,
            replaced: replaced.collect(),
            traceparent: stored.traceparent,
            lease: stored.lease,
        })
    }

    /// The JSON that the store keeps. Equal documents give equal bytes.
    pub fn to_vec(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("invariant: a document has text keys only")
    }

    /// Sets an attribute and its origin (`None` = captured). What a rule replaces is kept.
    pub fn set(&mut self, name: Name, value: Value, origin: Option<Origin>) {
        let by_rule = |origin: &Option<Origin>| matches!(origin, Some(Origin::Rule(_)));
        let old_origin = match &origin {
            Some(origin) => self.origins.insert(name.clone(), origin.clone()),
            None => self.origins.remove(&name),
        };
        let old_value = self.attributes.insert(name.clone(), value);
        if !by_rule(&origin) {
            self.replaced.remove(&name);
        } else if let Some(value) = old_value.filter(|_| !by_rule(&old_origin)) {
            let origin = old_origin;
            self.replaced.insert(name, Replaced { value, origin });
        }
    }

    /// Undoes what a rule set: the attribute is again what it was before, or absent.
    /// Does nothing to an attribute that no rule set.
    pub fn unset_rule(&mut self, name: &str) {
        if !matches!(self.origins.get(name), Some(Origin::Rule(_))) {
            return;
        }
        self.origins.remove(name);
        let Some((name, _)) = self.attributes.remove_entry(name) else {
            return;
        };
        if let Some(old) = self.replaced.remove(&name) {
            if let Some(origin) = old.origin {
                self.origins.insert(name.clone(), origin);
            }
            self.attributes.insert(name, old.value);
        }
    }

    /// The value of an attribute as the source and the look-ups gave it, without what rules set.
    pub fn unruled(&self, name: &str) -> Option<&Value> {
        match self.origins.get(name) {
            Some(Origin::Rule(_)) => self.replaced.get(name).map(|old| &old.value),
            _ => self.attributes.get(name),
        }
    }

    /// Text of an attribute, if it is there and is text.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.attributes.get(name) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }
}
