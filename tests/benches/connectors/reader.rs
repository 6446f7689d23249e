//! Reads a source through its connector, as the hub does: a process, polls, acknowledgements.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use gantry_plugin_host::api::{Outcome, RecordOutcome};
use gantry_plugin_host::{Host, Isolated, Library, Limits, Options, Program, usage};
use serde_json::Value;
use tempfile::TempDir;

use crate::Pace;

/// Memory is looked at once in so many polls.
const LOOK_EVERY: u64 = 20;

/// Hosts connectors.
pub(crate) struct Reader {
    host: Host,
    batch: u32,
    _folder: TempDir,
}

/// What reading through a connector came to. Memory is that of its process, in bytes: after the
/// first tenth, at the end, and the most.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Through {
    pub(crate) pace: Pace,
    pub(crate) memory_first: u64,
    pub(crate) memory_last: u64,
    pub(crate) memory_most: u64,
}

impl Reader {
    pub(crate) fn new(gantry: &Path, plugins: &Path, batch: u32) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("gantry-bench-").tempdir()?;
        // The process runs as another user.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
        let clock = Arc::new(|| jiff::Timestamp::now().as_millisecond());
        let mut options = Options::new(plugins, folder.path().join("cache"), clock);
        options.program =
            Program { path: gantry.to_owned(), arguments: vec!["plugin-child".into()] };
        Ok(Self { host: Host::new(options), batch, _folder: folder })
    }

    /// Reads until the source has no more, at most so long.
    pub(crate) async fn read(
        &self,
        plugin: &str,
        config: &Value,
        settings: &Value,
        limit: Duration,
    ) -> Result<Through> {
        let isolated = Isolated { source: "bench", config, limits: Limits::default() };
        let library = self.host.load_isolated(plugin, &isolated)?;
        let json = config.to_string().into_bytes();
        let instance = library.create("bench", json, &[]).await?;
        let capture = instance.attach_capture("bench", settings.to_string().into_bytes()).await?;
        let (mut from, mut n, mut n_polls, begun) = (None, 0, 0, Instant::now());
        let mut memory = Vec::new();
        loop {
            let batch = capture.poll(from.clone(), self.batch).await?;
            let outcome = |record| RecordOutcome::of(record, Outcome::Accepted, None);
            let outcomes: Vec<_> = batch.records.iter().map(outcome).collect();
            ensure!(
                batch.records.iter().all(|record| record.unreadable.is_none()),
                "a record cannot be read"
            );
            n += outcomes.len() as u64;
            let last = batch.records.last().and_then(|record| record.position.clone());
            from = batch.position_after.or(last).or(from);
            if !outcomes.is_empty() {
                capture.acknowledge(outcomes).await?;
            }
            n_polls += 1;
            if n_polls % LOOK_EVERY == 0 {
                memory.push(memory_of(&library)?);
            }
            if !batch.more || begun.elapsed() > limit {
                break;
            }
        }
        let took = begun.elapsed();
        memory.push(memory_of(&library)?);
        instance.stop().await?;
        library.end_process(Duration::from_secs(5));
        Ok(Through {
            pace: Pace { n, took },
            memory_first: memory[memory.len() / 10],
            memory_last: memory[memory.len() - 1],
            memory_most: memory.iter().copied().max().unwrap_or_default(),
        })
    }
}

fn memory_of(library: &Library) -> Result<u64> {
    let process = library.process().and_then(|health| health.process).context("no process")?;
    let usage = usage(&[process]).into_iter().next().flatten().context("no memory is told")?;
    Ok(usage.memory_bytes)
}
