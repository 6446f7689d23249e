//! What `gantry check --connect` asks: whether each part of the config works against its system.

use std::path::Path;
use std::sync::Arc;

use gantry_config::{Checked, Code, Finding};
use gantry_model::Name;
use gantry_model::spec::Spec;
use gantry_pipeline::{Settings, SourceParts};
use gantry_plugin_api::manifest::Manifest;
use gantry_plugin_api::{Error as Answer, ErrorClass};
use gantry_plugin_host::{CallError, Instance, Refusal};
use serde_json::Value;

use crate::error::{Error, chain};
use crate::plugins::{Folders, Loaded, end_processes, load};

/// Whether a part of the config works against the real system.
#[derive(Debug)]
pub struct Connection {
    /// The part, as `source.crm` or `capture.leads`.
    pub part: String,
    /// What is wrong if it does not.
    pub problem: Option<Problem>,
}

/// Why a part of the config does not work.
#[derive(Debug)]
pub struct Problem {
    /// What the plug-in said, with its causes.
    pub text: String,
    /// What kind of trouble it is; none if the plug-in could not be loaded.
    pub class: Option<&'static str>,
    /// The key at fault, if the plug-in names one.
    pub field: Option<String>,
    /// The same with its place in the config, and what to do.
    pub finding: Finding,
}

/// Lets every plug-in try what it would do when the hub runs, and change nothing.
///
/// # Errors
/// [`Error`] if the config may not run; what a system says is no error but a problem.
pub async fn connect(config: &Path, folders: Folders) -> Result<Vec<Connection>, Error> {
    folders.enter()?;
    let Loaded { spec, checked, sources, refused } = load(config, folders, |_, _| None).await?;
    let mut connections: Vec<_> =
        refused.iter().map(|(name, refusal)| not_loaded(&checked, name, refusal)).collect();
    let libraries: Vec<_> = sources.values().map(|parts| Arc::clone(&parts.library)).collect();
    for (name, parts) in sources {
        let SourceParts { library, config, settings, secrets, .. } = parts;
        let manifest = library.manifest();
        let mut trial = Trial { spec: &spec, checked: &checked, manifest, source: &name };
        match library.create(&name, config, &secrets).await {
            Ok(instance) => {
                connections.push(trial.told("source", &name, instance.check().await));
                trial.parts(&instance, settings, &mut connections).await;
            }
            Err(error) => connections.push(trial.told("source", &name, Err(error))),
        }
    }
    end_processes(&libraries);
    Ok(connections)
}

fn not_loaded(checked: &Checked, source: &Name, refusal: &Refusal) -> Connection {
    let text = chain(refusal);
    let message = format!("the plug-in of source.{source} is refused ({}): {text}", refusal.code());
    let (label, help) = ("this plug-in".to_owned(), Some(refusal.remedy()));
    let at = ["source", source, "plugin"];
    let finding = Finding { label, help, ..checked.finding(Code::Trial, &at, "", message) };
    let problem = Some(Problem { text, class: None, field: None, finding });
    Connection { part: format!("source.{source}"), problem }
}

/// One source being tried.
struct Trial<'t> {
    spec: &'t Spec,
    checked: &'t Checked,
    manifest: &'t Manifest,
    source: &'t Name,
}

