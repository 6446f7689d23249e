//! `gantry plugin bench`: what a plug-in does a second, and how long each operation takes, in the
//! hub's own process and in one of its own.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;
use gantry_model::spec::Spec;
use gantry_plugin_host::api::manifest::CaptureMode;
use gantry_plugin_host::api::{Json, Query, Secret};
use gantry_plugin_host::{CallError, Host, Instance, Isolated, Library, Limits, inspect};
use gantry_server::plugins::{self, Folders};
use serde_json::{Value, json};

use super::stage;
use crate::{Global, table};

pub(super) const EXAMPLE: &str = "Example:\n  \
    gantry plugin bench target/release/libshop.so\n  \
    gantry plugin bench target/release/libshop.so --query customer_id=C-1\n  \
    gantry plugin bench target/release/libshop.so --peer libgantry_example_counter.so\n\n\
    It reads from the system that the config names, again and again from the beginning, and \
    acknowledges nothing. Callbacks are not measured: they would change something.";

/// Records asked for in one poll, and queries in one call, as a hub does it.
const POLL_LIMIT: u32 = 256;
const QUERIES: usize = 32;

#[derive(Args)]
pub(crate) struct Options {
    /// The library, or the folder of a program; its source, capture point and look-up are the first
    /// of that plug-in in the config.
    file: PathBuf,
    /// An attribute to look up by, as `NAME=VALUE`; may be given several times.
    #[arg(long, value_name = "NAME=VALUE")]
    query: Vec<String>,
    /// The example `counter`, measured beside: what any plug-in costs here.
    #[arg(long)]
    peer: Option<PathBuf>,
    /// Seconds for each figure.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
}

/// What is measured, with its config in place.
struct Subject {
    name: String,
    host: Host,
    is_library: bool,
    source: String,
    /// With references to secrets, for the permissions.
    raw: Value,
    config: Vec<u8>,
    secrets: Vec<Secret<String>>,
    capture: Option<(String, Vec<u8>)>,
    lookup: Option<(String, Vec<u8>)>,
    query: Json,
    /// Where it lies and is opened from.
    _folder: tempfile::TempDir,
}

/// One line of the report.
struct Figure {
    plugin: String,
    isolation: &'static str,
    operation: &'static str,
    /// Of records or answers; none for what happens once.
    per_second: Option<f64>,
    p50: Duration,
    p99: Duration,
}

pub(super) async fn bench(global: &Global, options: Options) -> Result<()> {
    let Options { file, query, peer, seconds } = options;
    let query = query.iter().map(|attribute| {
        let (name, value) = attribute.split_once('=').context("write --query NAME=VALUE")?;
        // Numbers and the like are what they look like; all else is text.
        let value = serde_json::from_str(value).unwrap_or_else(|_| json!(value));
        Ok((name.to_owned(), value))
    });
    let query = Value::Object(query.collect::<Result<_>>()?);
    let seconds = Duration::from_secs(seconds);
    let mut subjects = vec![Subject::of_config(global, &file, &query)?];
    if let Some(peer) = peer {
        subjects.push(Subject::counter(&peer)?);
    }
    let mut figures = Vec::new();
    for subject in &subjects {
        subject.measure(seconds, &mut figures).await?;
    }
    if global.json {
        table::json(&json!(figures.iter().map(Figure::view).collect::<Vec<_>>()));
    } else {
        let rows: Vec<_> = figures.iter().map(Figure::row).collect();
        table::print(&["PLUG-IN", "PROCESS", "OPERATION", "A SECOND", "P50", "P99"], &rows);
    }
    Ok(())
}

