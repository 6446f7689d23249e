//! `gantry run --watch`: what changes on the disk, the config or a plug-in in use, is reloaded by
//! itself.
//!
//! Files are looked at by size and time, which works in every file system. Something is reloaded
//! once two looks in a row see the same, so that what is half written is left alone.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use gantry_model::{Actor, Name};
use tokio::sync::{mpsc, oneshot};

use crate::generation::{Active, Wish};
use crate::reload::Reloader;

/// From one look to the next.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// More files of one thing than these are not looked at.
const FILES_MAX: usize = 10_000;

/// Beside the config, the folders that belong to it.
const CONFIG_FOLDERS: [&str; 2] = ["pipelines", "rules"];

/// Looks at the config and the plug-ins of a running hub.
pub(crate) struct Watch {
    pub(crate) config: PathBuf,
    pub(crate) active: Active,
    pub(crate) reloader: Reloader,
    pub(crate) wishes: mpsc::Sender<Wish>,
}

/// Something that is reloaded as a whole.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Subject {
    Config,
    Plugin(Name),
}

/// The files of a subject: size, and when each was written last.
type Print = BTreeMap<PathBuf, (u64, Option<SystemTime>)>;

impl Watch {
    /// Looks and reloads until it is dropped.
    pub(crate) async fn run(self) {
        let mut known = self.look().await;
        let mut last = known.clone();
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let now = self.look().await;
            for (subject, print) in &now {
                if last.get(subject) != Some(print) {
                    continue; // it may still be written
                }
                match known.insert(subject.clone(), print.clone()) {
                    Some(before) if before != *print => self.reload(subject).await,
                    // A plug-in that was not in use before runs with this file.
                    _ => {}
                }
            }
            last = now;
        }
    }

    /// What came of it is said in the log, by whoever does it.
    async fn reload(&self, subject: &Subject) {
        match subject {
            Subject::Config => {
                let (wish, granted) = oneshot::channel();
                if self.wishes.send(wish).await.is_ok() {
                    let _ = granted.await;
                }
            }
            Subject::Plugin(name) => {
                if let Err(error) = self.reloader.reload(Actor::Hub, name).await {
                    tracing::error!(plugin = %name, %error, "a plug-in has changed");
                }
            }
        }
    }

    async fn look(&self) -> BTreeMap<Subject, Print> {
        let mut subjects = BTreeMap::from([(Subject::Config, config_paths(&self.config))]);
        let generation = self.active.now();
        for (source, spec) in &generation.spec.sources {
            if let Some(library) = generation.pipeline.library(source) {
                let paths = vec![library.inspected().path.clone()];
                subjects.insert(Subject::Plugin(spec.plugin.clone()), paths);
            }
        }
        let print = |(subject, paths): (Subject, Vec<PathBuf>)| {
            let mut files = Print::new();
            for path in &paths {
                add(path, &mut files);
            }
            (subject, files)
        };
        let looked = tokio::task::spawn_blocking(move || subjects.into_iter().map(print).collect());
        looked.await.unwrap_or_default()
    }
}

fn config_paths(config: &Path) -> Vec<PathBuf> {
    let folder = config.parent().unwrap_or(Path::new("."));
    let folders = CONFIG_FOLDERS.iter().map(|name| folder.join(name));
    std::iter::once(config.to_owned()).chain(folders).collect()
}

/// Adds a file, or the files of a folder. What vanishes meanwhile shows at the next look.
fn add(path: &Path, files: &mut Print) {
    let Ok(metadata) = fs::metadata(path) else { return };
    if metadata.is_dir() {
        let entries = fs::read_dir(path).into_iter().flatten().flatten();
        for entry in entries {
            add(&entry.path(), files);
        }
    } else if files.len() < FILES_MAX {
        files.insert(path.to_owned(), (metadata.len(), metadata.modified().ok()));
    }
}
