//! Sources that are polled: tables without what they should have, files that are none.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use gantry_tests::place::Place;
use gantry_tests::world::World;
use jiff::Timestamp;
use serde_json::Value;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};

/// The rows of the good table: id, value.
const LEADS: [(&str, &str); 3] = [("L-1", "12.50"), ("L-2", "many"), ("L-3", "7")];

/// Makes the CRM: a table that is as the config says, and one without the watermark column.
async fn make_crm(path: &Path) -> Result<()> {
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
    let crm = SqlitePool::connect_with(options).await?;
    let schema = "CREATE TABLE leads (id TEXT, subject TEXT, value TEXT, changed_ms INTEGER); \
                  CREATE TABLE visits (id TEXT, visited_on TEXT);";
    sqlx::raw_sql(schema).execute(&crm).await?;
    let changed_ms = Timestamp::now().as_millisecond() - 1_000;
    for (id, value) in LEADS {
        let insert = sqlx::query("INSERT INTO leads VALUES (?, 'Lead', ?, ?)");
        insert.bind(id).bind(value).bind(changed_ms).execute(&crm).await?;
    }
    crm.close().await;
    Ok(())
}

/// Drops files of every kind, each in one piece.
fn drop_files(folder: &Path) -> Result<()> {
    let lines = b"{\"id\": \"R-1\"}\nnot json\n[1]\n\n{\"subject\": \"no id\"}\n\
                  {\"id\": \"R-2\", \"value\": \"many\"}\n{\"id\": \"R\xff\"}\n{\"id\": \"R-3\"}\n";
    let table = "id,subject\nC-1,fine\nC-2,too,many\n\"C-3,never closed\nC-4,fine\n";
    let files: [(&str, &[u8]); 6] = [
        ("a.jsonl", lines),
        ("b.csv", table.as_bytes()),
        ("c.csv", b"\xff\xfei\0d\0\n\0"),
        ("d.doc", b"order"),
        // Somebody is still writing this one.
        ("e.jsonl.part", b"{\"id\": \"half"),
        // The same, but its writer has died.
        ("f.jsonl", b"{\"id\": \"F-1\"}\n{\"id\": \"half"),
    ];
    for (name, bytes) in files {
        let beside = folder.join(format!(".{name}"));
        fs::write(&beside, bytes)?;
        fs::rename(beside, folder.join(name))?;
    }
    Ok(())
}

async fn start() -> Result<World> {
    let place = Place::with(&["sources"])?;
    make_crm(&place.path("crm.db")).await?;
    fs::write(place.path("archive.db"), "somebody saved a text under this name")?;
    drop_files(&place.path("drop"))?;
    World::start(place, &[]).await
}

/// The trouble that the status shows of a stopped capture point.
async fn trouble(world: &World, capture_point: &str) -> Result<String> {
    let stopped = |status: &Value| status["captures"][capture_point]["state"] == "stopped";
    let status = world.until("/status", stopped).await?;
    let error = &status["captures"][capture_point]["last_error"];
    ensure!(error["class"] == "config", "{error}");
    Ok(error["message"].as_str().context("no message")?.to_owned())
}

