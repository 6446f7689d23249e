//! Which agents have a page open. When the last live stream of an agent has closed and none came
//! back within the grace time, the agent becomes not ready: whoever sits before no page cannot
//! answer an offer.
//!
//! Agents who never opened a stream work through the API alone and are left as they are.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gantry_model::agent::REASON_DISCONNECTED;
use gantry_model::{Actor, AgentId, Clock, Command, Millis, Name, Presence, Timestamp};
use tokio::sync::Notify;

use crate::app::App;
use crate::live;

/// How long an agent may be without a page, unless the options say otherwise: a page that is
/// loaded anew, or a network that changes, takes seconds.
pub(crate) const GRACE: Millis = Millis::from_secs(30);

/// Pause before a change of presence that the hub did not take is tried again.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// The open pages of all agents.
#[derive(Debug, Default)]
pub(crate) struct Attendance {
    agents: Mutex<BTreeMap<AgentId, Pages>>,
    changed: Notify,
}

/// What comes next of the agents whose pages are gone.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// This one's have been gone for the grace time.
    Vanished(AgentId),
    /// Nobody's for so long yet.
    In(Millis),
    /// Nobody's at all, until a stream closes.
    Nobody,
}

/// The pages of one agent.
#[derive(Debug)]
enum Pages {
    /// So many streams are open, at least one.
    Open(usize),
    /// The last one closed at this instant.
    Gone(Timestamp),
}

/// One open stream of an agent; dropping it closes it.
#[derive(Debug)]
pub(crate) struct Present {
    attendance: Arc<Attendance>,
    clock: Arc<dyn Clock>,
    agent: AgentId,
}

impl Attendance {
    /// Counts a stream that has opened.
    pub(crate) fn open(self: &Arc<Self>, agent: &AgentId, clock: Arc<dyn Clock>) -> Present {
        let mut agents = self.lock();
        let pages = agents.entry(agent.clone()).or_insert(Pages::Open(0));
        *pages = match pages {
            Pages::Open(count) => Pages::Open(*count + 1),
            Pages::Gone(_) => Pages::Open(1),
        };
        Present { attendance: Arc::clone(self), clock, agent: agent.clone() }
    }

    fn close(&self, agent: &AgentId, now: Timestamp) {
        if let Some(pages) = self.lock().get_mut(agent) {
            *pages = match pages {
                Pages::Open(count) if *count > 1 => Pages::Open(*count - 1),
                _ => Pages::Gone(now),
            };
        }
        self.changed.notify_one();
    }

    /// What comes next of those who are gone. A vanished agent is told once, and forgotten.
    pub(crate) fn next(&self, now: Timestamp, grace: Millis) -> Next {
        let mut agents = self.lock();
        let gone = agents.iter().filter_map(|(agent, pages)| match pages {
            Pages::Gone(since) => Some((since.plus(grace), agent)),
            Pages::Open(_) => None,
        });
        match gone.min().map(|(at, agent)| (at, agent.clone())) {
            Some((at, agent)) if at <= now => {
                agents.remove(&agent);
                Next::Vanished(agent)
            }
            Some((at, _)) => Next::In(at.since(now)),
            None => Next::Nobody,
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<AgentId, Pages>> {
        self.agents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        self.attendance.close(&self.agent, self.clock.now());
    }
}

/// Makes agents whose pages vanished not ready, for ever.
///
/// # Cancel safety
/// Dropping the future leaves the agent it is just about as they are.
pub(crate) async fn watch(app: Arc<App>) {
    let attendance = &app.attendance;
    loop {
        match attendance.next(app.hub.now(), app.options.disconnect_grace) {
            Next::Vanished(agent) => {
                while let Err(error) = dismiss(&app, &agent).await {
                    tracing::warn!(%agent, %error, "an agent without a page is still ready");
                    tokio::time::sleep(RETRY_PAUSE).await;
                }
            }
            Next::In(span) => {
                tokio::select! {
                    () = tokio::time::sleep(span.to_std()) => {}
                    () = attendance.changed.notified() => {}
                }
            }
            Next::Nobody => attendance.changed.notified().await,
        }
    }
}

/// Makes the agent not ready, if the agent takes work or is about to stop taking it.
async fn dismiss(app: &App, agent: &AgentId) -> Result<(), gantry_hub::Error> {
    let known = live::agent(&app.hub, agent).await?;
    let takes_work =
        known.is_some_and(|agent| matches!(agent.presence, Presence::Ready | Presence::FinishSoon));
    if takes_work {
        let presence = Presence::NotReady { reason: Name::new(REASON_DISCONNECTED) };
        let command = Command::SetPresence { agent: agent.clone(), presence };
        app.hub.command(Actor::Hub, command).await?;
        tracing::info!(%agent, "the last page of an agent vanished: not ready");
    }
    Ok(())
}
