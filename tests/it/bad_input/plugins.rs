//! Libraries that are no plug-ins, and plug-ins that panic in each operation, beside healthy ones.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result, ensure};
use gantry_tests::built;
use gantry_tests::place::Place;
use gantry_tests::world::World;
use reqwest::Method;
use serde_json::{Value, json};

/// What a plug-in was told to keep, and tells everybody.
const PASSWORD: &str = "open-sesame-4711";

/// File and code of each refusal that the place is laid out for.
const REFUSED: [(&str, &str); 4] = [
    ("cut.so", "GANTRY-P005"),
    ("empty.so", "GANTRY-P004"),
    ("foreign.so", "GANTRY-P007"),
    ("text.so", "GANTRY-P004"),
];

/// A folder of plug-ins with everything in it that should not be there.
fn place() -> Result<Place> {
    let place = Place::new(&[])?;
    let plugins = place.path("plugins");
    place.add_plugin(&built::test_library("test-crashing"))?;
    let whole = fs::read(plugins.join("libgantry_connector_files.so"))?;
    fs::write(plugins.join("cut.so"), &whole[..whole.len() / 2])?;
    fs::write(plugins.join("empty.so"), "")?;
    fs::write(plugins.join("text.so"), "Dear operator, this is the new plug-in.\n")?;
    fs::copy(system_library()?, plugins.join("foreign.so"))?;
    Ok(place)
}

/// A library that is there for certain and no plug-in of ours: this program is linked with it.
fn system_library() -> Result<String> {
    let maps = fs::read_to_string("/proc/self/maps")?;
    let mut files = maps.lines().filter_map(|line| line.split_whitespace().nth(5));
    Ok(files
        .find(|file| file.contains("/libgcc_s.so"))
        .context("libgcc_s is not loaded")?
        .to_owned())
}

/// Code and remedy of what `gantry` refuses, by file name.
fn refused(list: &Value) -> Result<BTreeMap<String, (String, String)>> {
    let refused = list.as_array().context("no list")?.iter().map(|refused| {
        let text =
            |key: &str| refused[key].as_str().map(str::to_owned).context("a text is missing");
        let path = text("path")?;
        let file = path.rsplit('/').next().unwrap_or_default().to_owned();
        ensure!(text("reason")?.contains(&file), "the reason does not name {file}: {refused}");
        Ok((file, (text("code")?, text("remedy")?)))
    });
    refused.collect()
}

#[tokio::test]
async fn what_is_no_plug_in_is_refused_and_the_others_work() -> Result<()> {
    let place = place()?;
    let list = place.gantry(&["plugin", "list", "--json"]).await?.json()?;
    let found: Vec<_> = list["found"].as_array().context("no list")?.iter().collect();
    let names: Vec<_> = found.iter().filter_map(|found| found["name"].as_str()).collect();
    let shipped = ["camunda7", "database", "email", "files", "salesforce", "webhook"];
    ensure!(names.contains(&"crashing") && names.len() == 1 + shipped.len(), "{names:?}");
    ensure!(shipped.iter().all(|name| names.contains(name)), "{names:?}");
    let by_file = refused(&list["refused"])?;
    let codes: Vec<_> = by_file.iter().map(|(file, (code, _))| (&**file, &**code)).collect();
    ensure!(codes == REFUSED, "{codes:?}");

    let shown = place.gantry(&["plugin", "list"]).await?;
    for (file, (code, remedy)) in &by_file {
        ensure!(shown.stdout.contains(code) && shown.stdout.contains(remedy), "{shown:?}");
        let inspected = place.gantry(&["plugin", "inspect", &format!("plugins/{file}")]).await?;
        let says = |text: &str| inspected.stderr.contains(text);
        ensure!(inspected.code == 2 && says(code) && says(remedy), "{inspected:?}");
    }
    // Other libraries in the folder are no mistake of the config.
    let checked = place.gantry(&["check", "--json"]).await?.json()?;
    ensure!(checked["ok"] == true, "{checked}");
    ensure!(refused(&checked["refused_plugins"])? == by_file, "{checked}");

    let world = World::start(place, &[]).await?;
    for (code, _) in by_file.values() {
        world.must_explain(code).await?;
    }
    world.goes_on().await
}

