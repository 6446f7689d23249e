//! Rows become records: each once, none lost, whatever clocks and transactions do.

use gantry_plugin_api::{Capture, ErrorClass, Position};
use serde_json::{Value, json};

use super::{Hub, World, cx, field, open};
use crate::config::Engine;

const LEADS: &str = "CREATE TABLE leads (id INTEGER PRIMARY KEY, name TEXT, changed {moment})";

/// Settings for `leads` without a lag, and wide enough for moments of this century.
fn leads() -> Value {
    json!({ "table": "leads", "watermark": "changed", "key": ["id"], "lag": "0s" })
}

fn with(mut settings: Value, key: &str, value: impl Into<Value>) -> Value {
    settings[key] = value.into();
    settings
}

async fn insert(world: &World, ids: impl IntoIterator<Item = i64>, changed: &str) {
    let row = |id| format!("({id}, 'n{id}', '{changed}')");
    let rows: Vec<_> = ids.into_iter().map(row).collect();
    world.run(&format!("INSERT INTO leads VALUES {}", rows.join(", "))).await;
}

fn numbers(range: std::ops::RangeInclusive<i64>) -> Vec<String> {
    range.map(|id| id.to_string()).collect()
}

pub(super) async fn pages_of_equal_watermarks_lose_nothing(world: &World) {
    world.run(LEADS).await;
    insert(world, 1..=10, "2026-01-01 12:00:00").await;
    insert(world, 11..=13, "2026-01-01 12:00:01").await;
    let mut hub = Hub::new(&world.database, leads());
    let first = hub.poll(3).await;
    assert!(first.more);
    assert_eq!(field(&first.records, "id"), ["1", "2", "3"]);
    assert_eq!(first.records[0].version.as_deref(), Some("2026-01-01T12:00:00Z"));
    assert_eq!(first.records[0].occurred_at_ms, Some(1_767_268_800_000));
    hub.settle(&first, 3).await;
    assert_eq!(field(&hub.catch_up(3).await, "id"), numbers(4..=13));
    let idle = hub.poll(3).await;
    assert_eq!((idle.records.len(), idle.more), (0, false));
}

pub(super) async fn late_commits_are_found(world: &World) {
    world.run(LEADS).await;
    insert(world, [1], "2026-01-01 12:00:00").await;
    insert(world, [2], "2026-01-01 12:02:00").await;
    let mut hub = Hub::new(&world.database, leads());
    let batch = hub.poll(2).await;
    hub.settle(&batch, 2).await;
    // The position stands at row 2; both of these are older, one by less than the overlap.
    hub.position.clone_from(&batch.records[1].position);
    insert(world, [3], "2026-01-01 12:00:01").await;
    insert(world, [4], "2026-01-01 11:59:00").await;
    let again = open(&world.config);
    let mut restarted = Hub::new(&again, leads());
    restarted.position.clone_from(&hub.position);
    assert_eq!(field(&restarted.catch_up(9).await, "id"), ["1", "3", "2"]);
    again.client.close().await;
}

pub(super) async fn unchanged_rows_are_not_given_again(world: &World) {
    world.run(LEADS).await;
    let now = match world.engine() {
        Engine::Postgres => "now()::text",
        Engine::Sqlite => "datetime('now', '-1 second')",
        Engine::Mysql => "CAST(now(6) AS CHAR)",
    };
    let now = world.text(&format!("SELECT {now}")).await;
    insert(world, 1..=5, &now).await;
    let mut hub = Hub::new(&world.database, leads());
    assert_eq!(hub.catch_up(2).await.len(), 5);
    assert_eq!(hub.catch_up(2).await.len(), 0);
    world.run("UPDATE leads SET name = 'other' WHERE id = 3").await;
    assert_eq!(field(&hub.catch_up(2).await, "id"), ["3"]);
    // Once the rows have left the window, the position rests: nothing to write for the hub.
    insert(world, [6], "2026-01-01 12:00:00").await;
    let mut old = Hub::new(&world.database, with(leads(), "overlap", "0s"));
    old.settings.filter = Some("id = 6".to_owned());
    old.catch_up(2).await;
    assert_eq!(old.poll(2).await.position_after, old.position);
}