#[tokio::test]
async fn a_broken_table_stops_its_own_capture_point_only() -> Result<()> {
    let world = start().await?;
    // The table without the watermark column, beside a good one in the same database.
    let message = trouble(&world, "visits").await?;
    let says = "no column `changed_ms` in `visits`; there are: id, visited_on";
    ensure!(message.contains(says), "{message:?}");
    let message = trouble(&world, "letters").await?;
    ensure!(message.contains("file is not a database"), "{message:?}");

    for lead in ["L-1", "L-3"] {
        world.queued("leads", lead).await?;
    }
    let letters = world.letters("leads", 1).await?;
    ensure!(letters[0]["code"] == "GANTRY-R010", "{}", letters[0]);
    let reason = letters[0]["reason"].as_str().unwrap_or_default();
    ensure!(reason.contains("expected decimal, got \"many\""), "{reason:?}");

    ensure!(letters[0]["class"] == "permanent", "{}", letters[0]);
    for (class, n) in [("permanent", 1), ("transient", 0)] {
        let chosen = ["dlq", "list", "--origin", "leads", "--class", class, "--json"];
        let chosen = world.place.gantry(&chosen).await?.json()?;
        let chosen = chosen["dead_letters"].as_array().map(Vec::len);
        ensure!(chosen == Some(n), "{class}: {chosen:?}");
        let again = ["dlq", "retry", "all", "--origin", "leads", "--class", class, "--json"];
        let again = world.place.gantry(&again).await?;
        ensure!(
            (again.code == 0) == (n == 0) && again.stdout.contains("id") == (n == 1),
            "{again:?}"
        );
    }
    let unknown = world.place.gantry(&["dlq", "list", "--class", "broken"]).await?;
    ensure!(unknown.code == 2 && unknown.stderr.contains("auth_denied"), "{unknown:?}");

    // The row mended by hand goes on; the source itself is not asked again.
    let id = letters[0]["id"].as_str().context("no id")?;
    let letter = world.hub.admin.get(&format!("/dead-letters/{id}")).await?;
    let payload = letter["payload"].as_str().context("no payload")?;
    fs::write(world.place.path("mended.json"), payload.replace("many", "40"))?;
    let retried = ["dlq", "retry", id, "--payload", "mended.json", "--json"];
    world.place.gantry(&retried).await?.json()?;
    world.queued("leads", "L-2").await?;
    world.letters("leads", 0).await?;
    world.goes_on().await
}

#[tokio::test]
async fn a_bad_line_costs_one_record_and_a_bad_file_itself() -> Result<()> {
    let world = start().await?;
    for id in ["R-1", "R-3", "C-1", "C-4", "F-1"] {
        world.queued("returns", id).await?;
    }
    let letters = world.letters("returns", 8).await?;
    let expected = [
        ("GANTRY-R007", "file `a.jsonl`, line 2: not JSON"),
        ("GANTRY-R007", "file `a.jsonl`, line 3: not a JSON object"),
        ("GANTRY-R010", "`record.id` gives no external id"),
        ("GANTRY-R010", "expected decimal, got \"many\""),
        ("GANTRY-R007", "file `a.jsonl`, line 7: not UTF-8 from byte 10 on"),
        ("GANTRY-R007", "file `b.csv`, line 3: 3 columns where 2 are named"),
        ("GANTRY-R007", "file `b.csv`, line 4: a quoted cell that begins here does not end"),
        ("GANTRY-R007", "file `f.jsonl`, line 2: not JSON"),
    ];
    for (code, says) in expected {
        let found = letters.iter().any(|letter| {
            let reason = letter["reason"].as_str().unwrap_or_default();
            letter["code"] == code && reason.contains(says)
        });
        ensure!(found, "no dead letter {code} says {says:?}: {letters:#?}");
    }
    let bytes = letters.iter().find(|letter| letter["reason"].to_string().contains("not UTF-8"));
    let id = bytes.and_then(|letter| letter["id"].as_str()).context("no id")?;
    let letter = world.hub.admin.get(&format!("/dead-letters/{id}")).await?;
    ensure!(letter["payload_base64"].is_string(), "bytes are not shown as base64: {letter}");

    let drop = world.place.path("drop");
    for (name, says) in [("c.csv", "UTF-16"), ("d.doc", "cannot tell the format")] {
        let reason = fs::read_to_string(drop.join("error").join(format!("{name}.reason.txt")))?;
        ensure!(reason.contains(says), "{name}: {reason}");
        ensure!(drop.join("error").join(name).exists(), "{name} is gone");
    }
    ensure!(drop.join("e.jsonl.part").exists(), "a half-written file was taken");
    world.goes_on().await
}

