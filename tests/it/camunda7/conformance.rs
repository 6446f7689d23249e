//! The connector conforms, with a real engine as its upstream.

use anyhow::{Context, Result, ensure};
use gantry_tests::peers::engine::{Engine, Product};
use gantry_tests::place::Place;
use gantry_tests::{built, cli};
use serde_json::Value;

/// Groups of cases, and how many of each can be asked of a process of its own.
const GROUPS: [(&str, usize); 9] = [
    ("abi/", 10),
    ("config/", 8),
    ("lifecycle/", 10),
    ("capture/", 20),
    ("lookup/", 8),
    ("callback/", 5),
    ("secrets/", 0),
    ("chaos/", 5),
    ("perf/", 0),
];

#[tokio::test]
async fn it_conforms_with_a_real_engine() -> Result<()> {
    let Some(engine) = Engine::start(Product::Operaton).await? else { return Ok(()) };
    engine.deploy("claim", &built::case("connectors/claim.bpmn")?).await?;
    let place = Place::new(&[])?;
    let library = built::plugins().join("libgantry_connector_camunda7.so").display().to_string();
    let test_file = built::source("connectors/camunda7/conformance/gantry-plugin-test.toml");
    let test_file = test_file.display().to_string();
    let endpoint = engine.endpoint();
    let env = [("GANTRY_TEST_ENGINE", endpoint.as_str())];
    for (group, n_passed) in GROUPS {
        let arguments = ["plugin", "test", &library, "--test-file", &test_file, "--json"];
        let arguments = [&arguments[..], &["--transport", "process", "--filter", group]].concat();
        let ran = cli::gantry_with(place.path(""), &arguments, &env).await?;
        let lines = ran.stdout.lines().map(serde_json::from_str);
        let mut lines = lines.collect::<Result<Vec<Value>, _>>().context(format!("{ran:?}"))?;
        let certificate = lines.pop().context("nothing was printed")?["certificate"].clone();
        let failed: Vec<_> = lines.iter().filter(|line| line["verdict"] == "failed").collect();
        ensure!(ran.code == 0 && failed.is_empty(), "{group}: {failed:#?}\n{}", ran.stderr);
        let passed = certificate["passed"].as_u64().unwrap_or_default();
        ensure!(passed >= n_passed as u64, "{group}: {passed} only: {lines:#?}");
        ensure!(certificate["waived"] == 0, "{certificate}");
    }
    Ok(())
}
