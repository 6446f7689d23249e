//! The config as plain data, after it was checked: what the operator wrote in TOML, with units
//! resolved and expressions still as text.
//!
//! A config version is the canonical JSON of [`Spec`]: secrets stand in it as references only.

mod alert;
mod calendar;
mod pipeline;
mod priority;
mod routing;
pub mod scenario;
mod segmentation;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::attribute::{AttributeType, CAPTURED_AT};
use crate::name::Name;
use crate::time::Millis;

pub use alert::*;
pub use calendar::*;
pub use pipeline::*;
pub use priority::*;
pub use routing::*;
pub use segmentation::*;

/// The whole config.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    /// `[hub]`
    pub hub: HubSpec,
    /// `[attribute.NAME]`: custom attributes that are declared.
    pub attributes: BTreeMap<Name, AttributeType>,
    /// `skills = […]` in `[routing]`: names of skills.
    pub skills: BTreeSet<Name>,
    /// `groups = […]` in `[routing]`: names of groups.
    pub groups: BTreeSet<Name>,
    /// `[source.NAME]`
    pub sources: BTreeMap<Name, SourceSpec>,
    /// `[capture.NAME]`
    pub captures: BTreeMap<Name, CaptureSpec>,
    /// `[lookup.NAME]`
    pub lookups: BTreeMap<Name, LookupSpec>,
    /// `[callback.NAME]`
    pub callbacks: BTreeMap<Name, CallbackSpec>,
    /// `[alert.NAME]`. A config without alerts keeps the bytes that it always had.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub alerts: BTreeMap<Name, AlertSpec>,
    /// `[[segmentation]]`, in file order.
    pub segmentation: Vec<SegmentRule>,
    /// `[[decision_table]]`, in file order.
    #[serde(default)]
    pub decision_tables: Vec<DecisionTable>,
    /// What the engine needs: priorities, processes, reasons.
    pub routing: Arc<RoutingSpec>,
}

/// `[hub]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HubSpec {
    /// Address of the web server, `host:port`.
    pub listen: String,
    /// `sqlite:PATH`, relative to the config file, or `postgres://…`.
    pub store: String,
    /// Folders that plug-ins are loaded from, relative to the config file.
    pub plugins: Vec<PathBuf>,
    /// How long a stop waits for work under way.
    pub drain_timeout: Millis,
}

impl Default for HubSpec {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8080".into(),
            store: "sqlite:gantry.db".into(),
            plugins: vec!["plugins".into()],
            drain_timeout: Millis::from_secs(30),
        }
    }
}

impl Spec {
    /// The declared type of an attribute: core, extended, custom or yielded by a look-up.
    pub fn attribute_type(&self, name: &str) -> Option<&AttributeType> {
        crate::attribute::settable(name)
            .or_else(|| self.attributes.get(name))
            .or_else(|| self.lookups.values().find_map(|lookup| lookup.yields.get(name)))
            .or_else(|| (name == CAPTURED_AT).then_some(&AttributeType::Timestamp))
    }

    /// The look-ups of a capture point, in order: those it lists, or all that no capture point
    /// lists.
    pub fn lookups_of(&self, capture: &str) -> Vec<&Name> {
        let Some(point) = self.captures.get(capture) else { return Vec::new() };
        if let Some(listed) = &point.lookups {
            let known = listed.iter().filter_map(|name| self.lookups.get_key_value(name));
            return known.map(|(name, _)| name).collect();
        }
        let bound: BTreeSet<&Name> =
            self.captures.values().filter_map(|point| point.lookups.as_ref()).flatten().collect();
        self.lookups.keys().filter(|name| !bound.contains(name)).collect()
    }

    /// `true` if something in the config names the time of capture, which is then kept with the
    /// attributes of new items. A custom attribute of that name is the source's.
    pub fn keeps_captured_at(&self) -> bool {
        let custom = self.attributes.contains_key(CAPTURED_AT)
            || self.lookups.values().any(|lookup| lookup.yields.contains_key(CAPTURED_AT));
        let named = || {
            let json = self.to_canonical_json();
            json.windows(CAPTURED_AT.len()).any(|part| part == CAPTURED_AT.as_bytes())
        };
        !custom && named()
    }

    /// The attribute that names the customer whose earlier items are looked up; none = nobody
    /// looks them up.
    pub fn history_key(&self) -> Option<&str> {
        self.lookups.values().find_map(LookupSpec::history_key)
    }

    /// The canonical JSON: equal configs give equal bytes.
    pub fn to_canonical_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("invariant: a config has text keys only")
    }
}

/// CBOR of a shared spec: its canonical JSON as text, so that the journal stays readable when
/// the spec grows.
pub(crate) mod as_json {
    use std::sync::Arc;

    use minicbor::decode::Error as DecodeError;
    use minicbor::encode::{Error as EncodeError, Write};
    use minicbor::{Decoder, Encoder};

    use super::RoutingSpec;

    pub(crate) fn encode<C, W: Write>(
        value: &Arc<RoutingSpec>,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), EncodeError<W::Error>> {
        let json = serde_json::to_string(value).map_err(EncodeError::message)?;
        e.str(&json)?.ok()
    }

    pub(crate) fn decode<C>(
        d: &mut Decoder<'_>,
        _: &mut C,
    ) -> Result<Arc<RoutingSpec>, DecodeError> {
        serde_json::from_str(d.str()?).map(Arc::new).map_err(DecodeError::message)
    }
}
