//! Tests of what needs no server: the settings.

use gantry_plugin_api::Plugin;
use serde_json::json;

use crate::Email;
use crate::config::Config;

fn faults(config: serde_json::Value) -> Vec<String> {
    let config: Config = serde_json::from_value(config).unwrap();
    Email::validate(&config).iter().map(ToString::to_string).collect()
}

#[test]
fn one_way_to_sign_in_is_needed() {
    let base = json!({
        "imap": { "host": "imap.example" }, "user": "desk", "address": "desk@example.com",
    });
    assert_eq!(faults(base.clone()), ["`password`: is missing; or sign in by `token` or `oauth`"]);
    let mut both = base.clone();
    both["password"] = json!("a");
    both["token"] = json!("b");
    assert_eq!(
        faults(both),
        ["one of `password`, `token` and `oauth` is enough; remove the others"]
    );
    let mut wrong = base;
    wrong["password"] = json!("a");
    wrong["address"] = json!("desk");
    wrong["request_timeout"] = json!("0s");
    assert_eq!(
        faults(wrong),
        [
            "`request_timeout`: must be longer than 0",
            "`address`: is no address: write `name@example.com`",
        ]
    );
}
