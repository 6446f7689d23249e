//! All cases, in the order they are run and told.

use crate::case::Case;
use crate::cases::{
    abi, callback, capture, chaos, config, http, leases, lifecycle, lookup, panic, perf, secrets,
    stream,
};

/// All groups; a case's id begins with the name of its group.
const GROUPS: &[&[Case]] = &[
    abi::CASES,
    config::CASES,
    lifecycle::CASES,
    panic::CASES,
    capture::CASES,
    stream::CASES,
    http::CASES,
    leases::CASES,
    lookup::CASES,
    callback::CASES,
    secrets::CASES,
    chaos::CASES,
    perf::CASES,
];

/// Each case of the suite.
pub fn cases() -> impl Iterator<Item = &'static Case> {
    GROUPS.iter().copied().flatten()
}
