//! `gantry plugin test`: what ships with Gantry conforms, and what does not is told.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use gantry_tests::built;
use gantry_tests::cli::Ran;
use gantry_tests::place::Place;
use serde_json::Value;

use crate::languages::{add_program, is_there};

async fn test(place: &Place, plugin: &Path, test_file: &Path, more: &[&str]) -> Result<Ran> {
    let (plugin, test_file) = (plugin.display().to_string(), test_file.display().to_string());
    let arguments = ["plugin", "test", &plugin, "--test-file", &test_file];
    place.gantry(&[&arguments, more].concat()).await
}

/// The certificate at the end of the JSON lines, and the lines before it.
fn lines(ran: &Ran) -> Result<(Vec<Value>, Value)> {
    let lines = ran.stdout.lines().map(serde_json::from_str);
    let mut lines = lines.collect::<Result<Vec<Value>, _>>().context(format!("{ran:?}"))?;
    let last = lines.pop().context("nothing was printed")?;
    Ok((lines, last["certificate"].clone()))
}

/// What ships conforms, without a waiver, and so many cases could be asked.
fn conforms(ran: &Ran, transports: &[&str], n_passed: usize) -> Result<()> {
    let (lines, certificate) = lines(ran)?;
    let failed: Vec<_> = lines.iter().filter(|line| line["verdict"] == "failed").collect();
    ensure!(ran.code == 0 && failed.is_empty(), "{failed:#?}\n{}", ran.stderr);
    ensure!(certificate["conforms"] == true && certificate["waived"] == 0, "{certificate}");
    ensure!(certificate["transports"] == serde_json::json!(transports), "{certificate}");
    let passed = certificate["passed"].as_u64().unwrap_or_default() as usize;
    let skipped: Vec<_> = lines.iter().filter(|line| line["verdict"] == "skipped").collect();
    ensure!(passed >= n_passed, "{passed} only, for these were skipped: {skipped:#?}");
    Ok(())
}

async fn library_conforms(library: &Path, test_file: &str, n_passed: usize) -> Result<()> {
    if !is_there("python3") {
        eprintln!("SKIPPED: Python is not installed");
        return Ok(());
    }
    let ran = test(&Place::new(&[])?, library, &built::source(test_file), &["--json"]).await?;
    conforms(&ran, &["process", "in-process"], n_passed)
}

async fn connector_conforms(name: &str, n_passed: usize) -> Result<()> {
    let library = built::plugins().join(format!("libgantry_connector_{name}.so"));
    let test_file = format!("connectors/{name}/conformance/gantry-plugin-test.toml");
    library_conforms(&library, &test_file, n_passed).await
}

#[tokio::test]
async fn the_files_connector_conforms() -> Result<()> {
    connector_conforms("files", 121).await
}

#[tokio::test]
async fn the_webhook_connector_conforms() -> Result<()> {
    connector_conforms("webhook", 127).await
}

#[tokio::test]
async fn the_database_connector_conforms() -> Result<()> {
    connector_conforms("database", 159).await
}

#[tokio::test]
async fn the_salesforce_connector_conforms() -> Result<()> {
    connector_conforms("salesforce", 180).await
}

#[tokio::test]
async fn the_email_connector_conforms() -> Result<()> {
    if !Path::new("/usr/sbin/dovecot").exists() {
        eprintln!("SKIPPED: Dovecot is not installed");
        return Ok(());
    }
    connector_conforms("email", 198).await
}

#[tokio::test]
async fn the_example_in_rust_conforms() -> Result<()> {
    let library = built::test_library("example-counter");
    library_conforms(&library, "examples/rust-plugin/gantry-plugin-test.toml", 139).await
}

#[tokio::test]
async fn the_example_in_python_conforms() -> Result<()> {
    if !is_there("python3") {
        eprintln!("SKIPPED: Python is not installed");
        return Ok(());
    }
    let place = Place::new(&[])?;
    add_program(&place, "csv", "python-plugin", "python/gantry_plugin", "gantry_plugin")?;
    // The test file is found in the folder of the program.
    let ran = place.gantry(&["plugin", "test", "plugins/csv", "--json"]).await?;
    conforms(&ran, &["process"], 77)
}

