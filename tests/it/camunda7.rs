//! `camunda7`: whole processes on real engines, and what ships beside the connector.

mod clerk;
mod conformance;
mod page;
mod story;
