//! Takes known secret values out of what a plug-in writes.

use std::borrow::Cow;
use std::sync::{PoisonError, RwLock};

use gantry_plugin_api::secret::REDACTED;
use gantry_plugin_api::{Error, Record, Secret};

/// Shorter values are left alone: they would turn up by chance and make any text unreadable.
const LEN_MIN: usize = 8;

/// The secrets a library was given. They are kept as long as the library, for it may log them any
/// time.
#[derive(Debug, Default)]
pub(crate) struct Scrubber {
    secrets: RwLock<Vec<Secret<String>>>,
}

impl Scrubber {
    /// Adds values, each also in the form it has inside a JSON text.
    pub(crate) fn add(&self, values: &[Secret<String>]) {
        let mut secrets = self.secrets.write().unwrap_or_else(PoisonError::into_inner);
        for value in values.iter().map(Secret::expose).filter(|value| value.len() >= LEN_MIN) {
            let quoted = serde_json::Value::from(value.as_str()).to_string();
            for form in [&quoted[1..quoted.len() - 1], value.as_str()] {
                if !secrets.iter().any(|known| known.expose() == form) {
                    secrets.push(Secret::new(form.to_owned()));
                }
            }
        }
        // A secret that contains another goes first, else a piece of it would remain.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.expose().len()));
    }

    /// The text with `***` in place of each secret.
    pub(crate) fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let secrets = self.secrets.read().unwrap_or_else(PoisonError::into_inner);
        let mut text = Cow::Borrowed(text);
        for secret in secrets.iter() {
            if text.contains(secret.expose().as_str()) {
                text = Cow::Owned(text.replace(secret.expose().as_str(), REDACTED));
            }
        }
        text
    }

    /// The records, with `***` in place of each secret in what is said of those that cannot be
    /// read. What a record itself holds is the source's.
    pub(crate) fn records(&self, records: &mut [Record]) {
        for reason in records.iter_mut().filter_map(|record| record.unreadable.as_mut()) {
            *reason = self.text(reason).into_owned();
        }
    }

    /// The error with `***` in place of each secret, in its message and its causes.
    pub(crate) fn error(&self, error: Error) -> Error {
        error.map_text(|text| self.text(text).into_owned())
    }
}
