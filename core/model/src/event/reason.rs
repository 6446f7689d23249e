//! Why items come back: from workbins, from agents.

use minicbor::{Decode, Encode};
use serde::Serialize;

/// Why an item went back into distribution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
#[serde(rename_all = "snake_case")]
#[cbor(index_only)]
pub enum ReturnReason {
    /// The agent or a supervisor gave it back.
    #[n(0)]
    ByHand,
    /// Its workbin was emptied.
    #[n(1)]
    Emptied,
    /// It had been parked until now.
    #[n(2)]
    ParkedUntil,
    /// It had been parked for as long as its queue allows.
    #[n(3)]
    ParkLimit,
    /// It lay in advance in the workbin of an agent who can have it no more.
    #[n(4)]
    NotTheirs,
}

/// Why an offer or assignment was taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
#[serde(rename_all = "snake_case")]
#[cbor(index_only)]
pub enum RevokeReason {
    /// The item was held.
    #[n(0)]
    Held,
    /// The item ended: canceled, completed by the source, expired.
    #[n(1)]
    Ended,
    /// The item was restarted.
    #[n(2)]
    Restarted,
    /// The hub was restarted while the offer was open.
    #[n(3)]
    HubRestarted,
    /// The agent is no longer ready.
    #[n(4)]
    AgentNotReady,
    /// The item was classified anew and no longer fits.
    #[n(5)]
    Reclassified,
    /// The agent has no room for the offer any more: the profile changed, or an item at the same
    /// desk changed its media type.
    #[n(6)]
    AgentChanged,
    /// The agent stayed away too long.
    #[n(7)]
    AgentAbsent,
}
