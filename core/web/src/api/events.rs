//! Live events: committed journal entries as server-sent events, without gap or double.
//!
//! A stream starts at the commit that the client names, reads the store until it has caught up,
//! and follows the hub from there. If it falls behind, it reads the store again.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::str::FromStr;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::sse::{Event as Sse, Sse as SseResponse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use gantry_hub::Committed;
use gantry_model::journal::{Entry, Segment};
use gantry_model::{Event, ItemId, Name, Workbin};
use serde::Deserialize;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OwnedSemaphorePermit, TryAcquireError};

use super::items::trim;
use crate::access::{Caller, Permission};
use crate::app::Shared;
use crate::attendance::Present;
use crate::extract::FromQuery;
use crate::problem::{self, Problem};
use crate::view::EventView;

/// Segments that are read from the store at once.
const CATCH_UP: u32 = 64;

/// The query of a stream.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FollowQuery {
    /// Everything after this; the header `Last-Event-ID` goes before it.
    after: Option<String>,
    /// Events about this item only.
    item: Option<ItemId>,
}

/// A place in the journal: before an entry of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) seq: u64,
    pub(crate) index: usize,
}

/// What one client follows.
struct Follower {
    app: Shared,
    caller: Caller,
    item: Option<ItemId>,
    committed: Receiver<Committed>,
    /// What comes next; none = whatever is committed next.
    next: Option<Place>,
    /// `true` while the store may have more.
    behind: bool,
    ready: VecDeque<Sse>,
    /// Held until the stream ends, however it ends.
    _permit: OwnedSemaphorePermit,
    /// Of an agent: counts as an open page for as long.
    _present: Option<Present>,
}

/// `GET /events`.
pub(super) async fn follow(
    State(app): State<Shared>,
    caller: Caller,
    FromQuery(query): FromQuery<FollowQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    caller.must(Permission::Follow)?;
    let last = headers.get("last-event-id").and_then(|value| value.to_str().ok());
    let last = last.or(query.after.as_deref()).filter(|last| !last.is_empty());
    let next = last.map(Place::after).transpose()?;
    let permit = app.streams.clone().try_acquire_owned().map_err(too_many)?;
    // Subscribed before anything is read, so that nothing falls between.
    let committed = app.hub.subscribe();
    let present = caller.agent().map(|agent| app.attendance.open(agent, app.hub.clock()));
    let follower = Follower {
        app,
        caller,
        item: query.item,
        committed,
        behind: next.is_some(),
        next,
        ready: VecDeque::new(),
        _permit: permit,
        _present: present,
    };
    let events = stream::unfold(follower, |mut follower| async {
        let event = follower.next().await?;
        Some((Ok::<_, Infallible>(event), follower))
    });
    Ok(live(SseResponse::new(events).into_response()))
}

