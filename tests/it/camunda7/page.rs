//! What ships beside the connector says what the connector says.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use gantry_tests::cli;
use gantry_tests::place::Place;

pub(super) fn source(path: &str) -> Result<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("no workspace")?;
    Ok(root.join(path))
}

#[tokio::test]
async fn the_page_ends_with_the_reference_that_the_plug_in_gives() -> Result<()> {
    let ran = Place::new(&[])?.gantry(&["plugin", "docs", "camunda7"]).await?;
    let at = ran.stdout.find("## Source").with_context(|| format!("{ran:?}"))?;
    let page = fs::read_to_string(source("docs/connectors/camunda7.md")?)?;
    let reference = ran.stdout[at..].trim_end();
    ensure!(page.trim_end().ends_with(reference), "the page should end with:\n{reference}");
    Ok(())
}

#[tokio::test]
async fn the_example_is_accepted_as_it_ships() -> Result<()> {
    let place = Place::new(&[])?;
    fs::copy(source("examples/camunda7/gantry.toml")?, place.path("gantry.toml"))?;
    let env = [("ENGINE_PASSWORD", "made-up")];
    let ran = cli::gantry_with(place.path(""), &["check", "--json"], &env).await?;
    ensure!(ran.code == 0 && ran.json()?["ok"] == true, "{ran:?}");
    Ok(())
}