pub(super) async fn a_change_without_a_new_watermark_is_given(world: &World) {
    world.run(LEADS).await;
    insert(world, [1], "2026-01-01 12:00:00").await;
    let mut hub = Hub::new(&world.database, with(leads(), "overlap", "100000h"));
    hub.catch_up(5).await;
    world.run("UPDATE leads SET name = 'second'").await;
    assert_eq!(field(&hub.catch_up(5).await, "name"), ["second"]);
}

pub(super) async fn young_rows_wait(world: &World) {
    world.run(LEADS).await;
    insert(world, [1], "2026-01-01 12:00:00").await;
    let now = world.text("SELECT CURRENT_TIMESTAMP || ''").await;
    insert(world, [2], &now).await;
    insert(world, [3], "2999-01-01 12:00:00").await;
    let mut hub = Hub::new(&world.database, with(leads(), "lag", "1h"));
    assert_eq!(field(&hub.catch_up(5).await, "id"), ["1"]);
}

pub(super) async fn a_restart_goes_on_at_the_position(world: &World) {
    world.run(LEADS).await;
    for id in 1..=9 {
        insert(world, [id], &format!("2026-01-01 1{id}:00:00")).await;
    }
    let mut hub = Hub::new(&world.database, leads());
    let batch = hub.poll(4).await;
    hub.settle(&batch, 4).await;
    let again = open(&world.config);
    let mut restarted = Hub::new(&again, leads());
    restarted.position = hub.position;
    // The last settled row is inside the overlap: given again, and the hub knows it.
    assert_eq!(field(&restarted.catch_up(4).await, "id"), numbers(4..=9));
    again.client.close().await;
}

pub(super) async fn a_retried_record_comes_again(world: &World) {
    world.run(LEADS).await;
    insert(world, 1..=6, "2026-01-01 12:00:00").await;
    let mut hub = Hub::new(&world.database, leads());
    let batch = hub.poll(4).await;
    hub.settle(&batch, 2).await;
    assert_eq!(field(&hub.catch_up(9).await, "id"), numbers(3..=6));
    // Also while the next poll is already on its way, and when none of a batch was settled.
    insert(world, 7..=9, "2026-01-01 12:00:00").await;
    hub.position = None;
    let batch = hub.poll(2).await;
    assert_eq!(field(&batch.records, "id"), ["7", "8"]);
    hub.settle(&batch, 0).await;
    assert_eq!(field(&hub.catch_up(2).await, "id"), numbers(7..=9));
}

pub(super) async fn rows_have_types(world: &World) {
    let bytes = if world.is_postgres() { "'\\x00ff'" } else { "x'00ff'" };
    world
        .run(&format!(
            "CREATE TABLE leads (id INTEGER PRIMARY KEY, changed {{moment}}, big BIGINT, \
             ratio DOUBLE PRECISION, flag BOOLEAN, photo {{bytes}}, note TEXT, none TEXT);
             INSERT INTO leads VALUES (1, '2026-01-01 12:00:00.25', 9007199254740993, 0.5, true, \
             {bytes}, 'ü \" \n', NULL)"
        ))
        .await;
    let mut hub = Hub::new(&world.database, leads());
    let records = hub.catch_up(5).await;
    let row: Value = serde_json::from_slice(&records[0].payload).unwrap();
    let expected = json!({
        "id": 1, "changed": "2026-01-01T12:00:00.25Z", "big": 9_007_199_254_740_993_i64,
        "ratio": 0.5, "flag": true, "photo": "AP8=", "note": "ü \" \n", "none": null,
    });
    assert_eq!(row, expected);
    if world.is_postgres() {
        world
            .run(
                "CREATE TYPE mood AS ENUM ('good'); CREATE TABLE more (id uuid PRIMARY KEY, \
                 changed timestamp, amount numeric, moods mood[], tags text[], extra jsonb, d date);
                 INSERT INTO more VALUES ('00000000-0000-0000-0000-000000000001', \
                 '2026-01-01 12:00', 12345678901234567890.50, '{good}', '{a,b}', '{\"a\": [1]}', \
                 '2026-02-03')",
            )
            .await;
        let mut hub = Hub::new(&world.database, with(leads(), "table", "public.more"));
        let records = hub.catch_up(5).await;
        let row: Value = serde_json::from_slice(&records[0].payload).unwrap();
        let expected = json!({
            "id": "00000000-0000-0000-0000-000000000001", "changed": "2026-01-01T12:00:00Z",
            "amount": "12345678901234567890.50", "moods": ["good"], "tags": ["a", "b"],
            "extra": { "a": [1] }, "d": "2026-02-03",
        });
        assert_eq!(row, expected);
    } else if world.engine() == Engine::Mysql {
        world
            .run(
                "CREATE TABLE more (id BIGINT UNSIGNED PRIMARY KEY, changed DATETIME, amount \
                 DECIMAL(30, 2), extra VARBINARY(9), d DATE, tiny TINYINT, year YEAR);
                 INSERT INTO more VALUES (18446744073709551615, '2026-01-01 12:00', \
                 12345678901234567890.50, x'00ff', '2026-02-03', 7, 2026)",
            )
            .await;
        let mut hub = Hub::new(&world.database, with(leads(), "table", "more"));
        let records = hub.catch_up(5).await;
        let row: Value = serde_json::from_slice(&records[0].payload).unwrap();
        let expected = json!({
            "id": u64::MAX, "changed": "2026-01-01T12:00:00Z", "extra": "AP8=",
            "amount": "12345678901234567890.50", "d": "2026-02-03", "tiny": 7, "year": 2026,
        });
        assert_eq!(row, expected);
    } else {
        world.run("UPDATE leads SET note = CAST(x'61ff62' AS TEXT)").await;
        hub.position = None;
        assert_eq!(field(&hub.catch_up(5).await, "note"), ["a\u{fffd}b"]);
    }
}

