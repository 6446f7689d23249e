//! 1,434 real permit applications, captured from a database while the hub is killed again and
//! again: at the end each exists once, is completed once, and the source says so.

mod agents;
mod player;
mod source;

use anyhow::{Context, Result, ensure};
use gantry_demo::hub::Hub;
use gantry_tests::built::{self, shared_data};
use gantry_tests::postgres::Postgres;
use tempfile::TempDir;

use agents::Staff;
use player::Player;
use source::Source;

/// How one life of the hub ends.
enum End {
    /// SIGKILL, once the hub has journaled this commit.
    Killed { at_commit: u64 },
    /// The process aborts itself at the n-th pass of a failpoint.
    Failpoint { name: &'static str, pass: u32 },
}

/// Five ends, at seeded places all over the run.
const ENDS: [End; 5] = [
    End::Killed { at_commit: 12 },
    End::Failpoint { name: "store.after_commit", pass: 60 },
    End::Killed { at_commit: 350 },
    End::Failpoint { name: "store.mid_commit", pass: 200 },
    End::Failpoint { name: "store.before_commit", pass: 250 },
];

#[tokio::test]
async fn every_permit_ends_once_from_sqlite() -> Result<()> {
    let Some(data) = shared_data("permits") else {
        eprintln!("SKIPPED: the permit data is not there (../shared/data/permits)");
        return Ok(());
    };
    let folder = tempfile::tempdir()?;
    let source = Source::sqlite(&data, folder.path()).await?;
    play(&data, &folder, source).await
}

#[tokio::test]
async fn every_permit_ends_once_from_postgres() -> Result<()> {
    let Some(data) = shared_data("permits") else {
        eprintln!("SKIPPED: the permit data is not there (../shared/data/permits)");
        return Ok(());
    };
    let Some((server, pool)) = Postgres::start().await? else {
        eprintln!("SKIPPED: PostgreSQL is not installed");
        return Ok(());
    };
    let folder = tempfile::tempdir()?;
    let source = Source::postgres(&data, pool, server.port).await?;
    play(&data, &folder, source).await
}

async fn play(data: &std::path::Path, folder: &TempDir, source: Source) -> Result<()> {
    let config = source.write_config(folder.path())?;
    let staff = Staff::read(data)?;
    check_connections(&config).await?;
    let mut player = Player::new(source.n_cases());
    for end in &ENDS {
        let failpoint = match end {
            End::Failpoint { name, pass } => Some(format!("{name}:{pass}")),
            End::Killed { .. } => None,
        };
        let env: Vec<_> =
            failpoint.iter().map(|value| ("GANTRY_FAILPOINT", value.as_str())).collect();
        let hub = built::start_hub(&config, &env).await;
        match (hub, end) {
            (Ok(hub), End::Killed { at_commit }) => {
                player.work_until(&hub, &staff, Some(*at_commit)).await?;
                hub.kill().await?;
            }
            (Ok(mut hub), End::Failpoint { .. }) => {
                player.work_until(&hub, &staff, None).await?;
                let status = hub.ended().await?;
                ensure!(!status.success(), "the failpoint did not end the hub");
            }
            (Err(error), _) => return Err(error.context("starting the hub again")),
        }
        verify_journal(&config).await?;
    }
    let hub = built::start_hub(&config, &[]).await?;
    player.work_until(&hub, &staff, None).await?;
    check_items(&hub, source.n_cases()).await?;
    hub.stop().await?;
    verify_journal(&config).await?;
    source.check_all_ended_once().await
}

/// `gantry check --connect` finds that the source, its table and the statement all work.
async fn check_connections(config: &std::path::Path) -> Result<()> {
    let output = tokio::process::Command::new(built::gantry())
        .args(["check", "--connect", "--json", "--config"])
        .arg(config)
        .arg("--plugins")
        .arg(built::plugins())
        .output()
        .await?;
    let report: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    ensure!(output.status.success() && report["ok"] == true, "the config does not work: {report}");
    let parts = report["connections"].as_array().context("no connections")?;
    ensure!(parts.len() == 3, "source, capture and callback were to be tried: {report}");
    Ok(())
}

/// The state rebuilt from the journal equals the state that was stored, byte for byte.
async fn verify_journal(config: &std::path::Path) -> Result<()> {
    let output = tokio::process::Command::new(built::gantry())
        .args(["verify", "--json", "--config"])
        .arg(config)
        .output()
        .await?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "the journal does not give the stored state: {error}");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    ensure!(report["events"].as_u64().context("no count of events")? > 0, "an empty journal");
    Ok(())
}

/// The hub knows every case once, and each is completed.
async fn check_items(hub: &Hub, n_cases: usize) -> Result<()> {
    let mut seen = std::collections::BTreeSet::new();
    let mut after = String::new();
    loop {
        let page = hub.admin.get(&format!("/items?limit=200{after}")).await?;
        let items = page["items"].as_array().context("no items")?;
        for item in items {
            let id = item["external_id"].as_str().context("an item without external id")?;
            ensure!(item["status"] == "completed", "{id} is {}", item["status"]);
            ensure!(seen.insert(id.to_owned()), "{id} exists twice");
        }
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    ensure!(seen.len() == n_cases, "{} of {n_cases} cases are there", seen.len());
    Ok(())
}
