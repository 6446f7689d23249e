//! Agents from a spreadsheet: tried, imported, imported again.

use std::fs;

use anyhow::{Context, Result, ensure};
use gantry_tests::place::Place;
use gantry_tests::world::World;
use serde_json::{Value, json};

const FILE: &str = "id,name,skills,groups,capacity\n\
    anna,Anna Berg,sales=90,,workitem=2\n\
    ben,Ben Cole,sale=40,,\n\
    zoé,Zoé Ünal,\"sales=10\",,\n";

/// Outcomes of the lines, by agent.
fn outcomes(answer: &Value) -> Result<Vec<(String, String)>> {
    let lines = answer["lines"].as_array().context("no lines")?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Ok(lines.iter().map(|line| (text(&line["agent"]), text(&line["outcome"]))).collect())
}

#[tokio::test]
async fn a_file_of_agents_is_tried_and_imported_line_by_line() -> Result<()> {
    let world = World::start(Place::new(&[])?, &[]).await?;
    fs::write(world.place.path("agents.csv"), FILE)?;
    let tried = world.place.gantry(&["agent", "import", "agents.csv", "--dry-run"]).await?;
    ensure!(tried.code == 1, "a bad line is not told by the code: {tried:?}");
    for says in [
        "line 2: anna would be created",
        "there is no skill `sale`",
        "agents.csv:3:14",
        "did you mean `sales`?",
        "2 would be created, 0 would be changed, 0 as they are; 1 mistake",
    ] {
        ensure!(tried.stdout.contains(says), "{says:?} is missing: {}", tried.stdout);
    }
    let none = world.place.gantry(&["agent", "list", "--json"]).await?.json()?;
    ensure!(none["agents"] == json!([]), "a dry run created agents: {none}");

    let imported = world.place.gantry(&["agent", "import", "agents.csv", "--json"]).await?;
    ensure!(imported.code == 1, "{imported:?}");
    let imported: Value = serde_json::from_str(&imported.stdout)?;
    let created = |id: &str| (id.to_owned(), "created".to_owned());
    ensure!(outcomes(&imported)? == [created("anna"), created("zoé")], "{imported}");
    ensure!(imported["findings"][0]["line"] == 3, "{imported}");

    let list = world.place.gantry(&["agent", "list"]).await?;
    ensure!(list.stdout.contains("Zoé Ünal") && !list.stdout.contains("Ben"), "{list:?}");
    let anna = world.place.gantry(&["agent", "show", "anna", "--json"]).await?.json()?;
    ensure!(anna["profile"]["capacity"] == json!({ "workitem": 2 }), "{anna}");
    ensure!(anna["profile"]["skills"] == json!({ "sales": 90 }), "{anna}");

    // Columns that the file does not have leave alone what is there.
    fs::write(world.place.path("agents.csv"), "id,name\nanna,Anna B.\nzoé,Zoé Ünal\n")?;
    let again = world.place.gantry(&["agent", "import", "agents.csv"]).await?;
    let sum = "0 created, 1 changed, 1 as they are; 0 mistakes";
    ensure!(again.code == 0 && again.stdout.contains(sum), "{again:?}");
    let anna = world.place.gantry(&["agent", "show", "anna"]).await?;
    ensure!(anna.stdout.contains("Anna B.") && anna.stdout.contains("sales=90"), "{anna:?}");
    Ok(())
}

#[tokio::test]
async fn without_a_hub_a_file_of_agents_can_be_tried_only() -> Result<()> {
    let place = Place::new(&[])?;
    fs::write(place.path("agents.csv"), "id,skills\nanna,sales=9\n")?;
    let tried = place.gantry(&["agent", "import", "agents.csv", "--dry-run"]).await?;
    ensure!(tried.code == 0 && tried.stdout.contains("anna would be created"), "{tried:?}");
    let imported = place.gantry(&["agent", "import", "agents.csv"]).await?;
    ensure!(imported.code == 2 && imported.stderr.contains("gantry run"), "{imported:?}");
    let missing = place.gantry(&["agent", "import", "nobody.csv", "--dry-run"]).await?;
    ensure!(missing.code == 1 && missing.stdout.contains("GANTRY-C001"), "{missing:?}");
    Ok(())
}
