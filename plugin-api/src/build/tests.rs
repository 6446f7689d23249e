//! Tests of what a manifest must not declare.

use schemars::JsonSchema;

use super::{Error, Plugin};
use crate::Secret;

#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only the schema matters")]
struct Strict {
    api_token: String,
    password: Option<Secret<String>>,
    key_columns: Vec<String>,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "only the schema matters")]
struct Lax {
    url: String,
}

#[test]
fn what_looks_like_a_secret_and_is_none_is_told() {
    let told = Plugin::new("shop").config::<Strict>().check().unwrap();
    assert_eq!(told, [("source's config", "api_token".to_owned())]);
}

#[test]
fn mistakes_are_refused() {
    assert!(matches!(Plugin::new("My-Shop").check(), Err(Error::Name(_))));
    assert!(matches!(Plugin::new("").check(), Err(Error::Name(_))));
    assert!(matches!(Plugin::new("shop").capture::<Strict>([]).check(), Err(Error::NoMode)));
    let lax = Plugin::new("shop").lookup::<Lax>().check().unwrap_err();
    // A build script shows the error by `Debug`.
    let shown = format!("{lax:?}");
    assert!(shown.starts_with("cannot accept the look-up settings"), "{shown}");
}
