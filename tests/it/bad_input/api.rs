//! The plain API: one hub, and every bad request in `tests/cases/bad_input/requests.toml`.

use std::fs;

use anyhow::{Context, Result, ensure};
use gantry_tests::built;
use gantry_tests::place::Place;
use gantry_tests::world::World;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cases {
    case: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    #[serde(default = "orders")]
    to: String,
    #[serde(default = "json_type")]
    content_type: String,
    body: Option<String>,
    hex: Option<String>,
    fill: Option<Fill>,
    status: u16,
    code: String,
    says: String,
    #[serde(default)]
    dead_letter: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fill {
    before: String,
    text: String,
    times: usize,
    after: String,
}

fn orders() -> String {
    "/capture/orders".to_owned()
}

fn json_type() -> String {
    "application/json".to_owned()
}

#[tokio::test]
async fn bad_requests_are_refused_one_by_one() -> Result<()> {
    let world = World::start(Place::new(&[])?, &[]).await?;
    let cases: Cases = toml::from_str(&built::case("bad_input/requests.toml")?)?;
    let mut n_letters = 0;
    for case in &cases.case {
        n_letters += usize::from(case.dead_letter);
        let tried = try_case(&world, case, n_letters).await;
        tried.with_context(|| format!("case {:?}", case.name))?;
    }
    world.goes_on().await
}

async fn try_case(world: &World, case: &Case, n_letters: usize) -> Result<()> {
    let body = case.bytes()?;
    let request = world.request(Method::POST, &case.to).body(body.clone());
    let answer = world.send(request.header("content-type", &case.content_type)).await?;
    answer.must_be_problem(case.status, &case.code, &case.says)?;
    world.must_explain(&case.code).await?;
    // The latest comes first.
    let letters = world.letters("orders", n_letters).await?;
    if !case.dead_letter {
        return Ok(());
    }
    let letter = letters.first().context("no dead letter")?;
    ensure!(letter["code"] == case.code.as_str(), "another code: {letter}");
    let reason = letter["reason"].as_str().unwrap_or_default();
    ensure!(reason.contains(&case.says), "the dead letter says {reason:?}");
    let id = letter["id"].as_str().context("no id")?;
    let whole = world.hub.admin.get(&format!("/dead-letters/{id}")).await?;
    ensure!(whole["payload"].as_str().map(str::as_bytes) == Some(&body), "another payload");
    Ok(())
}

impl Case {
    fn bytes(&self) -> Result<Vec<u8>> {
        match (&self.body, &self.hex, &self.fill) {
            (Some(body), None, None) => Ok(body.clone().into_bytes()),
            (None, Some(hex), None) => hex
                .as_bytes()
                .chunks(2)
                .map(|pair| Ok(u8::from_str_radix(std::str::from_utf8(pair)?, 16)?))
                .collect(),
            (None, None, Some(Fill { before, text, times, after })) => {
                Ok(format!("{before}{}{after}", text.repeat(*times)).into_bytes())
            }
            _ => anyhow::bail!("give one of body, hex and fill"),
        }
    }
}

#[tokio::test]
async fn of_many_records_only_the_bad_ones_are_refused() -> Result<()> {
    let world = World::start(Place::new(&[])?, &[]).await?;
    let large = "A".repeat(1 << 20);
    let records = json!([
        { "id": "B-1" },
        { "subject": "no id" },
        17,
        { "id": "B-2", "value": "many" },
        { "id": "B-3", "attachment": large },
        { "id": "B-4", "value": "12.50" },
    ]);
    let answer = world.post("/capture/orders", &records).await?;
    ensure!(answer.status == 207, "answered with {}", answer.status);
    let results = answer.json()?["results"].clone();
    let told = |at: usize| (results[at]["outcome"].as_str(), results[at]["code"].as_str());
    let expected = [
        (Some("created"), None),
        (Some("refused"), Some("GANTRY-R010")),
        (Some("refused"), Some("GANTRY-R006")),
        (Some("refused"), Some("GANTRY-R010")),
        (Some("refused"), Some("GANTRY-R001")),
        (Some("created"), None),
    ];
    for (at, expected) in expected.into_iter().enumerate() {
        ensure!(told(at) == expected, "record {at}: {}", results[at]);
    }
    let letters = world.letters("orders", 4).await?;
    for at in 1..5 {
        let id = &results[at]["dead_letter"];
        ensure!(letters.iter().any(|letter| letter["id"] == *id), "no dead letter {id}");
    }
    for id in ["B-1", "B-4"] {
        world.queued("orders", id).await?;
    }
    world.goes_on().await
}

#[tokio::test]
async fn all_dead_letters_are_more_than_a_page_of_them() -> Result<()> {
    let world = World::start(Place::new(&[])?, &[]).await?;
    let records: Vec<_> = (0..501).map(|n| json!({ "id": n, "value": "many" })).collect();
    let answer = world.post("/capture/orders", &json!(records)).await?;
    ensure!(answer.status == 422 || answer.status == 207, "answered with {}", answer.status);
    let again = world.place.gantry(&["dlq", "retry", "all", "--json"]).await?;
    let tried: Vec<Value> = serde_json::from_str(&again.stdout)?;
    ensure!(again.code == 2 && tried.len() == 501, "{} were tried", tried.len());
    ensure!(again.stderr.contains("501 dead letters are still open"), "{}", again.stderr);
    Ok(())
}

#[tokio::test]
async fn a_mended_record_is_taken_and_its_dead_letter_settled() -> Result<()> {
    let world = World::start(Place::new(&[])?, &[]).await?;
    let bad = json!({ "id": "C-1", "subject": "Offer", "value": "many" });
    world.post("/capture/orders", &bad).await?.must_be_problem(422, "GANTRY-R010", "many")?;
    let letters = world.letters("orders", 1).await?;
    let id = letters[0]["id"].as_str().context("no id")?;

    let again = world.place.gantry(&["dlq", "retry", id]).await?;
    ensure!(again.code == 2 && again.stdout.contains("GANTRY-R010"), "{again:?}");
    ensure!(again.stderr.contains("1 dead letter is still open"), "{again:?}");
    world.letters("orders", 1).await?;

    fs::write(world.place.path("no.json"), "{\"id\": ")?;
    let half = world.place.gantry(&["dlq", "retry", id, "--payload", "no.json"]).await?;
    ensure!(half.code == 2 && half.stderr.contains("no.json is no JSON"), "{half:?}");
    fs::write(
        world.place.path("mended.json"),
        r#"{"id": "C-1", "value": "12345678901234567.25"}"#,
    )?;
    let all = world.place.gantry(&["dlq", "retry", "all", "--payload", "mended.json"]).await?;
    ensure!(all.code == 2 && all.stderr.contains("name it instead of `all`"), "{all:?}");

    let mended = &["dlq", "retry", id, "--payload", "mended.json", "--json"];
    let done = world.place.gantry(mended).await?.json()?;
    ensure!(done == json!([{ "id": id, "problem": null }]), "{done}");
    let item = world.queued("orders", "C-1").await?;
    ensure!(item["attributes"]["deal_value"] == "12345678901234567.25", "{item}");
    world.letters("orders", 0).await?;
    let settled = world.hub.admin.get(&format!("/dead-letters/{id}")).await?;
    ensure!(settled["resolved"]["how"] == "retried", "{settled}");

    let twice = world.place.gantry(mended).await?;
    let problem: Value = serde_json::from_str(&twice.stdout)?;
    let problem = problem[0]["problem"].as_str().unwrap_or_default();
    ensure!(twice.code == 2 && problem.contains("GANTRY-W016"), "{twice:?}");
    Ok(())
}
