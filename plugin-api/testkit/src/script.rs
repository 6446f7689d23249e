//! The test file: what an author tells the suite about a plug-in, `gantry-plugin-test.toml`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::groups;

/// The name of the file beside a plug-in.
pub const FILE_NAME: &str = "gantry-plugin-test.toml";

/// Why a test file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScriptError {
    /// It cannot be read.
    #[error("cannot read test file `{path}`")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is not what a test file looks like.
    #[error("cannot use test file `{path}`")]
    Parse {
        /// The file.
        path: PathBuf,
        /// Line, column and what is wrong there.
        source: toml::de::Error,
    },
    /// It waives what does not exist.
    #[error(
        "cannot use test file `{path}`: `[waivers]` names `{case}`, which is no case; \
         `gantry plugin test --list` shows them"
    )]
    UnknownWaiver {
        /// The file.
        path: PathBuf,
        /// The name in it.
        case: String,
    },
    /// It waives without saying why.
    #[error("cannot use test file `{path}`: say why `{case}` is waived")]
    NoReason {
        /// The file.
        path: PathBuf,
        /// The case.
        case: String,
    },
}

/// What is known of a plug-in. `${name}` in any text of it stands for a value of the upstream.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Script {
    /// The source.
    pub source: Source,
    /// A capture point.
    pub capture: Option<Capture>,
    /// A look-up.
    pub lookup: Option<Lookup>,
    /// A callback.
    pub callback: Option<Callback>,
    /// What stands for the source system.
    pub upstream: Option<Upstream>,
    /// How to make it fail on purpose.
    pub provoke: Provoke,
    /// How fast it must be.
    pub perf: Perf,
    /// Cases that it is known to fail, and why that is right.
    pub waivers: BTreeMap<String, String>,
    /// The folder of the test file; commands start there.
    #[serde(skip)]
    pub folder: PathBuf,
}

/// `[source]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Source {
    /// As in `[source.NAME] config`; secrets as plain text, so take made-up ones.
    pub config: Map<String, Value>,
}

/// `[capture]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Capture {
    /// As in `[capture.NAME] settings`.
    pub settings: Map<String, Value>,
    /// So many records are there at least, without anything being put into the upstream.
    pub records: Option<usize>,
    /// Requests for mode `http`.
    #[serde(rename = "request")]
    pub requests: Vec<Request>,
}

/// `[[capture.request]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// `POST`, …
    #[serde(default = "post")]
    pub method: String,
    /// Behind the capture point's own path.
    #[serde(default = "root")]
    pub path: String,
    /// Raw, without the question mark.
    #[serde(default)]
    pub query: String,
    /// Names in lower case.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// As text.
    #[serde(default)]
    pub body: String,
    /// So many records come of it; 0 = it is refused.
    #[serde(default = "one")]
    pub records: usize,
}

/// `[lookup]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Lookup {
    /// As in `[lookup.NAME] settings`.
    pub settings: Map<String, Value>,
    /// Examples; at least one that is found and one that is not make the best of the suite.
    #[serde(rename = "query")]
    pub queries: Vec<Query>,
}

/// `[[lookup.query]]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Query {
    /// The item's attributes.
    pub attributes: Map<String, Value>,
    /// What must be in the answer; absent: the source has no such key.
    pub answer: Option<Map<String, Value>>,
    /// This query fails, and no other because of it.
    pub fails: bool,
}

/// `[callback]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Callback {
    /// As in `[callback.NAME] settings`.
    pub settings: Map<String, Value>,
    /// Examples.
    #[serde(rename = "delivery")]
    pub deliveries: Vec<Delivery>,
}

/// `[[callback.delivery]]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Delivery {
    /// `done`, …
    pub event: String,
    /// The source's id of the item.
    pub external_id: String,
    /// What belongs to the event.
    pub details: Map<String, Value>,
    /// The item's attributes.
    pub attributes: Map<String, Value>,
    /// The source does not take this one: the outcome is an error, and no other's is because of it.
    pub fails: bool,
}

/// `[upstream]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Upstream {
    /// A program that plays the source system, and its arguments.
    pub command: Vec<String>,
}

