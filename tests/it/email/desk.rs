//! Answers by SMTP, look-ups and refusals: a service desk on Dovecot and Postfix.

use anyhow::{Context, Result, ensure};
use gantry_tests::built;
use gantry_tests::peers::mail::{BOB, Dovecot, Postfix, SUPPORT, SUPPORT_PASSWORD};
use gantry_tests::place::Place;
use gantry_tests::proxy::{Fault, Proxy};
use gantry_tests::world::World;
use serde_json::json;

use super::{accept, mail};

struct Desk {
    dovecot: Dovecot,
    postfix: Postfix,
}

impl Desk {
    async fn start() -> Result<Option<Self>> {
        let Some(dovecot) = Dovecot::start().await? else { return Ok(None) };
        let Some(postfix) = Postfix::start(&dovecot).await? else { return Ok(None) };
        Ok(Some(Self { dovecot, postfix }))
    }

    async fn hub(&self, smtp: u16, tls: &str, copy: &str) -> Result<World> {
        let text = built::case("email/desk.toml")?
            .replace("@IMAPS@", &self.dovecot.imaps.to_string())
            .replace("@SMTP@", &smtp.to_string())
            .replace("@TLS@", tls)
            .replace("@CA@", &self.dovecot.certificate().display().to_string())
            .replace("@COPY@", copy);
        let place = Place::new(&[("desk", text)])?;
        World::start(place, &[("MAIL_PASSWORD", SUPPORT_PASSWORD)]).await
    }

    /// Mail of the support's customers.
    async fn deliver(&self, mails: &[String]) -> Result<()> {
        self.dovecot.deliver(SUPPORT, mails).await
    }
}

/// An agent comes, accepts the item and marks it done.
async fn work_off(world: &World, item: &str) -> Result<()> {
    let (session, epoch) = accept(world, item).await?;
    let done = json!({ "disposition": "converted" });
    session.post(&format!("/assignments/{item}/{epoch}/done"), &done).await?;
    Ok(())
}

