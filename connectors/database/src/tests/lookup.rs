//! Questions and answers.

use gantry_plugin_api::{Answer, Error, ErrorClass, Json, Lookup, Query};
use serde_json::{Value, json};

use super::{World, cx, settings};
use crate::config::LookupSettings;

const CUSTOMERS: &str = "CREATE TABLE customers (id INTEGER PRIMARY KEY, code TEXT, nps INTEGER, \
     since {moment});
     INSERT INTO customers VALUES (1, 'A', 9, '2026-01-01 12:00:00'), (2, 'B', NULL, NULL), \
     (3, 'B', 4, NULL)";

async fn ask(
    world: &World,
    settings_json: Value,
    questions: &[Value],
) -> Result<Vec<Result<Option<Value>, Error>>, Error> {
    let settings: LookupSettings = settings(settings_json);
    let query = |question| Query::new(Json::of(question).unwrap());
    let queries = questions.iter().map(query).collect();
    let answers = world.database.lookup(&settings, &cx(), queries).await?;
    let read = |answer: Answer| answer.attributes.parse().unwrap();
    Ok(answers.into_iter().map(|answer| Ok(answer?.map(read))).collect())
}

pub(super) async fn answers_come_in_order(world: &World) {
    world.run(CUSTOMERS).await;
    let settings = json!({ "query": "SELECT nps, ':id' AS \"odd name\", since FROM customers \
         WHERE id = :customer_id" });
    let ids: Vec<_> = (0..20).map(|n| json!({ "customer_id": n % 4, "other": 1 })).collect();
    let answers = ask(world, settings, &ids).await.unwrap();
    for (n, answer) in answers.into_iter().enumerate() {
        let expected = match n % 4 {
            0 => None,
            1 => Some(json!({ "nps": 9, "odd name": ":id", "since": "2026-01-01T12:00:00Z" })),
            2 => Some(json!({ "nps": null, "odd name": ":id", "since": null })),
            _ => Some(json!({ "nps": 4, "odd name": ":id", "since": null })),
        };
        assert_eq!(answer.unwrap(), expected);
    }
}

pub(super) async fn parameters_fit_the_columns(world: &World) {
    world.run(CUSTOMERS).await;
    for (condition, question, found) in [
        ("id = :x", json!({ "x": "1" }), true),
        ("code = :x", json!({ "x": "A" }), true),
        ("code = :x", json!({ "x": "A' OR 1 = 1 --" }), false),
        ("code = :x AND nps > :n", json!({ "x": "A", "n": 8 }), true),
        ("nps > CAST(:n AS DECIMAL(9, 2))", json!({ "n": 8.5 }), true),
        ("since < :x", json!({ "x": "2026-01-02T00:00:00Z" }), true),
        ("id = :x", json!({}), false),
        ("id = :x", json!({ "x": null }), false),
        ("id = 1 AND CAST(:x AS CHAR(9)) IS NULL", json!({}), true),
        ("id = 1 AND :flag", json!({ "flag": true }), true),
    ] {
        let settings = json!({ "query": format!("SELECT id FROM customers WHERE {condition}") });
        let answers = ask(world, settings, &[question]).await.unwrap();
        assert_eq!(answers[0].as_ref().unwrap().is_some(), found, "{condition}");
    }
    if world.is_postgres() {
        let settings = json!({ "query": "SELECT id FROM customers WHERE id = :x" });
        let questions = [json!({ "x": "one" }), json!({ "x": 1 })];
        let answers = ask(world, settings, &questions).await.unwrap();
        assert_eq!(answers[0].as_ref().unwrap_err().class(), ErrorClass::Permanent);
        assert!(answers[1].as_ref().unwrap().is_some());
    }
}

pub(super) async fn several_rows(world: &World) {
    world.run(CUSTOMERS).await;
    let query = "SELECT id FROM customers WHERE code = :code ORDER BY id DESC";
    let question = [json!({ "code": "B" })];
    let first = ask(world, json!({ "query": query }), &question).await.unwrap();
    assert_eq!(first[0], Ok(Some(json!({ "id": 3 }))));
    let strict = json!({ "query": query, "on_many": "fail" });
    let strict = ask(world, strict, &question).await.unwrap();
    assert_eq!(strict[0].as_ref().unwrap_err().class(), ErrorClass::Permanent);
}

pub(super) async fn only_queries_are_run(world: &World) {
    world.run(CUSTOMERS).await;
    for query in [
        "DELETE FROM customers RETURNING id",
        "SELECT id FROM customers) AS x; DELETE FROM customers; --",
        "SELECT 1; DELETE FROM customers",
    ] {
        let error = ask(world, json!({ "query": query }), &[json!({})]).await;
        let error = match error {
            Ok(answers) => answers.into_iter().next().unwrap().unwrap_err(),
            Err(error) => error,
        };
        assert_eq!(error.field(), Some("query"), "{query}");
    }
    assert_eq!(world.text("SELECT count(*) || '' FROM customers").await, "3");
}
