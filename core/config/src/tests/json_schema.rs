//! The JSON Schema of the file against what the reader says.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use gantry_model::Name;
use jsonschema::Validator;
use serde_json::{Value as Json, json};

use super::plugins::manifests;
use super::{GOOD, with};
use crate::finding::Findings;
use crate::keys::{Kind, Section};
use crate::read::ROOT;
use crate::{Code, Draft, Manifests, check_text, json_schema, load, tree};

const DRAFTS: [Draft; 2] = [Draft::Draft4, Draft::Draft202012];

fn json_of(text: &str) -> Json {
    let mut findings = Findings::default();
    tree::parse(0, text, &mut findings).unwrap().to_json()
}

/// A validator with the plug-ins of `manifests`, for a config with these sources.
fn validator(draft: Draft, manifests: &Manifests, sources: &[(&str, &str)]) -> Validator {
    let sources: BTreeMap<Name, Name> =
        sources.iter().map(|(name, plugin)| (Name::new(name), Name::new(plugin))).collect();
    let schema = json_schema(draft, manifests, &sources);
    match draft {
        Draft::Draft4 => {
            jsonschema::draft4::meta::validate(&schema).unwrap();
            jsonschema::draft4::new(&schema).unwrap()
        }
        Draft::Draft202012 => {
            jsonschema::draft202012::meta::validate(&schema).unwrap();
            jsonschema::draft202012::new(&schema).unwrap()
        }
    }
}

fn expect_valid(validator: &Validator, what: &str, text: &str) {
    let value = json_of(text);
    let errors: Vec<String> =
        validator.iter_errors(&value).map(|e| format!("{}: {e}", e.instance_path())).collect();
    assert_eq!(errors, [""; 0], "{what}");
}

fn toml_files(folder: &Path, into: &mut Vec<PathBuf>) {
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            toml_files(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "toml") {
            into.push(path);
        }
    }
}

#[test]
fn every_config_that_the_reader_accepts_fits_the_schema() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let mut files = Vec::new();
    for folder in ["examples", "tests/cases", "tests/benches", "core/config/tests"] {
        toml_files(&Path::new(root).join(folder), &mut files);
    }
    let validators = DRAFTS.map(|draft| validator(draft, &Manifests::default(), &[]));
    let docs = include_str!("../../../../docs/config.md");
    let whole = docs.split_once("\n## A whole config\n").unwrap().1;
    let blocks = whole.split("```toml\n").skip(1);
    let whole: String = blocks.map(|block| block.split_once("```").unwrap().0).collect();
    let mut texts = vec![("good".to_owned(), GOOD.to_owned()), ("docs".to_owned(), whole)];
    for path in files {
        let text = std::fs::read_to_string(&path).unwrap();
        let what = path.display().to_string();
        // A case may hold a whole config as text.
        let table: toml::Table = toml::from_str(&text).unwrap_or_default();
        if let Some(config) = table.get("config").and_then(toml::Value::as_str) {
            let checked = check_text("gantry.toml", config, &Manifests::default());
            texts.extend(checked.spec.map(|_| (what.clone(), config.to_owned())));
        }
        texts.extend(load(&path, &Manifests::default()).spec.map(|_| (what, text)));
    }
    assert!(texts.len() > 10, "{}", texts.len());
    for (what, text) in texts {
        for validator in &validators {
            expect_valid(validator, &what, &text);
        }
    }
}

#[test]
fn mistakes_of_form_do_not_fit_it() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases/mistakes.toml");
    let file: toml::Table = toml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let validators = DRAFTS.map(|draft| validator(draft, &Manifests::default(), &[]));
    let mut n_mistakes = 0;
    for mistake in file["mistake"].as_array().unwrap() {
        let part = |key: &str| mistake[key].as_str().unwrap();
        // Whether an alert's limit is a number or a duration depends on its statistic.
        if part("by") == "over = 2" || !["GANTRY-C003", "GANTRY-C007"].contains(&part("code")) {
            continue;
        }
        let value = json_of(&with(part("replace"), part("by")));
        n_mistakes += 1;
        for validator in &validators {
            assert!(!validator.is_valid(&value), "{}", part("by"));
        }
    }
    assert!(n_mistakes > 5, "{n_mistakes}");
}

/// A value of a kind, as TOML; `pick` chooses where there are several forms.
fn sample(kind: Kind, pick: usize) -> String {
    match kind {
        Kind::Integer(from, _) => from.max(-5).to_string(),
        Kind::Boolean => "true".into(),
        Kind::Date => "2026-01-31".into(),
        Kind::Words(words) => format!("\"{}\"", words()[0]),
        Kind::List(kind) => format!("[{}]", sample(*kind, pick)),
        Kind::Map(kind) => format!("{{ mon = {} }}", sample(*kind, pick)),
        Kind::Table(section) => table(section, pick),
        Kind::Named(_, section) => format!("{{ \"a/b\" = {} }}", table(section, pick)),
        Kind::Either(kinds) => sample(kinds[pick % kinds.len()], pick),
        Kind::AnyTable | Kind::Plugin(_) => "{}".into(),
        _ => "\"1h\"".into(),
    }
}

