//! What an operator may write: the tables that there are, and their columns.

use gantry_plugin_api::{Error, Suggest, Suggestion};

use crate::client::Client;
use crate::failure::Task;

/// Keys of a capture's settings that hold a table, and those that hold columns of it.
const TABLES: [&str; 2] = ["table", "ledger"];
const COLUMNS: [&str; 3] = ["watermark", "key", "columns"];

/// What could stand at a key; nothing where it is for the operator alone to say.
pub(crate) async fn suggest(client: &Client, what: &Suggest) -> Result<Vec<Suggestion>, Error> {
    let task = Task { what: "look for tables", field: "" };
    if TABLES.contains(&&*what.field) {
        let tables = client.tables(task).await?;
        return Ok(tables.into_iter().map(Suggestion::text).collect());
    }
    if !COLUMNS.contains(&&*what.field) {
        return Ok(Vec::new());
    }
    let table = what.beside::<String>("table").map(|table| client.engine().quoted_path(&table));
    let query = what.beside::<String>("query").map(|query| format!("({query}) q"));
    let Some(from) = table.or(query) else {
        return Err(Error::config(
            "table",
            "is needed first: its columns are what can stand there",
        ));
    };
    let task = Task { what: "look for columns", field: "table" };
    let described = client.describe(&format!("SELECT * FROM {from}"), true, task).await?;
    let columns = described.columns.into_iter();
    Ok(columns.map(|column| Suggestion::text(column.name).with_note(column.type_name)).collect())
}
