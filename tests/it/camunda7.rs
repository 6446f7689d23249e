//! `camunda7`: whole processes on real engines.

mod clerk;
mod conformance;
mod story;
