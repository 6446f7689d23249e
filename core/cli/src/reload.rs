//! `gantry reload`: a running hub reads its config again.

use anyhow::Result;

use crate::Global;
use crate::client;
use crate::table::{self, cell};

pub(crate) async fn run(global: &Global) -> Result<()> {
    let answer = client::must_find(global)?.post("/config/reload", None).await?;
    if global.json {
        table::json(&answer);
        return Ok(());
    }
    let version = cell(&answer["version"]);
    if answer["changed"] != true {
        say!("version {version} stays active: the config is as before");
        return Ok(());
    }
    say!("version {version} is active");
    let lists = [
        ("kept", "go on as they are"),
        ("restarted", "began anew"),
        ("ended", "ended"),
        ("after_restart", "count after a restart of the hub only"),
    ];
    for (list, what) in lists {
        let names = answer[list].as_array().into_iter().flatten().map(cell);
        let names = names.collect::<Vec<_>>().join(", ");
        if !names.is_empty() {
            let of = if list == "after_restart" { "keys" } else { "sources" };
            say!("{of} that {what}: {names}");
        }
    }
    Ok(())
}