impl Trial<'_> {
    /// Checks everything that names the source.
    async fn parts(
        &mut self,
        instance: &Instance,
        mut settings: Settings,
        connections: &mut Vec<Connection>,
    ) {
        let Self { spec, source, .. } = *self;
        for (name, _) in spec.captures.iter().filter(|(_, c)| c.source.as_ref() == Some(source)) {
            let own = settings.captures.remove(name).unwrap_or_default();
            let checked = match instance.attach_capture(name, own).await {
                Ok(handle) => handle.check().await,
                Err(error) => Err(error),
            };
            connections.push(self.told("capture", name, checked));
        }
        for (name, _) in spec.lookups.iter().filter(|(_, lookup)| lookup.source == *source) {
            let own = settings.lookups.remove(name).unwrap_or_default();
            let checked = match instance.attach_lookup(name, own).await {
                Ok(handle) => handle.check().await,
                Err(error) => Err(error),
            };
            connections.push(self.told("lookup", name, checked));
        }
        for (name, _) in spec.callbacks.iter().filter(|(_, callback)| callback.source == *source) {
            let own = settings.callbacks.remove(name).unwrap_or_default();
            let checked = match instance.attach_callback(name, own).await {
                Ok(handle) => handle.check().await,
                Err(error) => Err(error),
            };
            connections.push(self.told("callback", name, checked));
        }
    }

    fn told(&self, kind: &str, name: &Name, tried: Result<(), CallError>) -> Connection {
        let problem = tried.err().map(|error| self.problem(kind, name, &error));
        Connection { part: format!("{kind}.{name}"), problem }
    }

    fn problem(&self, kind: &str, name: &Name, error: &CallError) -> Problem {
        let class = error.class();
        let answer = match error {
            CallError::Failed { source, .. } => Some(source),
            _ => None,
        };
        let field = answer.and_then(Answer::field).filter(|field| !field.is_empty());
        let said = answer.map_or_else(|| chain(error), |answer| chain(answer));
        // What is no matter of a key is mostly one of where to connect and as whom.
        let own = class == ErrorClass::Config && !self.is_of_source(kind, field);
        let part = match kind {
            "source" => ["source", self.source, "config"],
            _ if own => [kind, name, "settings"],
            _ => ["source", self.source, "config"],
        };
        let message = match field {
            Some(field) => format!("{kind}.{name} does not work: `{field}`: {said}"),
            None => format!("{kind}.{name} does not work: {said}"),
        };
        let field = field.map(str::to_owned);
        let at = field.as_deref().unwrap_or_default();
        let label = "so says its plug-in".to_owned();
        let help = Some(self.remedy(class, &part.join("."), field.as_deref()));
        let finding = self.checked.finding(Code::Trial, &part, at, message);
        let finding = Finding { label, help, ..finding };
        Problem { text: chain(error), class: Some(class.name()), field, finding }
    }

    /// Whether a key that a part names is not the part's own, but one of the source it uses.
    fn is_of_source(&self, kind: &str, field: Option<&str>) -> bool {
        let Some(key) = field.and_then(|field| field.split(['.', '[']).next()) else {
            return false;
        };
        let role = match kind {
            "capture" => self.manifest.capture.as_ref().map(|role| &role.settings),
            "lookup" => self.manifest.lookup.as_ref().map(|role| &role.settings),
            "callback" => self.manifest.callback.as_ref().map(|role| &role.settings),
            _ => None,
        };
        let has = |schema: &Value| schema["properties"].get(key).is_some();
        role.is_some_and(|schema| !has(schema.as_value())) && has(self.manifest.config.as_value())
    }

    /// What a person can do about an error.
    fn remedy(&self, class: ErrorClass, part: &str, field: Option<&str>) -> String {
        let plugin = &self.manifest.name;
        match class {
            ErrorClass::Config => {
                let key = field.map_or_else(|| format!("`{part}`"), |key| format!("`{key}`"));
                format!("change it; `gantry plugin docs {plugin}` tells what {key} takes")
            }
            ErrorClass::AuthDenied | ErrorClass::AuthExpired => format!(
                "check who signs in by `{part}`, with what, and what the system lets them do"
            ),
            ErrorClass::Transient => format!(
                "check that the system runs, and that this machine reaches it as `{part}` says"
            ),
            ErrorClass::Throttled => "the system limits its callers: try again later".to_owned(),
            ErrorClass::Panic | ErrorClass::Protocol | ErrorClass::Canceled => {
                format!("this is for the author of the plug-in `{plugin}` to mend")
            }
            _ => format!("`gantry plugin docs {plugin}` tells what it needs"),
        }
    }
}
