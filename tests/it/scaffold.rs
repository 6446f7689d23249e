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

/// Projects in a folder, and a hub's.
struct Bench {
    place: Place,
    projects: PathBuf,
}

impl Bench {
    fn new() -> Result<Self> {
        let place = Place::new(&[])?;
        let projects = place.path("projects");
        // The user that plug-ins run as gets to them.
        fs::set_permissions(place.path(""), fs::Permissions::from_mode(0o755))?;
        Ok(Self { place, projects })
    }

    fn project(&self, name: &str) -> PathBuf {
        self.projects.join(name)
    }

    /// Makes a project of each choice; gives their names.
    async fn make_all(&self, lang: &str) -> Result<Vec<String>> {
        let mut names = Vec::new();
        let api = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugin-api");
        for kinds in CHOICES {
            let name = format!("a_{}", kinds.replace(',', "_"));
            let path = self.project(&name);
            let [path, api] = [&path, &api].map(|path| path.to_str().unwrap_or_default());
            let more = ["--lang", lang, "--kind", kinds, "--path", path, "--api", api];
            let made = self.place.gantry(&[&["plugin", "new", &name], &more[..]].concat()).await?;
            ensure!(made.code == 0, "{made:?}");
            names.push(name);
        }
        Ok(names)
    }

