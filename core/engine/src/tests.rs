//! Tests of the engine as a whole: case files, random worlds against a brute-force oracle, and
//! bounds.

mod bounds;
mod cases;
mod flows;
mod lifecycle;
pub(crate) mod oracle;
mod queries;
mod script;
mod stranded;
mod world;
