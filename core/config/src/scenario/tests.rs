//! Scenarios that are right, and every mistake with its place.

use std::path::PathBuf;

use gantry_model::Millis;
use gantry_model::spec::Spec;
use gantry_model::spec::scenario::{Distribution, Flow};
use tempfile::TempDir;

use super::{CheckedScenario, load_scenario};
use crate::{Manifests, check_text};

const CONFIG: &str = r#"
[routing]
skills = ["sales", "german"]
groups = ["berlin"]
reasons = ["Lunch"]
default_process = "sales/leads"

[priority.gold]
points = [{ at = "0", priority = 500 }]

[process."sales/leads"]
priority = "gold"
"#;

const HEAD: &str = "start = 2026-03-02T07:00:00+01:00\nhorizon = \"14h\"\n";
const AGENTS: &str = "[[agents]]\nname = \"a\"\ncount = 2\n";

fn config() -> Spec {
    let checked = check_text("gantry.toml", CONFIG, &Manifests::default());
    checked.spec.expect("the config is fine")
}

/// Reads a scenario beside data files.
fn load(text: &str, files: &[(&str, &str)], config: Option<&Spec>) -> CheckedScenario {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| -> PathBuf { folder.path().join(name) };
    std::fs::write(path("scenario.toml"), text).unwrap();
    for (name, content) in files {
        std::fs::write(path(name), content).unwrap();
    }
    load_scenario(&path("scenario.toml"), config)
}

/// The findings as `file:line:column code message`.
fn mistakes(checked: &CheckedScenario) -> Vec<String> {
    let shown = checked.findings.iter().map(|finding| {
        let (file, line, column) = (&finding.file, finding.line, finding.column);
        let code = finding.code.as_str();
        format!("{file}:{line}:{column} {code} {}", finding.message)
    });
    shown.collect()
}

#[test]
fn the_example_is_fine() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/simulate");
    let config = crate::load_rules(&PathBuf::from(folder).join("gantry.toml"));
    assert_eq!(config.findings, []);
    let scenario = PathBuf::from(folder).join("monday.toml");
    let checked = load_scenario(&scenario, config.spec.as_ref());
    assert_eq!(checked.findings, []);
    let (spec, routing) = checked.scenario.unwrap();
    assert_eq!((spec.arrivals.len(), spec.staff.len()), (4, 3));
    assert_eq!(spec.utc_offset, Millis(3_600_000));
    assert!(routing.processes.contains_key("sales/leads"));
}

#[test]
fn without_a_config_processes_are_plain() {
    let text = format!(
        "{HEAD}[[arrivals]]\nprocess = \"my \\\"own\\\"/process\"\nper_hour = 1\n\
         handle_time = \"5m\"\nrequires = {{ german = 5 }}\n{AGENTS}\
         breaks = [{{ from = \"12:00\", to = \"13:00\", reason = \"Tea\" }}]\n"
    );
    let checked = load(&text, &[], None);
    assert_eq!(checked.findings, []);
    let (_, routing) = checked.scenario.unwrap();
    assert!(routing.processes.contains_key("my \"own\"/process"));
    assert!(routing.reasons.contains("Tea"));
}

/// Rules that look at what an item is like.
const RULES: &str = r#"
[attribute.size]
type = "integer"

[[segmentation]]
id = "gold"
level = "global"
when = 'item.customer_segment == "Gold" && item.size > 3'
process = "sales/leads"
priority = "gold"
sla = "2h"

[process."sales/rest"]
priority = "gold"
"#;