    /// Each has the roles that were asked for, and its part of a hub's config works.
    async fn check_all(&self, names: &[String], endpoint: &str) -> Result<()> {
        let listed = self.place.gantry(&["plugin", "list", "--json"]).await?.json()?;
        for (name, kinds) in names.iter().zip(CHOICES) {
            self.take_config(name, endpoint)?;
            let found = listed["found"].as_array().context("nothing found")?.iter();
            let found = found.filter(|found| found["name"] == **name).collect::<Vec<_>>();
            let roles: Vec<&str> = kinds.split(',').collect();
            ensure!(found.len() == 1 && found[0]["roles"] == json!(roles), "{name}: {listed}");
            let checked = self.place.gantry(&["check", "--connect", "--json"]).await?;
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
        fs::write(self.place.path("gantry.toml"), config.replace(ENDPOINT, endpoint))?;
        Ok(())
    }

    /// A hub captures all things, looks their owners up, and tells the upstream of each.
    async fn play(self, all_roles: &str, endpoint: &str) -> Result<()> {
        self.take_config(all_roles, endpoint)?;
        let world = World::start(self.place, &[]).await?;
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
    // With the same folder and profiles as all of this project, so that much of what they need is
    // built already; and at the same place each time, so that nothing piles up there.
    let built = built::test_library("x").with_file_name("");
    let target = built.parent().context("no target folder")?;
    let workspace = target.join("scaffold");
    if workspace.exists() {
        fs::remove_dir_all(&workspace)?;
    }
    let bench = Bench { projects: workspace.clone(), ..Bench::new()? };
    let names = bench.make_all("rust").await?;
    // All in one workspace, so that what they need is built once, as it is locked here.
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let manifest = fs::read_to_string(ours.join("Cargo.toml"))?;
    let profiles = &manifest[manifest.find("[profile.").context("no profiles")?..];
    let members = "[workspace]\nresolver = \"3\"\nmembers = [\"*\"]\n";
    fs::write(workspace.join("Cargo.toml"), format!("{members}\n{profiles}"))?;
    fs::copy(ours.join("Cargo.lock"), workspace.join("Cargo.lock"))?;
    for name in &names {
        let manifest = bench.project(name).join("Cargo.toml");
        let alone = fs::read_to_string(&manifest)?;
        ensure!(alone.contains("\n[workspace]\n"), "{alone}");
        fs::write(&manifest, alone.replace("\n[workspace]\n", "\n"))?;
    }
    let cargo = |arguments: &[&str]| {
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(arguments).current_dir(&workspace);
        let output = done(cargo.env("CARGO_TARGET_DIR", target).env("CARGO_NET_OFFLINE", "true"))?;
        // The profiles speak of packages that these do not need.
        let mut warnings = output.lines().filter(|line| line.starts_with("warning"));
        ensure!(warnings.all(|line| line.starts_with("warning: profile package")), "{output}");
        Ok(())
    };
    cargo(&["build", "--workspace", "--lib", "--examples"])?;
    // That each conforms is asked of the one with all roles.
    let (all, conforms) = (&names[6], "it_conforms");
    cargo(&["test", "--workspace", "--lib", "--", "--skip", conforms])?;
    cargo(&["test", "--package", all, "--lib", conforms])?;
    done(Command::new("cargo").args(["fmt", "--all", "--check"]).current_dir(&workspace))?;
    let upstream =
        Upstream::start(&mut Command::new(target.join(format!("debug/examples/{all}_upstream"))))?;
    let copy = |name: &str| {
        let file = format!("lib{name}.so");
        fs::copy(target.join("debug").join(&file), bench.place.path("plugins").join(&file))
    };
    for name in &names {
        copy(name)?;
    }
    bench.check_all(&names, &upstream.endpoint).await?;

    // Built in another way, with another version of what both sides speak by, it works as well …
    let own_minicbor = another_minicbor(&workspace)?;
    fs::write(workspace.join("Cargo.toml"), format!("{members}\n{own_minicbor}\n{profiles}"))?;
    cargo(&["update", "--package", "minicbor"])?;
    cargo(&["rustc", "--package", all, "--lib", "--", "-C", "opt-level=3"])?;
    copy(all)?;
    // … but not one in which a panic would end the hub.
    let ending = &names[0];
    cargo(&["rustc", "--package", ending, "--lib", "--", "-C", "panic=abort"])?;
    copy(ending)?;
    let path = format!("plugins/lib{ending}.so");
    let refused = bench.place.gantry(&["plugin", "inspect", &path, "--json"]).await?.json()?;
    ensure!(refused["refused_code"] == "GANTRY-P012", "{refused}");
    bench.play(all, &upstream.endpoint).await
}

/// Lays a copy of minicbor, under another version, into the workspace; gives what makes it the one
/// that is used.
fn another_minicbor(workspace: &Path) -> Result<String> {
    let mut metadata = Command::new("cargo");
    metadata.args(["metadata", "--offline", "--format-version", "1"]).current_dir(workspace);
    let output = metadata.stderr(Stdio::null()).output()?;
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let packages = metadata["packages"].as_array().context("no packages")?;
    let minicbor = packages.iter().find(|package| package["name"] == "minicbor");
    let minicbor = minicbor.context("no minicbor")?;
    let manifest = Path::new(minicbor["manifest_path"].as_str().context("no path")?);
    let version = minicbor["version"].as_str().context("no version")?;
    // Beside the members, which are all folders here.
    let copy = workspace.with_extension("minicbor");
    if copy.exists() {
        fs::remove_dir_all(&copy)?;
    }
    super::languages::copy(manifest.parent().context("no folder")?, &copy)?;
    let manifest = fs::read_to_string(manifest)?;
    let here = format!("\nversion = \"{version}\"");
    ensure!(manifest.contains(&here), "{manifest}");
    let another = format!("\nversion = \"{version}99\"");
    fs::write(copy.join("Cargo.toml"), manifest.replacen(&here, &another, 1))?;
    let copy = copy.display();
    Ok(format!("[patch.crates-io]\nminicbor = {{ path = \"{copy}\" }}\n"))
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
        fs::rename(bench.project(name).join("plugin"), bench.place.path("plugins").join(name))?;
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
fn done(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("starting {command:?}"))?;
    let shown = [output.stdout, output.stderr].concat();
    let shown = String::from_utf8_lossy(&shown);
    ensure!(output.status.success(), "{command:?} ended with {}:\n{shown}", output.status);
    Ok(shown.into_owned())
}
