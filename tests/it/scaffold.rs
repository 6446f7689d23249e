//! `gantry plugin new`, in each language and for each choice of roles: what it makes is built,
//! passes its own tests, and works in a hub against its own fake upstream.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use gantry_tests::built;
use gantry_tests::place::Place;
use gantry_tests::world::World;
use serde_json::{Value, json};

const CHOICES: [&str; 7] = [
    "capture",
    "lookup",
    "callback",
    "capture,lookup",
    "capture,callback",
    "lookup,callback",
    "capture,lookup,callback",
];

/// Where the fake listens by default, as `gantry.toml` has it.
const ENDPOINT: &str = "http://127.0.0.1:7878";
/// As many things as the fake has.
const THINGS: u64 = 25;

/// Projects in a folder beside a hub's.
struct Bench(Place);

impl Bench {
    fn new() -> Result<Self> {
        let place = Place::new(&[])?;
        fs::create_dir(place.path("projects"))?;
        // The user that plug-ins run as gets to them.
        fs::set_permissions(place.path(""), fs::Permissions::from_mode(0o755))?;
        Ok(Self(place))
    }

    fn project(&self, name: &str) -> PathBuf {
        self.0.path("projects").join(name)
    }

    /// Makes a project of each choice; gives their names.
    async fn make_all(&self, lang: &str) -> Result<Vec<String>> {
        let mut names = Vec::new();
        let api = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugin-api");
        for kinds in CHOICES {
            let name = format!("a_{}", kinds.replace(',', "_"));
            let path = format!("projects/{name}");
            let api = api.to_str().context("a path that is no text")?;
            let more = ["--lang", lang, "--kind", kinds, "--path", &path, "--api", api];
            let made = self.0.gantry(&[&["plugin", "new", &name], &more[..]].concat()).await?;
            ensure!(made.code == 0, "{made:?}");
            names.push(name);
        }
        Ok(names)
    }

    /// Each has the roles that were asked for, and its part of a hub's config works.
    async fn check_all(&self, names: &[String], endpoint: &str) -> Result<()> {
        let listed = self.0.gantry(&["plugin", "list", "--json"]).await?.json()?;
        for (name, kinds) in names.iter().zip(CHOICES) {
            self.take_config(name, endpoint)?;
            let found = listed["found"].as_array().context("nothing found")?.iter();
            let found = found.filter(|found| found["name"] == **name).collect::<Vec<_>>();
            let roles: Vec<&str> = kinds.split(',').collect();
            ensure!(found.len() == 1 && found[0]["roles"] == json!(roles), "{name}: {listed}");
            let checked = self.0.gantry(&["check", "--connect", "--json"]).await?;
            let report: Value = serde_json::from_str(&checked.stdout)?;
            let parts = report["connections"].as_array().context("no connections")?;
            ensure!(checked.code == 0 && parts.len() == 1 + roles.len(), "{name}: {checked:?}");
        }
        Ok(())
    }

    /// The config of a project becomes the hub's.
    fn take_config(&self, name: &str, endpoint: &str) -> Result<()> {
        let config = fs::read_to_string(self.project(name).join("gantry.toml"))?;
        ensure!(config.contains(ENDPOINT), "{config}");
        fs::write(self.0.path("gantry.toml"), config.replace(ENDPOINT, endpoint))?;
        Ok(())
    }

    /// A hub captures all things, looks their owners up, and tells the upstream of each.
    async fn play(self, all_roles: &str, endpoint: &str) -> Result<()> {
        self.take_config(all_roles, endpoint)?;
        let world = World::start(self.0, &[]).await?;
        let told = |status: &Value| status["callbacks"]["told"]["delivered"] == THINGS;
        world.until("/status", told).await?;
        let page = world.hub.admin.get("/items?limit=200").await?;
        let items = page["items"].as_array().context("no items")?;
        ensure!(items.len() as u64 == THINGS, "{} items", items.len());
        let id = items[0]["item"].as_str().context("an item without id")?;
        let looked_up = |item: &Value| item["attributes"]["tier"].is_string();
        world.until(&format!("/items/{id}"), looked_up).await?;
        Ok(())
    }
}

/// The fake upstream of a project; ends when it drops.
struct Upstream {
    child: Child,
    endpoint: String,
}

