//! Ids: of work items (ours), partitions, and the short text form people read out on the phone.

use std::fmt;
use std::str::FromStr;

use minicbor::{Decode, Encode};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

/// Number of a partition; only 0 exists in a single-node hub.
pub type PartitionId = u16;

/// Bits of an [`ItemId`] that hold the counter; the partition sits above them.
const COUNTER_BITS: u32 = 48;
/// Crockford's base 32 without its lookalikes (I, L, O, U).
const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Digits are padded to this length, so ids of one size line up in a list.
const DIGITS_MIN: usize = 6;

/// The hub's id of a work item: a partition (16 bits) and a counter (48 bits).
///
/// Its text form is `W`, the value in base 32, and a check digit: `W00004T4`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct ItemId(#[n(0)] u64);

/// Why a text is no item id.
#[derive(Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ParseItemIdError {
    /// The text does not have the form `W`, digits, check digit.
    #[error("{0:?} is no item id: expected W, digits and a check digit, as in W00004T4")]
    Form(String),
    /// The check digit does not fit: a digit was mistyped.
    #[error("{0:?} is no item id: its check digit does not fit, so a digit is mistyped")]
    Check(String),
}

impl ItemId {
    /// Joins a partition and a counter (below 2⁴⁸).
    pub const fn new(partition: PartitionId, counter: u64) -> Self {
        Self(((partition as u64) << COUNTER_BITS) | (counter & ((1 << COUNTER_BITS) - 1)))
    }

    /// The id as the store keeps it.
    pub const fn as_u64(self) -> u64 {
        self.0
    }

    /// The id from the store's number.
    pub const fn from_u64(value: u64) -> Self {
        Self(value)
    }

    /// The partition that owns the item.
    pub const fn partition(self) -> PartitionId {
        (self.0 >> COUNTER_BITS) as PartitionId
    }

    /// The counter within the partition.
    pub const fn counter(self) -> u64 {
        self.0 & ((1 << COUNTER_BITS) - 1)
    }
}

/// The digits weighted 1, 3, 5, … from the right, modulo 32: odd weights show every single wrong
/// digit, their difference shows nearly every swap of neighbours.
const fn check_digit(value: u64) -> u64 {
    let (mut rest, mut weight, mut sum) = (value, 1, 0);
    while rest > 0 {
        sum += weight * (rest % 32);
        weight += 2;
        rest /= 32;
    }
    sum % 32
}

impl fmt::Display for ItemId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut digits = Vec::with_capacity(14);
        let mut rest = self.0;
        while rest > 0 || digits.len() < DIGITS_MIN {
            digits.push(DIGITS[(rest % 32) as usize]);
            rest /= 32;
        }
        digits.reverse();
        digits.push(DIGITS[check_digit(self.0) as usize]);
        write!(f, "W{}", String::from_utf8_lossy(&digits))
    }
}

impl fmt::Debug for ItemId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for ItemId {
    type Err = ParseItemIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let form = || ParseItemIdError::Form(text.to_owned());
        let upper = text.to_ascii_uppercase();
        let body = upper.strip_prefix('W').ok_or_else(form)?;
        if !body.is_ascii() || body.len() <= DIGITS_MIN || body.len() > 14 {
            return Err(form());
        }
        let (digits, check) = body.split_at(body.len() - 1);
        let digit = |b: u8| DIGITS.iter().position(|d| *d == b).map(|p| p as u64);
        let mut value: u64 = 0;
        for byte in digits.bytes() {
            let digit = digit(byte).ok_or_else(form)?;
            value = value.checked_mul(32).and_then(|v| v.checked_add(digit)).ok_or_else(form)?;
        }
        let check = digit(check.as_bytes()[0]).ok_or_else(form)?;
        if check != check_digit(value) {
            return Err(ParseItemIdError::Check(text.to_owned()));
        }
        Ok(Self(value))
    }
}

impl Serialize for ItemId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ItemId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
