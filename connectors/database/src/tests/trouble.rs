//! What goes wrong is told by class, by the key at fault, and without secrets.

use std::net::TcpListener;

use gantry_plugin_api::{Callback, Capture, Error, ErrorClass, Lookup, Plugin};
use serde_json::{Value, json};

use super::server::{PASSWORD, Server};
use super::{World, block_on, chain, cx, open, settings};
use crate::Database;
use crate::config::{CaptureSettings, Config, Engine};

const LEADS: &str = "CREATE TABLE leads (id INTEGER PRIMARY KEY, name TEXT, changed {moment}, \
     seconds INTEGER); INSERT INTO leads VALUES (1, 'a', '2026-01-01 12:00:00', 1767268800)";

fn leads(key: &str, value: impl Into<Value>) -> Value {
    let mut leads = json!({ "table": "leads", "watermark": "changed", "key": ["id"] });
    leads[key] = value.into();
    leads
}

async fn capture_error(world: &World, capture: Value) -> Error {
    let settings: CaptureSettings = settings(capture);
    let checked = Capture::check_settings(&world.database, &settings, &cx()).await;
    let checked = checked.unwrap_err();
    let polled = world.database.poll(&settings, &cx(), None, 5).await.unwrap_err();
    // The cause may quote the statement, of which checking takes no row.
    let told = |error: &Error| (error.field().map(str::to_owned), error.message().to_owned());
    assert_eq!(told(&checked), told(&polled), "checking does what running does");
    assert_eq!(checked.class(), ErrorClass::Config, "{}", chain(&checked));
    checked
}

pub(super) async fn missing_names_are_told(world: &World) {
    world.run(LEADS).await;
    for (capture, field, words) in [
        (leads("table", "lead"), "table", vec!["`lead`", "there are: leads"]),
        (
            leads("watermark", "updated_at"),
            "watermark",
            vec!["`updated_at`", "`leads`", "id, name, changed, seconds"],
        ),
        (leads("key", json!(["nr"])), "key", vec!["`nr`", "id, name"]),
        (leads("columns", json!(["id", "x"])), "columns", vec!["`x`"]),
        (leads("where", "colour = 1"), "where", vec!["colour"]),
        (leads("where", "("), "where", vec!["read rows"]),
    ] {
        let error = capture_error(world, capture).await;
        assert_eq!(error.field(), Some(field), "{}", chain(&error));
        for word in words {
            assert!(chain(&error).contains(word), "{}", chain(&error));
        }
    }
    let query = json!({ "query": "SELECT * FRM leads", "watermark": "changed", "key": ["id"] });
    assert_eq!(capture_error(world, query).await.field(), Some("query"));
    world
        .run(
            "CREATE TABLE loose (id INTEGER, changed {moment}); \
         INSERT INTO loose VALUES (NULL, '2026-01-01 12:00:00')",
        )
        .await;
    let loose: CaptureSettings = settings(leads("table", "loose"));
    let error = world.database.poll(&loose, &cx(), None, 5).await.unwrap_err();
    assert_eq!(error.field(), Some("key"));
}

pub(super) async fn wrong_watermark_types_are_told(world: &World) {
    world.run(LEADS).await;
    for (column, kind) in [
        ("changed", "seconds"),
        ("changed", "rfc3339"),
        ("seconds", "timestamp"),
        ("name", "millis"),
        ("name", "timestamp"),
    ] {
        let mut capture = leads("watermark", column);
        capture["watermark_type"] = kind.into();
        let error = capture_error(world, capture).await;
        assert_eq!(error.field(), Some("watermark_type"), "{column} as {kind}");
        assert!(error.message().contains(column));
    }
}

pub(super) async fn checks_find_nothing_wrong(world: &World) {
    world.run(LEADS).await;
    world.run("CREATE TABLE ledger (idempotency_key {key} PRIMARY KEY)").await;
    let database = &world.database;
    database.check(&cx()).await.unwrap();
    let capture = settings(leads("where", "id > 0"));
    Capture::check_settings(database, &capture, &cx()).await.unwrap();
    let lookup = settings(json!({ "query": "SELECT name FROM leads WHERE id = :id" }));
    Lookup::check_settings(database, &lookup, &cx()).await.unwrap();
    let callback = settings(json!({
        "statement": "UPDATE leads SET name = :event WHERE id = :external_id", "ledger": "ledger",
    }));
    Callback::check_settings(database, &callback, &cx()).await.unwrap();
    let unchanged = "SELECT name || (SELECT count(*) FROM ledger) FROM leads";
    assert_eq!(world.text(unchanged).await, "a0");
}

