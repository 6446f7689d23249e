//! Credentials that sources replace while they are used: kept before the plug-in goes on, so that a
//! restart begins with the latest. Start reading at [`Custodian::run`].

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use gantry_plugin_host::api::Secret;
use gantry_plugin_host::api::message::Rotated;
use thiserror::Error;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::backoff::Backoff;
use crate::limits::Limits;
use crate::source::{Source, chain};

/// How often a custodian looks whether its source has another instance.
const ROUND: Duration = Duration::from_secs(5);

/// Where credentials are kept that the operator did not give.
#[async_trait]
pub trait Vault: fmt::Debug + Send + Sync {
    /// Keeps the value that stands at `field` of a source's config from now on, in place of what
    /// the operator gave, whose hash is `replaces`. Durable when this returns.
    ///
    /// # Errors
    /// If it cannot be kept; the caller tries again.
    async fn keep(
        &self,
        source: &str,
        field: &str,
        replaces: &str,
        value: &Secret<String>,
    ) -> Result<(), VaultError>;
}

/// A credential cannot be kept.
#[derive(Debug, Error)]
#[error("cannot keep a credential in {place}")]
pub struct VaultError {
    /// Where.
    pub place: String,
    /// Why not.
    pub source: std::io::Error,
}

/// Keeps what one source replaces.
pub(crate) struct Custodian {
    pub(crate) source: Arc<Source>,
    pub(crate) vault: Arc<dyn Vault>,
    pub(crate) limits: Arc<Limits>,
}

impl Custodian {
    /// Runs until `stop`. What is not kept then, the plug-in gives again if it lives on.
    pub(crate) async fn run(self, stop: CancellationToken) {
        tokio::select! {
            never = self.keep_all() => match never {},
            () = stop.cancelled() => {}
        }
    }

    async fn keep_all(&self) -> std::convert::Infallible {
        let source = self.source.name();
        let mut backoff = Backoff::new(&self.limits);
        let (mut of, mut kept) = (None, None);
        loop {
            let (number, instance) = match self.source.instance().await {
                Ok(made) => made,
                Err(error) => {
                    tracing::debug!(%source, %error, "no instance whose credentials rotate");
                    tokio::time::sleep(backoff.next()).await;
                    continue;
                }
            };
            // Another instance counts anew.
            if of.replace(number) != Some(number) {
                kept = None;
            }
            match timeout(ROUND, instance.rotated(kept)).await {
                Err(_) => {}
                Ok(Ok(rotated)) => {
                    kept = Some(rotated.number);
                    self.keep(rotated).await;
                    backoff.reset();
                }
                Ok(Err(error)) => {
                    let error = chain(&error);
                    tracing::debug!(%source, error, "no word of credentials that rotate");
                    tokio::time::sleep(backoff.next()).await;
                }
            }
        }
    }

    async fn keep(&self, rotated: Rotated) {
        let Rotated { field, value, .. } = rotated;
        let (source, value) = (self.source.name(), Secret::new(value));
        let Some(replaces) = self.source.replaces(&field).await else {
            tracing::error!(%source, field, "a plug-in replaces what its manifest does not name");
            return;
        };
        let mut backoff = Backoff::new(&self.limits);
        while let Err(error) = self.vault.keep(source, &field, &replaces, &value).await {
            let error = chain(&error);
            tracing::error!(%source, field, error, "a credential that rotated is not kept yet");
            tokio::time::sleep(backoff.next()).await;
        }
        self.source.replace(&field, &value).await;
        tracing::info!(%source, field, "the source replaced a credential; it is kept");
    }
}
