//! From an author's folder into a hub's: packages, their installation, and a project that runs
//! while it is written.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use gantry_tests::built;
use gantry_tests::cli::Ran;
use gantry_tests::place::Place;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{ChildStdout, Command};

/// What a test waits for has to happen within this time.
const WITHIN: Duration = Duration::from_mins(1);

async fn run(place: &Place, arguments: &str) -> Result<Ran> {
    place.gantry(&arguments.split(' ').collect::<Vec<_>>()).await
}

async fn done(place: &Place, arguments: &str) -> Result<Value> {
    run(place, &format!("{arguments} --json")).await?.json().context(arguments.to_owned())
}

/// A copy of the counter that is not like the others of that name.
fn counter(place: &Place, n_more: usize) -> Result<()> {
    let mut bytes = fs::read(built::test_library("example-counter"))?;
    bytes.extend(vec![0; n_more]);
    fs::write(place.path("libcounter.so"), bytes)?;
    Ok(())
}

async fn listed(place: &Place, name: &str) -> Result<Value> {
    let listed = done(place, "plugin list").await?;
    let mut found = listed["found"].as_array().into_iter().flatten();
    found.find(|found| found["name"] == name).cloned().with_context(|| format!("{listed}"))
}

#[tokio::test]
async fn a_signed_package_is_installed_and_updated_by_its_publisher_alone() -> Result<()> {
    let place = Place::new(&[])?;
    let key = done(&place, "plugin keygen acme.key").await?;
    let key = key["public"].as_str().context("no key")?;
    counter(&place, 0)?;
    let packed = done(&place, "plugin pack libcounter.so --key acme.key --out a.tar.gz").await?;
    ensure!(packed["signed"] == true && packed["version"] == "0.1.0", "{packed}");
    let again = run(&place, "plugin pack libcounter.so --key acme.key --out a.tar.gz").await?;
    ensure!(again.code == 2, "a package was overwritten: {again:?}");
    done(&place, "plugin pack libcounter.so --key acme.key --out again.tar.gz").await?;
    let same = fs::read(place.path("a.tar.gz"))? == fs::read(place.path("again.tar.gz"))?;
    ensure!(same, "the same plug-in gives another package");

    done(&place, "plugin lock").await?;
    let unasked = run(&place, "plugin install a.tar.gz").await?;
    ensure!(unasked.code == 2 && unasked.stderr.contains("--yes"), "{unasked:?}");
    ensure!(unasked.stdout.contains("permissions  read"), "{unasked:?}");
    ensure!(!place.path("plugins/libcounter.so").exists(), "it was installed unasked");
    done(&place, "plugin install a.tar.gz --yes").await?;
    let found = listed(&place, "counter").await?;
    let signature = found["signature"].as_str().unwrap_or_default();
    ensure!(found["pinned"] == true && signature.contains(key), "{found}");
    done(&place, &format!("plugin lock counter --publisher acme={key}")).await?;

    counter(&place, 1)?;
    done(&place, "plugin keygen other.key").await?;
    done(&place, "plugin pack libcounter.so --key acme.key --out b.tar.gz").await?;
    done(&place, "plugin pack libcounter.so --key other.key --out other.tar.gz").await?;
    done(&place, "plugin pack libcounter.so --out unsigned.tar.gz").await?;
    let there = run(&place, "plugin install b.tar.gz --yes").await?;
    ensure!(there.code == 2 && there.stderr.contains("is there already"), "{there:?}");
    for (file, code) in [("other", "GANTRY-P030"), ("unsigned", "GANTRY-P029")] {
        let command = format!("plugin install {file}.tar.gz --yes --update");
        let refused = run(&place, &command).await?;
        ensure!(refused.code == 2 && refused.stderr.contains(code), "{refused:?}");
    }
    ensure!(listed(&place, "counter").await?["sha256"] == found["sha256"], "it was replaced");
    done(&place, "plugin install b.tar.gz --yes --update").await?;
    let updated = listed(&place, "counter").await?;
    ensure!(updated["sha256"] != found["sha256"], "{updated}");
    ensure!(updated["signature"] == "valid, by `acme`", "{updated}");
    let left = fs::read_dir(place.path("plugins"))?.flatten().map(|entry| entry.file_name());
    let left: Vec<_> = left.filter(|name| name.to_string_lossy().starts_with('.')).collect();
    ensure!(left.is_empty(), "{left:?} was left behind");
    Ok(())
}

