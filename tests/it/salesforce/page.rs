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

#[tokio::test]
async fn whoever_writes_the_config_is_told_what_the_org_has() -> Result<()> {
    let Some(org) = scene::org(&[]).await? else { return Ok(()) };
    let place = scene::place(org.endpoint(), &[])?;
    for (key, has, lacks) in [
        ("source.crm.api_version", "66.0", "Lead"),
        ("capture.leads.object", "Lead", "LastName"),
        ("capture.leads.fields", "IsConverted", "Subject"),
        ("callback.case_done.set", "Subject", "IsClosed"),
    ] {
        let arguments = ["suggest", key, "--json"];
        let ran = gantry_tests::cli::gantry_with(place.path(""), &arguments, &scene::ENV).await?;
        let suggestions = ran.json()?["suggestions"].clone();
        let suggestions = suggestions.as_array().with_context(|| format!("{ran:?}"))?;
        let there = |name: &str| suggestions.iter().any(|suggestion| suggestion["value"] == name);
        ensure!(there(has) && !there(lacks), "{key}: {suggestions:?}");
    }
    Ok(())
}
