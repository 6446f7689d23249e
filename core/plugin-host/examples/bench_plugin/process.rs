//! What a plug-in costs in a process of its own.
//!
//! `echo` and `json` are records a second through a child process: a record goes there as a query
//! and comes back as an answer, 256 a call, eight calls under way. With `json` both sides read and
//! write each record as JSON. Beside them: the same bytes through a plain socket pair and a thread
//! that sends them back, and reading and writing the same JSON without any plug-in.
//!
//! `spawn` is from nothing to the first operation, `recovery` from a kill -9 to the next operation
//! that goes well, the pause before a restart included.

use std::hint::black_box;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use gantry_plugin_api::{Answer, Error, Json, Query};
use gantry_plugin_host::{Host, Instance, Isolated, Library, Limits, LookupHandle};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::task::JoinSet;

use super::{Failure, Samples};

const N_A_BATCH: usize = 256;
const N_UNDER_WAY: usize = 8;
const LASTS: Duration = Duration::from_secs(3);
const N_STARTS: usize = 30;
const N_KILLS: usize = 10;

pub(crate) fn measure(host: &Host, as_json: bool) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build()?;
    let record = record();
    let library = isolated(host)?;
    let (echo, json) = runtime.block_on(async {
        let instance = library.create("bench", b"{}".to_vec(), &[]).await?;
        let echo = records_a_second(&instance, false).await?;
        let json = records_a_second(&instance, true).await?;
        Ok::<_, Failure>((echo, json))
    })?;
    let socket = through_socket(record.len())?;
    let alone = json_alone(&record)?;
    report("plugin.process.echo", echo, "records/s", &[("socketpair", socket)], as_json);
    report("plugin.process.json", json, "records/s", &[("serde_json", alone)], as_json);
    let starts = starts(host, &runtime)?;
    let p99 = starts.quantile(0.99);
    report("plugin.process.spawn", starts.quantile(0.5), "ms", &[("p99", p99)], as_json);
    let recoveries = recoveries(host, &runtime)?;
    let p99 = recoveries.quantile(0.99);
    report("plugin.process.recovery", recoveries.quantile(0.5), "ms", &[("p99", p99)], as_json);
    Ok(())
}

fn isolated(host: &Host) -> Result<Arc<Library>, Failure> {
    let limits = Limits::default();
    let isolated = Isolated { source: "bench", config: &Value::Null, limits };
    Ok(host.load_isolated("echo", &isolated)?)
}

/// A record as sources give them: some 900 bytes of JSON.
fn record() -> Vec<u8> {
    let tags: Vec<_> = (0..12).map(|n| format!("tag number {n}")).collect();
    let value = serde_json::json!({
        "id": 4711, "number": "INC0012345", "state": "open", "priority": 3, "urgent": false,
        "subject": "The printer on the second floor prints everything twice",
        "customer": { "id": "C-990", "name": "Example & Sons", "segment": "gold", "since": 2011 },
        "tags": tags, "opened_at": "2026-01-31T08:15:00Z", "amount": 1234.5,
        "text": "It began on Monday after the toner was changed. ".repeat(7),
    });
    value.to_string().into_bytes()
}

