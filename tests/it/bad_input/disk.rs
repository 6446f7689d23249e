//! A full disk: nothing is taken, nothing is lost, and work goes on as soon as there is room.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use gantry_tests::place::Place;
use gantry_tests::world::World;
use reqwest::Method;
use serde_json::json;
use tokio::process::Command;

/// A small file system of its own, as long as it lives.
struct Disk(PathBuf);

impl Disk {
    /// `None` where this process may not mount one.
    async fn mount(at: &Path) -> Result<Option<Self>> {
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=8m,mode=0700", "gantry-test"]).arg(at);
        let mounted = mount.output().await.context("starting mount")?;
        Ok(mounted.status.success().then(|| Self(at.to_path_buf())))
    }

    /// Writes until nothing fits any more.
    fn fill(&self) -> Result<()> {
        let mut ballast = fs::File::create(self.ballast())?;
        while ballast.write_all(&[0; 512]).is_ok() {}
        Ok(())
    }

    fn make_room(&self) -> Result<()> {
        Ok(fs::remove_file(self.ballast())?)
    }

    fn ballast(&self) -> PathBuf {
        self.0.join("ballast")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: the hub may still be on its way out.
        let _ = std::process::Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[tokio::test]
async fn a_full_disk_takes_nothing_and_loses_nothing() -> Result<()> {
    let place = Place::new(&[])?;
    let Some(disk) = Disk::mount(&place.path("data")).await? else {
        eprintln!("SKIPPED: no small file system can be mounted here (that takes root)");
        return Ok(());
    };
    let world = World::start(place, &[]).await?;
    // Bound again, so that it is unmounted before the folder around it is removed.
    let disk = disk;
    world.goes_on().await?;

    disk.fill()?;
    // A record that needs new pages; small ones may fit into those that are there.
    let record = json!({ "id": "D-1", "subject": "x".repeat(100_000) });
    let capture = world.post("/capture/orders", &record);
    let degraded = async {
        let status = world.until("/status", |status| status["health"] == "degraded").await?;
        let reason = status["reason"].as_str().unwrap_or_default().to_owned();
        ensure!(reason.contains("the disk is full; free some space"), "{reason:?}");
        let ready = world.send(world.request(Method::GET, "//readyz")).await?;
        ensure!(ready.status == 503, "/readyz answers {}", ready.status);
        let alive = world.send(world.request(Method::GET, "//healthz")).await?;
        ensure!(alive.status == 200, "/healthz answers {}", alive.status);
        let refused = world.post("/capture/orders", &json!({ "id": "D-2" })).await?;
        refused.must_be_problem(503, "GANTRY-W023", "the disk is full; free some space")?;
        ensure!(refused.retry_after.is_some(), "no Retry-After");
        world.must_explain("GANTRY-W023").await?;
        // What reads goes on.
        world.hub.admin.get("/capture/orders/probe-0").await?;
        disk.make_room()
    };
    let (captured, degraded) = tokio::join!(capture, degraded);
    degraded?;
    // Whoever waited is answered once there is room, with what is then on disk.
    let captured = captured?;
    ensure!(captured.status == 201, "{} {}", captured.status, captured.text);
    world.queued("orders", "D-1").await?;
    let status = world.until("/status", |status| status["health"] == "ready").await?;
    ensure!(status["hub"]["retries"].as_u64() > Some(0), "{status}");
    world.goes_on().await?;

    world.hub.stop().await?;
    let verified = world.place.gantry(&["verify", "--json"]).await?.json()?;
    ensure!(verified["differences"] == json!([]), "{verified}");
    Ok(())
}