#[tokio::test]
async fn the_manifest_of_a_library_that_would_crash_is_read_without_running_it() -> Result<()> {
    let place = place()?;
    let library = "plugins/libgantry_test_crashing.so";
    let manifest = place.gantry(&["plugin", "inspect", library, "--json"]).await?.json()?;
    ensure!(manifest["name"] == "crashing" && manifest["refused"].is_null(), "{manifest}");
    ensure!(manifest["build"]["plugin_api"].is_string(), "{manifest}");
    Ok(())
}

/// Waits until the status shows a trouble of this class that says this.
async fn trouble(world: &World, part: [&str; 2], class: &str, says: &str) -> Result<()> {
    let [kind, name] = part;
    let failed = |status: &Value| {
        let error = &status[kind][name]["last_error"];
        let message = error["message"].as_str().unwrap_or_default();
        error["class"] == class && message.contains(says)
    };
    world.until("/status", failed).await.map(drop)
}

async fn start_misbehaving() -> Result<World> {
    let place = Place::with(&["misbehaving"])?;
    place.add_plugin(&built::test_library("test-misbehaving"))?;
    fs::write(place.path("drop/a.jsonl"), "{\"id\": \"R-1\"}\n")?;
    World::start(place, &[("TEST_PASSWORD", PASSWORD)]).await
}

#[tokio::test]
async fn a_plug_in_that_panics_disturbs_nobody_else() -> Result<()> {
    let world = start_misbehaving().await?;
    let looked_up = world.post("/capture/looked_up", &json!({ "id": "A-1" })).await?;
    ensure!(looked_up.status == 201, "{}", looked_up.text);
    let panics = [
        (["captures", "create"], "create was told to panic"),
        (["captures", "poll"], "told to panic later"),
        (["captures", "stream"], "plug-in panicked"),
        (["captures", "http"], "told to panic"),
        (["lookups", "credit"], "told to panic"),
        (["callbacks", "told"], "told to panic"),
    ];
    for (part, says) in panics {
        trouble(&world, part, "panic", says).await.with_context(|| format!("{part:?}"))?;
    }
    let hook = world.request(Method::POST, "/hooks/http").by(None).json().body("{}");
    let hook = world.send(hook).await?;
    hook.must_be_problem(502, "GANTRY-W028", "the capture point cannot take it at the moment")?;

    // The look-up's item goes on without its answer, the callback's event waits for somebody.
    let item = world.queued("looked_up", "A-1").await?;
    ensure!(item["attributes"]["credit"].is_null(), "{item}");
    let letters = world.letters("told", 1).await?;
    let letter = &letters[0];
    ensure!(letter["kind"] == "callback" && letter["code"] == "GANTRY-B002", "{letter}");
    ensure!(letter["item"] == item["item"], "{letter}");
    let id = letter["id"].as_str().context("no id")?;
    let id = id.replace('/', "%2F");
    let skipped = world.post(&format!("/dead-letters/{id}/skip"), &json!({})).await?;
    ensure!(skipped.status == 204, "{}", skipped.text);
    world.letters("told", 0).await?;

    // The healthy source beside them, before and after.
    world.queued("returns", "R-1").await?;
    fs::write(world.place.path("drop/b.jsonl"), "{\"id\": \"R-2\"}\n")?;
    world.queued("returns", "R-2").await?;
    world.goes_on().await?;
    world.hub.stop().await
}

#[tokio::test]
async fn a_plug_in_that_talks_keeps_its_secrets_all_the_same() -> Result<()> {
    let world = start_misbehaving().await?;
    trouble(&world, ["captures", "talks"], "transient", "cannot keep").await?;
    let status = world.hub.admin.get("/status").await?;
    ensure!(!status.to_string().contains(PASSWORD), "the status tells the password");
    let log = fs::read_to_string(world.place.path("hub.log"))?;
    ensure!(log.contains("the password is"), "the plug-in has logged nothing");
    ensure!(!log.contains(PASSWORD), "the log tells the password");
    ensure!(log.contains("validate was told to panic"), "no panic in validate");
    world.goes_on().await
}
