//! `POST /plugins/NAME/reload`: the sources of a plug-in run with what its file and their secrets
//! are now. Files are read again; the config is the one that is active.

use std::collections::BTreeMap;
use std::sync::Arc;

use gantry_model::spec::Spec;
use gantry_model::{Actor, Name};
use gantry_pipeline::{Handle, SourceParts};
use gantry_plugin_host::{Library, Refusal};
use gantry_web::intake::{IntakeError, SourceReload};
use tokio_util::task::TaskTracker;

use crate::error::chain;
use crate::plugins::{self, Folders};

/// Reloads plug-ins. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Reloader {
    /// Where plug-ins are.
    pub(crate) folders: Folders,
    /// The active config.
    pub(crate) spec: Arc<Spec>,
    /// What runs.
    pub(crate) pipeline: Handle,
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
        let all = self.prepare(plugin).await?;
        let mut reloads = Vec::new();
        for (source, parts) in all {
            let said = parts.library.inspected();
            let (version, sha256) = (said.manifest.version.clone(), said.sha256.clone());
            let result = self.pipeline.reload(&source, parts).await;
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
    async fn prepare(&self, plugin: &str) -> Result<BTreeMap<Name, SourceParts>, IntakeError> {
        let sources = self.spec.sources.iter();
        let names: Vec<_> =
            sources.filter(|(_, of)| of.plugin == plugin).map(|(name, _)| name.clone()).collect();
        if names.is_empty() {
            return Err(IntakeError::UnknownPlugin(plugin.to_owned()));
        }
        let (mut all, mut faults) = (BTreeMap::new(), Vec::new());
        for (name, library) in self.load(names).await? {
            let (parts, found) = plugins::source_parts(&self.spec, &name, library).await;
            faults.extend(found);
            all.insert(name, parts);
        }
        if faults.is_empty() {
            return Ok(all);
        }
        let faults = faults.join("\n");
        Err(IntakeError::NotReloaded(format!("it does not like the config:\n{faults}")))
    }

    async fn load(&self, names: Vec<Name>) -> Result<Vec<(Name, Arc<Library>)>, IntakeError> {
        let (folders, spec) = (self.folders.clone(), Arc::clone(&self.spec));
        let load = move || {
            let host = folders.host()?;
            let load = |name: Name| {
                let library = plugins::library(&host, &name, &spec.sources[&name])?;
                Ok((name, library))
            };
            names.into_iter().map(load).collect::<Result<Vec<_>, Refusal>>()
        };
        let loaded = tokio::task::spawn_blocking(load).await;
        let loaded = loaded.map_err(|error| IntakeError::NotReloaded(error.to_string()))?;
        loaded.map_err(|refusal| {
            let (code, remedy) = (refusal.code(), refusal.remedy());
            IntakeError::NotReloaded(format!("{} ({code}): {remedy}", chain(&refusal)))
        })
    }
}
