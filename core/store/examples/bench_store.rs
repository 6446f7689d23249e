//! How many items a second the store takes, beside what the disk and bare SQLite take.
//!
//! `cargo run --release -p gantry-store --example bench_store --
//! [FOLDER] [ITEMS] [BATCH] [CUSTOMERS]`
//!
//! With BATCH, only ordered keys in commits of that size; with CUSTOMERS, the items are those of so
//! many customers, in random order, as where the hub looks up earlier items.
//! An item is its hot row, a document of 400 bytes, a key, and its part of the journal segment.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "it prints a table")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use gantry_model::ItemId;
use gantry_store::baseline::{KeyOrder, Rate, bare_insert_rate, flush_rate, key};
use gantry_store::sqlite::{Options, SqliteStore};
use gantry_store::{Commit, CustomerRow, Error, ItemFilter, KeyQuery, Page, Spread, Store};

#[path = "../tests/suite/world.rs"]
mod world;

/// Commits that are made before the clock runs, so that only the store is measured.
const PREPARED: u64 = 64;
const FLUSH_SPAN: Duration = Duration::from_secs(2);
const LATENCY_COMMITS: u64 = 2_000;
const KNOWN_ROUNDS: u32 = 200;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let items = arguments.next().and_then(|count| count.parse().ok()).unwrap_or(1_000_000_u64);
    if let Some(batch) = arguments.next().and_then(|batch| batch.parse().ok()) {
        let customers = arguments.next().and_then(|count| count.parse().ok());
        return capture(&folder, KeyOrder::Ordered, batch, items, customers).await;
    }
    baselines(&folder).await?;
    println!();
    println!(
        "{:<34} {:>9} {:>23} {:>24}",
        "store", "items/s", "commit p50/p99/max ms", "stalls, p50/max ms"
    );
    for (order, batch) in [
        (KeyOrder::Ordered, 1_000),
        (KeyOrder::Ordered, 100),
        (KeyOrder::Ordered, 10),
        (KeyOrder::Random, 1_000),
    ] {
        let total = if batch < 100 { items / 10 } else { items };
        capture(&folder, order, batch, total, None).await?;
    }
    capture(&folder, KeyOrder::Ordered, 1, LATENCY_COMMITS, None).await
}

async fn baselines(folder: &Path) -> Result<(), Error> {
    let line = |name: &str, unit: &str, rate: Rate| {
        println!("{name:<34} {:>9.0} {unit} {}", rate.per_second, millis(rate.each));
    };
    line("flush of 4 KiB", "1/s  ", flush_rate(folder, FLUSH_SPAN)?);
    for order in [KeyOrder::Ordered, KeyOrder::Random] {
        let name = format!("bare insert, {order:?}, 1,000 a commit");
        let rate = bare_insert_rate(folder, order, 1_000, 500).await?;
        line(&name, "row/s", rate);
    }
    Ok(())
}

fn millis(spread: Spread) -> String {
    let [p50, p99, max] = [spread.p50_micros, spread.p99_micros, spread.max_micros]
        .map(|micros| micros as f64 / 1000.0);
    format!("{p50:>7.2} {p99:>7.2} {max:>7.2}")
}

async fn capture(
    folder: &Path,
    order: KeyOrder,
    batch: u64,
    items: u64,
    customers: Option<u64>,
) -> Result<(), Error> {
    let folder = folder.join("gantry-bench-store");
    let file = |action, source| Error::File { action, path: folder.clone(), source };
    // What an interrupted run left behind.
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).map_err(|source| file("create", source))?;
    let store = SqliteStore::open(folder.join("bench.db"), Options::default()).await?;
    let in_time = tokio::select! {
        in_time = fill(&store, order, batch, items, customers) => in_time?,
        () = store.maintain() => unreachable!("it runs until it is dropped"),
    };
    let stats = store.stats();
    println!(
        "{:<34} {:>9.0} {} {:>5} {:>8.1} {:>8.1}",
        format!("{order:?}, {batch} a commit"),
        items as f64 / in_time.as_secs_f64(),
        millis(stats.commits),
        stats.stalls.count,
        stats.stalls.p50_micros as f64 / 1000.0,
        stats.stalls.max_micros as f64 / 1000.0,
    );
    if batch >= 100 {
        ask(&store, order, items).await?;
        scan(&store).await?;
        let begun = Instant::now();
        let boot = store.boot().await?;
        println!(
            "  boot: {} live items in {:.2} s",
            boot.items.len(),
            begun.elapsed().as_secs_f64()
        );
    }
    store.close().await?;
    std::fs::remove_dir_all(&folder).map_err(|source| file("remove", source))
}

fn customer_row(item: ItemId, customers: u64) -> CustomerRow {
    CustomerRow { item, customer: key(KeyOrder::Random, item.counter() % customers) }
}

/// The time spent in commits, without that for making them up.
async fn fill(
    store: &SqliteStore,
    order: KeyOrder,
    batch: u64,
    items: u64,
    customers: Option<u64>,
) -> Result<Duration, Error> {
    let mut in_time = Duration::ZERO;
    let commits = items / batch;
    let mut seq = 1;
    while seq <= commits {
        let prepared: Vec<Commit> = (seq..=commits.min(seq + PREPARED - 1))
            .map(|seq| {
                let mut commit = world::capture(seq, 1 + (seq - 1) * batch, batch, order);
                let items = commit.items.iter().filter(|_| customers.is_some());
                let rows = items.map(|row| customer_row(row.item.id, customers.unwrap_or(1)));
                commit.customers = rows.collect();
                commit
            })
            .collect();
        let begun = Instant::now();
        for commit in &prepared {
            store.commit(commit).await?;
        }
        in_time += begun.elapsed();
        seq += prepared.len() as u64;
    }
    Ok(in_time)
}

/// What the capture path asks: keys that are not there, and keys that are.
async fn ask(store: &SqliteStore, order: KeyOrder, items: u64) -> Result<(), Error> {
    for (name, first) in [("new", items + 1), ("known", items / 2)] {
        let keys: Vec<_> = (first..first + 100)
            .map(|number| KeyQuery {
                capture_point: world::POINT.into(),
                external_id: key(order, number),
                message_id: None,
            })
            .collect();
        let begun = Instant::now();
        for _ in 0..KNOWN_ROUNDS {
            store.known(&keys).await?;
        }
        let each = begun.elapsed().as_secs_f64() * 1e6 / f64::from(KNOWN_ROUNDS) / 100.0;
        println!("  known: 100 {name} keys at once, {each:.2} us a key");
    }
    Ok(())
}

/// The dearest list: a filter that nothing fits, so that every item is looked at.
async fn scan(store: &SqliteStore) -> Result<(), Error> {
    let nothing = ItemFilter { text: Some("nothing has it".into()), ..ItemFilter::default() };
    let page = Page { after: None, limit: 100, newest_first: true };
    let begun = Instant::now();
    let found = store.list(&nothing, page).await?;
    println!("  list: {} of all found in {:.2} s", found.len(), begun.elapsed().as_secs_f64());
    Ok(())
}
