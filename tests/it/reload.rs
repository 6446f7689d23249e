//! Plug-ins and the config reloaded in a running hub: under load nothing is lost or doubled, and
//! what does not work leaves the old one at work.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use gantry_tests::built;
use gantry_tests::place::Place;
use gantry_tests::world::World;
use serde_json::{Value, json};

use crate::languages::desk::Desk;
use crate::languages::{Source as _, add_program, is_there, items};

/// Reloads in an ordinary run; `GANTRY_RELOADS` gives another number for a long one.
const N_RELOADS: u64 = 20;

/// Versions of the config, one after the other.
const N_CONFIGS: u64 = 10;

/// So many come with another file; a library stays in the memory of the hub's process.
const N_FILES: u64 = 5;

fn count(status: &Value, point: &str, what: &str) -> u64 {
    status["captures"][point][what].as_u64().unwrap_or_default()
}

#[tokio::test]
async fn plugins_reloaded_under_load_lose_nothing_and_double_nothing() -> Result<()> {
    let n_reloads = std::env::var("GANTRY_RELOADS").ok().and_then(|n| n.parse().ok());
    let n_reloads: u64 = n_reloads.unwrap_or(N_RELOADS);
    let place = Place::new(&[("numbers", built::case("reload/numbers.toml")?)])?;
    let library = built::test_library("example-counter");
    place.add_plugin(&library)?;
    let world = World::start(place, &[]).await?;
    let bytes = fs::read(&library)?;
    let laid = world.place.path("plugins").join(library.file_name().context("no name")?);
    let mut read = [0, 0];
    for n in 1..=n_reloads {
        // Each time both are at work again.
        let at_work = |status: &Value| {
            let now = ["apart", "within"].map(|point| count(status, point, "created"));
            now[0] > read[0] && now[1] > read[1]
        };
        let status = world.until("/status", at_work).await?;
        read = ["apart", "within"].map(|point| count(&status, point, "created"));
        let mut other = bytes.clone();
        other.extend((n % N_FILES).to_le_bytes());
        fs::write(laid.with_extension("new"), other)?;
        fs::rename(laid.with_extension("new"), &laid)?;
        let answer = world.post("/plugins/counter/reload", &json!({})).await?;
        ensure!(answer.status == 200, "{answer:?}");
        let sources = answer.json()?;
        let reloaded = |at: usize| sources[at]["reloaded"] == true;
        ensure!(reloaded(0) && reloaded(1) && sources[2].is_null(), "{sources}");
    }
    for point in ["apart", "within"] {
        let done = world.place.gantry(&["capture", "pause", point]).await?;
        ensure!(done.code == 0, "{done:?}");
    }
    let status = world.hub.admin.get("/status").await?;
    let positions = world.hub.admin.get("/positions").await?;
    for point in ["apart", "within"] {
        let capture = &status["captures"][point];
        let (n, n_created) = (count(&status, point, "read"), count(&status, point, "created"));
        ensure!(n == n_created && capture["repeats"] == 0 && capture["retried"] == 0, "{capture}");
        // A position is the number that comes next, so each one before it came, and once.
        let mut rows = positions["positions"].as_array().into_iter().flatten();
        let row = rows.find(|row| row["capture_point"] == point).context("no position")?;
        let next = row["position"].as_str().and_then(|next| next.parse().ok());
        ensure!(next == Some(n + 1), "{n} numbers, and then {row}");
    }
    world.hub.stop().await?;
    Ok(())
}

/// Every number that was read is one item: as many wait as the position has passed.
async fn each_is_one_item(world: &World) -> Result<()> {
    let ran = world.place.gantry(&["capture", "pause", "row"]).await?;
    ensure!(ran.code == 0, "{ran:?}");
    let positions = world.hub.admin.get("/positions").await?;
    let next = positions["positions"][0]["position"].as_str().and_then(|next| next.parse().ok());
    let next: u64 = next.with_context(|| format!("no position: {positions}"))?;
    // What came while the versions changed is classified by the new one first.
    let n_waiting = |queues: &Value| -> u64 {
        let queues = queues["queues"].as_array().into_iter().flatten();
        queues.filter_map(|queue| queue["waiting"].as_u64()).sum()
    };
    let queues = world.until("/queues", |queues| n_waiting(queues) >= next - 1).await?;
    ensure!(n_waiting(&queues) == next - 1, "{queues}, and then number {next}");
    let status = world.hub.admin.get("/status").await?;
    ensure!(status["captures"]["row"]["repeats"] == 0, "{status}");
    let ran = world.place.gantry(&["capture", "resume", "row"]).await?;
    ensure!(ran.code == 0, "{ran:?}");
    Ok(())
}

