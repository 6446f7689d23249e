//! The cases, one function each.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::rig::{self, Rig};
use super::{CALLBACK, CAPTURE, Case, Deletion, Setup, SourceSystem, chaos};
use crate::proxy::{Fault, Proxy};

/// How far a late record lies back, and a clock is off.
const MINUTE: SignedDuration = SignedDuration::from_mins(1);
/// What a source asks to wait.
const WAIT: Duration = Duration::from_secs(2);
/// What a poll may be late by: it is a schedule's turn, on a busy machine.
const LATE: Duration = Duration::from_secs(1);
/// The answer with a page of records breaks off after so many bytes.
const HALF_A_PAGE: usize = 2_000;

/// Runs a case on a fresh hub.
pub(super) async fn run(case: Case, system: &mut dyn SourceSystem) -> Result<()> {
    let plain = Setup::default();
    match case {
        Case::ExactlyOnce => chaos::exactly_once(system).await,
        Case::SameTimestamp => {
            same_timestamp(Rig::start(system, Setup { batch: 2, ..plain }).await?).await
        }
        Case::WrongPassword => {
            let wrong = Setup { right_password: false, ..plain };
            wrong_password(Rig::start(system, wrong).await?).await
        }
        Case::ResumeInMidPage => resume_in_mid_page(Rig::start(system, plain).await?).await,
        Case::LateCommit => late_commit(Rig::start(system, plain).await?).await,
        Case::ClockSkew => clock_skew(Rig::start(system, plain).await?).await,
        Case::Throttled => throttled(Rig::start(system, plain).await?).await,
        Case::TokenExpiry => token_expiry(Rig::start(system, plain).await?).await,
        Case::DeletedUpstream => deleted_upstream(Rig::start(system, plain).await?).await,
        Case::CursorExpired => cursor_expired(Rig::start(system, plain).await?).await,
        Case::CompletedOnce => completed_once(Rig::start(system, plain).await?).await,
        Case::Updated => updated(Rig::start(system, plain).await?).await,
        Case::Withdrawn => withdrawn(Rig::start(system, plain).await?).await,
        Case::UnknownFields => unknown_fields(Rig::start(system, plain).await?).await,
    }
}

/// Texts of `n` records.
fn texts(n: usize) -> Vec<String> {
    (0..n).map(|n| format!("record {n}")).collect()
}

async fn resume_in_mid_page(mut rig: Rig<'_>) -> Result<()> {
    let pause = format!("/capture-points/{CAPTURE}/pause");
    rig.world.hub.admin.post(&pause, &json!({})).await?;
    let ids = rig.system.put(&texts(120)).await?;
    let n_struck = rig.system.proxy().map(Proxy::n_struck);
    if let Some(proxy) = rig.system.proxy() {
        proxy.once(Fault::CutToClient { after: HALF_A_PAGE }).await?;
    }
    let resume = format!("/capture-points/{CAPTURE}/resume");
    rig.world.hub.admin.post(&resume, &json!({})).await?;
    if let Some((proxy, n_struck)) = rig.system.proxy().zip(n_struck) {
        proxy.struck(n_struck + 1).await?;
    }
    rig.captured(10).await?;
    rig = rig.kill_hub().await?;
    rig.captured(ids.len()).await?;
    rig.has_exactly(&ids).await?;
    rig.end().await
}

async fn same_timestamp(mut rig: Rig<'_>) -> Result<()> {
    let ids = rig.system.put_at(&texts(5), Timestamp::now()).await?;
    rig.captured(ids.len()).await?;
    rig.has_exactly(&ids).await?;
    rig.end().await
}

async fn late_commit(mut rig: Rig<'_>) -> Result<()> {
    let now = Timestamp::now();
    let mut ids = rig.system.put_at(&texts(3), now).await?;
    rig.captured(ids.len()).await?;
    ids.extend(rig.system.put_at(&["late".to_owned()], now - MINUTE).await?);
    rig.captured(ids.len()).await?;
    rig.has_exactly(&ids).await?;
    rig.end().await
}

async fn clock_skew(mut rig: Rig<'_>) -> Result<()> {
    let mut ids = Vec::new();
    for ahead in [MINUTE, -MINUTE] {
        rig.system.set_clock(ahead).await?;
        ids.push(rig.put(&format!("with the clock {ahead:#} ahead")).await?);
        rig.captured(ids.len()).await?;
    }
    rig.has_exactly(&ids).await?;
    rig.end().await
}

async fn throttled(mut rig: Rig<'_>) -> Result<()> {
    let mut ids = vec![rig.put("before").await?];
    rig.captured(1).await?;
    rig.system.throttle(WAIT).await?;
    ids.push(rig.put("after").await?);
    rig.captured(2).await?;
    let alone = rig.system.left_alone().await?;
    ensure!(alone >= WAIT && alone < WAIT + LATE, "it was left alone for {alone:?}, not {WAIT:?}");
    rig.has_exactly(&ids).await?;
    rig.end().await
}