#[test]
fn the_rules_say_which_process() {
    let config = format!("{}{RULES}", CONFIG.replacen("sales/leads", "sales/rest", 1));
    let checked = check_text("gantry.toml", &config, &Manifests::default());
    let config = checked.spec.unwrap_or_else(|| panic!("{:#?}", checked.findings));
    let scenario = |attributes: &str| {
        format!(
            "{HEAD}[[arrivals]]\nsegment = \"s\"\nattributes = {attributes}\nper_hour = 1\n\
             handle_time = \"5m\"\n{AGENTS}"
        )
    };
    let process = |attributes: &str| {
        let checked = load(&scenario(attributes), &[], Some(&config));
        assert_eq!(mistakes(&checked), Vec::<String>::new());
        let (spec, _) = checked.scenario.unwrap();
        spec.arrivals[0].process.to_string()
    };
    assert_eq!(process("{ customer_segment = \"Gold\", size = 4 }"), "sales/leads");
    assert_eq!(process("{ customer_segment = \"Gold\", size = 3 }"), "sales/rest");
    assert_eq!(process("{}"), "sales/rest");

    let told = |text: &str, config: Option<&Spec>| mistakes(&load(text, &[], config)).join("\n");
    let wrong = told(&scenario("{ size = \"big\" }"), Some(&config));
    assert_eq!(wrong, "scenario.toml:5:23 GANTRY-C004 attribute `size` is of another type");
    let odd = told(&scenario("{ sise = 4 }"), Some(&config));
    assert_eq!(odd, "scenario.toml:5:16 GANTRY-C009 attribute `sise` is not declared");
    let nobody = told(&scenario("{ size = 4 }"), None);
    assert!(nobody.contains("GANTRY-C005 [[arrivals]] number 1 has nobody to ask"), "{nobody}");
    let twice = scenario("{ size = 4 }\nprocess = \"sales/rest\"");
    let twice = told(&twice, Some(&config));
    assert_eq!(
        twice,
        "scenario.toml:6:1 GANTRY-C008 [[arrivals]] number 1 names its process twice"
    );
}

#[test]
fn data_files() {
    let arrivals = |process: &str, file: &str| {
        format!(
            "[[arrivals]]\nprocess = \"{process}\"\nrecorded = \"{file}\"\n\
             handle_time = {{ file = \"times.csv\" }}\n"
        )
    };
    let text = format!(
        "{HEAD}{}{}{AGENTS}",
        arrivals("sales/leads", "arrivals.csv"),
        arrivals("other/one", "arrivals.jsonl")
    );
    let csv = "at;process;handle_time\n2026-03-02T08:00:00Z;sales/leads;90\n\
               2026-03-02T07:30:00Z;sales/leads;\n2026-03-02T07:00:00Z;other/one;5m\n";
    let jsonl = "{\"at\": \"2026-03-02T08:00:00Z\", \"due_at\": \"2026-03-02T09:00:00Z\"}\n\n\
                 {\"at\": \"2026-03-02T08:00:01Z\", \"handle_time\": 1.5}\n";
    let times = "handle_time\n5m30s\n90\n";
    let files = [("arrivals.csv", csv), ("arrivals.jsonl", jsonl), ("times.csv", times)];
    let checked = load(&text, &files, None);
    assert_eq!(mistakes(&checked), Vec::<String>::new());
    let (spec, _) = checked.scenario.unwrap();
    let Flow::Recorded(first) = &spec.arrivals[0].flow else { panic!("recorded") };
    assert_eq!(first.len(), 2, "those of the other process are left out");
    assert!(first[0].at < first[1].at, "in the order of time");
    assert_eq!(first[1].handle_time, Some(Millis(90_000)));
    let Flow::Recorded(second) = &spec.arrivals[1].flow else { panic!("recorded") };
    assert_eq!(second[1].handle_time, Some(Millis(1_500)));
    assert!(second[0].due_at.is_some());
    let Distribution::Empirical(times) = &spec.arrivals[0].handle_time else { panic!("times") };
    assert_eq!(**times, [Millis(330_000), Millis(90_000)]);
}

