//! A credential that the source replaces while it is used: kept over restarts, seen nowhere, and
//! given up for the one that the operator puts in its place.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};
use gantry_tests::built;
use gantry_tests::place::Place;
use gantry_tests::world::World;

use crate::languages::{add_files, is_there};

#[tokio::test]
async fn what_rotates_is_kept_over_restarts_until_the_operator_gives_another() -> Result<()> {
    if !is_there("python3") {
        eprintln!("SKIPPED: Python is not installed");
        return Ok(());
    }
    let place = Place::new(&[("tokens", built::case("credentials/tokens.toml")?)])?;
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = root.join("cases/credentials/plugin");
    add_files(&place, "tokens", &files, "python/gantry_plugin", "gantry_plugin")?;
    let folder = place.path("plugins/tokens");
    let mut writing = Command::new("python3");
    writing.args(["plug.py", "--manifest"]).current_dir(&folder);
    ensure!(writing.output()?.status.success(), "no manifest");
    let world = World::start(place, &[("SHOP_TOKEN", "canary-token-1")]).await?;
    world.queued("uses", "use-1").await?;
    let kept = world.place.path("data/gantry.db.credentials");
    let mode = fs::metadata(&kept)?.permissions().mode();
    ensure!(mode & 0o777 == 0o600, "others may read it: {mode:o}");

    // What the shop gave is used after a crash; the old one would not do.
    let World { hub, place, .. } = world;
    hub.kill().await?;
    let world = World::start(place, &[("SHOP_TOKEN", "canary-token-1")]).await?;
    world.queued("uses", "use-2").await?;

    // What the operator gives counts, as soon as it is another one.
    let World { hub, place, .. } = world;
    hub.stop().await?;
    let world = World::start(place, &[("SHOP_TOKEN", "canary-token-70")]).await?;
    world.queued("uses", "use-70").await?;
    let told = fs::read_to_string(world.place.path("hub.log"))?;
    ensure!(told.contains("the shop gave ***"), "the plug-in's log is not there: {told}");
    ensure!(!told.contains("canary"), "a token is in the log: {told}");
    Ok(())
}
