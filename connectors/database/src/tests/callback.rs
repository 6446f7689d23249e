//! Events written back to the source.

use gantry_plugin_api::{Callback, Delivery, DeliveryOutcome, ErrorClass, Json, Plugin};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Executor};

use super::{Owner, World, chain, cx, open, settings};
use crate::Database;

const LEADS: &str =
    "CREATE TABLE leads (id INTEGER PRIMARY KEY, status TEXT CHECK (status <> 'bad'), \
     done {moment}, note {key} UNIQUE, n INTEGER DEFAULT 0);
     INSERT INTO leads (id, note) VALUES (7, 'a'), (8, 'b');
     CREATE TABLE gantry_ledger (idempotency_key {key} PRIMARY KEY)";

fn delivery(key: &str, external_id: &str, disposition: &str) -> Delivery {
    let mut delivery = Delivery::new(key, "completed", 1 << 40, external_id);
    delivery.occurred_at_ms = 1_767_268_800_000;
    delivery.details = Json::of(&json!({ "disposition": disposition })).unwrap();
    delivery.attributes = Json::of(&json!({ "event": "no", "disposition": "no", "x": 5 })).unwrap();
    delivery
}

async fn deliver(
    database: &Database,
    callback: Value,
    deliveries: &[Delivery],
) -> Vec<DeliveryOutcome> {
    let settings = settings(callback);
    database.deliver(&settings, &cx(), deliveries.to_vec()).await
}

pub(super) async fn a_row_is_changed(world: &World) {
    world.run(LEADS).await;
    let callback = json!({ "statement": "UPDATE leads SET status = :event || :disposition, \
         done = :occurred_at, note = :missing, n = n + :x WHERE id = :external_id" });
    let done = deliver(&world.database, callback, &[delivery("k", "7", "sold")]).await;
    assert_eq!(done, [DeliveryOutcome::Done]);
    let state = "SELECT status || ' ' || (note IS NULL) || ' ' || n || ' ' || \
         (SELECT count(*) FROM leads WHERE done = '2026-01-01T12:00:00Z') FROM leads WHERE id = 7";
    let state = world.text(state).await;
    assert!(["completedsold true 5 1", "completedsold 1 5 1"].contains(&&*state), "{state}");
}

pub(super) async fn a_ledger_makes_it_once(world: &World) {
    world.run(LEADS).await;
    let callback = json!({ "statement": "UPDATE leads SET n = n + 1 WHERE id = :external_id",
         "ledger": "gantry_ledger" });
    let all = [delivery("k1", "7", ""), delivery("k1", "7", ""), delivery("k2", "7", "")];
    let outcomes = deliver(&world.database, callback.clone(), &all).await;
    assert_eq!(
        outcomes,
        [DeliveryOutcome::Done, DeliveryOutcome::AlreadyDone, DeliveryOutcome::Done]
    );
    assert_eq!(world.text("SELECT n || '' FROM leads WHERE id = 7").await, "2");
    // One that fails leaves no entry: its retry is done, not taken for a repeat.
    let gone = deliver(&world.database, callback.clone(), &[delivery("k3", "9", "")]).await;
    assert!(matches!(gone[0], DeliveryOutcome::Refused(_)));
    world.run("INSERT INTO leads (id) VALUES (9)").await;
    let retried = deliver(&world.database, callback, &[delivery("k3", "9", "")]).await;
    assert_eq!(retried, [DeliveryOutcome::Done]);
}

pub(super) async fn no_row_is_gone(world: &World) {
    world.run(LEADS).await;
    let statement = "UPDATE leads SET n = 1 WHERE id = :external_id";
    let missing = [delivery("k", "404", "")];
    let gone = deliver(&world.database, json!({ "statement": statement }), &missing).await;
    let DeliveryOutcome::Refused(error) = &gone[0] else { panic!("{gone:?}") };
    assert_eq!(error.class(), ErrorClass::Gone);
    assert!(error.message().contains("404"));
    let lenient = json!({ "statement": statement, "on_no_row": "done" });
    let done = deliver(&world.database, lenient, &missing).await;
    assert_eq!(done, [DeliveryOutcome::Done]);
}

pub(super) async fn constraints_are_refused(world: &World) {
    world.run(LEADS).await;
    for (set, class) in
        [("note = 'b'", ErrorClass::Conflict), ("status = 'bad'", ErrorClass::Permanent)]
    {
        let statement = format!("UPDATE leads SET {set} WHERE id = :external_id");
        let callback = json!({ "statement": statement });
        let both = [delivery("k", "7", ""), delivery("k2", "8", "")];
        let outcomes = deliver(&world.database, callback, &both).await;
        let DeliveryOutcome::Refused(error) = &outcomes[0] else { panic!("{outcomes:?}") };
        assert_eq!(error.class(), class, "{}", chain(error));
        assert_eq!(outcomes.len(), 2);
    }
}

pub(super) async fn a_lock_is_transient(world: &World) {
    world.run(LEADS).await;
    let mut config = world.config.clone();
    config["request_timeout"] = "100ms".into();
    let impatient = open(&config);
    let callback = json!({ "statement": "UPDATE leads SET n = 1 WHERE id = :external_id" });
    let hold = AssertSqlSafe("UPDATE leads SET n = 2");
    let one = [delivery("k", "7", "")];
    let outcomes = match &world.owner {
        Owner::Sqlite(pool) => {
            let mut holder = pool.begin().await.unwrap();
            holder.execute(hold).await.unwrap();
            let outcomes = deliver(&impatient, callback.clone(), &one).await;
            holder.rollback().await.unwrap();
            outcomes
        }
        Owner::Mysql(pool) => {
            let mut holder = pool.begin().await.unwrap();
            holder.execute(hold).await.unwrap();
            let outcomes = deliver(&impatient, callback.clone(), &one).await;
            holder.rollback().await.unwrap();
            outcomes
        }
        Owner::Postgres(pool) => {
            let mut holder = pool.begin().await.unwrap();
            holder.execute(hold).await.unwrap();
            let outcomes = deliver(&impatient, callback.clone(), &one).await;
            holder.rollback().await.unwrap();
            outcomes
        }
    };
    let DeliveryOutcome::Retry(error) = &outcomes[0] else { panic!("{outcomes:?}") };
    assert_eq!(error.class(), ErrorClass::Transient, "{}", chain(error));
    // The connection that was called off does not spoil the next try.
    impatient.stop(&cx()).await;
    let retried = deliver(&world.database, callback, &one).await;
    assert_eq!(retried, [DeliveryOutcome::Done]);
}
