//! The operation by which a credential that the source replaced comes back to the hub.

use std::fmt;

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::secret::REDACTED;

/// Request of [`super::Opcode::Rotate`]: waits for the next credential that the source replaces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct Rotate {
    /// The one of this number is durable in the hub.
    #[n(0)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<u64>,
}

/// A credential that the source replaced.
#[derive(Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct Rotated {
    /// Names it in the next [`Rotate`].
    #[n(0)]
    pub number: u64,
    /// The key of the source's config that it belongs to: a dotted path.
    #[n(1)]
    pub field: String,
    /// What stands there from now on.
    #[n(2)]
    pub value: String,
}

impl fmt::Debug for Rotated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, field, .. } = self;
        f.debug_struct("Rotated")
            .field("number", number)
            .field("field", field)
            .field("value", &REDACTED)
            .finish()
    }
}
