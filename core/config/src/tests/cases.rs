//! One mistake each, and the answer to it.

use gantry_model::spec::{Isolation, OnFailure, Sla, Span};
use gantry_model::{Millis, Requirement};

use super::{GOOD, checked, expect_one, with};
use crate::{Code, Manifests, Severity, load, render_human};

#[test]
fn a_good_config_has_no_findings_and_all_its_parts() {
    let checked = checked(GOOD);
    assert_eq!(checked.findings, []);
    let spec = checked.spec.unwrap();
    assert_eq!(spec.sources["crm"].isolation, Isolation::Process);
    assert_eq!(spec.captures["leads"].every, Some(Millis::from_secs(30)));
    assert_eq!(spec.lookups["nps"].on_failure, OnFailure::Continue);
    let process = &spec.routing.processes["sales/leads"];
    assert_eq!(process.sla, Some(Sla::Wall(Millis::from_secs(72 * 3600))));
    let stage = &process.route.stages[0];
    assert_eq!(stage.requirement.to_string(), "sales > 7 && group(\"berlin\")");
    assert_eq!(stage.lasts, Some(Span::SlaPermille(200)));
    assert!(matches!(process.route.stages[1].requirement, Requirement::Skill { .. }));
}

#[test]
fn shipped_configs_have_no_findings() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    for config in [
        "examples/demo/config/gantry.toml",
        "examples/full.toml",
        "tests/benches/capture/gantry.toml",
    ] {
        let path = std::path::Path::new(root).join(config);
        let checked = load(&path, &Manifests::default());
        let shown = render_human(&checked.findings, &checked.sources);
        assert!(checked.spec.is_some() && checked.findings.is_empty(), "{config}\n{shown}");
    }
}

#[test]
fn the_whole_config_of_the_docs_has_no_findings() {
    let docs = include_str!("../../../../docs/config.md");
    let (_, whole) = docs.split_once("\n## A whole config\n").unwrap();
    let blocks = whole.split("```toml\n").skip(1);
    let text: String = blocks.map(|block| block.split_once("```").unwrap().0).collect();
    let checked = checked(&text);
    let shown = render_human(&checked.findings, &checked.sources);
    assert!(checked.spec.is_some() && checked.findings.is_empty(), "{shown}");
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct MistakeFile {
    mistake: Vec<Mistake>,
}

/// What makes a good config a bad one, and what is said to it.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Mistake {
    replace: String,
    by: String,
    code: String,
    part: String,
    #[serde(default)]
    help: String,
}

#[test]
fn mistakes_are_told_with_code_place_and_remedy() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases/mistakes.toml");
    let file: MistakeFile = toml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert!(!file.mistake.is_empty());
    for mistake in &file.mistake {
        let text = with(&mistake.replace, &mistake.by);
        expect_one(&text, &mistake.code, &mistake.part, &mistake.help);
    }
}

/// Five different mistakes: all five are told, each with its line.
const FIVE: &str = r#"[hub]
lissten = "127.0.0.1:8080"

[routing]
skills = ["sales"]
default_process = "sales/leads"

[source.crm]
plugin = "database"

[capture.leads]
source = "crmm"
every = "30 seconds"
map = { external_id = "record.id", deal_value = "record.amount +" }

[priority.normal]
points = [{ at = "0", priority = 100 }, { at = "sla", priority = 1000 }]

[process."sales/leads"]
priority = "normal"
sla = "72h"

[[segmentation]]
id = "gold"
level = "global"
when = "item.custmer_segment == \"Gold\" && item.deal_value > 5"
process = "sales/leads"
"#;

#[test]
fn five_mistakes_are_told_at_once() {
    let checked = checked(FIVE);
    assert!(checked.spec.is_none());
    insta::assert_snapshot!("five_mistakes", render_human(&checked.findings, &checked.sources));
    let json = serde_json::to_string_pretty(&checked.findings).unwrap();
    insta::assert_snapshot!("five_mistakes_json", json);
}

#[test]
fn a_rule_behind_one_that_always_hits_is_only_a_warning() {
    let rule = |id: &str| format!("\n[[segmentation]]\nid = \"{id}\"\nlevel = \"global\"\n");
    let text = format!("{GOOD}{}{}", rule("all"), rule("late"));
    let checked = checked(&text);
    assert!(checked.spec.is_some());
    let [finding] = checked.findings.as_slice() else { panic!("{:#?}", checked.findings) };
    assert_eq!((finding.code, finding.severity), (Code::Unreachable, Severity::Warning));
    let related = finding.related.as_ref().unwrap();
    assert_eq!(&text[related.span.clone()], "\"all\"");
}

#[test]
fn files_are_joined_and_what_is_defined_twice_is_told_with_both_places() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("gantry.toml", GOOD);
    write(
        "pipelines/b.toml",
        "[source.erp]\nplugin = \"files\"\n\n[source.crm]\nplugin = \"files\"\n",
    );
    write("pipelines/notes.txt", "not a config");
    write("rules/a.toml", "[[segmentation]]\nid = \"gold\"\nlevel = \"process\"\n");
    let path = folder.path().join("gantry.toml");
    let checked = load(&path, &Manifests::default());
    let findings: Vec<_> = checked.findings.iter().map(|f| (f.code, &*f.file, f.line)).collect();
    assert_eq!(findings, [(Code::Twice, "pipelines/b.toml", 4), (Code::Twice, "rules/a.toml", 2)]);
    let related: Vec<_> =
        checked.findings.iter().map(|f| f.related.as_ref().unwrap().file.as_str()).collect();
    assert_eq!(related, ["gantry.toml", "gantry.toml"]);
    insta::assert_snapshot!("defined_twice", render_human(&checked.findings, &checked.sources));

    write("pipelines/b.toml", "[source.erp]\nplugin = \"files\"\n");
    write("rules/a.toml", "[[segmentation]]\nid = \"last\"\nlevel = \"process\"\n");
    let checked = load(&path, &Manifests::default());
    assert_eq!(checked.findings, []);
    let spec = checked.spec.unwrap();
    assert_eq!(spec.sources.len(), 2);
    let ids: Vec<_> = spec.segmentation.iter().map(|rule| rule.id.as_str()).collect();
    assert_eq!(ids, ["gold", "last"]);
}

#[test]
fn a_file_that_cannot_be_read_is_a_finding() {
    let folder = tempfile::tempdir().unwrap();
    let checked = load(&folder.path().join("gantry.toml"), &Manifests::default());
    assert!(checked.spec.is_none());
    let codes: Vec<_> = checked.findings.iter().map(|finding| finding.code).collect();
    assert_eq!(codes, [Code::File]);
    assert!(checked.findings[0].message.contains("gantry.toml"));
    assert_eq!(checked.hub.listen, "127.0.0.1:8080");
}

#[test]
fn a_file_with_a_mistake_in_its_syntax_hides_no_mistakes_in_others() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("rules")).unwrap();
    std::fs::write(folder.path().join("gantry.toml"), with("[hub]", "[hub]\nport = 1")).unwrap();
    std::fs::write(folder.path().join("rules/a.toml"), "[[segmentation]]\nid = \n").unwrap();
    let checked = load(&folder.path().join("gantry.toml"), &Manifests::default());
    let codes: Vec<_> = checked.findings.iter().map(|finding| finding.code).collect();
    assert_eq!(codes, [Code::UnknownKey, Code::Syntax]);
}

#[test]
fn codes_are_in_order_and_unique() {
    let codes: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    let numbered: Vec<String> = (1..=codes.len()).map(|n| format!("GANTRY-C{n:03}")).collect();
    assert_eq!(codes, numbered);
}
