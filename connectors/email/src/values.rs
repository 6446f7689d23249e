//! `:name` in settings: a value of the event or of the item.

use gantry_plugin_api::{Delivery, Error, Query};
use serde_json::{Map, Value};

/// The name behind the colon; none if it is not written so.
pub(crate) fn placeholder(setting: &str) -> Option<&str> {
    setting.strip_prefix(':').filter(|name| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    })
}

/// What `:name` may stand for.
#[derive(Debug)]
pub(crate) struct Values(Map<String, Value>);

impl Values {
    pub(crate) fn of(delivery: &Delivery) -> Result<Self, Error> {
        Ok(Self(delivery.values()?))
    }

    pub(crate) fn asked(query: &Query) -> Result<Self, Error> {
        Ok(Self(query.attributes.parse()?))
    }

    /// The text of that name, unless it is empty.
    pub(crate) fn text(&self, setting: &str) -> Option<&str> {
        let text = self.0.get(placeholder(setting)?)?.as_str()?;
        Some(text).filter(|text| !text.trim().is_empty())
    }
}