#[tokio::test]
async fn the_example_in_javascript_conforms() -> Result<()> {
    if !is_there("node") {
        eprintln!("SKIPPED: Node.js is not installed");
        return Ok(());
    }
    let place = Place::new(&[])?;
    add_program(&place, "rest", "node-plugin", "node", "node_modules/gantry-plugin")?;
    let ran = place.gantry(&["plugin", "test", "plugins/rest", "--json"]).await?;
    conforms(&ran, &["process"], 93)
}

/// The library that does wrong what it is told to.
fn misbehaving() -> (PathBuf, PathBuf) {
    let library = built::test_library("test-misbehaving");
    let told = "core/plugin-host/tests/plugins/misbehaving/gantry-plugin-test.toml";
    (library, built::source(told))
}

#[tokio::test]
async fn panics_and_hangs_are_provoked_and_survived() -> Result<()> {
    let (library, told) = misbehaving();
    let place = Place::new(&[])?;
    for (filter, n_passed) in [("panic/", 14), ("lifecycle/", 22), ("stream/", 10)] {
        let ran = test(&place, &library, &told, &["--filter", filter, "--json"]).await?;
        let (lines, certificate) = lines(&ran)?;
        let failed: Vec<_> = lines.iter().filter(|line| line["verdict"] == "failed").collect();
        ensure!(failed.is_empty(), "{failed:#?}");
        ensure!(certificate["passed"].as_u64() >= Some(n_passed), "{certificate}");
    }
    Ok(())
}

/// Its border and its manifest, which the packages for authors leave no room to get wrong.
#[tokio::test]
async fn a_careless_program_is_found_out() -> Result<()> {
    if !is_there("python3") {
        eprintln!("SKIPPED: Python is not installed");
        return Ok(());
    }
    let program = built::source("tests/cases/conformance/careless").display().to_string();
    let ran = Place::new(&[])?.gantry(&["plugin", "test", &program, "--json"]).await?;
    let (lines, _) = lines(&ran)?;
    let failed = lines.iter().filter(|line| line["verdict"] == "failed");
    let failed: Vec<_> = failed.filter_map(|line| line["case"].as_str()).collect();
    let expected = [
        "abi/manifest",
        "abi/unknown_opcode",
        "abi/unknown_target",
        "abi/garbage",
        "abi/foreign_role",
        "abi/foreign_operation",
        "config/closed",
        "config/described",
        "config/unknown_key",
        "config/missing_key",
        "config/wrong_type",
        "config/create_refuses",
        "config/secrets_marked",
        "lifecycle/suggest",
    ];
    ensure!(ran.code == 1 && failed == expected, "{failed:#?}");
    Ok(())
}

#[tokio::test]
async fn records_without_credit_are_found_out() -> Result<()> {
    let (library, _) = misbehaving();
    let place = Place::new(&[])?;
    let told = place.path("told.toml");
    fs::write(&told, "[capture]\nrecords = 6\nsettings = { behaviour = \"without_credit\" }\n")?;
    let more = ["--filter", "stream/credit", "--transport", "process"];
    let ran = test(&place, &library, &told, &more).await?;
    ensure!(ran.code == 1 && ran.stdout.contains("FAILED   credit"), "{ran:?}");
    Ok(())
}