async fn token_expiry(mut rig: Rig<'_>) -> Result<()> {
    let mut ids = vec![rig.put("with the first token").await?];
    rig.captured(1).await?;
    rig.system.expire_token().await?;
    ids.push(rig.put("with the second token").await?);
    rig.captured(2).await?;
    rig.has_exactly(&ids).await?;
    let status = rig.world.hub.admin.get("/status").await?;
    let capture = &status["captures"][CAPTURE];
    ensure!(capture["state"] == "running", "{capture}");
    rig.end().await
}

async fn wrong_password(rig: Rig<'_>) -> Result<()> {
    let stopped = |status: &Value| status["captures"][CAPTURE]["state"] == "stopped";
    let status = rig.world.until("/status", stopped).await?;
    let error = &status["captures"][CAPTURE]["last_error"];
    ensure!(error["class"] == "auth_denied", "it stopped for another reason: {error}");
    let message = error["message"].as_str().context("no message")?;
    let remedy = rig.system.remedy();
    ensure!(message.contains(remedy), "{message:?} does not say {remedy:?}");
    rig.world.goes_on().await?;
    rig.end().await
}

async fn cursor_expired(mut rig: Rig<'_>) -> Result<()> {
    let mut ids = rig.system.put(&texts(5)).await?;
    rig.captured(ids.len()).await?;
    rig.system.expire_cursor().await?;
    ids.push(rig.put("after the position was forgotten").await?);
    rig.captured(ids.len()).await?;
    rig.has_exactly(&ids).await?;
    rig.end().await
}

async fn updated(mut rig: Rig<'_>) -> Result<()> {
    let id = rig.put("as it was").await?;
    rig.item(&id, is("waiting")).await?;
    rig.system.change(&id, "as it is now").await?;
    let is_new = |item: &Value| item["attributes"]["name"] == "as it is now";
    let item = rig.item(&id, is_new).await?;
    ensure!(item["status"] == "waiting", "{item}");
    rig.has_exactly(&[id]).await?;
    rig.end().await
}

async fn unknown_fields(mut rig: Rig<'_>) -> Result<()> {
    let mut ids = vec![rig.put("before").await?];
    rig.captured(1).await?;
    rig.system.add_unknown_field().await?;
    ids.push(rig.put("after").await?);
    rig.captured(2).await?;
    rig.has_exactly(&ids).await?;
    rig.world.letters(CAPTURE, 0).await?;
    rig.end().await
}

async fn completed_once(mut rig: Rig<'_>) -> Result<()> {
    let id = rig.put("plain").await?;
    let assigned = rig.assigned(&id).await?;
    assigned.done().await?;
    rig.item(&id, is("completed")).await?;
    let n = rig.system.completions(&id).await?;
    ensure!(n == 1, "{id} was completed {n} times");
    if rig.system.proxy().is_some() {
        let lost = rig.put("its answer is lost").await?;
        let assigned = rig.assigned(&lost).await?;
        let to = rig.system.completion_holds(&lost);
        let n_struck = rig.proxy()?.n_struck();
        rig.proxy()?.once(Fault::AnswerLost { to }).await?;
        assigned.done().await?;
        rig.proxy()?.struck(n_struck + 1).await?;
        rig.item(&lost, is("completed")).await?;
        let n = rig.system.completions(&lost).await?;
        ensure!(n == 1, "{lost}, whose answer was lost, was completed {n} times");
    }
    rig.end().await
}

async fn deleted_upstream(mut rig: Rig<'_>) -> Result<()> {
    let id = rig.put("soon deleted").await?;
    let assigned = rig.assigned(&id).await?;
    rig.system.delete(&id).await?;
    match rig.system.deletion() {
        Deletion::Withdraws => left_the_desk(&rig, &id).await?,
        Deletion::FailsCallback => {
            assigned.done().await?;
            rig.world.letters(CALLBACK, 1).await?;
            let status = rig.world.hub.admin.get("/status").await?;
            let callback = rig::callback(&status);
            ensure!(callback["dead"] == 1, "{callback}");
        }
    }
    rig.world.goes_on().await?;
    rig.end().await
}

async fn withdrawn(mut rig: Rig<'_>) -> Result<()> {
    let id = rig.put("soon withdrawn").await?;
    rig.assigned(&id).await?;
    rig.system.withdraw(&id).await?;
    left_the_desk(&rig, &id).await?;
    rig.end().await
}

async fn left_the_desk(rig: &Rig<'_>, id: &str) -> Result<()> {
    rig.item(id, is("canceled")).await?;
    let desk = rig.desk().await?;
    let empty = desk["assigned"].as_array().is_some_and(Vec::is_empty);
    ensure!(empty, "she still has it: {desk}");
    Ok(())
}

fn is(status: &'static str) -> impl Fn(&Value) -> bool {
    move |item| item["status"] == status
}