impl Upstream {
    fn start(command: &mut Command) -> Result<Self> {
        let command = command.env("UPSTREAM", "127.0.0.1:0").stdout(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("starting {command:?}"))?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("no output")?).read_line(&mut line)?;
        let endpoint = line.trim().rsplit(' ').next().unwrap_or_default().to_owned();
        ensure!(endpoint.starts_with("http://"), "the fake says {line:?}");
        Ok(Self { child, endpoint })
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn projects_in_rust_work() -> Result<()> {
    let bench = Bench::new()?;
    let names = bench.make_all("rust").await?;
    // All in one workspace, so that what they need is built once, as it is locked here.
    let workspace = bench.0.path("projects");
    fs::write(workspace.join("Cargo.toml"), "[workspace]\nresolver = \"3\"\nmembers = [\"*\"]\n")?;
    let lock = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.lock");
    fs::copy(lock, workspace.join("Cargo.lock"))?;
    for name in &names {
        let manifest = bench.project(name).join("Cargo.toml");
        let alone = fs::read_to_string(&manifest)?;
        ensure!(alone.contains("\n[workspace]\n"), "{alone}");
        fs::write(&manifest, alone.replace("\n[workspace]\n", "\n"))?;
        // They have an example of the same name; one of them is enough.
        if name != &names[0] {
            fs::remove_dir_all(bench.project(name).join("examples"))?;
        }
    }
    let target = built::test_library("x").with_file_name("scaffold");
    let cargo = |arguments: &[&str]| {
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(arguments).args(["--offline", "--quiet"]).current_dir(&workspace);
        cargo.env("CARGO_TARGET_DIR", &target);
        cargo.env("CARGO_PROFILE_DEV_DEBUG", "0").env("CARGO_INCREMENTAL", "0");
        done(cargo.env("RUSTFLAGS", "--deny warnings"))
    };
    cargo(&["build", "--workspace", "--lib", "--examples"])?;
    cargo(&["test", "--workspace", "--lib"])?;
    done(Command::new("cargo").args(["fmt", "--all", "--check"]).current_dir(&workspace))?;
    let upstream = Upstream::start(&mut Command::new(target.join("debug/examples/upstream")))?;
    for name in &names {
        let file = format!("lib{name}.so");
        fs::copy(target.join("debug").join(&file), bench.0.path("plugins").join(&file))?;
    }
    bench.check_all(&names, &upstream.endpoint).await?;
    bench.play(&names[6], &upstream.endpoint).await
}

#[tokio::test]
async fn projects_in_python_work() -> Result<()> {
    if done(Command::new("python3").arg("--version")).is_err() {
        eprintln!("SKIPPED: Python is not installed");
        return Ok(());
    }
    programs("python", "python3", &["-m", "unittest", "-q"], "plug.py", "upstream.py").await
}

#[tokio::test]
async fn projects_in_javascript_work() -> Result<()> {
    if done(Command::new("node").arg("--version")).is_err() {
        eprintln!("SKIPPED: Node.js is not installed");
        return Ok(());
    }
    programs("node", "node", &["--test"], "plug.js", "upstream.js").await
}

async fn programs(lang: &str, runs: &str, tests: &[&str], plug: &str, fake: &str) -> Result<()> {
    let bench = Bench::new()?;
    let names = bench.make_all(lang).await?;
    for name in &names {
        let run = |arguments: &[&str]| {
            let mut command = Command::new(runs);
            done(command.args(arguments).current_dir(bench.project(name)))
        };
        run(tests)?;
        run(&[&format!("plugin/{plug}"), "--manifest"])?;
        fs::rename(bench.project(name).join("plugin"), bench.0.path("plugins").join(name))?;
    }
    let mut fake = vec![bench.project(&names[0]).join(fake)];
    let upstream = Upstream::start(Command::new(runs).args(fake.drain(..)))?;
    bench.check_all(&names, &upstream.endpoint).await?;
    bench.play(&names[6], &upstream.endpoint).await
}

#[tokio::test]
async fn names_and_folders_that_will_not_do() -> Result<()> {
    let place = Place::new(&[])?;
    for (name, says) in [
        ("My-Shop", "use a small letter, then small letters, digits and `_`"),
        ("2shop", "use a small letter"),
        ("match", "try `match_source`"),
        ("serde", "try `serde_source`"),
        ("plugins", "`plugins` is there already"),
    ] {
        let ran = place.gantry(&["plugin", "new", name]).await?;
        ensure!(ran.code == 2 && ran.stderr.contains(says), "{name}: {ran:?}");
    }
    let ran = place.gantry(&["plugin", "new", "shop", "--api", "plugins"]).await?;
    ensure!(ran.code == 2 && ran.stderr.contains("not the folder of gantry-plugin-api"), "{ran:?}");
    ensure!(!place.path("shop").exists(), "half a project was left");
    // Where the templates mean something by the name of its type.
    let ran = place.gantry(&["plugin", "new", "config", "--lang", "python"]).await?;
    ensure!(ran.code == 0, "{ran:?}");
    let plug = fs::read_to_string(place.path("config/plugin/plug.py"))?;
    ensure!(plug.contains("class ConfigPlugin(Plugin[Config])"), "{plug}");
    Ok(())
}

/// Runs a program that must end well.
fn done(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("starting {command:?}"))?;
    let shown = [output.stdout, output.stderr].concat();
    let shown = String::from_utf8_lossy(&shown);
    ensure!(output.status.success(), "{command:?} ended with {}:\n{shown}", output.status);
    Ok(())
}
