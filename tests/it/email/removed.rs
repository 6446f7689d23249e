//! Mail that is removed while the hub is down.

use anyhow::{Context, Result, ensure};
use gantry_tests::peers::mail::{Dovecot, SUPPORT};
use gantry_tests::world::World;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::{accept, hub, mail};

fn is(status: &'static str) -> impl Fn(&Value) -> bool {
    move |item| item["status"] == status
}

/// The number of the work item that a mail became.
async fn item(world: &World, id: &str) -> Result<String> {
    let item = world.queued("inbox", id).await?;
    Ok(item["item"].as_str().context("an item without id")?.to_owned())
}

/// Waits until the mailbox was asked whether the mail of each open item is there.
async fn asked(world: &World, n_held: u64, since: Timestamp) -> Result<Value> {
    let is_asked = |status: &Value| {
        let leases = &status["captures"]["inbox"]["leases"];
        let next_at = leases["next_at"].as_str().and_then(|at| at.parse::<Timestamp>().ok());
        leases["held"] == n_held
            && next_at.is_some_and(|at| at > since + SignedDuration::from_mins(1))
    };
    world.until("/status", is_asked).await
}

/// Runs an action of `doveadm` on a mail of the inbox.
async fn act(dovecot: &Dovecot, action: &[&str], arguments: &[&str], id: &str) -> Result<()> {
    let query = ["mailbox", "INBOX", "header", "message-id", id];
    dovecot.doveadm(&[action, &["-u", SUPPORT], arguments, &query].concat()).await.map(drop)
}

#[tokio::test]
async fn what_is_gone_after_a_start_leaves_the_agent_and_what_is_kept_stays() -> Result<()> {
    let Some(dovecot) = Dovecot::start().await? else { return Ok(()) };
    let settings = "on_removed = \"cancel\", kept_in = [\"Later\", \"Missing\"]";
    let world = hub(&dovecot, "implicit", dovecot.imaps, settings).await?;
    dovecot.deliver(SUPPORT, &[mail("g-1@shop", "", "Gone", "Hello")]).await?;
    let gone = item(&world, "g-1@shop").await?;
    accept(&world, &gone).await?;

    let of_thread = "In-Reply-To: <g-2@shop>\n";
    dovecot
        .deliver(
            SUPPORT,
            &[
                mail("g-2@shop", "", "A thread", "Hello"),
                mail("g-3@shop", of_thread, "A thread", "Again"),
                mail("g-4@shop", "", "Flagged", "Hello"),
                mail("g-5@shop", "", "Moved", "Hello"),
                mail("g-6@shop", "", "Untouched", "Hello"),
            ],
        )
        .await?;
    let flagged = item(&world, "g-4@shop").await?;
    let mut open = Vec::new();
    for id in ["g-2@shop", "g-5@shop", "g-6@shop"] {
        open.push(item(&world, id).await?);
    }
    let twice = |item: &Value| item["attributes"]["text"] == "Again";
    world.until(&format!("/items/{}", open[0]), twice).await?;
    let begin = Timestamp::now();
    let world = world
        .kill_and_start_after(async {
            dovecot.doveadm(&["mailbox", "create", "-u", SUPPORT, "Later"]).await?;
            for id in ["g-1@shop", "g-3@shop"] {
                act(&dovecot, &["expunge"], &[], id).await?;
            }
            act(&dovecot, &["flags", "add"], &["\\Deleted"], "g-4@shop").await?;
            act(&dovecot, &["move"], &["Later"], "g-5@shop").await
        })
        .await?;
    for id in [&gone, &flagged] {
        world.until(&format!("/items/{id}"), is("canceled")).await?;
    }
    let desk = world.hub.admin.get("/agents/ann/desk").await?;
    ensure!(desk["assigned"].as_array().is_some_and(Vec::is_empty), "she still has it: {desk}");
    let status = asked(&world, 3, begin).await?;
    ensure!(status["captures"]["inbox"]["leases"]["lost"] == 2, "{status}");

    // All UIDs are others: that says nothing of the mail.
    let begin = Timestamp::now();
    let world = world
        .kill_and_start_after(async {
            let update = ["mailbox", "update", "-u", SUPPORT, "--uid-validity", "1999999999"];
            dovecot.doveadm(&[&update[..], &["INBOX"]].concat()).await.map(drop)
        })
        .await?;
    let status = asked(&world, 3, begin).await?;
    ensure!(status["captures"]["inbox"]["leases"]["lost"] == 0, "{status}");
    for id in &open {
        let item = world.hub.admin.get(&format!("/items/{id}")).await?;
        ensure!(item["status"] != "canceled", "{item}");
    }
    // What is removed then, with the hub running, is announced.
    act(&dovecot, &["expunge"], &[], "g-6@shop").await?;
    world.until(&format!("/items/{}", open[2]), is("canceled")).await?;
    world.stop_and_verify().await
}