#[tokio::test]
async fn a_config_is_read_again_under_load_and_a_bad_one_changes_nothing() -> Result<()> {
    let config = built::case("processes/numbers.toml")?;
    let with_last = |last: &str| config.replace("last = 3000", &format!("last = {last}"));
    let endless = with_last("1000000000");
    let place = Place::new(&[("numbers", endless.clone())])?;
    place.add_plugin(&built::test_library("example-counter"))?;
    let world = World::start(place, &[]).await?;
    let pipeline = world.place.path("pipelines/numbers.toml");
    let process = |status: &Value| status["sources"]["numbers"]["process"]["id"].as_u64();
    let at_work = |status: &Value| count(status, "row", "created") > 0;
    let before = process(&world.until("/status", at_work).await?).context("no process")?;

    for (bad, why) in [
        (endless.replace("every = \"20ms\"", "evry = \"20ms\""), "evry"),
        (with_last("\"many\""), "config.last"),
    ] {
        fs::write(&pipeline, bad)?;
        let ran = world.place.gantry(&["reload"]).await?;
        ensure!(ran.code != 0 && ran.stderr.contains("GANTRY-W041"), "{ran:?}");
        ensure!(ran.stderr.contains(why), "{ran:?}");
    }
    for n in 0..N_CONFIGS {
        // Each time it is at work again.
        world.until("/status", at_work).await?;
        let named = format!("number = \"record.number\"\nname = '\"version {n}\"'");
        fs::write(&pipeline, endless.replace("number = \"record.number\"", &named))?;
        let answer = world.post("/config/reload", &json!({})).await?;
        ensure!(answer.status == 200, "{answer:?}");
        let answer = answer.json()?;
        ensure!(answer["changed"] == true && answer["kept"] == json!(["numbers"]), "{answer}");
    }
    let again = world.place.gantry(&["reload"]).await?;
    ensure!(again.code == 0 && again.stdout.contains("stays active"), "{again:?}");
    let status = world.until("/status", at_work).await?;
    ensure!(process(&status) == Some(before), "another process: {status}");
    each_is_one_item(&world).await?;

    // Another config of the source: that one begins anew, and the row goes on.
    fs::write(&pipeline, with_last("1000000001"))?;
    let answer = world.post("/config/reload", &json!({})).await?.json()?;
    ensure!(answer["restarted"] == json!(["numbers"]) && answer["kept"] == json!([]), "{answer}");
    let status = world.until("/status", at_work).await?;
    ensure!(process(&status).is_some_and(|now| now != before), "the same process: {status}");
    each_is_one_item(&world).await?;

    // A source that could not run with its new config runs on with the old one.
    let in_vain = with_last("7") + "\n[source.numbers.limits]\nuser = \"nobody-of-that-name\"\n";
    fs::write(&pipeline, in_vain)?;
    let ran = world.place.gantry(&["reload"]).await?;
    ensure!(ran.code != 0 && ran.stderr.contains("nobody-of-that-name"), "{ran:?}");
    each_is_one_item(&world).await?;

    // Whoever edits the file may also send a signal.
    fs::write(&pipeline, with_last("2"))?;
    let running: Value =
        serde_json::from_str(&fs::read_to_string(world.place.path("data/gantry.db.run"))?)?;
    let hub = running["process"].to_string();
    let last = process(&world.hub.admin.get("/status").await?);
    ensure!(Command::new("kill").args(["-HUP", &hub]).status()?.success());
    world.until("/status", |status| process(status).is_some_and(|now| Some(now) != last)).await?;
    each_is_one_item(&world).await?;
    world.hub.stop().await?;
    Ok(())
}

