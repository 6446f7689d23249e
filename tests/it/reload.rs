//! Plug-ins reloaded in a running hub: under load nothing is lost or doubled, and what does not
//! work leaves the old one at work.

use std::fs;

use anyhow::{Context, Result, ensure};
use gantry_tests::built;
use gantry_tests::place::Place;
use gantry_tests::world::World;
use serde_json::{Value, json};

use crate::languages::desk::Desk;
use crate::languages::{Source as _, add_program, is_there, items};

/// Reloads in an ordinary run; `GANTRY_RELOADS` gives another number for a long one.
const N_RELOADS: u64 = 20;

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
