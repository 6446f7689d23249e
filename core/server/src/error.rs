//! Why the hub does not start, or stopped.

use std::path::PathBuf;

use thiserror::Error;

use crate::place::PlaceError;

/// Why the hub does not start, or stopped.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The place of the hub.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// The config has faults; they are rendered for people.
    #[error("the config has faults; nothing was started\n{rendered}")]
    Config {
        /// All findings.
        rendered: String,
    },
    /// A plug-in does not like its configuration.
    #[error("the plug-ins do not like their config:\n{rendered}")]
    PluginConfig {
        /// All that they found.
        findings: Vec<gantry_config::Finding>,
        /// The same for people.
        rendered: String,
    },
    /// The config's folder cannot be worked in.
    #[error("work in the folder of {path}")]
    Folder {
        /// The path.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: std::io::Error,
    },
    /// The lock file of the plug-ins could not be read.
    #[error(transparent)]
    Pins(#[from] gantry_plugin_host::Refusal),
    /// The store could not be opened.
    #[error("open the store {url}")]
    Store {
        /// Its URL.
        url: String,
        /// What is wrong.
        #[source]
        source: gantry_store::Error,
    },
    /// The state could not be read.
    #[error(transparent)]
    Boot(#[from] gantry_hub::BootError),
    /// The key that signs tokens could not be read.
    #[error(transparent)]
    Key(#[from] gantry_web::token::KeyError),
    /// The web server's address cannot be used.
    #[error("listen on {address}: is another program using it?")]
    Listen {
        /// The address.
        address: String,
        /// The system's error.
        #[source]
        source: std::io::Error,
    },
    /// The system gave no thread or runtime.
    #[error("start the hub's threads")]
    Threads(#[source] std::io::Error),
    /// The active config version could not be changed.
    #[error("activate the config: {reason}")]
    Activate {
        /// What the engine said.
        reason: String,
    },
    /// The hub's loop ended.
    #[error(transparent)]
    Hub(#[from] gantry_hub::Error),
    /// The journal does not fold.
    #[error("fold the journal of {path}")]
    Fold {
        /// The store.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: gantry_engine::FoldError,
    },
    /// A segment of the journal cannot be read.
    #[error("read commit {seq} in the journal of {path}")]
    Segment {
        /// The store's folder.
        path: PathBuf,
        /// The commit.
        seq: u64,
        /// The decode error.
        #[source]
        source: minicbor::decode::Error,
    },
    /// A hub commits faster than the store can be read.
    #[error("the hub on this store commits faster than it can be read; stop the hub first")]
    Busy,
    /// A part of the hub panicked: a bug.
    #[error("the {what} broke: {reason}")]
    Broken {
        /// The part.
        what: &'static str,
        /// What the runtime says.
        reason: String,
    },
    /// The pipeline could not start.
    #[error(transparent)]
    Pipeline(#[from] gantry_pipeline::PipelineError),
}

/// An error with its causes, on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
