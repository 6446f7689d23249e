//! A plug-in's own part of the config against the schema in its manifest, and secrets.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value as Json, json};

use super::{GOOD, with};
use crate::{
    Finding, Manifests, PluginManifest, SecretError, check_text, load, render_human,
    resolve_secrets,
};

fn secret() -> Json {
    json!({"type": "string", "x-gantry-secret": true, "writeOnly": true})
}

/// As derived from an author's struct: references, options, an enumeration with alternatives.
fn config_schema() -> Json {
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["engine"],
        "properties": {
            "engine": {"$ref": "#/$defs/Engine"},
            "path": {"type": ["string", "null"]},
            "port": {"type": "integer", "minimum": 1, "maximum": 65535},
            "wait": {"type": "string", "pattern": "^[0-9]+s$", "examples": ["5s", "30s"]},
            "password": {"anyOf": [secret(), {"type": "null"}]},
            "auth": {"oneOf": [
                {"type": "object", "additionalProperties": false, "required": ["bearer"],
                 "properties": {"bearer": secret()}},
                {"type": "object", "additionalProperties": false, "required": ["signed"],
                 "properties": {"signed": {"$ref": "#/$defs/Signed"}}},
            ]},
        },
        "$defs": {
            "Engine": {"oneOf": [{"const": "sqlite"}, {"const": "postgres"}]},
            "Signed": {
                "type": "object", "additionalProperties": false, "required": ["secrets"],
                "properties": {"secrets": {"type": "array", "items": secret(), "minItems": 1}},
            },
        },
    })
}

pub(super) fn manifests() -> Manifests {
    let settings = json!({
        "type": "object", "additionalProperties": false,
        "properties": {"table": {"type": "string"}},
    });
    let database = PluginManifest {
        config: Some(config_schema()),
        capture: Some(settings.clone()),
        lookup: Some(settings.clone()),
        callback: Some(settings),
        capture_modes: BTreeSet::from(["poll".to_owned()]),
    };
    let webhook = PluginManifest {
        config: None,
        capture: Some(json!({"type": "object"})),
        capture_modes: BTreeSet::from(["http".to_owned()]),
        ..PluginManifest::default()
    };
    let plugins = [("database".to_owned(), database), ("webhook".to_owned(), webhook)];
    Manifests { plugins: Some(BTreeMap::from(plugins)) }
}

/// The good config with this `config` of its source.
fn findings(config: &str) -> (String, Vec<Finding>) {
    let text = with("plugin = \"database\"", &format!("plugin = \"database\"\n{config}"));
    let findings = check_text("gantry.toml", &text, &manifests()).findings;
    (text, findings)
}

fn expect(config: &str, code: &str, part: &str, message: &str, help: &str) {
    let (text, findings) = findings(config);
    let [finding] = findings.as_slice() else { panic!("{config}: {findings:#?}") };
    assert_eq!(finding.code.as_str(), code, "{finding:#?}");
    assert_eq!(&text[finding.span.clone()], part, "{finding:#?}");
    assert_eq!(finding.message, message);
    assert_eq!(finding.help.as_deref().unwrap_or(""), help, "{finding:#?}");
}

#[test]
fn settings_that_the_plug_in_takes_have_no_findings() {
    for config in [
        "config = { engine = \"sqlite\", path = \"crm.db\", port = 5 }",
        "config = { engine = \"sqlite\", password = { env = \"X\" } }",
        "config = { engine = \"sqlite\", auth = { bearer = { file = \"x\" } } }",
        "config = { engine = \"sqlite\", auth = { signed = { secrets = [{ env = \"X\" }] } } }",
    ] {
        assert_eq!(findings(config).1, [], "{config}");
    }
}

