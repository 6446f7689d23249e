//! `cargo xtask demo --once`, without the building: the demo plays itself to the end.

use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use gantry_demo::world::{CARTS, LEADS, ORDERS};
use gantry_tests::built;
use serde_json::Value;
use tokio::process::Command;

#[tokio::test]
async fn the_demo_ends_by_itself_and_counts_right() -> Result<()> {
    let output = Command::new(built::demo())
        .arg("--gantry")
        .arg(built::gantry())
        .arg("--plugins")
        .arg(built::plugins())
        .args(["--once", "--json"])
        .stdin(Stdio::null())
        .output()
        .await?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "the demo ended with {}: {stderr}", output.status);
    let report: Value = serde_json::from_slice(&output.stdout).context("reading its report")?;
    let count = |key: &str| report[key].as_u64().unwrap_or_default();
    let (leads, total) = (LEADS as u64, (LEADS + ORDERS + CARTS) as u64);
    for (key, expected) in [
        ("captured", total),
        ("completed", total),
        ("leads_in_crm", leads),
        ("leads_closed_in_crm", leads),
    ] {
        ensure!(count(key) == expected, "{key} is not {expected}: {report}");
    }
    // Each lead was looked up, assigned and done, and told so; somebody let an offer ring.
    ensure!(count("enriched") >= leads && count("callbacks") >= 2 * leads, "{report}");
    ensure!(count("confirmed_by_source") >= leads, "{report}");
    ensure!(count("rona") >= 1 && count("offered") >= total + count("rona"), "{report}");
    Ok(())
}
