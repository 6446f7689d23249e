//! Documents: what a work item says, kept in the store by (item, revision), never in the engine.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::attribute::{AttributeType, Value};
use crate::name::Name;

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
        }
        let stored: Stored = serde_json::from_slice(bytes)?;
        let attributes = stored
            .attributes
            .into_iter()
            .map(|(name, json)| {
                let typed = kind(&name).and_then(|kind| Value::from_json(&json, kind).ok());
                let value = typed.unwrap_or_else(|| Value::from_untyped(&json));
                (name, value)
            })
            .collect();
        Ok(Self {
            attributes,
            origins: stored.origins,
        })
    }

    /// The JSON that the store keeps. Equal documents give equal bytes.
    pub fn to_vec(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("invariant: a document has text keys only")
    }

    /// Sets an attribute and its origin (`None` = captured).
    pub fn set(&mut self, name: Name, value: Value, origin: Option<Origin>) {
        match origin {
            Some(origin) => self.origins.insert(name.clone(), origin),
            None => self.origins.remove(&name),
        };
        self.attributes.insert(name, value);
    }

    /// Text of an attribute, if it is there and is text.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.attributes.get(name) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }
}