impl Subject {
    /// A plug-in as the config uses it.
    fn of_config(global: &Global, file: &Path, query: &Value) -> Result<Self> {
        let (folder, said) = laid(file)?;
        let folders = Folders::of(&global.config, vec![folder.path().join("plugins")])?;
        let name = said.manifest.name.as_str();
        let (checked, scan) = plugins::check(&global.config, folders)?;
        super::say_refused(&scan.refused);
        let Some(spec) = checked.spec else {
            let findings = gantry_config::render_human(&checked.findings, &checked.sources);
            bail!("{} has faults\n{findings}", global.config.display());
        };
        let Spec { sources, captures, lookups, .. } = &spec;
        let (source, its) = sources
            .iter()
            .find(|(_, source)| source.plugin.as_str() == name)
            .with_context(|| format!("no source of the config has plugin = \"{name}\""))?;
        let mut secrets = Vec::new();
        let mut resolved = |value: &Value, schema: &Value| -> Result<Vec<u8>> {
            let (value, found) =
                gantry_config::resolve_secrets(value, schema).map_err(|errors| {
                    let errors: Vec<_> = errors.iter().map(ToString::to_string).collect();
                    anyhow::anyhow!("a secret cannot be had: {}", errors.join("; "))
                })?;
            secrets.extend(found.into_iter().map(Secret::new));
            Ok(serde_json::to_vec(&value)?)
        };
        let manifest = &said.manifest;
        let config = resolved(&its.config, manifest.config.as_value())?;
        let polls = |role: &&gantry_plugin_host::api::manifest::CaptureRole| {
            role.modes.contains(&CaptureMode::Poll)
        };
        let capture = manifest
            .capture
            .as_ref()
            .filter(polls)
            .zip(captures.iter().find(|(_, capture)| capture.source.as_ref() == Some(source)));
        let capture = capture.map(|(role, (name, capture))| {
            let settings = resolved(&capture.settings, role.settings.as_value());
            settings.map(|settings| (name.to_string(), settings))
        });
        let lookup = manifest
            .lookup
            .as_ref()
            .zip(lookups.iter().find(|(_, lookup)| lookup.source == *source));
        let lookup = lookup.map(|(role, (name, lookup))| {
            let settings = resolved(&lookup.settings, role.settings.as_value());
            settings.map(|settings| (name.to_string(), settings))
        });
        let (capture, lookup) = (capture.transpose()?, lookup.transpose()?);
        Ok(Self {
            name: name.to_owned(),
            host: host(folder.path()),
            is_library: said.library.is_some(),
            source: source.to_string(),
            raw: its.config.clone(),
            config,
            secrets,
            capture,
            lookup,
            query: Json::of(query)?,
            _folder: folder,
        })
    }

    /// The example, which does next to nothing: the rest is what calls cost.
    fn counter(file: &Path) -> Result<Self> {
        let (folder, said) = laid(file)?;
        let name = said.manifest.name.clone();
        ensure!(
            name == "counter",
            "`{}` is not the example `counter` but `{name}`",
            file.display()
        );
        let config = json!({ "last": 1_000_000_000_u64 });
        let settings = |value: Value| ("peer".to_owned(), value.to_string().into_bytes());
        Ok(Self {
            name,
            host: host(folder.path()),
            is_library: true,
            source: "peer".to_owned(),
            raw: config.clone(),
            config: config.to_string().into_bytes(),
            secrets: Vec::new(),
            capture: Some(settings(json!({ "step": 1 }))),
            lookup: Some(settings(json!({}))),
            query: Json::of(&json!({ "number": 7 }))?,
            _folder: folder,
        })
    }

    async fn measure(&self, seconds: Duration, figures: &mut Vec<Figure>) -> Result<()> {
        if self.is_library {
            let begun = Instant::now();
            let library = super::refusable(self.host.load(&self.name))?;
            let started = begun.elapsed();
            self.measure_in("the hub's", &library, started, seconds, figures).await?;
        }
        let isolated =
            Isolated { source: &self.source, config: &self.raw, limits: Limits::default() };
        let begun = Instant::now();
        let library = super::refusable(self.host.load_isolated(&self.name, &isolated))?;
        let started = begun.elapsed();
        self.measure_in("its own", &library, started, seconds, figures).await?;
        library.end_process(Duration::from_secs(2));
        Ok(())
    }

