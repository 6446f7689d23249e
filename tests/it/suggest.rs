//! `gantry suggest`: what could stand at a key, asked of the system, while the config is written.

use anyhow::{Result, ensure};
use gantry_tests::built;
use gantry_tests::place::Place;
use serde_json::json;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{Connection as _, Executor as _};

#[tokio::test]
async fn tables_and_columns_are_recommended() -> Result<()> {
    let place = Place::new(&[("leads", built::case("suggest.toml")?)])?;
    let file = SqliteConnectOptions::new().filename(place.path("crm.db")).create_if_missing(true);
    let mut crm = SqliteConnection::connect_with(&file).await?;
    crm.execute(
        "CREATE TABLE leads (id INTEGER, changed_at TEXT); CREATE TABLE calls (id INTEGER)",
    )
    .await?;
    crm.close().await?;

    let tables = place.gantry(&["suggest", "capture.leads.table", "--json"]).await?.json()?;
    let values = json!([{"value": "calls", "note": null}, {"value": "leads", "note": null}]);
    ensure!(tables["suggestions"] == values, "{tables}");
    let columns = place.gantry(&["suggest", "capture.leads.watermark"]).await?;
    ensure!(columns.stdout == "\"id\"  # INTEGER\n\"changed_at\"  # TEXT\n", "{columns:?}");

    let nothing = place.gantry(&["suggest", "capture.leads.where"]).await?;
    ensure!(nothing.code == 1 && nothing.stdout.contains("nothing to recommend"), "{nothing:?}");
    for (key, says) in [
        ("capture.leads.tabel", "query, table, watermark"),
        ("capture.leeds.table", "with a NAME of the config"),
        ("leads", "write `source.NAME.KEY`"),
    ] {
        let wrong = place.gantry(&["suggest", key]).await?;
        ensure!(wrong.code != 0 && wrong.stderr.contains(says), "{key}: {wrong:?}");
    }
    Ok(())
}