async fn records_a_second(instance: &Instance, json: bool) -> Result<f64, Failure> {
    let settings = format!(r#"{{"json": {json}}}"#).into_bytes();
    let lookup = instance.attach_lookup("bench", settings).await?;
    let mut calls = JoinSet::new();
    let begun = Instant::now();
    for _ in 0..N_UNDER_WAY {
        calls.spawn(keep_asking(lookup.clone(), json, begun + LASTS));
    }
    let mut n = 0;
    while let Some(asked) = calls.join_next().await {
        n += asked.expect("invariant: a task here neither panics nor is aborted")?;
    }
    Ok(n as f64 / begun.elapsed().as_secs_f64())
}

async fn keep_asking(lookup: LookupHandle, json: bool, until: Instant) -> Result<usize, Failure> {
    let record = record();
    let value: Value = Json::from_bytes(record.clone()).parse()?;
    let mut n = 0;
    while Instant::now() < until {
        let query = |_| {
            let attributes =
                if json { Json::of(&value)? } else { Json::from_bytes(record.clone()) };
            Ok::<_, Error>(Query::new(attributes))
        };
        let queries = (0..N_A_BATCH).map(query).collect::<Result<Vec<_>, _>>()?;
        let answers = lookup.lookup(&queries).await?;
        n += answers.len();
        for answer in answers {
            if json && let Some(Answer { attributes, .. }) = answer? {
                black_box(attributes.parse::<Value>()?);
            }
        }
    }
    Ok(n)
}

/// Records a second through a socket pair, there and back, in the same batches.
fn through_socket(len: usize) -> Result<f64, Failure> {
    let (ours, theirs) = UnixStream::pair()?;
    let batch = vec![b'x'; len * N_A_BATCH];
    let begun = Instant::now();
    let n = thread::scope(|scope| {
        scope.spawn(move || -> std::io::Result<()> {
            let (mut reader, mut writer) = (&theirs, &theirs);
            let mut chunk = vec![0; 64 << 10];
            loop {
                match reader.read(&mut chunk)? {
                    0 => return Ok(()),
                    n => writer.write_all(&chunk[..n])?,
                }
            }
        });
        let reader = ours.try_clone()?;
        let read = scope.spawn(move || -> std::io::Result<usize> {
            let (mut reader, mut chunk, mut n) = (reader, vec![0; 64 << 10], 0);
            loop {
                match reader.read(&mut chunk)? {
                    0 => return Ok(n),
                    read => n += read,
                }
            }
        });
        while begun.elapsed() < LASTS {
            (&ours).write_all(&batch)?;
        }
        ours.shutdown(std::net::Shutdown::Write)?;
        read.join().expect("invariant: it does not panic")
    })?;
    Ok((n / len) as f64 / begun.elapsed().as_secs_f64())
}

/// Records a second read and written as JSON as often as the plug-in and the hub do together.
fn json_alone(record: &[u8]) -> Result<f64, Failure> {
    let (begun, mut n) = (Instant::now(), 0_u64);
    while begun.elapsed() < LASTS / 3 {
        for _ in 0..N_A_BATCH {
            let mut bytes = record.to_vec();
            for _ in 0..2 {
                let value: Value = Json::from_bytes(bytes).parse()?;
                bytes = Json::of(&value)?.as_bytes().to_vec();
            }
            black_box(bytes);
            n += 1;
        }
    }
    Ok(n as f64 / begun.elapsed().as_secs_f64())
}

/// Milliseconds from nothing to the first operation.
fn starts(host: &Host, runtime: &tokio::runtime::Runtime) -> Result<Samples, Failure> {
    let mut samples = Vec::with_capacity(N_STARTS);
    for _ in 0..N_STARTS {
        let begun = Instant::now();
        let library = isolated(host)?;
        runtime.block_on(library.create("bench", b"{}".to_vec(), &[]))?;
        samples.push(begun.elapsed().as_secs_f64() * 1e3);
        library.shutdown(Duration::from_secs(1));
    }
    Ok(Samples::new(samples))
}

/// Milliseconds from a kill to the next operation that goes well, of processes that have not failed
/// before.
fn recoveries(host: &Host, runtime: &tokio::runtime::Runtime) -> Result<Samples, Failure> {
    let mut samples = Vec::with_capacity(N_KILLS);
    for _ in 0..N_KILLS {
        let library = isolated(host)?;
        samples.push(runtime.block_on(recovery(&library))?);
        library.shutdown(Duration::from_secs(1));
    }
    Ok(Samples::new(samples))
}

async fn recovery(library: &Arc<Library>) -> Result<f64, Failure> {
    let instance = library.create("bench", b"{}".to_vec(), &[]).await?;
    let lookup = instance.attach_lookup("bench", b"{}".to_vec()).await?;
    let queries = [Query::new(Json::default())];
    lookup.lookup(&queries).await?;
    let process = instance.health().process.and_then(|process| Pid::from_raw(process as i32));
    let begun = Instant::now();
    if let Some(process) = process {
        kill_process(process, Signal::KILL).map_err(std::io::Error::from)?;
    }
    let mut was_down = false;
    loop {
        match lookup.lookup(&queries).await {
            Ok(_) if was_down => return Ok(begun.elapsed().as_secs_f64() * 1e3),
            Ok(_) => {}
            Err(_) => was_down = true,
        }
        tokio::task::yield_now().await;
    }
}

fn report(figure: &str, value: f64, unit: &str, beside: &[(&str, f64)], as_json: bool) {
    let round = |value: f64| (value * 10.0).round() / 10.0;
    if as_json {
        let beside: serde_json::Map<_, _> =
            beside.iter().map(|(name, value)| ((*name).to_owned(), round(*value).into())).collect();
        let line = serde_json::json!({
            "figure": figure, "value": round(value), "unit": unit, "beside": beside,
        });
        println!("{line}");
    } else {
        let beside: Vec<_> =
            beside.iter().map(|(name, value)| format!("{name} {value:.1}")).collect();
        println!("{figure:<24} {value:>12.1} {unit:<10} ({})", beside.join(", "));
    }
}