pub(super) async fn statements_that_do_not_fit_are_told(world: &World) {
    world.run(LEADS).await;
    world.run("CREATE TABLE plain (idempotency_key TEXT)").await;
    let database = &world.database;
    for query in
        ["SELECT nps FROM leads", "SELECT FROM WHERE", "SELECT * FROM nowhere WHERE id = :id"]
    {
        let lookup = settings(json!({ "query": query }));
        let error = Lookup::check_settings(database, &lookup, &cx()).await.unwrap_err();
        assert_eq!(error.field(), Some("query"), "{}", chain(&error));
    }
    let known = "UPDATE leads SET name = 'x' WHERE id = :external_id";
    for (statement, ledger, field) in [
        ("UPDATE leads SET colour = 1", "plain", "statement"),
        (known, "nowhere", "ledger"),
        (known, "plain", "ledger"),
    ] {
        // MySQL does not plan for a repeat, so nothing tells that the column is not unique.
        if world.engine() == Engine::Mysql && (statement, ledger) == (known, "plain") {
            continue;
        }
        let callback = settings(json!({ "statement": statement, "ledger": ledger }));
        let error = Callback::check_settings(database, &callback, &cx()).await.unwrap_err();
        assert_eq!(error.field(), Some(field), "{}", chain(&error));
    }
}

async fn check_error(config: &Value) -> Error {
    let database = open(config);
    let error = database.check(&cx()).await.unwrap_err();
    database.stop(&cx()).await;
    error
}

#[test]
fn an_unreachable_file_is_a_config_error() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("text.db");
    std::fs::write(&text, "this is no database, however long it may be").unwrap();
    for path in [folder.path().join("absent.db"), folder.path().join("no/such.db"), text] {
        let error = block_on(async {
            let database = open(&json!({ "engine": "sqlite", "path": path }));
            let capture = settings(leads("table", "leads"));
            database.poll(&capture, &cx(), None, 1).await.unwrap_err()
        });
        assert_eq!(error.field(), Some("path"), "{}", chain(&error));
    }
}

#[test]
fn an_unreachable_server_is_told_by_class() {
    // A port that was free a moment ago and that nobody listens on.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let refused = json!({
        "engine": "postgres", "host": "127.0.0.1", "port": port, "database": "x", "user": "x",
        "password": "hunter2", "request_timeout": "60s",
    });
    let begun = std::time::Instant::now();
    let error = block_on(check_error(&refused));
    assert_eq!(error.class(), ErrorClass::Transient);
    assert!(begun.elapsed().as_secs() < 30, "it waited instead of telling the hub");
    assert!(!format!("{error:?} {}", chain(&error)).contains("hunter2"));

    let Some(server) = Server::start() else { return };
    block_on(async {
        let right = server.create_database("right").await;
        let mut wrong = right.clone();
        wrong["password"] = "wrong horse".into();
        let error = check_error(&wrong).await;
        assert_eq!(error.class(), ErrorClass::AuthDenied, "{}", chain(&error));
        assert!(!format!("{error:?} {}", chain(&error)).contains("horse"), "{PASSWORD} told");
        let mut nowhere = right.clone();
        nowhere["database"] = "nowhere".into();
        assert_eq!(check_error(&nowhere).await.field(), Some("database"));
        // A server that goes away is a matter of time.
        let database = open(&right);
        database.check(&cx()).await.unwrap();
        drop(server);
        let error = database.check(&cx()).await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Transient, "{}", chain(&error));
        database.stop(&cx()).await;
    });
}

#[test]
fn faults_of_the_configuration_are_told_at_once() {
    let faults = |config: Value| -> Vec<String> {
        let config: Config = settings(config);
        Database::validate(&config).into_iter().map(|fault| fault.path).collect()
    };
    let sqlite = json!({ "engine": "sqlite", "host": "h", "password": "p" });
    assert_eq!(faults(sqlite), ["path", "host", "password"]);
    let postgres = json!({ "engine": "postgres", "path": "p", "request_timeout": "0s" });
    assert_eq!(faults(postgres), ["path", "host", "database", "user", "request_timeout"]);
    let capture: CaptureSettings = settings(json!({
        "table": "a", "query": "b", "watermark": "c", "key": [], "columns": [],
    }));
    let faults = <Database as Capture>::validate_settings(&capture);
    let faults: Vec<_> = faults.into_iter().map(|fault| fault.path).collect();
    assert_eq!(faults, ["table", "key", "columns"]);
    let unknown = serde_json::from_value::<Config>(json!({ "engine": "sqlite", "pth": "x" }));
    assert!(unknown.unwrap_err().to_string().contains("pth"));
}
