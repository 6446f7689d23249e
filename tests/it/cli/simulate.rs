//! `gantry simulate`: the example, twice the same, and what is wrong with a scenario.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use gantry_tests::place::Place;

const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/simulate");

#[tokio::test]
async fn the_example_gives_the_same_bytes_every_time() -> Result<()> {
    let place = Place::new(&[])?;
    let (scenario, config) = (format!("{EXAMPLE}/monday.toml"), format!("{EXAMPLE}/gantry.toml"));
    let run = |more: &'static [&'static str]| {
        let options = ["simulate", &scenario, "--config", &config].map(str::to_owned);
        let options: Vec<String> =
            options.into_iter().chain(more.iter().map(ToString::to_string)).collect();
        let place = &place;
        async move {
            let options: Vec<&str> = options.iter().map(String::as_str).collect();
            place.gantry(&options).await
        }
    };
    let first = run(&["--trace", "first.jsonl"]).await?;
    ensure!(first.code == 0, "{first:?}");
    for part in ["sales/leads", "gold", "seniors", "no agent has german >= 60"] {
        ensure!(first.stdout.contains(part), "{part} is missing: {}", first.stdout);
    }
    let again = run(&["--trace", "again.jsonl"]).await?;
    ensure!(first.stdout == again.stdout, "{}\n{}", first.stdout, again.stdout);
    let [trace, same] = ["first.jsonl", "again.jsonl"].map(|name| fs::read(place.path(name)));
    let trace = trace?;
    ensure!(trace == same?, "two traces differ");
    ensure!(trace.split(|byte| *byte == b'\n').count() > 5_000, "the trace is short");

    let other = run(&["--seed", "2"]).await?;
    ensure!(other.code == 0 && first.stdout != other.stdout, "the seed has no effect");
    let several = run(&["--seeds", "3", "--json"]).await?.json()?;
    let runs = several["runs"].as_array().context("no runs")?;
    ensure!(runs.len() == 3 && several["spread"]["runs"] == 3, "{several}");
    Ok(())
}

#[tokio::test]
async fn mistakes_in_a_scenario_are_told_with_their_line() -> Result<()> {
    let place = Place::new(&[])?;
    let good = fs::read_to_string(Path::new(EXAMPLE).join("monday.toml"))?;
    let bad = good.replace("handle_time = \"15m\"", "handle_tim = \"15m\"");
    fs::write(place.path("bad.toml"), bad)?;
    let config = format!("{EXAMPLE}/gantry.toml");
    let told = place.gantry(&["simulate", "bad.toml", "--config", &config]).await?;
    ensure!(told.code == 1, "{told:?}");
    for part in ["GANTRY-C003", "did you mean `handle_time`?", "bad.toml:", "1 error"] {
        ensure!(told.stdout.contains(part), "{part} is missing: {}", told.stdout);
    }
    let missing = place.gantry(&["simulate", "nowhere.toml", "--config", &config]).await?;
    ensure!(missing.code == 1 && missing.stdout.contains("GANTRY-C001"), "{missing:?}");
    Ok(())
}
