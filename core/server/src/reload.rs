//! `POST /plugins/NAME/reload`: the sources of a plug-in run with what its file and their secrets
//! are now. Files are read again; the config is the one that is active.

use std::collections::BTreeMap;
use std::sync::Arc;

use gantry_model::spec::Spec;
use gantry_model::{Actor, Name};
use gantry_pipeline::SourceParts;
use gantry_plugin_host::{Library, Refusal};
use gantry_web::intake::{IntakeError, SourceReload};
use tokio_util::task::TaskTracker;

use crate::error::chain;
use crate::generation::{Active, Generation};
use crate::plugins::{self, Folders};

/// Reloads plug-ins. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Reloader {
    /// Where plug-ins are.
    pub(crate) folders: Folders,
    /// What runs.
    pub(crate) active: Active,
    /// Reloads under way: each goes on when whoever asked for it does not wait any more.
    pub(crate) tasks: TaskTracker,
}

impl Reloader {
    /// Reloads a plug-in in all its sources, one after the other, once all of them have been found
    /// to fit it.
    ///
    /// # Errors
    /// [`IntakeError::UnknownPlugin`], [`IntakeError::NotReloaded`]: nothing changed.
    ///
    /// # Cancel safety
    /// Dropping the future does not end what has begun.
    pub(crate) async fn reload(
        &self,
        by: Actor,
        plugin: &str,
    ) -> Result<Vec<SourceReload>, IntakeError> {
        let (this, plugin) = (self.clone(), plugin.to_owned());
        let reload = self.tasks.spawn(async move { this.run(&by, &plugin).await });
        reload.await.unwrap_or_else(|error| Err(IntakeError::NotReloaded(error.to_string())))
    }

    async fn run(&self, by: &Actor, plugin: &str) -> Result<Vec<SourceReload>, IntakeError> {
        let _one = self.active.changes().await;
        let Generation { pipeline, spec } = &*self.active.now();
        let all = self.prepare(spec, plugin).await?;
        let mut reloads = Vec::new();
        for (source, parts) in all {
            let said = parts.library.inspected();
            let (version, sha256) = (said.manifest.version.clone(), said.sha256.clone());
            let result = pipeline.reload(&source, parts).await;
            let (reloaded, troubles, reason) = match result {
                Ok(reloaded) => (true, reloaded.troubles, None),
                Err(error) => (false, Vec::new(), Some(chain(&error))),
            };
            match &reason {
                None => tracing::info!(?by, plugin, %source, version, sha256, "reloaded"),
                Some(error) => {
                    tracing::warn!(?by, plugin, %source, version, sha256, error, "not reloaded");
                }
            }
            reloads.push(SourceReload { source, reloaded, version, sha256, troubles, reason });
        }
        Ok(reloads)
    }

    /// Loads the plug-in for each of its sources, and lets it look at their config.
    async fn prepare(
        &self,
        spec: &Spec,
        plugin: &str,
    ) -> Result<BTreeMap<Name, SourceParts>, IntakeError> {
        let sources = spec.sources.iter();
        let names: Vec<_> =
            sources.filter(|(_, of)| of.plugin == plugin).map(|(name, _)| name.clone()).collect();
        if names.is_empty() {
            return Err(IntakeError::UnknownPlugin(plugin.to_owned()));
        }
        let (mut all, mut faults) = (BTreeMap::new(), Vec::new());
        let vault = self.folders.vault();
        let loaded = self.load(spec, names).await.map_err(|refusal| {
            let (code, remedy) = (refusal.code(), refusal.remedy());
            IntakeError::NotReloaded(format!("{} ({code}): {remedy}", chain(&refusal)))
        });
        for (name, library) in loaded? {
            let (parts, found) = plugins::source_parts(spec, &name, library, &vault).await;
            faults.extend(found);
            all.insert(name, parts);
        }
        if faults.is_empty() {
            return Ok(all);
        }
        let faults = faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        Err(IntakeError::NotReloaded(format!("it does not like the config:\n{faults}")))
    }

    async fn load(
        &self,
        spec: &Spec,
        names: Vec<Name>,
    ) -> Result<Vec<(Name, Arc<Library>)>, Refusal> {
        let host = Arc::new(self.folders.clone().host()?);
        let mut libraries = Vec::new();
        for name in names {
            let library = plugins::library(&host, &name, &spec.sources[&name]).await?;
            libraries.push((name, library));
        }
        Ok(libraries)
    }
}