    async fn measure_in(
        &self,
        isolation: &'static str,
        library: &Arc<Library>,
        started: Duration,
        seconds: Duration,
        figures: &mut Vec<Figure>,
    ) -> Result<()> {
        let mut add = |operation, n: Option<usize>, mut times: Vec<Duration>| {
            times.sort_unstable();
            let total: Duration = times.iter().sum();
            let at = |percent: usize| times[(times.len() - 1) * percent / 100];
            let per_second = n.map(|n| n as f64 / total.as_secs_f64());
            let (plugin, p50, p99) = (self.name.clone(), at(50), at(99));
            figures.push(Figure { plugin, isolation, operation, per_second, p50, p99 });
        };
        add("start", None, vec![started]);
        let (instance, created) = timed(self.create(library)).await?;
        add("create", None, vec![created]);
        if let Some((name, settings)) = &self.capture {
            let capture = instance.attach_capture(name, settings.clone()).await?;
            let (mut from, mut n, mut times, begun) = (None, 0, Vec::new(), Instant::now());
            while begun.elapsed() < seconds {
                let (batch, took) = timed(capture.poll(from.take(), POLL_LIMIT)).await?;
                n += batch.records.len();
                times.push(took);
                let last = batch.records.last().and_then(|record| record.position.clone());
                // At its end it begins again.
                from = batch.position_after.or(last).filter(|_| batch.more);
            }
            add("poll, records", Some(n), times);
        }
        if let Some((name, settings)) = &self.lookup {
            let lookup = instance.attach_lookup(name, settings.clone()).await?;
            for (operation, n) in [("look-up, 1 query", 1), ("look-up, 32 queries", QUERIES)] {
                let queries = vec![Query::new(self.query.clone()); n];
                let (mut times, begun) = (Vec::new(), Instant::now());
                while begun.elapsed() < seconds {
                    let (answers, took) = timed(lookup.lookup(&queries)).await?;
                    if let Some(Err(error)) = answers.into_iter().next() {
                        bail!("a look-up failed: {error}; give what it asks by, as --query");
                    }
                    times.push(took);
                }
                add(operation, Some(n * times.len()), times);
            }
        }
        instance.stop().await?;
        Ok(())
    }

    async fn create(&self, library: &Arc<Library>) -> Result<Instance, CallError> {
        library.create(&self.source, self.config.clone(), &self.secrets).await
    }
}

/// Lays a plug-in into a new folder.
fn laid(file: &Path) -> Result<(tempfile::TempDir, gantry_plugin_host::Inspected)> {
    let said = super::refusable(inspect(file))?;
    let folder = tempfile::Builder::new().prefix("gantry-bench-").tempdir()?;
    std::fs::create_dir(folder.path().join("plugins"))?;
    stage::lay(&said.path, &folder.path().join("plugins"))?;
    Ok((folder, said))
}

fn host(folder: &Path) -> Host {
    let clock = Arc::new(|| gantry_server::wall_clock().0);
    let options =
        gantry_plugin_host::Options::new(folder.join("plugins"), folder.join("cache"), clock);
    Host::new(options)
}

async fn timed<T>(
    work: impl Future<Output = Result<T, CallError>>,
) -> Result<(T, Duration), CallError> {
    let begun = Instant::now();
    let done = work.await?;
    Ok((done, begun.elapsed()))
}

impl Figure {
    fn row(&self) -> Vec<String> {
        let per_second = self.per_second.map_or("–".to_owned(), |n| format!("{n:.0}"));
        let (p50, p99) = (format!("{:.1?}", self.p50), format!("{:.1?}", self.p99));
        let words = [&self.plugin, self.isolation, self.operation];
        let mut row: Vec<_> = words.map(str::to_owned).to_vec();
        row.extend([per_second, p50, p99]);
        row
    }

    fn view(&self) -> Value {
        json!({
            "plugin": self.plugin,
            "process": self.isolation,
            "operation": self.operation,
            "per_second": self.per_second,
            "p50_us": self.p50.as_secs_f64() * 1e6,
            "p99_us": self.p99.as_secs_f64() * 1e6,
        })
    }
}