#[tokio::test]
async fn a_program_is_packed_whole_and_a_damaged_package_is_refused() -> Result<()> {
    let place = Place::new(&[])?;
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/python-plugin");
    let folder = place.path("csv");
    fs::create_dir_all(folder.join("__pycache__"))?;
    fs::write(folder.join("__pycache__/plug.pyc"), "of no consequence")?;
    for file in ["plug.py", "gantry-plugin.json"] {
        fs::copy(example.join(file), folder.join(file))?;
    }
    fs::set_permissions(folder.join("plug.py"), fs::Permissions::from_mode(0o755))?;
    std::os::unix::fs::symlink("plug.py", folder.join("also.py"))?;
    let packed = done(&place, "plugin pack csv").await?;
    ensure!(packed["package"] == "csv-0.1.0.tar.gz", "{packed}");
    let placed = done(&place, "plugin install csv-0.1.0.tar.gz --yes").await?;
    // There are others, to whom nobody has agreed.
    ensure!(placed["locked"] == false && !place.path("plugins.lock").exists(), "{placed}");
    ensure!(listed(&place, "csv").await?["sha256"] == packed["sha256"], "not the same");
    ensure!(!place.path("plugins/csv/__pycache__").exists());

    fs::write(folder.join("more.py"), "")?;
    let packed = done(&place, "plugin pack csv --out more.tar.gz").await?;
    done(&place, "plugin install more.tar.gz --yes --update").await?;
    ensure!(listed(&place, "csv").await?["sha256"] == packed["sha256"], "not the same");

    let mut bytes = fs::read(place.path("more.tar.gz"))?;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    fs::write(place.path("damaged.tar.gz"), &bytes)?;
    let into_new = "--yes --into elsewhere";
    let damaged = run(&place, &format!("plugin install damaged.tar.gz {into_new}")).await?;
    ensure!(damaged.code == 2 && damaged.stderr.contains("cannot be installed"), "{damaged:?}");
    ensure!(fs::read_dir(place.path("elsewhere"))?.next().is_none(), "something was installed");
    // The first in its folder is agreed to from the beginning.
    done(&place, &format!("plugin install more.tar.gz {into_new}")).await?;
    ensure!(place.path("plugins.lock").exists());
    Ok(())
}

#[tokio::test]
async fn the_bench_measures_both_isolations_beside_the_peer() -> Result<()> {
    let place = Place::new(&[("numbers", built::case("reload/numbers.toml")?)])?;
    let file = built::test_library("example-counter");
    let file = file.to_str().context("a path that is no text")?;
    let arguments = ["--seconds", "1", "--query", "number=3", "--peer", file, "--json"];
    let ran = place.gantry(&[&["plugin", "bench", file], &arguments[..]].concat()).await?;
    let figures = ran.json()?;
    let figures = figures.as_array().context("no figures")?;
    for process in ["the hub's", "its own"] {
        let of = |figure: &&Value| figure["process"] == process;
        let operations = figures.iter().filter(of).map(|figure| figure["operation"].clone());
        let operations: Vec<_> = operations.collect();
        ensure!(operations.contains(&json!("poll, records")), "{figures:?}");
    }
    let per_second = |figure: &Value| figure["per_second"].as_f64().is_none_or(|n| n > 0.0);
    ensure!(figures.iter().all(per_second), "{figures:?}");
    Ok(())
}

/// What `gantry plugin dev` prints, line by line.
struct Shown(Lines<BufReader<ChildStdout>>);

impl Shown {
    async fn until(&mut self, wanted: &str) -> Result<()> {
        let found = async {
            while let Some(line) = self.0.next_line().await? {
                if line.contains(wanted) {
                    return Ok(());
                }
            }
            anyhow::bail!("it ended without {wanted:?}")
        };
        tokio::time::timeout(WITHIN, found).await.with_context(|| format!("no {wanted:?}"))?
    }
}

#[tokio::test]
async fn a_project_runs_while_it_is_written_and_leaves_nothing_behind() -> Result<()> {
    if Command::new("python3").arg("--version").output().await.is_err() {
        eprintln!("SKIPPED: Python is not installed");
        return Ok(());
    }
    let place = Place::new(&[])?;
    fs::set_permissions(place.path(""), fs::Permissions::from_mode(0o755))?;
    done(&place, "plugin new shop --lang python --kind capture,callback").await?;
    let (shop, scratch) = (place.path("shop"), place.path("scratch"));
    fs::create_dir(&scratch)?;
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
    edit(&shop.join("gantry.toml"), "127.0.0.1:7878", &address)?;
    let mut dev = Command::new(built::gantry());
    dev.args(["plugin", "dev", "shop", "--listen", "127.0.0.1:0"]);
    dev.current_dir(place.path("")).env("TMPDIR", &scratch).env("UPSTREAM", &address);
    let mut dev = dev.stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
    let shown = BufReader::new(dev.stdout.take().context("no output")?).lines();
    let mut shown = Shown(shown);
    shown.until("gantry takes work at").await?;
    // The hub goes on with the new one.
    edit(&shop.join("plugin/plug.py"), "version = \"0.1.0\"", "version = \"0.2.0\"")?;
    shown.until("other: runs with version 0.2.0").await?;
    edit(&shop.join("gantry.toml"), "every = \"1s\"", "every = \"2s\"")?;
    shown.until("gantry takes work at").await?;

    TcpStream::connect(&address).context("the upstream does not run")?;
    let number = dev.id().and_then(|id| Pid::from_raw(id.cast_signed())).context("it ended")?;
    kill_process(number, Signal::TERM)?;
    let status = tokio::time::timeout(WITHIN, dev.wait()).await??;
    ensure!(status.success(), "{status}");
    let left: Vec<PathBuf> = fs::read_dir(&scratch)?.flatten().map(|entry| entry.path()).collect();
    ensure!(left.is_empty(), "{left:?} was left behind");
    ensure!(TcpStream::connect(&address).is_err(), "the upstream runs on");
    Ok(())
}

fn edit(file: &Path, from: &str, to: &str) -> Result<()> {
    let text = fs::read_to_string(file)?;
    ensure!(text.contains(from), "{} has no {from}", file.display());
    fs::write(file, text.replace(from, to))?;
    Ok(())
}