#[test]
fn settings_that_it_does_not_take_are_told_at_their_place() {
    expect(
        "config = { engine = \"sqlite\", pth = \"x\" }",
        "GANTRY-C003",
        "pth",
        "unknown key `pth` in `config` of [source.crm]",
        "did you mean `path`?",
    );
    expect(
        "config = { engine = \"sqlit\" }",
        "GANTRY-C019",
        "\"sqlit\"",
        "`config.engine` of [source.crm] cannot be `sqlit`",
        "did you mean `sqlite`?",
    );
    expect(
        "config = { path = \"x\" }",
        "GANTRY-C005",
        "config",
        "`config` of [source.crm] needs `engine`",
        "",
    );
    expect("", "GANTRY-C005", "crm", "`config` of [source.crm] needs `engine`", "");
    expect(
        "config = { engine = \"sqlite\", port = \"x\" }",
        "GANTRY-C004",
        "\"x\"",
        "`config.port` of [source.crm]: this is not of type \"integer\"",
        "",
    );
    expect(
        "config = { engine = \"sqlite\", port = 0 }",
        "GANTRY-C019",
        "0",
        "`config.port` of [source.crm]: this is less than the minimum of 1",
        "",
    );
    expect(
        "config = { engine = \"sqlite\", wait = \"5 years\" }",
        "GANTRY-C019",
        "\"5 years\"",
        "`config.wait` of [source.crm] cannot be `5 years`",
        "write it like `5s` or `30s`",
    );
    expect(
        "config = { engine = \"sqlite\", auth = { signed = { secrts = [] } } }",
        "GANTRY-C003",
        "secrts",
        "unknown key `secrts` in `config.auth.signed` of [source.crm]",
        "did you mean `secrets`?",
    );
    expect(
        "config = { engine = \"sqlite\", path = { env = \"X\" } }",
        "GANTRY-C004",
        "path",
        "`config.path` of [source.crm]: this is not of types \"null\", \"string\"",
        "only secrets are given by reference, and this is none",
    );
}

const HOW: &str = "write { env = \"NAME\" }, { file = \"PATH\" } or { credential = \"NAME\" }; the value itself \
     never stands in the config";

#[test]
fn a_secret_in_plain_text_is_told_and_not_shown() {
    expect(
        "config = { engine = \"sqlite\", password = \"hunter2\" }",
        "GANTRY-C020",
        "\"hunter2\"",
        "`config.password` of [source.crm] is a secret",
        HOW,
    );
    expect(
        "config = { engine = \"sqlite\", auth = { signed = { secrets = [\"hunter2\"] } } }",
        "GANTRY-C020",
        "\"hunter2\"",
        "`config.auth.signed.secrets.0` of [source.crm] is a secret",
        HOW,
    );
    expect(
        "config = { engine = \"sqlite\", auth = { bearer = { evn = \"X\" } } }",
        "GANTRY-C020",
        "{ evn = \"X\" }",
        "`config.auth.bearer` of [source.crm] is a secret",
        HOW,
    );
}

#[test]
fn no_finding_on_the_line_of_a_secret_shows_it() {
    let config = "config = { pth = \"x\", engine = \"sqlite\", password = \"hunter2ä\" }";
    let text = with("plugin = \"database\"", &format!("plugin = \"database\"\n{config}"));
    let checked = check_text("gantry.toml", &text, &manifests());
    assert_eq!(checked.findings.len(), 2);
    let shown = render_human(&checked.findings, &checked.sources);
    assert!(shown.contains("password = ***********"), "{shown}");
    assert!(!shown.contains("hunter2"), "{shown}");
    let json = serde_json::to_string(&checked.findings).unwrap();
    assert!(!json.contains("hunter2"), "{json}");
}

#[test]
fn plug_ins_are_asked_only_for_what_they_can_do() {
    let one = |text: &str, code: &str, part: &str| {
        let findings = check_text("gantry.toml", text, &manifests()).findings;
        let [finding] = findings.as_slice() else { panic!("{findings:#?}") };
        assert_eq!((finding.code.as_str(), &text[finding.span.clone()]), (code, part));
    };
    let good =
        with("plugin = \"database\"", "plugin = \"database\"\nconfig = { engine = \"sqlite\" }");
    assert_eq!(check_text("gantry.toml", &good, &manifests()).findings, []);
    one(&good.replace("\"database\"", "\"databse\""), "GANTRY-C017", "\"databse\"");
    one(&good.replace("every = \"30s\"\n", ""), "GANTRY-C016", "leads");
    let shop = "\n[source.shop]\nplugin = \"webhook\"\n[capture.carts]\nsource = \"shop\"\n";
    let shop = format!("{good}{shop}");
    assert_eq!(check_text("gantry.toml", &shop, &manifests()).findings, []);
    one(&format!("{shop}every = \"1s\"\n"), "GANTRY-C016", "every");
    one(
        &shop.replace("plugin = \"webhook\"", "plugin = \"webhook\"\nconfig = { a = 1 }"),
        "GANTRY-C019",
        "config",
    );
    let asked = "\n[lookup.cart]\nsource = \"shop\"\nyields = { cart = \"text\" }\n";
    one(&format!("{shop}{asked}"), "GANTRY-C018", "\"shop\"");
    let named = with("plugin = \"database\"", "plugin = \"nothing\"");
    assert!(check_text("gantry.toml", &named, &Manifests::default()).findings.is_empty());
    assert!(GOOD.contains("database"));
}

