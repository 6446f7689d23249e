//! Tests of the engine as a whole: case files, random worlds against a brute-force oracle, and
//! bounds.

mod acts;
mod bad_input;
mod bounds;
mod cases;
mod flows;
mod lifecycle;
pub(crate) mod oracle;
mod queries;
mod script;
mod soak;
mod stranded;
mod tally;
mod told;
mod world;
