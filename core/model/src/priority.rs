//! Priority numbers: fixed point, so that every node and every replay computes the same order.

use std::fmt;

use minicbor::{Decode, Encode};
use serde::{Serialize, Serializer};

/// A priority in units of 2⁻⁴⁰ points; the range is about ±8 million points. Higher wins.
///
/// Order and ties use this exact value; people see it floored to whole points.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Encode, Decode)]
#[cbor(transparent)]
pub struct Priority(#[n(0)] pub i64);

/// Fraction bits of a [`Priority`].
pub const FRACTION_BITS: u32 = 40;
/// Largest number of whole points that a schema may name, either sign.
pub const POINTS_MAX: i64 = 1_000_000;

impl Priority {
    /// Whole points, clamped to ±[`POINTS_MAX`].
    pub const fn from_points(points: i64) -> Self {
        let clamped = if points > POINTS_MAX {
            POINTS_MAX
        } else if points < -POINTS_MAX {
            -POINTS_MAX
        } else {
            points
        };
        Self(clamped << FRACTION_BITS)
    }

    /// The exact value as a decimal number, for people and programs that compute with it.
    pub fn to_decimal(self) -> String {
        let (units, mask) = (self.0.unsigned_abs(), (1u64 << FRACTION_BITS) - 1);
        let mut text = if self.0 < 0 { "-".to_owned() } else { String::new() };
        text.push_str(&(units >> FRACTION_BITS).to_string());
        let mut rest = units & mask;
        if rest > 0 {
            text.push('.');
        }
        while rest > 0 {
            rest *= 10;
            text.push(char::from(b'0' + (rest >> FRACTION_BITS) as u8));
            rest &= mask;
        }
        text
    }

    /// The shown value: floored to whole points.
    pub const fn points(self) -> i64 {
        self.0 >> FRACTION_BITS
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.points())
    }
}

impl fmt::Debug for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.6}", self.0 as f64 / (1u64 << FRACTION_BITS) as f64)
    }
}

impl Serialize for Priority {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(self.points())
    }
}
