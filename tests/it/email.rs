//! Mail as work, through the real hub, with a real Dovecot.

mod desk;
mod others;
mod removed;

use anyhow::{Context, Result, ensure};
use gantry_demo::hub::Session;
use gantry_tests::built;
use gantry_tests::peers::mail::{Dovecot, SUPPORT, SUPPORT_PASSWORD};
use gantry_tests::place::Place;
use gantry_tests::world::World;
use serde_json::{Value, json};

/// A hub whose config reads the mailbox.
async fn hub(dovecot: &Dovecot, tls: &str, port: u16, settings: &str) -> Result<World> {
    let text = built::case("email/support.toml")?
        .replace("@HOST@", "localhost")
        .replace("@PORT@", &port.to_string())
        .replace("@TLS@", tls)
        .replace("@CA@", &dovecot.certificate().display().to_string())
        .replace("@SETTINGS@", settings);
    let place = Place::new(&[("support", text)])?;
    World::start(place, &[("MAIL_PASSWORD", SUPPORT_PASSWORD)]).await
}

/// A mail by a customer.
fn mail(id: &str, more: &str, subject: &str, text: &str) -> String {
    format!(
        "From: Bob <bob@hub.test>\nTo: {SUPPORT}\nMessage-ID: <{id}>\nSubject: {subject}\n\
         Date: Mon, 02 Nov 2026 10:00:00 +0100\n{more}\n{text}\n"
    )
}

/// An agent comes and accepts the item; gives her session and the epoch of her assignment.
async fn accept(world: &World, item: &str) -> Result<(Session, Value)> {
    let ann = json!({
        "id": "ann", "name": "Ann", "skills": { "sales": 90 }, "capacity": { "workitem": 1 },
    });
    world.hub.admin.put("/agents/ann", &ann).await?;
    let session = world.hub.sign_in("ann").await?;
    session.put("/agents/ann/presence", &json!({ "state": "ready" })).await?;
    world.until(&format!("/items/{item}"), |item| item["status"] == "offered").await?;
    let desk = world.hub.admin.get("/agents/ann/desk").await?;
    let epoch = desk["offers"][0]["epoch"].clone();
    session.post(&format!("/offers/{item}/{epoch}/accept"), &json!({})).await?;
    Ok((session, epoch))
}

#[tokio::test]
async fn mail_becomes_work_and_a_reply_updates_it() -> Result<()> {
    let Some(dovecot) = Dovecot::start().await? else { return Ok(()) };
    for (tls, port) in [("implicit", dovecot.imaps), ("starttls", dovecot.imap)] {
        let first = mail("a-1@shop", "", "Where is my order?", "It is late.");
        dovecot.deliver(SUPPORT, &[first]).await?;
        let world = hub(&dovecot, tls, port, "").await?;
        let item = world.queued("inbox", "a-1@shop").await?;
        let attributes = &item["attributes"];
        ensure!(attributes["customer_id"] == "bob@hub.test", "{item}");
        ensure!(attributes["name"] == "Where is my order?", "{item}");
        ensure!(attributes["text"] == "It is late.", "{item}");

        // The server announces what comes while it idles.
        let references = format!("In-Reply-To: <a-1@shop>\nReferences: <a-1@shop>\nX-Tls: {tls}\n");
        let id = format!("a-2-{tls}@shop");
        let reply = mail(&id, &references, "Re: Where is my order?", "It is here now.");
        dovecot.deliver(SUPPORT, &[reply]).await?;
        let at = item["item"].as_str().context("no id")?;
        world
            .until(&format!("/items/{at}"), |item| item["attributes"]["text"] == "It is here now.")
            .await?;
        dovecot.until(SUPPORT, "mailbox INBOX unkeyword $GantryTaken", 0).await?;
        dovecot.until(SUPPORT, "mailbox INBOX seen", 0).await?;
        world.hub.stop().await?;
        dovecot.doveadm(&["expunge", "-u", SUPPORT, "mailbox", "INBOX", "all"]).await?;
    }
    Ok(())
}
