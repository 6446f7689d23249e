//! Which plug-ins may run: the operator's way through lock file, signatures and modes.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use gantry_tests::built;
use gantry_tests::cli::Ran;
use gantry_tests::place::Place;
use serde_json::{Value, json};

/// A folder with the counter, as a file of its own.
struct Shelf(Place);

impl Shelf {
    fn new() -> Result<Self> {
        let place = Place::new(&[])?;
        let shelf = Self(place);
        fs::copy(built::test_library("example-counter"), shelf.counter())?;
        fs::set_permissions(shelf.counter(), fs::Permissions::from_mode(0o644))?;
        Ok(shelf)
    }

    fn counter(&self) -> PathBuf {
        self.0.path("plugins/libcounter.so")
    }

    /// The counter, a little different.
    fn update(&self) -> Result<()> {
        let mut bytes = fs::read(self.counter())?;
        bytes.push(0);
        fs::write(self.counter(), bytes)?;
        Ok(())
    }

    async fn run(&self, arguments: &str) -> Result<Ran> {
        self.0.gantry(&arguments.split(' ').collect::<Vec<_>>()).await
    }

    /// Runs a command that must do what it is told.
    async fn done(&self, arguments: &str) -> Result<String> {
        let ran = self.run(arguments).await?;
        ensure!(ran.code == 0, "{arguments}: {ran:?}");
        Ok(ran.stdout)
    }

    /// The one thing that is refused, or nothing.
    async fn refused(&self) -> Result<Option<Value>> {
        let mut listed = self.run("plugin list --json").await?.json()?;
        let refused = listed["refused"].as_array_mut().context("no refused")?;
        ensure!(refused.len() <= 1, "{refused:?}");
        Ok(refused.pop())
    }

    async fn must_refuse(&self, code: &str, says: &str) -> Result<()> {
        let refused = self.refused().await?.context("nothing is refused")?;
        let said = format!("{} {}", refused["reason"], refused["remedy"]);
        ensure!(refused["code"] == code && said.contains(says), "{refused}");
        Ok(())
    }

    async fn verified(&self) -> Result<(i32, Value)> {
        let ran = self.run("plugin verify counter --json").await?;
        let report: Value = serde_json::from_str(&ran.stdout)?;
        Ok((ran.code, report["plugins"][0].clone()))
    }
}

#[tokio::test]
async fn what_is_agreed_to_runs_and_nothing_else() -> Result<()> {
    let shelf = Shelf::new()?;
    let (code, report) = shelf.verified().await?;
    ensure!(code == 0 && report["hash"] == "not pinned", "{report}");
    let written = shelf.run("plugin lock --json").await?.json()?;
    let agreed = written["plugins"].as_array().context("no plug-ins")?;
    // What ships, and the one that is updated.
    let n = built::plugins().read_dir()?.count() + 1;
    ensure!(agreed.len() == n && agreed.iter().all(|row| row["result"] == "agreed"), "{written}");
    ensure!(shelf.refused().await?.is_none());

    shelf.update()?;
    let accept = "gantry plugin lock counter";
    shelf.must_refuse("GANTRY-P014", accept).await?;
    let (code, report) = shelf.verified().await?;
    ensure!(code == 1 && report["hash"] == "not the one in plugins.lock", "{report}");
    // A change is agreed to by name only.
    let all = shelf.run("plugin lock").await?;
    ensure!(all.code == 1 && all.stdout.contains(accept), "{all:?}");
    shelf.must_refuse("GANTRY-P014", accept).await?;
    shelf.done("plugin lock counter").await?;
    ensure!(shelf.refused().await?.is_none());

    let lock = fs::read_to_string(shelf.0.path("plugins.lock"))?;
    let (before, after) = lock.split_once("[plugin.counter]").context("no counter")?;
    let rest = after.split_once("\n[").map_or("", |(_, rest)| rest);
    fs::write(shelf.0.path("plugins.lock"), format!("{before}\n[{rest}"))?;
    shelf.must_refuse("GANTRY-P015", accept).await?;
    let unknown = shelf.run("plugin lock siebel").await?;
    ensure!(unknown.code == 2 && unknown.stderr.contains("no plug-in `siebel`"), "{unknown:?}");
    fs::write(shelf.0.path("plugins.lock"), "sha256")?;
    let broken = shelf.run("check").await?;
    ensure!(broken.code == 2 && broken.stderr.contains("plugins.lock"), "{broken:?}");
    Ok(())
}