/// A table with all its keys, but one of those that exclude each other.
fn table(section: &Section, pick: usize) -> String {
    let chosen = section.one_of.get(pick % section.one_of.len().max(1));
    let excluded = |name| section.one_of.contains(&name) && chosen != Some(&name);
    let keys = section.keys.iter();
    let keys = keys.filter(|key| !matches!(key.kind, Kind::Internal) && !excluded(key.name));
    let keys = keys.map(|key| format!("{} = {}", key.name, sample(key.kind, pick)));
    format!("{{ {} }}", keys.collect::<Vec<_>>().join(", "))
}

#[test]
fn the_reader_knows_every_key_of_the_schema() {
    for pick in 0..5 {
        let keys =
            ROOT.keys.iter().map(|key| format!("{} = {}\n", key.name, sample(key.kind, pick)));
        let text: String = keys.collect();
        let checked = check_text("gantry.toml", &text, &Manifests::default());
        let unknown: Vec<&str> = checked
            .findings
            .iter()
            .filter(|finding| [Code::UnknownKey, Code::Syntax].contains(&finding.code))
            .map(|finding| finding.message.as_str())
            .collect();
        assert_eq!(unknown, [""; 0], "{text}");
    }
}

#[test]
fn defaults_are_values_that_may_be_written() {
    fn visit(section: &Section, root: &Json, n_defaults: &mut usize) {
        for key in section.keys {
            if let Some(default) = key.default {
                *n_defaults += 1;
                let alone = Section::new("", std::slice::from_ref(key));
                let mut schema = crate::json_schema::table_of(&alone);
                schema["$defs"] = root["$defs"].clone();
                let value = json!({ key.name: default() });
                assert!(jsonschema::is_valid(&schema, &value), "{}: {value}", key.name);
            }
            sections(key.kind, &mut |inner| visit(inner, root, n_defaults));
        }
    }
    let root = json_schema(Draft::Draft202012, &Manifests::default(), &BTreeMap::new());
    let mut n_defaults = 0;
    visit(&ROOT, &root, &mut n_defaults);
    assert!(n_defaults > 20, "{n_defaults}");
}

fn sections(kind: Kind, visit: &mut dyn FnMut(&'static Section)) {
    match kind {
        Kind::Table(section) | Kind::Named(_, section) => visit(section),
        Kind::List(kind) | Kind::Map(kind) => sections(*kind, visit),
        Kind::Either(kinds) => kinds.iter().for_each(|kind| sections(*kind, visit)),
        _ => {}
    }
}

#[test]
fn the_plug_in_that_is_named_says_what_its_part_may_be() {
    let source = |config: &str| format!("[source.crm]\nplugin = \"database\"\n{config}\n");
    let capture = "[source.crm]\nplugin = \"database\"\nconfig = { engine = \"sqlite\" }\n\
                   [capture.a]\nsource = \"crm\"\n";
    let good = [
        source("config = { engine = \"sqlite\", port = 5 }"),
        source("config = { engine = \"sqlite\", password = { credential = \"crm\" } }"),
        source(
            "config = { engine = \"sqlite\", auth = { signed = { secrets = [{ env = \"X\" }] } } }",
        ),
        format!("{capture}settings = {{ table = \"t\" }}"),
        "[lookup.a]\nsource = \"hub\"\nsettings = { key = \"customer_id\" }".into(),
        // Of a source that stands in another file, any plug-in may be meant.
        "[capture.a]\nsource = \"other\"\nsettings = { table = \"t\" }".into(),
    ];
    let bad = [
        source(""),
        source("config = { engine = \"sqlit\" }"),
        source("config = { engine = \"sqlite\", prt = 5 }"),
        source("config = { engine = \"sqlite\", password = \"plain\" }"),
        source("config = { engine = \"sqlite\", password = { env = \"\" } }"),
        source("config = { engine = \"sqlite\", auth = { signed = { secrets = [\"plain\"] } } }"),
        format!("{capture}settings = {{ tables = \"t\" }}"),
        "[source.crm]\nplugin = \"webhook\"\nconfig = { engine = \"sqlite\" }".into(),
        "[source.crm]\nplugin = \"databse\"".into(),
        "[lookup.a]\nsource = \"hub\"\nsettings = { kee = \"customer_id\" }".into(),
    ];
    for draft in DRAFTS {
        let validator = validator(draft, &manifests(), &[("crm", "database")]);
        for text in &good {
            expect_valid(&validator, text, text);
        }
        for text in &bad {
            assert!(!validator.is_valid(&json_of(text)), "{draft:?}\n{text}");
        }
    }
}
