//! Measures what a call of a plug-in costs: in this process beside a plain virtual call, and in a
//! process of its own beside a plain socket.
//!
//! `cargo run --release -p gantry-plugin-host --example bench_plugin [-- --json]`, with the
//! plug-ins built in release before, or any folder that holds them in `GANTRY_PLUGINS`.
//! `cargo xtask bench plugin` does both.
//!
//! `inline` is a look-up of one query that the plug-in answers on the calling thread, `runtime` a
//! poll of one record that runs on the plug-in's own threads, 64 at a time. Both go all the way:
//! typed call, encoding, border, author's code, and back. The figures of processes stand in
//! `process`.
#![allow(clippy::print_stdout, reason = "its output is the product")]

mod process;

use std::env;
use std::hint::black_box;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use gantry_plugin_api::{Json, Query};
use gantry_plugin_host::{CallError, ChildError, Host, Instance, Options, Refusal, run_child};
use tokio::task::JoinSet;

/// Calls a sample; a single call is too short for the clock.
const N_A_SAMPLE: u32 = 100;
const N_SAMPLES: usize = 3_000;
const N_IN_FLIGHT: u32 = 64;

/// Why nothing was measured.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("cannot load the example plug-in")]
    Load(#[from] Refusal),
    #[error("cannot call the example plug-in")]
    Call(#[from] CallError),
    #[error("cannot start a runtime, or talk to a thread of our own")]
    Runtime(#[from] std::io::Error),
    #[error("cannot serve a plug-in")]
    Child(#[from] ChildError),
    #[error("cannot read or write JSON")]
    Json(#[from] gantry_plugin_api::Error),
}

fn main() -> Result<(), Failure> {
    if env::args().any(|argument| argument == "plugin-child") {
        match run_child()? {}
    }
    let json = env::args().any(|argument| argument == "--json");
    let folder = env::var_os("GANTRY_PLUGINS").map_or_else(beside_us, PathBuf::from);
    let cache = env::temp_dir().join("gantry-bench-plugin");
    let host = Host::new(Options::new(folder, cache, Arc::new(|| 0)));
    let library = host.load("counter")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build()?;
    let (inline, through_runtime) = runtime.block_on(async {
        let instance = library.create("bench", br#"{"last": 9}"#.to_vec(), &[]).await?;
        Ok::<_, CallError>((inline(&instance).await?, in_flight(&instance).await?))
    })?;
    let plain = virtual_call();
    report("plugin.inproc.inline", &inline, plain, json);
    report("plugin.inproc.runtime", &through_runtime, plain, json);
    process::measure(&host, json)
}

/// Cargo puts libraries beside the folder `examples` that holds this program.
fn beside_us() -> PathBuf {
    let program = env::current_exe().unwrap_or_default();
    program.ancestors().nth(2).map(PathBuf::from).unwrap_or_default()
}

/// Nanoseconds a call, one a sample, sorted.
struct Samples(Vec<f64>);

impl Samples {
    fn new(mut samples: Vec<f64>) -> Self {
        samples.sort_by(f64::total_cmp);
        Self(samples)
    }

    fn quantile(&self, q: f64) -> f64 {
        self.0[((self.0.len() - 1) as f64 * q) as usize]
    }

    fn mean(&self) -> f64 {
        self.0.iter().sum::<f64>() / self.0.len() as f64
    }
}

async fn inline(instance: &Instance) -> Result<Samples, CallError> {
    let lookup = instance.attach_lookup("bench", b"{}".to_vec()).await?;
    let queries = [Query::new(Json::from_bytes(br#"{"number": 4}"#.as_slice()))];
    let mut samples = Vec::with_capacity(N_SAMPLES);
    for _ in 0..N_SAMPLES {
        let start = Instant::now();
        for _ in 0..N_A_SAMPLE {
            black_box(lookup.lookup(black_box(&queries)).await?);
        }
        samples.push(start.elapsed().as_nanos() as f64 / f64::from(N_A_SAMPLE));
    }
    Ok(Samples::new(samples))
}

/// A sample is the time of a round of calls divided by their number: what one costs while others
/// run.
async fn in_flight(instance: &Instance) -> Result<Samples, CallError> {
    let capture = instance.attach_capture("bench", b"{}".to_vec()).await?;
    let mut samples = Vec::with_capacity(N_SAMPLES);
    let n_a_task = N_A_SAMPLE.div_ceil(N_IN_FLIGHT) * 8;
    for _ in 0..N_SAMPLES / 8 {
        let mut tasks = JoinSet::new();
        let start = Instant::now();
        for _ in 0..N_IN_FLIGHT {
            let capture = capture.clone();
            tasks.spawn(async move {
                for _ in 0..n_a_task {
                    black_box(capture.poll(None, 1).await?);
                }
                Ok::<_, CallError>(())
            });
        }
        while let Some(joined) = tasks.join_next().await {
            joined.expect("invariant: a task here neither panics nor is aborted")?;
        }
        let n_calls = f64::from(N_IN_FLIGHT * n_a_task);
        samples.push(start.elapsed().as_nanos() as f64 / n_calls);
    }
    Ok(Samples::new(samples))
}

/// The machine's own price of a call that is not known before.
fn virtual_call() -> f64 {
    trait Even {
        fn even(&self, number: u64) -> bool;
    }
    struct Counter {
        last: u64,
    }
    impl Even for Counter {
        #[inline(never)]
        fn even(&self, number: u64) -> bool {
            number <= self.last && number.is_multiple_of(2)
        }
    }
    const N: u32 = 50_000_000;
    let counter: Box<dyn Even> = Box::new(Counter { last: black_box(9) });
    let start = Instant::now();
    for number in 0..u64::from(N) {
        black_box(black_box(&counter).even(number));
    }
    start.elapsed().as_nanos() as f64 / f64::from(N)
}

fn report(figure: &str, samples: &Samples, virtual_call: f64, json: bool) {
    let (mean, p50, p99) = (samples.mean(), samples.quantile(0.5), samples.quantile(0.99));
    let round = |ns: f64| (ns * 10.0).round() / 10.0;
    if json {
        let line = serde_json::json!({
            "figure": figure, "value": round(mean), "unit": "ns",
            "p50": round(p50), "p99": round(p99),
            "beside": { "virtual_call": round(virtual_call) },
        });
        println!("{line}");
    } else {
        println!(
            "{figure:<24} mean {mean:>7.0} ns   p50 {p50:>7.0} ns   p99 {p99:>7.0} ns   \
             (virtual call {virtual_call:.1} ns)"
        );
    }
}