#[tokio::test]
async fn what_does_not_work_is_told_at_its_key_with_a_remedy() -> Result<()> {
    let place = Place::with(&["sources"])?;
    make_crm(&place.path("crm.db")).await?;
    fs::write(place.path("archive.db"), "somebody saved a text under this name")?;
    let ran = place.gantry(&["check", "--connect", "--json"]).await?;
    let report: Value = serde_json::from_str(&ran.stdout).with_context(|| format!("{ran:?}"))?;
    ensure!(ran.code == 1 && report["ok"] == false, "{report}");
    let text = fs::read_to_string(place.path("pipelines/sources.toml"))?;
    // What its message begins with, what it underlines, and where: behind which line.
    let expected = [
        (
            "capture.visits does not work: `watermark`: no column",
            "\"changed_ms\"",
            "[capture.visits]",
        ),
        ("source.archive does not work: `path`:", "\"archive.db\"", "[source.archive]"),
        ("capture.letters does not work: `path`:", "\"archive.db\"", "[source.archive]"),
    ];
    let findings = report["findings"].as_array().context("no findings")?;
    ensure!(findings.len() == expected.len(), "{findings:#?}");
    for (says, underlined, behind) in expected {
        let told = |finding: &&Value| {
            finding["message"].as_str().is_some_and(|message| message.starts_with(says))
        };
        let finding =
            findings.iter().find(told).with_context(|| format!("{says}: {findings:#?}"))?;
        ensure!(finding["code"] == "GANTRY-C034", "{finding}");
        ensure!(finding["file"] == "pipelines/sources.toml", "{finding}");
        let edge = |name: &str| Some(finding["span"][name].as_u64()? as usize);
        let span = edge("start").zip(edge("end")).context("no span")?;
        ensure!(text.get(span.0..span.1) == Some(underlined), "{finding}");
        let table = text[..span.0].rfind("\n[").map(|at| &text[at + 1..]);
        ensure!(table.is_some_and(|table| table.starts_with(behind)), "{finding}");
        let help = finding["help"].as_str().unwrap_or_default();
        ensure!(help.contains("gantry plugin docs database"), "{finding}");
    }
    let visits = |part: &&Value| part["part"] == "capture.visits";
    let visits = report["connections"].as_array().and_then(|all| all.iter().find(visits));
    let visits = visits.context("`visits` was not tried")?;
    ensure!(visits["class"] == "config" && visits["field"] == "watermark", "{visits}");
    let told = place.gantry(&["check", "--connect"]).await?.stdout;
    ensure!(told.contains("capture.leads: works") && told.contains("3 errors"), "{told}");
    Ok(())
}

#[tokio::test]
async fn what_only_the_plug_in_or_the_environment_knows_is_told_at_its_key() -> Result<()> {
    let wrong = "[source.shop]\nplugin = \"webhook\"\n\n[capture.carts]\nsource = \"shop\"\n\
                 settings = { records = \"items\", auth = { bearer = { tokens = [{ env = \"NOT_SET\" }] } } }\n\n\
                 [capture.carts.map]\nexternal_id = \"record.id\"\n";
    let unset = Place::new(&[("shop", wrong.to_owned())])?;
    let set = Place::new(&[("shop", wrong.replace("NOT_SET", "PATH"))])?;
    let cases = [
        (&unset, "GANTRY-C033", "capture.carts.settings: cannot resolve secret"),
        (&set, "GANTRY-C019", "capture.carts.settings: `records`:"),
    ];
    for (place, code, says) in cases {
        let ran = place.gantry(&["check", "--connect", "--json"]).await?;
        let report: Value =
            serde_json::from_str(&ran.stdout).with_context(|| format!("{ran:?}"))?;
        let told = |finding: &Value| {
            let message = finding["message"].as_str().unwrap_or_default();
            finding["code"] == code && finding["line"] == 6 && message.starts_with(says)
        };
        let findings = report["findings"].as_array().context("no findings")?;
        ensure!(ran.code == 1 && findings.iter().any(told), "{says}: {findings:#?}");
    }
    Ok(())
}
