//! Plug-ins in Python and JavaScript: the examples as sources of a running hub, while their
//! processes are killed again and again. Each record becomes one item, each event is told once.

mod child;
pub(crate) mod desk;
mod shop;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use gantry_tests::built;
use gantry_tests::place::Place;
use gantry_tests::world::World;
use serde_json::{Value, json};

use desk::Desk;
use shop::Shop;

/// Records that a source has before the first kill, and that it gets after each.
const PART: usize = 60;

/// Fewer than those after which the hub leaves a plug-in alone.
const N_KILLS: usize = 3;

/// What the tests add to a source, and ask of it.
pub(crate) trait Source {
    /// New records, numbered.
    fn add(&self, ids: std::ops::Range<usize>) -> Result<()>;

    /// How often an event was told of each record.
    fn told(&self) -> Result<BTreeMap<String, usize>>;
}

#[tokio::test]
async fn a_source_in_python_survives_kills() -> Result<()> {
    if !is_there("python3") {
        eprintln!("SKIPPED: Python is not installed");
        return Ok(());
    }
    let place = Place::new(&[("csv", built::case("languages/csv.toml")?)])?;
    add_program(&place, "csv", "python-plugin", "python/gantry_plugin", "gantry_plugin")?;
    let desk = Desk::new(&place.path("desk"))?;
    let world = start_and_check(place, "plug.py", &[]).await?;
    play(&world, "plug.py", &desk).await
}

#[tokio::test]
async fn a_source_in_javascript_survives_kills() -> Result<()> {
    if !is_there("node") {
        eprintln!("SKIPPED: Node.js is not installed");
        return Ok(());
    }
    let shop = Shop::open().await?;
    let config = built::case("languages/rest.toml")?.replace("@ENDPOINT@", &shop.endpoint);
    let place = Place::new(&[("rest", config)])?;
    add_program(&place, "rest", "node-plugin", "node", "node_modules/gantry-plugin")?;
    let world = start_and_check(place, "plug.js", &[("TEST_SHOP_TOKEN", shop::TOKEN)]).await?;
    play(&world, "plug.js", &shop).await
}

#[tokio::test]
async fn a_program_that_cannot_be_used_is_refused_and_the_others_go_on() -> Result<()> {
    let place = Place::new(&[])?;
    add_program(&place, "good", "python-plugin", "python/gantry_plugin", "gantry_plugin")?;
    add_program(&place, "rest", "node-plugin", "node", "node_modules/gantry-plugin")?;
    fs::write(place.path("plugins/rest/gantry-plugin.json"), "{\"name\": \"rest\"")?;
    let listed = place.gantry(&["plugin", "list", "--json"]).await?.json()?;
    let found = listed["found"].as_array().context("nothing found")?;
    let csv = found.iter().find(|found| found["name"] == "csv").context("no csv")?;
    ensure!(csv["roles"] == json!(["capture", "lookup", "callback"]), "{csv}");
    let refused = listed["refused"].as_array().context("nothing refused")?;
    ensure!(refused.len() == 1 && refused[0]["code"] == "GANTRY-P027", "{refused:?}");
    let inspected = place.gantry(&["plugin", "inspect", "plugins/good", "--json"]).await?.json()?;
    ensure!(inspected["sha256"] == csv["sha256"], "{inspected}");
    ensure!(inspected["command"] == json!(["python3", "plug.py"]), "{inspected}");
    let refused = place.gantry(&["plugin", "inspect", "plugins/rest"]).await?;
    ensure!(refused.code != 0 && refused.stderr.contains("GANTRY-P027"), "{refused:?}");
    Ok(())
}

/// The hub takes the plug-in without running it, and then runs it.
async fn start_and_check(place: Place, program: &str, env: &[(&str, &str)]) -> Result<World> {
    let world = World::start(place, env).await?;
    child::of(&world, program).await?;
    Ok(world)
}

/// Adds records and kills the process, in turn; at the end everything is there once.
async fn play(world: &World, program: &str, source: &impl Source) -> Result<()> {
    let mut n = 0;
    for round in 0..=N_KILLS {
        source.add(n..n + PART)?;
        // In the midst of things: somewhere between the first of these records and the last.
        let at_least = n + 1 + round * PART / (N_KILLS + 1);
        n += PART;
        items(world, "open", at_least).await?;
        if round < N_KILLS {
            child::kill(child::of(world, program).await?)?;
        }
    }
    let items = items(world, "waiting", n).await?;
    ensure!(items.len() == n, "{} items of {n} records", items.len());
    for item in items {
        let id = item["item"].as_str().context("an item without id")?;
        let item = world.hub.admin.get(&format!("/items/{id}")).await?;
        let attributes = &item["attributes"];
        let tier = if attributes["customer_id"] == "C-0" { "gold" } else { "silver" };
        ensure!(attributes["tier"] == tier, "another customer's: {item}");
    }
    let all_told = |status: &Value| {
        let mut callbacks = status["callbacks"].as_object().into_iter().flatten();
        callbacks.all(|(_, callback)| callback["delivered"].as_u64() >= Some(n as u64))
    };
    world.until("/status", all_told).await?;
    let told = source.told()?;
    ensure!(told.len() == n, "{} events of {n} were told", told.len());
    ensure!(told.values().all(|times| *times == 1), "told more than once: {told:?}");
    Ok(())
}

/// The items of a status, once there are so many.
pub(crate) async fn items(world: &World, status: &str, n: usize) -> Result<Vec<Value>> {
    let list = |page: &Value| page["items"].as_array().cloned().unwrap_or_default();
    let path = format!("/items?status={status}&limit=500");
    let page = world.until(&path, |page| list(page).len() >= n).await?;
    Ok(list(&page))
}

/// Lays an example as an operator would into the folder of plug-ins, with its package beside it,
/// and lets the user that plug-ins run as get to the folder.
pub(crate) fn add_program(
    place: &Place,
    name: &str,
    example: &str,
    package: &str,
    beside: &str,
) -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("no workspace")?;
    add_files(place, name, &root.join("examples").join(example), package, beside)
}

/// The same of any folder with a program.
pub(crate) fn add_files(
    place: &Place,
    name: &str,
    files: &Path,
    package: &str,
    beside: &str,
) -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("no workspace")?;
    let folder = place.path("plugins").join(name);
    copy(files, &folder)?;
    copy(&root.join("plugin-api").join(package), &folder.join(beside))?;
    fs::set_permissions(place.path(""), fs::Permissions::from_mode(0o755))?;
    Ok(())
}

pub(crate) fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in from.read_dir().with_context(|| format!("reading {}", from.display()))? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}

pub(crate) fn is_there(program: &str) -> bool {
    let mut version = Command::new(program);
    version.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
    version.status().is_ok_and(|status| status.success())
}
