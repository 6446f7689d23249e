//! `gantry rules try`: what mapping, look-ups and rules make of a record, without a hub.

use std::fs;

use anyhow::{Result, ensure};
use gantry_tests::place::Place;
use serde_json::{Value, json};

/// A capture point with a look-up and rules that need its answer.
const LEADS: &str = r#"
[source.crm]
plugin = "database"
config = { engine = "sqlite", path = "crm.db" }

[capture.leads]
source = "crm"
every = "1h"
settings = { table = "leads", key = ["id"] }
map = { external_id = "record.id", customer_id = "record.customer", deal_value = "record.value" }

[lookup.nps]
source = "crm"
when = "has(item.customer_id)"
yields = { nps = "integer" }
settings = { query = "SELECT nps FROM customers WHERE id = :customer_id" }

[[segmentation]]
id = "unhappy"
level = "global"
when = "item.nps < 3"
process = "sales/rescue"
sla = "2h"

[process."sales/rescue"]
priority = "normal"

[process."sales/rescue".route]
stages = [{ skills = "sales > 80" }]
"#;

#[tokio::test]
async fn a_record_is_tried_with_and_without_what_a_look_up_would_answer() -> Result<()> {
    let place = Place::new(&[("leads", LEADS.into())])?;
    let record = json!({ "id": "L-1", "customer": "C-1", "value": "12.50" });
    fs::write(place.path("record.json"), record.to_string())?;
    fs::write(place.path("answers.json"), json!({ "nps": { "nps": 2 } }).to_string())?;
    let tries = ["rules", "try", "--capture", "leads", "record.json"];
    let tried: Value = place.gantry(&[&tries[..], &["--json"]].concat()).await?.json()?;
    ensure!(tried["lookups"]["nps"] == "would be asked", "{tried}");
    ensure!(tried["classified"]["process"] == "sales/orders", "{tried}");

    let told = [&tries[..], &["--answers", "answers.json"]].concat();
    let text = place.gantry(&told).await?;
    for says in ["rules: unhappy", "process: sales/rescue", "SLA: 2h", "stage 1: sales > 80"] {
        ensure!(text.code == 0 && text.stdout.contains(says), "no {says:?}: {text:?}");
    }
    ensure!(text.stdout.contains("look-up nps: answered as given"), "{text:?}");
    Ok(())
}

#[tokio::test]
async fn what_would_be_refused_or_is_unknown_is_told() -> Result<()> {
    let place = Place::new(&[("leads", LEADS.into())])?;
    fs::write(place.path("record.json"), json!({ "id": "L-1", "value": "many" }).to_string())?;
    fs::write(place.path("answers.json"), json!({ "nsp": {} }).to_string())?;
    let refused = place.gantry(&["rules", "try", "--capture", "leads", "record.json"]).await?;
    ensure!(refused.code == 1, "{refused:?}");
    ensure!(refused.stdout.contains("expected decimal, got \"many\""), "{refused:?}");
    let nowhere = place.gantry(&["rules", "try", "--capture", "leeds", "record.json"]).await?;
    ensure!(nowhere.code == 2 && nowhere.stderr.contains("there are: leads"), "{nowhere:?}");
    fs::write(place.path("record.json"), json!({ "id": "L-1", "value": 1 }).to_string())?;
    let wrong = ["rules", "try", "--capture", "leads", "record.json", "--answers", "answers.json"];
    let wrong = place.gantry(&wrong).await?;
    ensure!(wrong.code == 2 && wrong.stderr.contains("look-up \"nsp\""), "{wrong:?}");
    Ok(())
}
