//! Webhooks: senders that are not who they say, and bodies that are none.

use anyhow::{Result, ensure};
use gantry_demo::sender::{SECRET, sign};
use gantry_tests::place::Place;
use gantry_tests::world::{Answer, Request, World};
use jiff::Timestamp;
use reqwest::Method;
use serde_json::json;

const CARTS: &str = "/hooks/carts";
const TIPS: &str = "/hooks/tips";
const TOKEN: &str = "a-token-of-the-tests";
/// More than the five minutes that clocks may differ.
const TOO_FAR_S: i64 = 3600;

async fn start() -> Result<World> {
    let env = [("TEST_WEBHOOK_SECRET", SECRET), ("TEST_WEBHOOK_TOKEN", TOKEN)];
    World::start(Place::with(&["webhook"])?, &env).await
}

/// A stranger's request, which nobody has signed.
fn unsigned<'a>(world: &'a World, path: &'a str, body: impl Into<Vec<u8>>) -> Request<'a> {
    world.request(Method::POST, path).by(None).json().body(body)
}

/// What the shop sends, so many seconds from now.
fn signed<'a>(world: &'a World, id: &str, after_s: i64, body: &[u8]) -> Result<Request<'a>> {
    let headers = sign(id, Timestamp::now().as_second() + after_s, body)?;
    let request = unsigned(world, CARTS, body);
    Ok(headers.into_iter().fold(request, |request, (name, value)| request.header(name, value)))
}

async fn send(world: &World, id: &str, body: &[u8]) -> Result<Answer> {
    world.send(signed(world, id, 0, body)?).await
}

#[tokio::test]
async fn a_sender_that_proves_nothing_is_not_let_in() -> Result<()> {
    let world = start().await?;
    let body = br#"{"cart": "K-1"}"#;
    let mut forged = signed(&world, "forged", 0, body)?;
    forged.body = br#"{"cart": "K-2"}"#.to_vec();
    let by_stranger = unsigned(&world, TIPS, "{}").by(Some("somebody-elses-token"));
    let cases = [
        (unsigned(&world, CARTS, *body), "signature_missing"),
        (forged, "no signature fits a key"),
        (signed(&world, "stale", -TOO_FAR_S, body)?, "timestamp_out_of_tolerance"),
        (signed(&world, "early", TOO_FAR_S, body)?, "timestamp_out_of_tolerance"),
        (unsigned(&world, TIPS, "{}"), "token_missing"),
        (by_stranger, "token_invalid"),
    ];
    for (request, reason) in cases {
        let answer = world.send(request).await?;
        answer.must_be_problem(401, "GANTRY-W032", "not authorized")?;
        ensure!(!answer.text.contains(reason), "a stranger is told {reason}");
        let log = world.hub.log_tail();
        let last = log.lines().next_back().unwrap_or_default();
        ensure!(last.contains(reason), "expected {reason} in the log: {last}");
    }
    world.must_explain("GANTRY-W032").await?;
    world.letters("carts", 0).await?;

    ensure!(send(&world, "good", body).await?.status == 202, "a good sender is not let in");
    world.queued("carts", "K-1").await?;
    world.goes_on().await
}

#[tokio::test]
async fn bodies_that_are_none_are_refused_whoever_sends_them() -> Result<()> {
    let world = start().await?;
    let deep = format!(r#"{{"cart": {}"#, "[".repeat(100_000));
    let large = format!(r#"{{"cart": "K-1", "x": "{}"}}"#, "A".repeat(2 << 20));
    let huge = format!(r#"{{"cart": "K-1", "x": "{}"}}"#, "A".repeat(10 << 20));
    let cases: [(&[u8], u16, &str, &str); 7] = [
        (b"", 400, "GANTRY-W008", "not JSON"),
        (b"{\"cart\": \"K-", 400, "GANTRY-W008", "line 1 column 12"),
        (b"{\"cart\": \"\xff\"}", 400, "GANTRY-W008", "not UTF-8 from byte 11 on"),
        (b"17", 400, "GANTRY-W008", "must be an object or an array of objects"),
        (deep.as_bytes(), 400, "GANTRY-W008", "more than 64 levels deep"),
        (large.as_bytes(), 413, "GANTRY-W010", "longer than 1048576 bytes"),
        (huge.as_bytes(), 413, "GANTRY-W010", "more than 8388608 bytes"),
    ];
    for (body, status, code, says) in cases {
        send(&world, "bad", body).await?.must_be_problem(status, code, says)?;
    }
    let mut text = signed(&world, "text", 0, b"{}")?;
    text.headers.retain(|(name, _)| *name != "content-type");
    let text = world.send(text.header("content-type", "text/plain")).await?;
    text.must_be_problem(415, "GANTRY-W011", "must be `application/json`")?;
    let mut get = signed(&world, "get", 0, b"")?;
    get.method = Method::GET;
    world.send(get).await?.must_be_problem(405, "GANTRY-W007", "only POST is taken")?;
    let nowhere = world.send(unsigned(&world, "/hooks/nowhere", "{}")).await?;
    nowhere.must_be_problem(404, "GANTRY-W013", "\"nowhere\" is not configured")?;
    world.letters("carts", 0).await?;
    world.goes_on().await
}

#[tokio::test]
async fn of_a_webhook_only_the_bad_records_become_dead_letters() -> Result<()> {
    let world = start().await?;
    let body = br#"[{"cart": "K-1"}, {"product": "no id"}, 17, {"cart": "K-2"}]"#;
    let answer = send(&world, "mixed", body).await?;
    ensure!(answer.status == 202, "{}", answer.text);
    let outcomes = answer.json()?;
    let told = |at: usize| (outcomes[at]["outcome"].clone(), outcomes[at]["code"].clone());
    ensure!(told(1) == (json!("refused"), json!("GANTRY-R010")), "{outcomes}");
    ensure!(told(2) == (json!("refused"), json!("GANTRY-R007")), "{outcomes}");
    world.letters("carts", 2).await?;
    for cart in ["K-1", "K-2"] {
        world.queued("carts", cart).await?;
    }
    // A sender that did not see the answer sends again: nothing is doubled, the dead neither.
    let again = send(&world, "mixed", body).await?.json()?;
    ensure!(again[0]["change"] == "repeat" && again[3]["change"] == "repeat", "{again}");
    ensure!(again[1]["dead_letter"] == outcomes[1]["dead_letter"], "{again}");
    world.letters("carts", 2).await?;

    // Who sends a token learns that each of its records was refused; who signs would switch off.
    let tips = world.send(unsigned(&world, TIPS, r#"{"no": "id"}"#).by(Some(TOKEN))).await?;
    ensure!(tips.status == 422, "{} {}", tips.status, tips.text);
    world.letters("tips", 1).await?;
    ensure!(send(&world, "alone", br#"{"no": "id"}"#).await?.status == 202, "expected 202");
    world.letters("carts", 3).await?;
    world.goes_on().await
}