/// `[provoke]`: switches of a plug-in that is made to be tested; laid over config and settings.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Provoke {
    /// It panics.
    pub panic: Option<Switch>,
    /// It never answers.
    pub hang: Option<Switch>,
}

/// `[provoke.panic]`, `[provoke.hang]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Switch {
    /// For operations of the source.
    pub config: Option<Map<String, Value>>,
    /// For those of a capture point.
    pub capture: Option<Map<String, Value>>,
    /// For those of a look-up.
    pub lookup: Option<Map<String, Value>>,
    /// For those of a callback.
    pub callback: Option<Map<String, Value>>,
}

/// `[perf]`: floors, each far below what a sound plug-in does.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Perf {
    /// Records captured a second.
    pub records_per_s: f64,
    /// Queries answered a second.
    pub lookups_per_s: f64,
    /// Events taken a second.
    pub deliveries_per_s: f64,
    /// From no instance to one that has been checked, in milliseconds.
    pub start_ms: u64,
}

impl Default for Perf {
    fn default() -> Self {
        let (records_per_s, lookups_per_s, deliveries_per_s) = (20.0, 20.0, 5.0);
        Self { records_per_s, lookups_per_s, deliveries_per_s, start_ms: 2000 }
    }
}

fn post() -> String {
    "POST".to_owned()
}

fn root() -> String {
    "/".to_owned()
}

fn one() -> usize {
    1
}

impl Script {
    /// Reads a test file.
    ///
    /// # Errors
    /// [`ScriptError`], with the place.
    pub fn read(path: &Path) -> Result<Self, ScriptError> {
        let text = fs::read_to_string(path)
            .map_err(|source| ScriptError::Read { path: path.to_owned(), source })?;
        Self::parse(path, &text)
    }

    fn parse(path: &Path, text: &str) -> Result<Self, ScriptError> {
        let mut script: Self = toml::from_str(text)
            .map_err(|source| ScriptError::Parse { path: path.to_owned(), source })?;
        for (case, reason) in &script.waivers {
            let (path, case) = (path.to_owned(), case.clone());
            if !groups::cases().any(|known| known.id == case) {
                return Err(ScriptError::UnknownWaiver { path, case });
            }
            if reason.trim().is_empty() {
                return Err(ScriptError::NoReason { path, case });
            }
        }
        path.parent().unwrap_or(Path::new("")).clone_into(&mut script.folder);
        Ok(script)
    }

    /// Puts the upstream's values in their places.
    pub(crate) fn fill(&mut self, values: &BTreeMap<String, String>) {
        let fill = |map: &mut Map<String, Value>| {
            map.values_mut().for_each(|value| fill_value(value, values));
        };
        fill(&mut self.source.config);
        if let Some(capture) = &mut self.capture {
            fill(&mut capture.settings);
            for request in &mut capture.requests {
                request.body = filled(&request.body, values);
                let headers = request.headers.values_mut();
                headers.for_each(|header| *header = filled(header, values));
            }
        }
        if let Some(lookup) = &mut self.lookup {
            fill(&mut lookup.settings);
            lookup.queries.iter_mut().for_each(|query| fill(&mut query.attributes));
        }
        if let Some(callback) = &mut self.callback {
            fill(&mut callback.settings);
            for delivery in &mut callback.deliveries {
                delivery.external_id = filled(&delivery.external_id, values);
                fill(&mut delivery.details);
                fill(&mut delivery.attributes);
            }
        }
    }
}

fn filled(text: &str, values: &BTreeMap<String, String>) -> String {
    values
        .iter()
        .fold(text.to_owned(), |text, (name, value)| text.replace(&format!("${{{name}}}"), value))
}

fn fill_value(value: &mut Value, values: &BTreeMap<String, String>) {
    match value {
        Value::String(text) => {
            let told = filled(text, values);
            // `"${address.port}"` as a whole is the number that a port is in a config.
            let port = text.ends_with(".port}").then(|| told.parse::<u16>().ok()).flatten();
            *value = port.map_or_else(|| told.into(), Value::from);
        }
        Value::Array(list) => list.iter_mut().for_each(|value| fill_value(value, values)),
        Value::Object(map) => map.values_mut().for_each(|value| fill_value(value, values)),
        _ => {}
    }
}