#[tokio::test]
async fn what_does_not_conform_is_told_to_people_and_machines() -> Result<()> {
    let (library, told) = misbehaving();
    let place = Place::new(&[])?;
    let junit = place.path("report.xml").display().to_string();
    let more = ["--filter", "_position", "--junit", &junit, "--transport", "in-process"];
    let ran = test(&place, &library, &told, &more).await?;
    ensure!(ran.code == 1, "{ran:?}");
    for says in [
        "    FAILED   foreign_position",
        "             expected: an error of class `cursor_expired`",
        "             remedy:   return `Error::cursor_expired` when a position cannot be read",
        "misbehaving 0.1.0 DOES NOT CONFORM: ",
    ] {
        ensure!(ran.stdout.contains(says), "{says:?} is missing:\n{}", ran.stdout);
    }
    let report = fs::read_to_string(&junit)?;
    for says in [
        "<testsuite name=\"misbehaving (in-process)\" tests=\"1\" failures=\"1\"",
        "<testcase classname=\"capture\" name=\"foreign_position\"",
        "<failure message=\"A position that makes no sense is an error of class `cursor_expired`\">",
    ] {
        ensure!(report.contains(says), "{says:?} is missing:\n{report}");
    }
    let more = ["--filter", "/killed_before", "--junit", &junit, "--transport", "in-process"];
    let ran = test(&place, &library, &told, &more).await?;
    let says = "    skipped  killed_before_acknowledged     it has no process of its own";
    ensure!(ran.code == 0 && ran.stdout.contains(says), "{ran:?}");
    let says = "<skipped message=\"it has no process of its own\"/>";
    let report = fs::read_to_string(&junit)?;
    ensure!(report.contains(says), "{says:?} is missing:\n{report}");
    Ok(())
}

#[tokio::test]
async fn a_waiver_takes_a_failure_out_of_the_verdict_and_has_to_be_needed() -> Result<()> {
    let (library, _) = misbehaving();
    let place = Place::new(&[])?;
    let told = place.path("told.toml");
    let manifest = "[waivers]\n\"abi/manifest\" = \"it is made for tests only\"\n";
    fs::write(&told, manifest)?;
    let ran = test(&place, &library, &told, &["--filter", "abi/manifest"]).await?;
    ensure!(ran.code == 0, "{ran:?}");
    let says = "waived   manifest                       it is made for tests only";
    ensure!(ran.stdout.contains(says) && ran.stdout.contains("2 waived"), "{}", ran.stdout);

    fs::write(&told, "[waivers]\n\"abi/unknown_opcode\" = \"it never learns\"\n")?;
    let ran = test(&place, &library, &told, &["--filter", "abi/unknown_opcode"]).await?;
    let says = "waiver of abi/unknown_opcode is needless";
    ensure!(ran.code == 1 && ran.stdout.contains(says), "{ran:?}");

    fs::write(&told, "[waivers]\n\"abi/manifests\" = \"who knows\"\n")?;
    let ran = test(&place, &library, &told, &[]).await?;
    let says = "`[waivers]` names `abi/manifests`, which is no case";
    ensure!(ran.code == 2 && ran.stderr.contains(says), "{ran:?}");
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_tested_says_why() -> Result<()> {
    let (library, told) = misbehaving();
    let place = Place::new(&[])?;
    let ran = test(&place, &library, &told, &["--filter", "no-such"]).await?;
    ensure!(ran.code == 2 && ran.stderr.contains("no case has `no-such`"), "{ran:?}");
    let ran = test(&place, Path::new("gantry.toml"), &told, &[]).await?;
    ensure!(ran.code == 2 && ran.stderr.contains("GANTRY-P0"), "{ran:?}");
    let broken = place.path("broken.toml");
    fs::write(&broken, "[upstream]\ncommand = [\"/no/such/program\"]\n")?;
    let ran = test(&place, &library, &broken, &[]).await?;
    ensure!(ran.code == 2 && ran.stderr.contains("cannot start the upstream"), "{ran:?}");
    Ok(())
}

#[tokio::test]
async fn the_page_tells_each_case() -> Result<()> {
    let listed = Place::new(&[])?.gantry(&["plugin", "test", "--list", "--json"]).await?.json()?;
    let page = fs::read_to_string(built::source("docs/plugins/testing.md"))?;
    let told: Vec<_> = page
        .lines()
        .filter(|line| line.starts_with("| `") && line.contains('/'))
        .filter(|line| !line.contains("cargo test") && !line.contains("gantry plugin test"))
        .collect();
    let cases = listed.as_array().context("no list")?;
    let row = |case: &Value| {
        let text = |key: &str| case[key].as_str().unwrap_or_default().to_owned();
        format!("| `{}` | {} |", text("case"), text("asks"))
    };
    let cases: Vec<_> = cases.iter().map(row).collect();
    ensure!(told == cases, "the table of cases in docs/plugins/testing.md is not that of the code");
    Ok(())
}