#[tokio::test]
async fn what_changes_on_the_disk_is_reloaded_where_the_hub_watches() -> Result<()> {
    let config = built::case("processes/numbers.toml")?.replace("last = 3000", "last = 10");
    let place = Place::new(&[("numbers", config.clone())])?;
    let library = built::test_library("example-counter");
    place.add_plugin(&library)?;
    let world = World::start(place, &[("GANTRY_WATCH", "true")]).await?;
    let read_to =
        |position: &'static str| move |page: &Value| page["positions"][0]["position"] == position;
    let process = |status: &Value| status["sources"]["numbers"]["process"]["id"].as_u64();
    world.until("/positions", read_to("11")).await?;
    let before = process(&world.hub.admin.get("/status").await?);

    let laid = world.place.path("plugins").join(library.file_name().context("no name")?);
    fs::copy(&library, laid.with_extension("new"))?;
    fs::rename(laid.with_extension("new"), &laid)?;
    world.until("/status", |status| process(status).is_some_and(|now| Some(now) != before)).await?;
    let pipeline = world.place.path("pipelines/numbers.toml");
    fs::write(&pipeline, config.replace("last = 10", "last = {}"))?;
    fs::write(&pipeline, config.replace("last = 10", "last = 20"))?;
    world.until("/positions", read_to("21")).await?;
    world.hub.stop().await?;
    Ok(())
}

#[tokio::test]
async fn what_does_not_work_is_taken_back_and_the_old_one_goes_on() -> Result<()> {
    if !is_there("python3") {
        eprintln!("SKIPPED: Python is not installed");
        return Ok(());
    }
    let place = Place::new(&[("csv", built::case("languages/csv.toml")?)])?;
    add_program(&place, "csv", "python-plugin", "python/gantry_plugin", "gantry_plugin")?;
    let desk = Desk::new(&place.path("desk"))?;
    let world = World::start(place, &[]).await?;
    let (plug, manifest) = ("plugins/csv/plug.py", "plugins/csv/gantry-plugin.json");
    let sound = fs::read_to_string(world.place.path(plug))?;
    let said = fs::read_to_string(world.place.path(manifest))?;
    let mut n = 0;
    // What is laid there, and what the command says of it.
    let lay = |program: String, manifest_is: String| -> Result<()> {
        fs::write(world.place.path(plug), program)?;
        Ok(fs::write(world.place.path(manifest), manifest_is)?)
    };
    let broken_poll = sound.replace(
        "        begin = 0 if position is None else int(position)\n",
        "        raise Error.permanent(\"the table has moved\")\n",
    );
    ensure!(broken_poll != sound);
    let other_key = |text: &str| {
        let text = text.replace("folder: Annotated", "map: Annotated");
        text.replace("\"folder\"", "\"map\"").replace("config:folder", "config:map")
    };
    let cases = [
        (sound.clone(), "{".to_owned(), "GANTRY-P027"),
        (format!("raise SystemExit(3)\n{sound}"), said.clone(), "GANTRY-P026"),
        (broken_poll, said.clone(), "the table has moved"),
        (other_key(&sound), other_key(&said), "source.desk.config: "),
    ];
    for (program, manifest, why) in cases {
        lay(program, manifest)?;
        let ran = world.place.gantry(&["plugin", "reload", "csv"]).await?;
        let told = format!("{}{}", ran.stdout, ran.stderr);
        ensure!(ran.code != 0 && told.contains("as before") && told.contains(why), "{ran:?}");
        desk.add(n..n + 5)?;
        n += 5;
        items(&world, "waiting", n).await?;
    }
    lay(
        sound.replace("version = \"0.1.0\"", "version = \"0.2.0\""),
        said.replace("0.1.0", "0.2.0"),
    )?;
    let ran = world.place.gantry(&["plugin", "reload", "csv"]).await?;
    ensure!(ran.code == 0 && ran.stdout.contains("runs with version 0.2.0"), "{ran:?}");
    desk.add(n..n + 5)?;
    items(&world, "waiting", n + 5).await?;
    let ran = world.place.gantry(&["plugin", "reload", "shop"]).await?;
    ensure!(ran.code != 0 && ran.stderr.contains("GANTRY-W039"), "{ran:?}");
    Ok(())
}
