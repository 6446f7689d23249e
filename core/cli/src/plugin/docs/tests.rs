//! A page from a manifest with everything in it.

use gantry_plugin_host::api::manifest::Manifest;
use serde_json::json;

use super::page;

#[test]
fn the_page_tells_roles_keys_choices_and_permissions() {
    let secret = json!({ "type": "string", "x-gantry-secret": true, "writeOnly": true });
    let manifest: Manifest = serde_json::from_value(json!({
        "name": "shop",
        "version": "1.2.0",
        "description": "Captures orders of a shop",
        "config": {
            "type": "object",
            "description": "A shop.",
            "required": ["auth", "region"],
            "additionalProperties": false,
            "properties": {
                "endpoint": { "type": "string", "description": "Where it answers.", "default": "https://a|b" },
                "region": { "$ref": "#/$defs/Region", "description": "Which region." },
                "timeout": { "type": "string", "x-gantry-type": "duration", "default": "10s" },
                "auth": { "oneOf": [
                    { "type": "object", "required": ["bearer"], "properties": { "bearer": secret } },
                    { "type": "object", "required": ["keys"], "properties": { "keys": { "$ref": "#/$defs/Keys" } } },
                ] },
            },
            "$defs": {
                "Region": { "oneOf": [
                    { "const": "eu", "type": "string", "description": "Europe." },
                    { "const": "us", "type": "string", "description": "America." },
                ] },
                "Keys": { "type": "object", "properties": {
                    "ids": { "type": ["array", "null"], "items": { "type": "integer" } },
                    "again": { "$ref": "#/$defs/Keys" },
                } },
            },
        },
        "capture": { "modes": ["poll"], "settings": { "type": "object", "additionalProperties": false } },
        "permissions": { "network": ["config:endpoint"] },
        "build": {},
    }))
    .unwrap();
    let page = page(&manifest);
    for line in [
        "# shop",
        "Captures orders of a shop.",
        "Version 1.2.0. It captures records (is polled).",
        "config = { auth = { bearer = { env = \"…\" } }, region = \"eu\" }",
        "`[source.NAME] config`: A shop.",
        "| `region` | text | required | Which region. `\"eu\"`: Europe. `\"us\"`: America. |",
        "| `auth.bearer` | secret | one of them |  |",
        "| `auth.keys` | table | one of them |  |",
        "| `auth.keys.ids` | list of integer |  |  |",
        "| `endpoint` | text | `\"https://a|b\"` | Where it answers. |",
        "| `timeout` | duration | `\"10s\"` |  |",
        "There is nothing to set.",
        "- It connects to `config:endpoint`.",
    ] {
        let line = line.replace("a|b", "a\\|b");
        assert!(page.lines().any(|known| known == line), "{line}\nis not in\n{page}");
    }
}
