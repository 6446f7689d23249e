//! What people do to capture points.

use minicbor::{Decode, Encode};
use serde::Serialize;

use crate::time::Timestamp;

/// What somebody did to a capture point. A position itself never stands here: what a source puts
/// into it is its own.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CaptureAct {
    /// Nothing is taken from now on.
    #[n(0)]
    Paused {
        /// Why, readable.
        #[n(0)]
        reason: Option<String>,
    },
    /// Records are taken again.
    #[n(1)]
    Resumed,
    /// The position of a source partition was set.
    #[n(2)]
    PositionSet {
        /// The partition of the source; empty if it has none.
        #[n(0)]
        source_partition: String,
    },
    /// The source is read from the beginning.
    #[n(3)]
    PositionReset {
        /// Only this partition of the source.
        #[n(0)]
        source_partition: Option<String>,
    },
    /// The source is read from where it had been read to.
    #[n(4)]
    PositionRewound {
        /// Only this partition of the source.
        #[n(0)]
        source_partition: Option<String>,
        /// The instant at which the position was the one that is now.
        #[n(1)]
        to: Timestamp,
    },
}
