//! Tests against an engine of the test's own making: what real engines do only on a bad day.

mod callback;
mod capture;
mod classes;
mod stub;
mod variables;

use gantry_plugin_api::{Context, Plugin as _};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::Camunda;

/// 2026-01-31T12:00:00Z.
const NOW_MS: i64 = 1_769_860_800_000;

fn cx() -> Context {
    Context::standalone("work", NOW_MS)
}

fn read<T: DeserializeOwned>(settings: Value) -> T {
    serde_json::from_value(settings).unwrap()
}

fn camunda(endpoint: &str) -> Camunda {
    Camunda::create(read(json!({ "endpoint": endpoint, "request_timeout": "5s" })), &cx()).unwrap()
}
