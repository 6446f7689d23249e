//! Rules: the expressions of the config, checked, compiled and evaluated.
//!
//! [`compile()`] turns a config into [`Rules`] and tells all mistakes at once. `Rules` then map a
//! source's record to attributes, say which look-ups an item needs, and classify it. All of it is
//! pure: no I/O, no clock, the same answer for the same input.
//!
//! The language is a checked subset of CEL. The `cel` crate parses it; the types are checked here
//! (CEL has no type checker of its own), and the checked tree is evaluated here, because three
//! things differ from CEL on purpose: a declared attribute that is absent compares as false
//! instead of being an error, numbers are integers or exact decimals and never binary floating
//! point, and an attribute is read where it lies instead of being copied into a map first.
//!
//! Start reading at [`rules`], then [`check`] (text to tree) and [`eval`] (tree to value).
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod check;
mod classify;
mod effect;
mod eval;
mod finding;
mod functions;
mod map;
mod requirement;
mod rules;
mod syntax;
mod table;
mod value;

#[cfg(test)]
mod tests;

pub use finding::{ExpressionError, ExpressionFinding, ExpressionPath, MistakeKind, suggest};
pub use map::{EXTERNAL_ID_CHARS_MAX, MapError, Mapped};
pub use requirement::{check_requirement, parse_requirement};
pub use rules::{RuleError, Rules, compile};
pub use table::{RemarkKind, TableRemark};