#[test]
fn every_mistake_has_its_place() {
    let text = r#"start = 2026-03-02T07:00:00
horizn = "14h"
warm_up = "30h"

[[arrivals]]
process = "sales/lead"
priority = "golden"
per_hour = 10
every = "5m"
handle_time = { exponental = "12m" }
requires = { germn = 160, sales = 50 }
required_agent = "a-3"

[[arrivals]]
process = "sales/leads"
rates = [{ days = "mon-fry", by_hour = [1, 2] }]
handle_time = { from = "5m", to = "4m" }
patience = 5

[[agents]]
name = "a"
count = 2
skills = { salez = 5 }
groups = ["lisbon"]
shifts = [{ from = "8h", to = "25:00" }]
breaks = [{ reason = "Lunchh" }]
decline = 0.7
ring_out = 0.5

[[agents]]
name = "a"
"#;
    let checked = load(text, &[], Some(&config()));
    assert!(checked.scenario.is_none());
    let expected = [
        "scenario.toml:1:9 GANTRY-C006 `start` is no instant",
        "scenario.toml:2:1 GANTRY-C003 unknown key `horizn` in the scenario",
        "scenario.toml:3:11 GANTRY-C006 the warm-up is as long as everything",
        "scenario.toml:5:1 GANTRY-C005 [[arrivals]] number 1 must have one of `per_hour`, \
         `rates`, `every`, `recorded`",
        "scenario.toml:6:11 GANTRY-C009 unknown process `sales/lead`",
        "scenario.toml:7:12 GANTRY-C009 unknown priority schema `golden`",
        "scenario.toml:10:17 GANTRY-C003 unknown key `exponental` in `handle_time` in \
         [[arrivals]] number 1",
        "scenario.toml:11:22 GANTRY-C006 level of `germn` in `requires` in [[arrivals]] number 1 \
         is out of range",
        "scenario.toml:12:18 GANTRY-C009 no agent `a-3`",
        "scenario.toml:16:19 GANTRY-C006 `days` in a rate of `rates` in [[arrivals]] number 2 \
         cannot be read",
        "scenario.toml:16:40 GANTRY-C006 `by_hour` in a rate of `rates` in [[arrivals]] number 2 \
         has 2 numbers",
        "scenario.toml:17:35 GANTRY-C006 `to` in `handle_time` in [[arrivals]] number 2 comes \
         before `from`",
        "scenario.toml:18:12 GANTRY-C007 `patience` in [[arrivals]] number 2 needs a unit",
        "scenario.toml:23:12 GANTRY-C009 unknown skill `salez`",
        "scenario.toml:24:10 GANTRY-C009 unknown group `lisbon`",
        "scenario.toml:25:20 GANTRY-C006 `from` in one of `shifts` of agents `a` is no time of \
         the day",
        "scenario.toml:25:31 GANTRY-C006 `to` in one of `shifts` of agents `a` is no time of the \
         day",
        "scenario.toml:26:22 GANTRY-C009 unknown not-ready reason `Lunchh`",
        "scenario.toml:27:11 GANTRY-C006 `decline` and `ring_out` in agents `a` add up to more \
         than 1",
        "scenario.toml:30:1 GANTRY-C005 agents `a` needs `count`",
        "scenario.toml:30:1 GANTRY-C008 agents `a` are there twice",
    ];
    assert_eq!(mistakes(&checked), expected);
}

#[test]
fn mistakes_in_data_files_have_their_line() {
    let text = format!(
        "{HEAD}[[arrivals]]\nprocess = \"sales/leads\"\nrecorded = \"a.csv\"\n\
         handle_time = {{ file = \"t.csv\" }}\npatience = {{ file = \"none.csv\" }}\n{AGENTS}"
    );
    let files =
        [("a.csv", "at,handle_tme\n2026-03-02T07:00:00Z,5m\n"), ("t.csv", "handle_time\n5m\n-1\n")];
    let checked = load(&text, &files, None);
    let found = mistakes(&checked);
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found[0].starts_with("scenario.toml:7:21 GANTRY-C001 cannot read"), "{found:?}");
    assert_eq!(found[1], "a.csv:1:4 GANTRY-C025 unknown column `handle_tme`");
    assert_eq!(found[2], "t.csv:3:1 GANTRY-C025 `handle_time` cannot be read");
    let help = checked.findings[1].help.as_deref();
    assert_eq!(help, Some("did you mean `handle_time`?"));
}

#[test]
fn what_is_no_toml_and_what_is_not_there() {
    let found = mistakes(&load("start = \n", &[], None));
    assert!(found[0].starts_with("scenario.toml:1:"), "{found:?}");
    let missing = load_scenario(&PathBuf::from("/nowhere/scenario.toml"), None);
    assert!(missing.scenario.is_none());
    assert_eq!(missing.findings.len(), 1);
    let found = mistakes(&load("", &[], None));
    assert_eq!(found.len(), 4, "start, horizon, arrivals, agents: {found:?}");
}
