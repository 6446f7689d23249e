//! The machine's own limits, measured in the same run.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use gantry_store::baseline::{KeyOrder, bare_insert_rate, flush_rate};
use serde::Serialize;

/// Rows of a bare insert that share a commit, as the hub's group commit does at full load.
const ROWS_PER_COMMIT: u32 = 1000;
/// Commits of a bare insert: half a million rows.
const COMMITS: u32 = 500;

/// What stands beside every figure.
#[derive(Clone, Copy, Serialize)]
pub(crate) struct Baseline {
    /// Flushes of a page to disk a second.
    pub(crate) fsync: f64,
    /// Bare rows a second into SQLite, 1,000 a commit, ordered keys.
    #[serde(rename = "sqlite.bare_insert")]
    pub(crate) bare_insert: f64,
    /// The same with random keys.
    #[serde(rename = "sqlite.bare_insert.random")]
    pub(crate) bare_insert_random: f64,
}

/// Measures the disk for `span`, then SQLite alone.
pub(crate) async fn measure(folder: &Path, span: Duration) -> Result<Baseline> {
    let probed = folder.to_path_buf();
    let fsync = tokio::task::spawn_blocking(move || flush_rate(&probed, span)).await??;
    let ordered = bare_insert_rate(folder, KeyOrder::Ordered, ROWS_PER_COMMIT, COMMITS).await?;
    let random = bare_insert_rate(folder, KeyOrder::Random, ROWS_PER_COMMIT, COMMITS).await?;
    Ok(Baseline {
        fsync: fsync.per_second,
        bare_insert: ordered.per_second,
        bare_insert_random: random.per_second,
    })
}
