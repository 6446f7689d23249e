//! What could stand at a key of the config, asked of the plug-in whose key it is.

use std::path::Path;
use std::sync::Arc;

use gantry_config::{Manifests, render_human, resolve_secrets};
use gantry_model::Name;
use gantry_model::spec::Spec;
use gantry_plugin_api::message::{RoleName, Suggest, Suggestion};
use gantry_plugin_api::{Manifest, Secret};
use gantry_plugin_host::{CallError, Library, Refusal};
use serde_json::Value;
use thiserror::Error;

use crate::error::{Error, chain};
use crate::plugins::{self, Folders};

/// Why nothing can be recommended.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SuggestError {
    /// The key is none of a plug-in.
    #[error(
        "cannot recommend values for `{key}`: write `source.NAME.KEY`, `capture.NAME.KEY`, \
         `lookup.NAME.KEY` or `callback.NAME.KEY`, with a NAME of the config"
    )]
    Key {
        /// The key.
        key: String,
    },
    /// The plug-in has no such role or no such key.
    #[error("cannot recommend values for `{key}`: plug-in {plugin:?} has {known}")]
    Unknown {
        /// The key.
        key: String,
        /// The plug-in.
        plugin: Name,
        /// The keys that it has there.
        known: String,
    },
    /// The config, or the plug-in.
    #[error(transparent)]
    Hub(#[from] Error),
    /// The plug-in is refused.
    #[error(transparent)]
    Plugin(#[from] Refusal),
    /// A secret cannot be had.
    #[error("cannot ask the plug-in: {reasons}")]
    Secrets {
        /// Each of them, and what to do.
        reasons: String,
    },
    /// The plug-in could not say.
    #[error(transparent)]
    Call(#[from] CallError),
}

/// A key of the config that belongs to a plug-in.
struct Place<'k> {
    source: Name,
    role: Option<RoleName>,
    field: &'k str,
    /// What stands beside it.
    settings: Value,
}

/// Asks the plug-in what could stand at a key, as `capture.leads.table`. What else stands there may
/// still be wrong, as long as the plug-in can connect.
///
/// # Errors
/// [`SuggestError`].
pub async fn suggest(
    config: &Path,
    folders: Folders,
    key: &str,
) -> Result<Vec<Suggestion>, SuggestError> {
    folders.enter()?;
    // Without manifests nobody looks at the plug-ins' own keys: they are being written.
    let checked = gantry_config::load(config, &Manifests::default());
    let Some(spec) = checked.spec else {
        let rendered = render_human(&checked.findings, &checked.sources);
        return Err(Error::Config { rendered }.into());
    };
    let place = place(&spec, key).ok_or_else(|| SuggestError::Key { key: key.to_owned() })?;
    let (vault, host) = (folders.vault(), folders.host()?);
    let source = &spec.sources[&place.source];
    let library = plugins::library(&Arc::new(host), &place.source, source).await?;
    let asked = ask(&library, &spec, place, key, &vault).await;
    plugins::end_processes(&[library]);
    asked
}

async fn ask(
    library: &Arc<Library>,
    spec: &Spec,
    place: Place<'_>,
    key: &str,
    vault: &crate::vault::Vault,
) -> Result<Vec<Suggestion>, SuggestError> {
    let Place { source, role, field, settings } = place;
    let manifest = library.manifest();
    let schema = schema(manifest, role).filter(|schema| has(schema, field));
    let schema = schema.ok_or_else(|| {
        let known = self::schema(manifest, role).map_or("no such part".to_owned(), keys);
        SuggestError::Unknown { key: key.to_owned(), plugin: manifest.name.as_str().into(), known }
    })?;
    let (mut config, mut secrets) =
        resolve(&spec.sources[&source].config, manifest.config.as_value())?;
    let kept = vault.apply(&source, &manifest.rotates, &mut config);
    let (_, kept) = kept.map_err(|error| SuggestError::Secrets { reasons: chain(&error) })?;
    secrets.extend(kept.into_iter().map(Secret::new));
    let json = if role.is_none() {
        config.to_string()
    } else {
        let (settings, more) = resolve(&settings, schema)?;
        secrets.extend(more);
        settings.to_string()
    };
    let instance = library.create(&source, config.to_string().into_bytes(), &secrets).await?;
    let suggestions = instance.suggest(&Suggest::new(role, json, field)).await;
    let _ = instance.stop().await;
    Ok(suggestions?)
}

/// The value with its secrets in place, and those.
fn resolve(value: &Value, schema: &Value) -> Result<(Value, Vec<Secret<String>>), SuggestError> {
    let (value, secrets) = resolve_secrets(value, schema).map_err(|errors| {
        let reasons: Vec<String> = errors.iter().map(ToString::to_string).collect();
        SuggestError::Secrets { reasons: reasons.join("; ") }
    })?;
    Ok((value, secrets.into_iter().map(Secret::new).collect()))
}

fn place<'k>(spec: &Spec, key: &'k str) -> Option<Place<'k>> {
    let (part, rest) = key.split_once('.')?;
    let (name, field) = rest.split_once('.')?;
    let own = if part == "source" { "config." } else { "settings." };
    let field = field.strip_prefix(own).unwrap_or(field);
    let (source, role, settings) = match part {
        "source" => {
            let (name, source) = spec.sources.get_key_value(name)?;
            (name.clone(), None, source.config.clone())
        }
        "capture" => {
            let capture = spec.captures.get(name)?;
            (capture.source.clone()?, Some(RoleName::Capture), capture.settings.clone())
        }
        "lookup" => {
            let lookup = spec.lookups.get(name)?;
            (lookup.source.clone(), Some(RoleName::Lookup), lookup.settings.clone())
        }
        "callback" => {
            let callback = spec.callbacks.get(name)?;
            (callback.source.clone(), Some(RoleName::Callback), callback.settings.clone())
        }
        _ => return None,
    };
    spec.sources.contains_key(&source).then_some(Place { source, role, field, settings })
}

fn schema(manifest: &Manifest, role: Option<RoleName>) -> Option<&Value> {
    let schema = match role {
        None => &manifest.config,
        Some(RoleName::Capture) => &manifest.capture.as_ref()?.settings,
        Some(RoleName::Lookup) => &manifest.lookup.as_ref()?.settings,
        Some(RoleName::Callback) => &manifest.callback.as_ref()?.settings,
    };
    Some(schema.as_value())
}

/// Whether a plug-in's table has the first part of a dotted key; deeper the plug-in knows itself.
fn has(schema: &Value, field: &str) -> bool {
    let first = field.split('.').next().unwrap_or(field);
    schema["properties"].get(first).is_some()
}

fn keys(schema: &Value) -> String {
    let known = schema["properties"].as_object();
    let known: Vec<&str> = known.into_iter().flatten().map(|(key, _)| key.as_str()).collect();
    known.join(", ")
}
