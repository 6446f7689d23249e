//! The form of a case file.

use std::collections::BTreeMap;
use std::path::Path;

use gantry_model::{AgentProfile, Name};
use serde::Deserialize;
use serde_json::{Map, Value as Json};

/// One case file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Case {
    /// Rows of the domain that it shows.
    pub(super) rows: Vec<String>,
    /// What it shows, in a sentence.
    #[expect(dead_code, reason = "for whoever reads the file")]
    pub(super) says: String,
    /// A config file beside the case, or the config itself.
    pub(super) config: String,
    /// More config, after that.
    #[serde(default)]
    pub(super) more: String,
    /// When it begins; Monday, 5 January 2026, 08:00 UTC unless said otherwise.
    pub(super) start: Option<String>,
    /// Everybody who works here.
    #[serde(default)]
    pub(super) agents: BTreeMap<Name, Json>,
    /// What happens, one after the other.
    #[serde(rename = "step")]
    pub(super) steps: Vec<Step>,
}

/// One moment of a case.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Step {
    /// When; the moment of the step before if it is not said.
    pub(super) at: Option<String>,
    /// Another config becomes active: more of it, in place of `more`.
    pub(super) config: Option<String>,
    /// The capture point of what arrives; the only one, if there is only one.
    pub(super) from: Option<String>,
    /// New records, by the name that the case gives them.
    pub(super) arrives: BTreeMap<String, Map<String, Json>>,
    /// Attributes that a source changes.
    pub(super) changes: BTreeMap<String, Map<String, Json>>,
    /// What people and sources do, in sentences.
    #[serde(rename = "do")]
    pub(super) acts: Sentences,
    /// What must be so then, in sentences.
    pub(super) then: Sentences,
}

/// One sentence or several.
#[derive(Debug, Default, Deserialize)]
#[serde(untagged)]
pub(super) enum Sentences {
    #[default]
    None,
    One(String),
    Several(Vec<String>),
}

impl Sentences {
    pub(super) fn all(&self) -> &[String] {
        match self {
            Self::None => &[],
            Self::One(sentence) => std::slice::from_ref(sentence),
            Self::Several(sentences) => sentences,
        }
    }
}

impl Case {
    pub(super) fn read(file: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(file).map_err(|error| error.to_string())?;
        toml::from_str(&text).map_err(|error| error.to_string())
    }

    /// The profiles of its agents.
    pub(super) fn profiles(&self) -> Result<Vec<AgentProfile>, String> {
        let profile = |(id, given): (&Name, &Json)| {
            let mut given = given.clone();
            given["id"] = Json::String(id.to_string());
            serde_json::from_value(given).map_err(|error| format!("agent {id}: {error}"))
        };
        self.agents.iter().map(profile).collect()
    }
}
