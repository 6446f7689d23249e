//! From the store's bytes to the live state.

use std::sync::Arc;

use gantry_engine::State;
use gantry_model::spec::Spec;
use gantry_model::{Agent, Clock, Millis, PartitionId, Timestamp, WorkItem};
use gantry_store::{Boot, Store};
use thiserror::Error;

use crate::clock::HubClock;

/// The only partition of a single-node hub.
const PARTITION: PartitionId = 0;

/// The state as the store has it, and where the journal stands.
#[derive(Debug)]
pub struct Booted {
    /// The state, with its indexes built. Send [`gantry_model::Command::Boot`] first.
    pub state: State,
    /// Number of the last commit.
    pub seq: u64,
    /// The clock, started not before the last instant in the journal.
    pub clock: Arc<HubClock>,
    /// How long the hub was down, at most: since its last commit.
    pub down: Millis,
    /// The active config version and its sha256, if there is one.
    pub config: Option<(u32, [u8; 32])>,
}

/// Why the state could not be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BootError {
    /// The store could not be read.
    #[error("read the state from the store")]
    Store(#[from] gantry_store::Error),
    /// A stored blob is not what this program writes.
    #[error("read {what} from the store: the store is damaged or written by a newer version")]
    Blob {
        /// What was read.
        what: &'static str,
        /// The decode error.
        #[source]
        source: minicbor::decode::Error,
    },
    /// The active config version is not what this program writes.
    #[error("read config version {version} from the store")]
    Config {
        /// The version.
        version: u32,
        /// The JSON error.
        #[source]
        source: serde_json::Error,
    },
}

/// Reads the state from the store. Call it once, before the loop starts.
///
/// # Errors
/// [`BootError`]; the hub must not start then.
pub async fn boot(store: &dyn Store) -> Result<Booted, BootError> {
    let Boot { seq, next_counter, at, config, agents, items, .. } = store.boot().await?;
    let clock = Arc::new(HubClock::new(at));
    let agents = decode_all::<Agent>("an agent", &agents)?;
    let items = decode_all::<WorkItem>("a work item", &items)?;
    let (config, active) = match config {
        Some(row) => {
            let version = row.version;
            let spec: Spec = serde_json::from_slice(&row.json)
                .map_err(|source| BootError::Config { version, source })?;
            (Some((version, spec.routing)), Some((version, row.sha256)))
        }
        None => (None, None),
    };
    let now: Timestamp = clock.now();
    let state = State::from_facts(PARTITION, next_counter, config, agents, items, now);
    // A store without a commit has no past.
    let down = if seq == 0 { Millis(0) } else { now.since(at) };
    Ok(Booted { state, seq, clock, down, config: active })
}

fn decode_all<T: for<'b> minicbor::Decode<'b, ()>>(
    what: &'static str,
    blobs: &[Vec<u8>],
) -> Result<Vec<T>, BootError> {
    let decode =
        |blob: &Vec<u8>| minicbor::decode(blob).map_err(|source| BootError::Blob { what, source });
    blobs.iter().map(decode).collect()
}
