//! Whoever writes the config of an org is told what the org has.

use anyhow::{Context, Result, ensure};

use super::scene;

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
