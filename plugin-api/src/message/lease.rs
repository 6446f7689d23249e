//! The operation of leases: the source lends a thing for a while, and the hub has it extended as
//! long as the work item is open.

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::error::Error;

/// A thing that the source lent to us and takes back in time: a lock, a visibility time-out.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Lease {
    /// What the plug-in extends it by; of one thing it stays the same, also when the thing is
    /// lent again. At most [`Lease::TOKEN_LEN_MAX`] bytes.
    #[n(0)]
    pub token: String,
    /// How long it was lent for when it was last granted, in milliseconds.
    #[n(1)]
    pub for_ms: u64,
}

impl Lease {
    /// The longest token, in bytes: a record with a longer one is refused.
    pub const TOKEN_LEN_MAX: usize = 1024;

    /// A thing that is lent for so long, in milliseconds from now on.
    pub fn new(token: impl Into<String>, for_ms: u64) -> Self {
        Self { token: token.into(), for_ms }
    }
}

/// What became of one lease that was to be extended.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Extended {
    /// It is ours for so long, in milliseconds from now on.
    #[n(0)]
    Kept {
        /// As in [`Lease::for_ms`].
        #[n(0)]
        for_ms: u64,
    },
    /// The source gave it to somebody else, or the thing is gone: the hub withdraws the item.
    #[n(1)]
    Lost {
        /// Why, for the agent who had it.
        #[n(0)]
        reason: String,
    },
    /// That cannot be said now: the hub asks again.
    #[n(2)]
    Failed(#[n(0)] Error),
}