#[tokio::test]
async fn signatures_of_others_are_refused_though_they_are_valid() -> Result<()> {
    let shelf = Shelf::new()?;
    let acme = shelf.done("plugin keygen acme.key").await?;
    let acme = acme.trim();
    let mode = fs::metadata(shelf.0.path("acme.key"))?.permissions().mode();
    ensure!(mode & 0o777 == 0o600, "mode {mode:o}");
    let again = shelf.run("plugin keygen acme.key").await?;
    ensure!(again.code == 2, "a key was overwritten: {again:?}");

    let lock = format!("plugin lock counter --publisher acme={acme}");
    let unsigned = shelf.run(&lock).await?;
    ensure!(unsigned.code == 2 && unsigned.stderr.contains("GANTRY-P029"), "{unsigned:?}");
    shelf.done("plugin sign plugins/libcounter.so --key acme.key").await?;
    shelf.done(&lock).await?;
    shelf.done("plugin lock").await?;
    let (code, report) = shelf.verified().await?;
    ensure!(code == 0 && report["signature"] == "valid, by `acme`", "{report}");

    // An update counts once its publisher has signed it.
    shelf.update()?;
    let stale = shelf.run("plugin lock counter").await?;
    ensure!(stale.code == 2 && stale.stderr.contains("GANTRY-P031"), "{stale:?}");
    let other = shelf.done("plugin keygen other.key").await?;
    shelf.done("plugin sign plugins/libcounter.so --key other.key").await?;
    let foreign = shelf.run("plugin lock counter").await?;
    ensure!(foreign.code == 2 && foreign.stderr.contains("GANTRY-P030"), "{foreign:?}");
    ensure!(foreign.stderr.contains(other.trim()), "{foreign:?}");
    shelf.done("plugin sign plugins/libcounter.so --key acme.key").await?;
    shelf.done("plugin lock counter").await?;
    // The hash is as agreed, but the signature is another's.
    shelf.done("plugin sign plugins/libcounter.so --key other.key").await?;
    shelf.must_refuse("GANTRY-P030", "the signature is valid and by").await?;
    let (code, report) = shelf.verified().await?;
    ensure!(code == 1 && report["code"] == "GANTRY-P030", "{report}");

    fs::set_permissions(shelf.0.path("acme.key"), fs::Permissions::from_mode(0o640))?;
    let open = shelf.run("plugin sign plugins/libcounter.so --key acme.key").await?;
    ensure!(open.code == 2 && open.stderr.contains("chmod 600 acme.key"), "{open:?}");
    Ok(())
}

#[tokio::test]
async fn what_others_may_write_is_refused_and_permissions_are_told() -> Result<()> {
    let shelf = Shelf::new()?;
    fs::set_permissions(shelf.counter(), fs::Permissions::from_mode(0o664))?;
    let remedy = format!("run `chmod go-w {}`", fs::canonicalize(shelf.counter())?.display());
    shelf.must_refuse("GANTRY-P003", &remedy).await?;
    fs::set_permissions(shelf.counter(), fs::Permissions::from_mode(0o644))?;
    fs::set_permissions(shelf.0.path("plugins"), fs::Permissions::from_mode(0o775))?;
    shelf.must_refuse("GANTRY-P003", "chmod go-w").await?;
    fs::set_permissions(shelf.0.path("plugins"), fs::Permissions::from_mode(0o755))?;

    let report = shelf.run("plugin verify files --json").await?.json()?;
    let permits = report["plugins"][0]["permissions"].as_array().context("no permissions")?;
    let of =
        |kind: &str| permits.iter().filter(|permit| permit["kind"] == kind).collect::<Vec<_>>();
    ensure!(permits.iter().all(|permit| permit["in_process"] == "declared only"), "{permits:?}");
    let enforced = |part: &str| report["enforced"][part] == true;
    let network = of("network");
    ensure!(network.len() == 1 && network[0]["what"] == json!(null), "{network:?}");
    ensure!((network[0]["process"] == "enforced") == enforced("system_calls"), "{network:?}");
    for path in of("read").iter().chain(&of("write")) {
        ensure!((path["process"] == "enforced") == enforced("paths"), "{path}");
    }
    let shown = shelf.done("plugin verify").await?;
    ensure!(shown.contains("`gantry plugin lock` writes it"), "{shown}");
    Ok(())
}