/// A live stream as proxies must treat it.
pub(super) fn live(mut response: Response) -> Response {
    // Proxies that buffer would hold events back.
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

pub(super) fn too_many(_: TryAcquireError) -> Problem {
    Problem::new(&problem::STREAMS, "as many live streams are open as the hub allows")
}

impl Place {
    /// The place after an event id: `SEQ-INDEX`, or `SEQ` for a whole commit.
    fn after(id: &str) -> Result<Self, Problem> {
        let parts = id.split_once('-').map_or((id, None), |(seq, index)| (seq, Some(index)));
        let place = match (u64::from_str(parts.0), parts.1.map(usize::from_str)) {
            (Ok(seq), None) if seq < u64::MAX => Some(Self { seq: seq + 1, index: 0 }),
            (Ok(seq), Some(Ok(index))) if index < usize::MAX => {
                Some(Self { seq, index: index + 1 })
            }
            _ => None,
        };
        place.ok_or_else(|| {
            let detail = format!("{id:?} is no event id: write a commit (12) or an event (12-0)");
            Problem::new(&problem::PARAMETER, detail)
        })
    }

    /// The id after which this place comes.
    fn id(self) -> String {
        match self.index.checked_sub(1) {
            Some(last) => format!("{}-{last}", self.seq),
            None => (self.seq.saturating_sub(1)).to_string(),
        }
    }
}

impl Follower {
    /// The next event or heartbeat; none = the stream ends.
    async fn next(&mut self) -> Option<Sse> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            if self.behind {
                self.catch_up().await?;
                continue;
            }
            let stopping = self.app.stopping.clone();
            let heartbeat = self.app.options.heartbeat;
            tokio::select! {
                () = stopping.cancelled() => return None,
                () = tokio::time::sleep(heartbeat) => return Some(self.heartbeat()),
                committed = self.committed.recv() => match committed {
                    Ok(Committed { segment }) => self.hear(&segment),
                    Err(RecvError::Lagged(_)) => self.behind = self.next.is_some(),
                    Err(RecvError::Closed) => return None,
                },
            }
        }
    }

    /// Reads what the store has after our place. `None` if it cannot be read: the client comes
    /// back with the id of the last event it got.
    async fn catch_up(&mut self) -> Option<()> {
        let place = self.next?;
        let rows = match self.app.store.segments(place.seq.saturating_sub(1), CATCH_UP).await {
            Ok(rows) => rows,
            Err(error) => {
                tracing::warn!(%error, "a live stream cannot read the journal");
                return None;
            }
        };
        self.behind = !rows.is_empty();
        for row in rows {
            match Segment::from_slice(&row.segment) {
                Ok(segment) => self.take(&segment),
                Err(error) => {
                    tracing::error!(seq = row.seq, %error, "cannot read a journal segment");
                    return None;
                }
            }
        }
        Some(())
    }

    /// Takes a commit from the hub: one already sent is dropped, after a gap the store is read.
    fn hear(&mut self, segment: &Segment) {
        match self.next {
            Some(next) if segment.seq < next.seq => {}
            Some(next) if segment.seq > next.seq => self.behind = true,
            _ => self.take(segment),
        }
    }

    fn take(&mut self, segment: &Segment) {
        let sent = self.next.filter(|next| next.seq == segment.seq).map_or(0, |next| next.index);
        for (index, entry) in segment.entries.iter().enumerate().skip(sent) {
            if self.wants(&entry.event) {
                self.ready.push_back(self.event(segment.seq, index as u32, entry));
            }
        }
        self.next = Some(Place { seq: segment.seq + 1, index: 0 });
    }

    fn wants(&self, event: &Event) -> bool {
        let about = self.item.is_none_or(|item| event.item() == Some(item));
        about && self.caller.agent().is_none_or(|agent| concerns(event, agent))
    }

    fn event(&self, seq: u64, index: u32, entry: &Entry) -> Sse {
        let mut entry = entry.clone();
        trim(&self.caller, &mut entry.event);
        let view = EventView::new(seq, index, &entry);
        let json = serde_json::to_string(&view).expect("invariant: an event has text keys only");
        Sse::default().id(format!("{seq}-{index}")).event(view.event).data(json)
    }

    /// Shows that the stream lives, and moves the client's place over what it may not see.
    fn heartbeat(&self) -> Sse {
        let beat = Sse::default().comment("");
        match self.next {
            Some(place) => beat.id(place.id()),
            None => beat,
        }
    }
}

/// `true` if the event is about the agent or their workbin: what an agent's own page has to know.
fn concerns(event: &Event, agent: &Name) -> bool {
    let bin = match event {
        Event::Parked { workbin, .. } => Some(workbin),
        Event::Pulled { workbin, .. }
        | Event::Returned { workbin, .. }
        | Event::Retrieved { workbin, .. }
        | Event::Escalated { workbin, .. } => workbin.as_ref(),
        _ => None,
    };
    let own = matches!(bin, Some(Workbin::Agent(owner)) if owner == agent);
    own || event.agent() == Some(agent)
}
