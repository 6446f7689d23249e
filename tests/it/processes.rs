//! A plug-in in a process of its own, killed under load: the hub loses nothing and doubles nothing,
//! and a plug-in that fails too often is quarantined with the reason,
//! until somebody reloads it.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use gantry_tests::built;
use gantry_tests::place::Place;
use gantry_tests::world::World;
use serde_json::Value;

/// As many as the source has.
const N_NUMBERS: u64 = 3000;

/// Failures after which it is quarantined.
const N_FAILURES: u64 = 5;

/// The plug-in's process: the only child of the hub.
fn process_of(hub: u64) -> Option<u64> {
    every_process().into_iter().find(|pid| parent(*pid) == Some(hub))
}

fn every_process() -> Vec<u64> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

fn parent(pid: u64) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().parse().ok()
}

fn created(status: &Value) -> u64 {
    status["captures"]["row"]["created"].as_u64().unwrap_or_default()
}

#[tokio::test]
async fn a_process_killed_under_load_loses_nothing_and_doubles_nothing() -> Result<()> {
    let place = Place::new(&[("numbers", built::case("processes/numbers.toml")?)])?;
    place.add_plugin(&built::test_library("example-counter"))?;
    let world = World::start(place, &[]).await?;
    let running = fs::read_to_string(world.place.path("data/gantry.db.run"))?;
    let running: Value = serde_json::from_str(&running)?;
    let hub = running["process"].as_u64().context("the run file names no process")?;
    let mut last = 0;
    for n_killed in 1..=N_FAILURES {
        // Each time it is at work again, and has got further.
        let n = N_NUMBERS * n_killed / (N_FAILURES + 1);
        world.until("/status", |status| created(status) >= n).await?;
        let process = process_of(hub).context("the plug-in has no process")?;
        ensure!(process != last, "it was not started again");
        last = process;
        if n_killed == N_FAILURES {
            world.until("/status", |status| created(status) == N_NUMBERS).await?;
        }
        let killed = Command::new("kill").args(["-KILL", &process.to_string()]).status()?;
        ensure!(killed.success(), "cannot kill {process}");
    }
    let stopped = |status: &Value| status["captures"]["row"]["state"] == "stopped";
    let status = world.until("/status", stopped).await?;
    let row = &status["captures"]["row"];
    ensure!(created(&status) == N_NUMBERS && row["repeats"] == 0 && row["refused"] == 0, "{row}");
    let message = row["last_error"]["message"].as_str().context("no reason")?;
    let reason =
        "is quarantined: killed by SIGKILL, 5 times in 10 min; reload it to try it again: ";
    ensure!(message.contains(reason), "{message}");
    let answer = world.post("/plugins/counter/reload", &serde_json::json!({})).await?;
    ensure!(answer.status == 200, "{answer:?}");
    world.until("/status", |status| status["captures"]["row"]["state"] == "running").await?;
    world.hub.stop().await?;
    ensure!(process_of(hub).is_none());
    Ok(())
}
