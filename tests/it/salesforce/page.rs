//! What ships beside the connector says what the connector says.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::scene;

#[tokio::test]
async fn the_page_ends_with_the_reference_that_the_plug_in_gives() -> Result<()> {
    let place = scene::place("https://acme.my.salesforce.com", &[])?;
    let ran = place.gantry(&["plugin", "docs", "salesforce"]).await?;
    let at = ran.stdout.find("## Source").with_context(|| format!("{ran:?}"))?;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("no workspace")?;
    let page = fs::read_to_string(root.join("docs/connectors/salesforce.md"))?;
    let reference = ran.stdout[at..].trim_end();
    ensure!(page.trim_end().ends_with(reference), "the page should end with:\n{reference}");
    Ok(())
}

#[tokio::test]
async fn the_example_is_accepted_as_it_ships() -> Result<()> {
    let place = scene::place("https://acme.my.salesforce.com", &[])?;
    let ran = place.gantry(&["check", "--json"]).await?;
    ensure!(ran.code == 0 && ran.json()?["ok"] == true, "{ran:?}");
    Ok(())
}
