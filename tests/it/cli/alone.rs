//! What needs no hub: config checks, help, clear words where a hub is missing.

use std::collections::VecDeque;
use std::fs;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use gantry_tests::built;
use gantry_tests::place::Place;
use gantry_tests::world::World;
use serde_json::{Value, json};
use tokio::process::Command;

/// Line and code of each mistake in `tests/cases/config/five_mistakes.toml`.
const FIVE: [(u64, &str); 5] = [
    (4, "GANTRY-C003"),
    (13, "GANTRY-C007"),
    (16, "GANTRY-C011"),
    (23, "GANTRY-C020"),
    (33, "GANTRY-C010"),
];

#[tokio::test]
async fn five_mistakes_are_told_at_once_each_with_its_line() -> Result<()> {
    let place = Place::new(&[])?;
    let config = built::case("config/five_mistakes.toml")?;
    fs::write(place.path("gantry.toml"), &config)?;
    let expected = built::case("config/five_mistakes.txt")?;

    let shown = place.gantry(&["check"]).await?;
    ensure!(shown.code == 1, "{shown:?}");
    ensure!(shown.stdout == expected, "expected\n{expected}\ngot\n{}", shown.stdout);

    let told = place.gantry(&["check", "--json"]).await?;
    ensure!(told.code == 1, "{told:?}");
    let told: Value = serde_json::from_str(&told.stdout)?;
    ensure!(told["ok"] == false, "{told}");
    let findings = told["findings"].as_array().context("no findings")?.iter();
    let found: Vec<_> = findings
        .map(|finding| (finding["line"].as_u64().unwrap_or(0), finding["code"].as_str()))
        .collect();
    ensure!(found == FIVE.map(|(line, code)| (line, Some(code))), "{found:?}");

    // The hub says the same, and starts nothing.
    let run = place.gantry(&["run"]).await?;
    ensure!(run.code == 2 && run.stdout.is_empty(), "{run:?}");
    for (_, code) in FIVE {
        ensure!(run.stderr.contains(code), "{code} is missing: {}", run.stderr);
    }
    ensure!(!run.stderr.contains("swordfish"), "a secret is shown: {}", run.stderr);
    ensure!(!place.path("data/gantry.db").exists(), "a store was made");
    Ok(())
}

#[tokio::test]
async fn a_good_config_is_fine_and_a_missing_one_is_named() -> Result<()> {
    let place = Place::with(&["sources", "webhook"])?;
    let fine = place.gantry(&["check"]).await?;
    ensure!(fine.code == 0 && fine.stdout.contains("gantry.toml is fine: "), "{fine:?}");
    for part in ["1 process, ", "1 priority schema"] {
        ensure!(fine.stdout.contains(part), "{part:?} is missing: {fine:?}");
    }
    let fine = place.gantry(&["check", "--json"]).await?.json()?;
    let nothing = json!({ "ok": true, "findings": [], "refused_plugins": [], "connections": [] });
    ensure!(fine == nothing, "{fine}");
    for command in ["check", "run", "verify"] {
        let missing = place.gantry(&[command, "--config", "elsewhere.toml"]).await?;
        ensure!(missing.code == 2 && missing.stderr.contains("elsewhere.toml"), "{missing:?}");
    }
    Ok(())
}

/// Subcommands that the help of a command lists.
fn subcommands(help: &str) -> impl Iterator<Item = &str> {
    let list = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let names = list.take_while(|line| !line.is_empty());
    names.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help")
}

#[tokio::test]
async fn every_help_has_an_example_that_can_be_typed() -> Result<()> {
    let place = Place::new(&[])?;
    let mut commands = VecDeque::from([Vec::<String>::new()]);
    let mut n_examples = 0;
    while let Some(command) = commands.pop_front() {
        let mut arguments: Vec<&str> = command.iter().map(String::as_str).collect();
        arguments.push("--help");
        let help = place.gantry(&arguments).await?.stdout;
        commands.extend(subcommands(&help).map(|name| {
            let mut longer = command.clone();
            longer.push(name.to_owned());
            longer
        }));
        let (_, examples) = help
            .split_once("Example:\n")
            .with_context(|| format!("gantry {arguments:?} shows no example"))?;
        for example in examples.lines().filter_map(|line| line.trim().strip_prefix("gantry ")) {
            n_examples += 1;
            let mut typed: Vec<&str> = example.split_whitespace().collect();
            let of_this = command.iter().zip(&typed).all(|(name, typed)| name == typed);
            ensure!(of_this, "the help of {command:?} shows gantry {example}");
            if typed.first() == Some(&"run") {
                // It would not end by itself.
                typed.push("--help");
            }
            // It may fail in this folder, but what is typed has to be understood.
            let ran = place.gantry(&typed).await?;
            ensure!(!ran.stderr.starts_with("error:"), "gantry {example}: {}", ran.stderr);
        }
    }
    ensure!(n_examples >= 13, "only {n_examples} examples were found");
    Ok(())
}

#[tokio::test]
async fn a_missing_hub_is_told_with_the_command_that_starts_it() -> Result<()> {
    let place = Place::new(&[])?;
    let commands: [&[&str]; 6] = [
        &["item", "list"],
        &["item", "show", "orders/A-1"],
        &["explain", "W00004T4"],
        &["dlq", "list", "--json"],
        &["dlq", "retry", "all"],
        &["dlq", "retry", "r-17"],
    ];
    for command in commands {
        let ran = place.gantry(command).await?;
        let says = "start it with `gantry run --config gantry.toml`";
        ensure!(ran.code == 2 && ran.stderr.contains(says), "{command:?}: {ran:?}");
        ensure!(ran.stdout.is_empty(), "{command:?}: {ran:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_killed_hub_is_told_too_and_a_second_one_is_refused() -> Result<()> {
    let world = World::start(Place::new(&[])?, &[]).await?;
    let second = world.place.gantry(&["run", "--listen", "127.0.0.1:0"]).await?;
    let says = "is locked by another hub";
    ensure!(second.code == 2 && second.stderr.contains(says), "{second:?}");
    world.goes_on().await?;

    let World { hub, place, .. } = world;
    hub.kill().await?;
    let ran = place.gantry(&["item", "list"]).await?;
    ensure!(ran.code == 2 && ran.stderr.contains("no answer from the hub"), "{ran:?}");
    ensure!(ran.stderr.contains("gantry run"), "{ran:?}");
    Ok(())
}

#[tokio::test]
async fn a_reader_that_stops_early_is_no_reason_to_panic() -> Result<()> {
    let place = Place::new(&[])?;
    let mut child = Command::new(built::gantry())
        .args(["plugin", "inspect"])
        .arg(place.path("plugins/libgantry_connector_database.so"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    drop(child.stdout.take());
    let output = child.wait_with_output().await?;
    let stderr = String::from_utf8(output.stderr)?;
    ensure!(output.status.success() && stderr.is_empty(), "{}: {stderr}", output.status);
    Ok(())
}
