//! What every store promises.

pub(crate) mod commits;
pub(crate) mod journal;
pub(crate) mod keys;
pub(crate) mod lists;
pub(crate) mod rest;