#[test]
fn secrets_are_resolved_where_the_schema_marks_them() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "tok3n\n").unwrap();
    let given = json!({
        "engine": "sqlite",
        "path": "plain",
        "password": {"env": "CARGO_MANIFEST_DIR"},
        "auth": {"signed": {"secrets": [{"file": file}]}},
    });
    let (resolved, secrets) = resolve_secrets(&given, &config_schema()).unwrap();
    let here = env!("CARGO_MANIFEST_DIR");
    assert_eq!(resolved["password"], here);
    assert_eq!(resolved["auth"]["signed"]["secrets"], json!(["tok3n"]));
    assert_eq!(resolved["path"], "plain");
    assert_eq!(BTreeSet::from_iter(secrets), BTreeSet::from([here.to_owned(), "tok3n".to_owned()]));
}

#[test]
fn all_secrets_that_cannot_be_had_are_told_at_once() {
    let given = json!({
        "password": {"env": "GANTRY_TEST_NOT_SET"},
        "auth": {"signed": {"secrets": [{"file": "/does/not/exist"}, "plain"]}},
    });
    let errors = resolve_secrets(&given, &config_schema()).unwrap_err();
    let places: BTreeSet<_> = errors
        .iter()
        .map(|error| match error {
            SecretError::Env { place, .. } => ("env", place.as_str()),
            SecretError::File { place, .. } => ("file", place.as_str()),
            SecretError::NoReference { place } => ("plain", place.as_str()),
            other => panic!("{other}"),
        })
        .collect();
    let expected = [
        ("env", "/password"),
        ("file", "/auth/signed/secrets/0"),
        ("plain", "/auth/signed/secrets/1"),
    ];
    assert_eq!(places, BTreeSet::from(expected));
    assert!(errors.iter().all(|error| !error.to_string().contains("\"plain\"")));
}

#[test]
fn files_of_secrets_that_are_not_there_or_open_to_all_are_told() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let config = "config = { engine = \"sqlite\", password = { file = \"crm.key\" } }";
    let text = with("plugin = \"database\"", &format!("plugin = \"database\"\n{config}"));
    let path = folder.path().join("gantry.toml");
    std::fs::write(&path, &text).unwrap();
    let secret = folder.path().join("crm.key");
    let told = || {
        let checked = load(&path, &manifests());
        assert!(checked.spec.is_some(), "{:#?}", checked.findings);
        let told = checked.findings.into_iter().map(|finding| {
            assert_eq!(finding.code.as_str(), "GANTRY-C033");
            assert_eq!(&text[finding.span.clone()], "{ file = \"crm.key\" }");
            (finding.message, finding.help.unwrap_or_default())
        });
        told.collect::<Vec<_>>()
    };
    let [(message, _)] = &told()[..] else { panic!("absent, and nothing is said") };
    assert!(message.contains("cannot be had") && message.contains("crm.key"), "{message}");

    std::fs::write(&secret, "swordfish-canary\n").unwrap();
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o644)).unwrap();
    let [(message, help)] = &told()[..] else { panic!("open to all, and nothing is said") };
    assert!(message.starts_with("everybody on this machine can read"), "{message}");
    assert_eq!(help, &format!("run: chmod o-rwx {}", secret.display()));

    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o640)).unwrap();
    assert_eq!(told(), []);
}
