//! The stand-in is as an org is, say client libraries that others wrote.

use std::ffi::OsStr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use gantry_tests::built;
use gantry_tests::peers::salesforce::file;
use serde_json::json;
use tokio::process::Command;

use super::scene;

/// A proof has to end within this time.
const WITHIN: Duration = Duration::from_mins(2);

async fn succeeds(command: &mut Command) -> Result<()> {
    let ran = tokio::time::timeout(WITHIN, command.kill_on_drop(true).output()).await;
    let output = ran.context("it does not end")??;
    let (out, error) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let took_it = output.status.success() && out.contains("takes it for an org");
    ensure!(took_it, "{}\n{out}\n{error}", output.status);
    Ok(())
}

/// Says loudly that a library is not there.
fn is_missing(path: &Path) -> bool {
    let missing = !path.exists();
    if missing {
        eprintln!("SKIPPED: {} is not installed", path.display());
    }
    missing
}

#[tokio::test]
async fn simple_salesforce_takes_the_stand_in_for_an_org() -> Result<()> {
    let python = built::clients().join("python/bin/python");
    if is_missing(&python) {
        return Ok(());
    }
    let path = |name: &str| file(name).display().to_string();
    let key = std::fs::read_to_string(file("app.pub.json"))?;
    let tls = ["--tls".to_owned(), path("server.crt"), path("server.key")];
    let options = [&tls[..], &["--public-key".to_owned(), key]].concat();
    let Some(org) = scene::org(&options).await? else { return Ok(()) };
    let proof = file("simple_salesforce_proof.py");
    let arguments = [org.endpoint().to_owned(), path("ca.crt"), path("app.key")];
    succeeds(Command::new(python).arg(proof).args(arguments)).await
}

#[tokio::test]
async fn jsforce_takes_the_stand_in_for_an_org() -> Result<()> {
    let modules = built::clients().join("node_modules");
    if is_missing(&modules.join("jsforce")) {
        return Ok(());
    }
    let Some(mut org) = scene::org(&[]).await? else { return Ok(()) };
    org.set("usage", json!([7, 100_000])).await?;
    let proof = file("jsforce_proof.cjs");
    let arguments = [proof.as_os_str(), OsStr::new(org.endpoint())];
    succeeds(Command::new("node").args(arguments).env("NODE_PATH", modules)).await
}
