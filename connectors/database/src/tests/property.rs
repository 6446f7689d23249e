//! Whatever is written, read, retried and restarted: every version that stayed long enough is
//! seen, and the last one last.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::json;

use super::{Hub, World, field, open};
use crate::config::Engine;

/// What happens next.
#[derive(Clone, Debug)]
enum Step {
    /// A row is inserted or changed; its watermark may go back, as one committed late.
    Write { id: u8, seconds: u8 },
    /// One poll, of which the first records are settled and the others must come again.
    Poll { limit: usize, n_settled: usize },
    /// Everything is read and settled.
    CatchUp { limit: usize },
    /// The process dies: memory is lost, the stored position is not.
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..8_u8, 0..4_u8).prop_map(|(id, seconds)| Step::Write { id, seconds }),
        4 => (1..6_usize, 0..6_usize)
            .prop_map(|(limit, n_settled)| Step::Poll { limit, n_settled }),
        2 => (1..6_usize).prop_map(|limit| Step::CatchUp { limit }),
        1 => Just(Step::Restart),
    ]
}

pub(super) async fn every_version_is_seen_and_the_last_one_last(world: &World) {
    world
        .run("CREATE TABLE leads (id INTEGER PRIMARY KEY, version INTEGER, changed INTEGER)")
        .await;
    let n_cases = if world.is_postgres() { 8 } else { 64 };
    let mut runner = TestRunner::new(ProptestConfig {
        cases: n_cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let strategy = proptest::collection::vec(step(), 1..40);
    for case in 0..n_cases {
        let steps = strategy.new_tree(&mut runner).unwrap().current();
        play(world, &steps)
            .await
            .map_err(|what| format!("case {case}: {what}\n{steps:?}"))
            .unwrap();
    }
}

async fn play(world: &World, steps: &[Step]) -> Result<(), String> {
    world.run("DELETE FROM leads").await;
    let settings = json!({
        "table": "leads", "watermark": "changed", "watermark_type": "seconds", "key": ["id"],
        "lag": "0s", "overlap": "10m",
    });
    let now = match world.engine() {
        Engine::Postgres => "SELECT extract(epoch FROM now())::int8::text",
        Engine::Sqlite => "SELECT strftime('%s', 'now')",
        Engine::Mysql => "SELECT CAST(unix_timestamp() AS CHAR)",
    };
    let replaced = match world.engine() {
        Engine::Mysql => {
            "DUPLICATE KEY UPDATE version = VALUES(version), changed = VALUES(changed)"
        }
        _ => "CONFLICT (id) DO UPDATE SET version = excluded.version, changed = excluded.changed",
    };
    let begun: i64 = world.text(now).await.parse().unwrap();
    let mut rows: BTreeMap<u8, u32> = BTreeMap::new();
    let mut seen: BTreeMap<u8, Vec<u32>> = BTreeMap::new();
    let mut database = open(&world.config);
    let mut position = None;
    for step in steps.iter().chain([&Step::CatchUp { limit: 3 }]) {
        let mut hub = Hub::new(&database, settings.clone());
        hub.position = position;
        let records = match *step {
            Step::Write { id, seconds } => {
                let version = rows.entry(id).and_modify(|version| *version += 1).or_insert(1);
                let changed = begun - 60 + i64::from(seconds);
                let row = format!("({id}, {version}, {changed})");
                world.run(&format!("INSERT INTO leads VALUES {row} ON {replaced}")).await;
                Vec::new()
            }
            Step::Poll { limit, n_settled } => {
                let batch = hub.poll(limit).await;
                hub.settle(&batch, n_settled).await;
                batch.records.into_iter().take(n_settled).collect()
            }
            // Twice: what was written behind a sweep that was under way is for the next one.
            Step::CatchUp { limit } => {
                let records = hub.catch_up(limit).await;
                [records, hub.catch_up(limit).await].concat()
            }
            Step::Restart => Vec::new(),
        };
        position = hub.position;
        for (id, version) in field(&records, "id").iter().zip(field(&records, "version")) {
            seen.entry(id.parse().unwrap()).or_default().push(version.parse().unwrap());
        }
        match step {
            Step::Restart => {
                database.client.close().await;
                database = open(&world.config);
            }
            Step::CatchUp { .. } => {
                for (id, version) in &rows {
                    let last = seen.get(id).and_then(|versions| versions.last());
                    if last != Some(version) {
                        return Err(format!("row {id}: version {version} written, {seen:?} seen"));
                    }
                }
            }
            Step::Write { .. } | Step::Poll { .. } => {}
        }
    }
    database.client.close().await;
    let rising = |versions: &Vec<u32>| versions.is_sorted();
    if seen.values().all(rising) { Ok(()) } else { Err(format!("out of order: {seen:?}")) }
}