#[tokio::test]
async fn the_desk_answers_in_the_thread() -> Result<()> {
    let Some(desk) = Desk::start().await? else { return Ok(()) };
    desk.deliver(&[mail("q-1@shop", "", "Grüße, a question", "Where is it?")]).await?;
    for (port, tls) in
        [(desk.postfix.submission, "starttls"), (desk.postfix.submissions, "implicit")]
    {
        let world = desk.hub(port, tls, "append").await?;
        // Nobody wrote it, and it says so.
        let ack = "mailbox INBOX from support@hub.test header references q-1@shop \
                   header in-reply-to q-1@shop header auto-submitted auto-replied";
        desk.dovecot.until(BOB, ack, 1).await?;
        desk.dovecot.until(SUPPORT, "mailbox Sent header auto-submitted auto-replied", 1).await?;

        let item = world.queued("inbox", "q-1@shop").await?;
        ensure!(item["attributes"]["mails"] == 1, "{item}");
        let update = json!({ "reply": "It is on its way.\n.\nYours" });
        world.post("/capture/inbox/q-1@shop/update", &update).await?;
        let id = item["item"].as_str().context("an item without id")?;
        work_off(&world, id).await?;
        let answer = "mailbox INBOX header references q-1@shop body way.";
        desk.dovecot.until(BOB, answer, 1).await?;
        let subject = "mailbox INBOX subject re: subject question";
        desk.dovecot.until(BOB, subject, 2).await?;
        // The own copy is filtered, and the callback has confirmed the end.
        world.until(&format!("/items/{id}"), |item| item["status"] == "completed").await?;
        let own = |status: &serde_json::Value| status["captures"]["inbox"]["filtered"] == 1;
        world.until("/status", own).await?;
        world.stop_and_verify().await?;
        for user in [BOB, SUPPORT] {
            let all = ["expunge", "-u", user, "mailbox", "*", "from", SUPPORT];
            desk.dovecot.doveadm(&all).await?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_reply_whose_answer_is_lost_goes_out_once() -> Result<()> {
    let Some(desk) = Desk::start().await? else { return Ok(()) };
    let proxy = Proxy::start(([127, 0, 0, 1], desk.postfix.submission).into()).await?;
    proxy.once(Fault::AnswerLost { to: b"\r\n.\r\n".to_vec() }).await?;
    let world = desk.hub(proxy.port(), "none", "bcc").await?;
    desk.deliver(&[mail("q-2@shop", "", "A question", "Where is it?")]).await?;
    proxy.struck(1).await?;
    let settled = |status: &serde_json::Value| status["callbacks"]["ack"]["delivered"] == 1;
    world.until("/status", settled).await?;
    for user in [BOB, SUPPORT] {
        desk.dovecot.until(user, "mailbox INBOX header references q-2@shop", 1).await?;
    }
    world.letters("ack", 0).await?;
    world.stop_and_verify().await
}

#[tokio::test]
async fn what_a_server_refuses_passes_or_does_not() -> Result<()> {
    let Some(desk) = Desk::start().await? else { return Ok(()) };
    let world = desk.hub(desk.postfix.submission, "none", "append").await?;
    let from = |who: &str| {
        let id = format!("{who}@shop");
        mail(&id, "", "A question", "Hi").replace(BOB, &format!("{who}@hub.test"))
    };
    desk.deliver(&[from("moved"), from("grey")]).await?;
    let letters = world.letters("ack", 1).await?;
    let reason = letters[0]["reason"].as_str().unwrap_or_default();
    ensure!(reason.contains("no longer here"), "{letters:?}");
    let grey = |status: &serde_json::Value| {
        let error = &status["callbacks"]["ack"]["last_error"];
        let text = error["message"].as_str().unwrap_or_default();
        error["class"] == "transient" && text.contains("come back later")
    };
    world.until("/status", grey).await?;
    world.stop_and_verify().await
}

#[tokio::test]
async fn what_is_no_work_is_counted_and_what_is_too_long_is_refused() -> Result<()> {
    let Some(desk) = Desk::start().await? else { return Ok(()) };
    let world = desk.hub(desk.postfix.submission, "none", "append").await?;
    let long = "x".repeat(70) + "\n";
    desk.deliver(&[
        mail("a-1@shop", "Auto-Submitted: auto-replied\n", "Away", "I am away"),
        mail("a-2@shop", "List-Id: <news.shop>\n", "News", "Buy"),
        mail("a-3@shop", "", "Long", &long.repeat(100)),
        mail("a-4@shop", "", "Good", "Hello"),
        mail("a-5@shop", "X-Loop: support@hub.test\n", "Loop", "Loop"),
    ])
    .await?;
    world.queued("inbox", "a-4@shop").await?;
    let letters = world.letters("inbox", 1).await?;
    let reason = letters[0]["reason"].as_str().unwrap_or_default();
    ensure!(reason.contains("max_message_bytes") && reason.contains("INBOX, UID"), "{letters:?}");
    let filtered = |status: &serde_json::Value| status["captures"]["inbox"]["filtered"] == 3;
    let status = world.until("/status", filtered).await?;
    ensure!(status["captures"]["inbox"]["created"] == 1, "{status}");
    desk.dovecot.until(SUPPORT, "mailbox INBOX keyword $GantryTaken", 5).await?;
    // Nobody answers a machine.
    desk.dovecot.until(SUPPORT, "mailbox Sent all", 1).await?;
    world.stop_and_verify().await
}

/// A machine that marks nothing answers each answer with a mail of a new conversation. The hub
/// stops it, also if it is killed on the way, and other customers still get their answers.
#[tokio::test]
async fn two_machines_do_not_answer_each_other_for_ever() -> Result<()> {
    let Some(desk) = Desk::start().await? else { return Ok(()) };
    let mut world = desk.hub(desk.postfix.submission, "none", "append").await?;
    for n in 1..=5 {
        let id = format!("l-{n}@shop");
        desk.deliver(&[mail(&id, "", "I am a machine", "Beep")]).await?;
        if n <= 3 {
            let answer = format!("mailbox INBOX header in-reply-to {id}");
            desk.dovecot.until(BOB, &answer, 1).await?;
            desk.dovecot.until(SUPPORT, "mailbox Sent all", n).await?;
        } else {
            let letters = world.letters("ack", n - 3).await?;
            let reason = letters[0]["reason"].as_str().unwrap_or_default();
            ensure!(reason.contains("had 3 within") && reason.contains(BOB), "{letters:?}");
        }
        if n == 4 {
            world = world.kill_and_start().await?;
        }
    }
    let other = mail("l-6@shop", "", "A question", "Hi").replace(BOB, "eve@hub.test");
    desk.deliver(&[other]).await?;
    desk.dovecot.until(SUPPORT, "mailbox Sent all", 4).await?;
    desk.dovecot.until(BOB, "mailbox INBOX all", 3).await?;
    world.stop_and_verify().await
}
