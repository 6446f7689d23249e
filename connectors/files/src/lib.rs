//! Captures records from files in a drop folder: JSON lines, CSV (RFC 4180), JSON (RFC 8259), XML
//! 1.0.
//!
//! The folder is polled. A file is taken when it has been left alone for a while ([`select`]), read
//! as a stream, page by page ([`reader`], [`capture`]), and moved to `processed` once all its
//! records are settled ([`shelf`]). What is wrong with one record goes on as a record that cannot
//! be read, and becomes a dead letter; what is wrong with a whole file moves it to `error`, with
//! the reason beside it.
//!
//! Nothing is remembered but the position, which the hub stores with the records: the file, what
//! was in it, how far it was read, and which files were read to their end before it ([`position`]).
//! A poll begins where all is settled, so these files are done, and so is a file in which nothing
//! is left behind that place: acknowledgements need no bookkeeping of their own, and a crash
//! forgets nothing.
//!
//! Limits: names in UTF-8, contents in UTF-8, records of at most 1 MiB, no symbolic links, no
//! subfolders. Each file is read twice: first for its hash, by which a file that is dropped
//! again is recognised.
#![forbid(unsafe_code)]

mod capture;
mod config;
mod position;
mod reader;
mod select;
mod shelf;
#[cfg(test)]
mod tests;

use config::{Config, Settings};
use gantry_plugin_api::{
    Batch, Capture, ConfigFault, Context, Error, Plugin, Position, export_plugin,
};

struct Folder {
    config: Config,
}

impl Plugin for Folder {
    type Config = Config;

    fn validate(config: &Config) -> Vec<ConfigFault> {
        let empty = config.folder.as_os_str().is_empty();
        empty.then(|| ConfigFault::new("folder", "must name a folder")).into_iter().collect()
    }

    fn create(config: Config, _: &Context) -> Result<Self, Error> {
        Ok(Self { config })
    }

    async fn check(&self, _: &Context) -> Result<(), Error> {
        let folder = self.config.folder.clone();
        off_thread(move || select::list(&folder).map(drop)).await
    }
}

impl Capture for Folder {
    type Settings = Settings;

    fn validate_settings(settings: &Settings) -> Vec<ConfigFault> {
        select::faults(settings)
    }

    async fn poll(
        &self,
        settings: &Settings,
        cx: &Context,
        from: Option<&Position>,
        limit: usize,
    ) -> Result<Batch, Error> {
        let poll = capture::Poll {
            folder: self.config.folder.clone(),
            settings: settings.clone(),
            now_ms: cx.now_ms(),
            from: from.map(position::Progress::read).transpose()?,
            n_records_max: limit.max(1),
        };
        off_thread(move || poll.run()).await
    }
}

/// Files block, so they are read off the worker threads. If the caller goes away, the work runs to
/// its end: every step of it may be repeated.
async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(error) => Err(Error::transient("cannot finish reading the folder").because(&error)),
    }
}

export_plugin! {
    plugin: Folder,
    roles: [capture],
    manifest: include_str!(concat!(env!("OUT_DIR"), "/gantry-manifest.json")),
}
