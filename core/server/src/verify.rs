//! The checker: the fold of the journal against what is stored.

use std::collections::BTreeMap;

use gantry_engine::{AgentChange, fold};
use gantry_model::journal::Segment;
use gantry_model::{AgentId, ItemId};
use gantry_store::{Page, SegmentRow, Store};
use serde::Serialize;

use crate::error::Error;
use crate::place::Place;

/// Segments and items that one read takes.
const PAGE: u32 = 500;
/// A hub that runs may commit while we read; then it is read again, so often.
const TRIES_MAX: usize = 5;
/// Differences that are named; the rest only counts.
const NAMED_MAX: usize = 20;

/// What the checker found.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// Commits in the journal.
    pub commits: u64,
    /// Events in them.
    pub events: u64,
    /// Work items that they give, also those that have ended.
    pub items: usize,
    /// Agents that they give.
    pub agents: usize,
    /// What is stored otherwise; empty = all is well.
    pub differences: Vec<String>,
}

/// Folds the journal from its first segment and compares every entity with the stored one, byte
/// for byte.
///
/// # Errors
/// If the store cannot be read or the journal contradicts itself.
pub async fn verify(place: &Place) -> Result<Report, Error> {
    let opened = gantry_store::open_read_only(&place.store).await;
    let store = opened.map_err(|source| store_error(place, source))?;
    let whole = read_whole(&*store).await.map_err(|source| store_error(place, source))?;
    let Some(Whole { segments, items: stored, agents }) = whole else {
        return Err(Error::Busy);
    };
    let segments = decode(place, &segments)?;
    let mut state =
        fold(0, &segments).map_err(|source| Error::Fold { path: place.folder.clone(), source })?;
    let changes = state.take_changes();
    let mut report = Report {
        commits: segments.len() as u64,
        events: segments.iter().map(|segment| segment.entries.len() as u64).sum(),
        items: changes.items.len(),
        ..Report::default()
    };
    let folded: BTreeMap<ItemId, Vec<u8>> =
        changes.items.iter().map(|item| (item.id, bytes(item))).collect();
    report.compare("work item", &folded, &stored);
    let mut folded_agents: BTreeMap<AgentId, Vec<u8>> = BTreeMap::new();
    for change in &changes.agents {
        if let AgentChange::Put(agent) = change {
            folded_agents.insert(agent.profile.id.clone(), bytes(agent));
        }
    }
    report.agents = folded_agents.len();
    let stored_agents: Vec<_> = folded_agents.values().cloned().collect();
    if stored_agents != agents {
        report.differences.push("the agents differ".to_owned());
    }
    Ok(report)
}

impl Report {
    fn compare<K: Ord + std::fmt::Display>(
        &mut self,
        what: &str,
        folded: &BTreeMap<K, Vec<u8>>,
        stored: &BTreeMap<K, Vec<u8>>,
    ) {
        let differing = folded.iter().filter(|(id, bytes)| stored.get(*id) != Some(*bytes));
        let missing = stored.keys().filter(|id| !folded.contains_key(*id));
        let ids: Vec<_> = differing.map(|(id, _)| id).chain(missing).collect();
        let named = ids.iter().take(NAMED_MAX).map(|id| format!("{what} {id} differs"));
        self.differences.extend(named);
        if ids.len() > NAMED_MAX {
            self.differences.push(format!("… and {} more", ids.len() - NAMED_MAX));
        }
    }
}

/// All that is stored, as of one commit.
struct Whole {
    segments: Vec<SegmentRow>,
    items: BTreeMap<ItemId, Vec<u8>>,
    agents: Vec<Vec<u8>>,
}

/// Reads everything; `None` if commits came in between each time it was tried.
async fn read_whole(store: &dyn Store) -> Result<Option<Whole>, gantry_store::Error> {
    for _ in 0..TRIES_MAX {
        let before = store.boot().await?.seq;
        let segments = read_journal(store).await?;
        let items = read_items(store).await?;
        let boot = store.boot().await?;
        if boot.seq == before {
            return Ok(Some(Whole { segments, items, agents: boot.agents }));
        }
    }
    Ok(None)
}

fn decode(place: &Place, rows: &[SegmentRow]) -> Result<Vec<Segment>, Error> {
    let decode = |row: &SegmentRow| {
        Segment::from_slice(&row.segment).map_err(|source| Error::Segment {
            path: place.folder.clone(),
            seq: row.seq,
            source,
        })
    };
    rows.iter().map(decode).collect()
}

async fn read_journal(store: &dyn Store) -> Result<Vec<SegmentRow>, gantry_store::Error> {
    let mut segments: Vec<SegmentRow> = Vec::new();
    loop {
        let after = segments.last().map_or(0, |segment| segment.seq);
        let rows = store.segments(after, PAGE).await?;
        if rows.is_empty() {
            return Ok(segments);
        }
        for row in rows {
            segments.push(row);
        }
    }
}

async fn read_items(store: &dyn Store) -> Result<BTreeMap<ItemId, Vec<u8>>, gantry_store::Error> {
    let filter = gantry_store::ItemFilter::default();
    let mut items: BTreeMap<ItemId, Vec<u8>> = BTreeMap::new();
    loop {
        let after = items.keys().next_back().copied();
        let page = Page { after, limit: PAGE, newest_first: false };
        let views = store.list(&filter, page).await?;
        if views.is_empty() {
            return Ok(items);
        }
        items.extend(views.into_iter().map(|view| (view.item.id, bytes(&view.item))));
    }
}

fn bytes<T: minicbor::Encode<()>>(value: &T) -> Vec<u8> {
    minicbor::to_vec(value).expect("invariant: writing to memory cannot fail")
}

fn store_error(place: &Place, source: gantry_store::Error) -> Error {
    Error::Store { url: place.store.clone(), source }
}
