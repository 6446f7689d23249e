//! What ships beside each connector says what the connector says: its page and its example.

use std::fs;

use anyhow::{Context, Result, ensure};
use gantry_tests::place::Place;
use gantry_tests::{built, cli};

/// Stands for any secret of an example: a key of webhooks, and long enough for a token.
const SECRET: &str = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

/// The names of all connectors: their folders.
fn connectors() -> Result<Vec<String>> {
    let folders = fs::read_dir(built::source("connectors"))?;
    let mut names = folders
        .map(|folder| folder?.file_name().into_string().ok().context("a name in UTF-8"))
        .collect::<Result<Vec<_>>>()?;
    names.sort();
    ensure!(names.len() >= 6, "{names:?}");
    Ok(names)
}

/// The blocks of a page that tell keys and permissions: tables of the generated form, and lists.
fn reference(page: &str) -> Vec<&str> {
    let tells = |block: &&str| {
        block.starts_with("| key | type |")
            || block.starts_with("- It ")
            || block.contains("`config:KEY`")
    };
    page.split("\n\n").map(str::trim).filter(tells).collect()
}

#[tokio::test]
async fn each_page_has_the_reference_that_the_plug_in_gives_and_no_other() -> Result<()> {
    let place = Place::new(&[])?;
    for name in connectors()? {
        let ran = place.gantry(&["plugin", "docs", &name]).await?;
        let given = reference(&ran.stdout);
        ensure!(given.len() >= 3, "{ran:?}");
        let page = fs::read_to_string(built::source(&format!("docs/connectors/{name}.md")))?;
        let told = reference(&page);
        let missing: Vec<_> = given.iter().filter(|block| !told.contains(block)).collect();
        ensure!(missing.is_empty(), "docs/connectors/{name}.md lacks:\n{missing:#?}");
        let stale: Vec<_> = told.iter().filter(|block| !given.contains(block)).collect();
        ensure!(stale.is_empty(), "docs/connectors/{name}.md should not have:\n{stale:#?}");
    }
    Ok(())
}

#[tokio::test]
async fn each_example_is_accepted_as_it_ships() -> Result<()> {
    for name in connectors()? {
        let config = built::source(&format!("examples/{name}/gantry.toml"));
        let text = fs::read_to_string(&config)?;
        let used = format!("plugin = \"{name}\"");
        ensure!(text.contains(&used), "{} does not use it", config.display());
        let secrets = text.split("{ env = \"").skip(1).filter_map(|rest| rest.split('"').next());
        let env: Vec<_> = secrets.map(|variable| (variable, SECRET)).collect();
        let (config, plugins) = (config.display().to_string(), built::plugins());
        let plugins = plugins.display().to_string();
        let check = ["check", "--json", "--config", &config, "--plugins", &plugins];
        let ran = cli::gantry_with(".", &check, &env).await?;
        ensure!(ran.code == 0 && ran.json()?["ok"] == true, "{ran:?}");
    }
    Ok(())
}