pub(super) async fn odd_names_are_quoted(world: &World) {
    world
        .run(
            "CREATE TABLE \"le\"\"ads; --\" (\"i d\" INTEGER PRIMARY KEY, \"ORDER\" {moment});
             INSERT INTO \"le\"\"ads; --\" VALUES (1, '2026-01-01 12:00:00'), \
             (2, '2026-01-01 12:00:00')",
        )
        .await;
    let settings = json!({
        "table": "le\"ads; --", "watermark": "ORDER", "key": ["i d"], "columns": ["i d"],
    });
    let mut hub = Hub::new(&world.database, settings);
    let records = hub.catch_up(1).await;
    assert_eq!(field(&records, "i d"), ["1", "2"]);
    assert_eq!(&records[0].payload[..], br#"{"i d":1}"#);
}

pub(super) async fn several_keys_and_a_query(world: &World) {
    world
        .run(
            "CREATE TABLE rows_of (doc TEXT, line INTEGER, changed {moment}, kind TEXT);
             INSERT INTO rows_of VALUES ('b', 1, '2026-01-01 12:00:00', 'x'), \
             ('a''', 2, '2026-01-01 12:00:00', 'x'), ('a''', 10, '2026-01-01 12:00:00', 'x'), \
             ('c', 1, '2026-01-01 12:00:00', 'y'), ('d', 1, NULL, 'x')",
        )
        .await;
    let settings = json!({
        "query": "SELECT doc, line, changed, doc || line AS name, kind FROM rows_of -- all\n;",
        "watermark": "changed", "key": ["doc", "line"], "columns": ["name"],
        "where": "kind = 'x' OR kind = 'z' -- not y",
    });
    let mut hub = Hub::new(&world.database, settings);
    assert_eq!(field(&hub.catch_up(1).await, "name"), ["a'2", "a'10", "b1"]);
}

pub(super) async fn every_watermark_type(world: &World) {
    for (kind, column, values, version) in [
        ("seconds", "INTEGER", ["1767268800", "1767268801"], "1767268801"),
        ("millis", "BIGINT", ["1767268800000", "1767268800500"], "1767268800500"),
        (
            "rfc3339",
            "TEXT",
            ["'2026-01-01T12:00:00Z'", "'2026-01-01T12:00:00.5Z'"],
            "2026-01-01T12:00:00.5Z",
        ),
        (
            "timestamp",
            "{moment}",
            ["'2026-01-01 12:00:00'", "'2026-01-01 12:00:00.500'"],
            "2026-01-01T12:00:00.5Z",
        ),
    ] {
        let [early, late] = values;
        let sql = format!(
            "CREATE TABLE t_{kind} (id INTEGER PRIMARY KEY, changed {column});
             INSERT INTO t_{kind} VALUES (1, {early}), (2, {early}), (3, {late})"
        );
        world.run(&sql).await;
        let settings = with(leads(), "table", format!("t_{kind}"));
        let settings = with(settings, "watermark_type", kind);
        let mut hub = Hub::new(&world.database, with(settings, "from", "2026-01-01"));
        let records = hub.catch_up(1).await;
        let mut ids = field(&records, "id");
        // Text with and without a fraction sorts as text: out of order within the second, not lost.
        ids.sort();
        assert_eq!(ids, ["1", "2", "3"], "{kind}");
        let third =
            records.iter().find(|record| field(std::slice::from_ref(record), "id") == ["3"]);
        assert_eq!(third.unwrap().version.as_deref(), Some(version), "{kind}");
        world.run(&format!("INSERT INTO t_{kind} VALUES (4, {late})")).await;
        hub.position = None;
        assert_eq!(field(&hub.catch_up(9).await, "id"), ["4"], "{kind}");
    }
}

pub(super) async fn a_first_load_is_bounded(world: &World) {
    world.run(LEADS).await;
    insert(world, 1..=4, "2025-12-31 23:59:59").await;
    insert(world, 5..=9, "2026-01-01 00:00:00").await;
    let mut from = Hub::new(&world.database, with(leads(), "from", "2026-01-01"));
    assert_eq!(field(&from.catch_up(2).await, "id"), numbers(5..=9));
    assert_eq!(from.catch_up(2).await.len(), 0);

    let again = open(&world.config);
    let mut bounded = Hub::new(&again, with(leads(), "at_most", 7));
    let batch = bounded.poll(3).await;
    assert_eq!(field(&batch.records, "id"), numbers(3..=5));
    bounded.settle(&batch, 3).await;
    // The bound outlives a restart, though the overlap reaches back behind it.
    let restarted = open(&world.config);
    bounded.database = &restarted;
    assert_eq!(field(&bounded.catch_up(9).await, "id"), numbers(3..=9));
    insert(world, [10], "2026-01-01 00:00:00").await;
    bounded.position.clone_from(&batch.records[2].position);
    assert_eq!(field(&bounded.catch_up(9).await, "id"), ["10"]);
    again.client.close().await;
    restarted.client.close().await;

    // A bounded first load that finds nothing is over: what comes later is new.
    world.run("DELETE FROM leads").await;
    let mut empty = Hub::new(&world.database, with(leads(), "at_most", 1));
    empty.settings.overlap = gantry_plugin_api::HumanDuration::from_secs(1_000_000_000);
    assert_eq!(empty.catch_up(9).await.len(), 0);
    insert(world, 1..=3, "2026-01-01 00:00:00").await;
    assert_eq!(field(&empty.catch_up(9).await, "id"), numbers(1..=3));
}

pub(super) async fn known_rows_do_not_hold_up_new_ones(world: &World) {
    world.run(LEADS).await;
    insert(world, 1..=3_000, "2026-01-01 12:00:00").await;
    let mut hub = Hub::new(&world.database, with(leads(), "overlap", "100000h"));
    assert_eq!(hub.catch_up(500).await.len(), 3_000);
    insert(world, [3_001], "2026-01-01 12:00:00").await;
    let batch = hub.poll(10).await;
    assert_eq!(field(&batch.records, "id"), ["3001"]);
    assert!(!batch.more);
}

pub(super) async fn a_foreign_position_is_refused(world: &World) {
    world.run(LEADS).await;
    let settings = Hub::new(&world.database, leads()).settings;
    let foreign = Position::new("uid 17").unwrap();
    let poll = world.database.poll(&settings, &cx(), Some(&foreign), 1).await;
    assert_eq!(poll.unwrap_err().class(), ErrorClass::CursorExpired);
    // One that a person wrote by hand is good.
    insert(world, [1], "2026-01-01 12:00:00").await;
    insert(world, [2], "2026-01-02 12:00:00").await;
    let mut hub = Hub::new(&world.database, leads());
    hub.position = Some(Position::new(r#"{"at": "2026-01-02 00:00:00"}"#).unwrap());
    assert_eq!(field(&hub.catch_up(9).await, "id"), ["2"]);
}
