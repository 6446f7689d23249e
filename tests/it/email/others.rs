//! Another IMAP server, and signing in with tokens.

use anyhow::{Context, Result, ensure};
use gantry_tests::built;
use gantry_tests::peers::mail::{BOB, Dovecot, Postfix, Pymap, SUPPORT, Tokens, pymap, tokens};
use gantry_tests::place::Place;
use gantry_tests::proxy::Proxy;
use gantry_tests::world::World;
use serde_json::Value;

use super::mail;

/// A hub whose source has this config, in TOML.
async fn hub(source: &str, settings: &str, secret: &str) -> Result<World> {
    let text = built::case("email/other.toml")?
        .replace("@SOURCE@", source)
        .replace("@SETTINGS@", settings);
    World::start(Place::new(&[("other", text)])?, &[("MAIL_SECRET", secret)]).await
}

#[tokio::test]
async fn pymap_streams_moves_and_is_read_again_after_a_kill() -> Result<()> {
    let Some(server) = Pymap::start().await? else { return Ok(()) };
    let source = format!(
        "imap = {{ host = \"127.0.0.1\", port = {}, tls = \"none\" }}\n\
         password = {{ env = \"MAIL_SECRET\" }}",
        server.port
    );
    let settings = "move_to = \"Taken\", from = \"2020-01-01\"";
    let world = hub(&source, settings, pymap::PASSWORD).await?;
    for n in 0..3 {
        let id = format!("p-{n}@shop");
        server.append("INBOX", &mail(&id, "", "Hello", "There")).await?;
        // The folder is made, and the mail moved there, while another connection idles.
        world.queued("inbox", &id).await?;
    }
    let world = world.kill_and_start().await?;
    server.append("INBOX", &mail("p-3@shop", "", "Hello", "There")).await?;
    world.queued("inbox", "p-3@shop").await?;
    let status = world.until("/status", is_running).await?;
    ensure!(status["captures"]["inbox"]["refused"] == 0, "{status}");
    server.until("Taken", 4).await?;
    // The older ones that were there before stay untouched.
    server.until("INBOX", 4).await?;
    world.stop_and_verify().await
}

fn is_running(status: &Value) -> bool {
    status["captures"]["inbox"]["state"] == "running"
}

#[tokio::test]
async fn a_token_that_ends_is_got_anew_and_a_wrong_secret_stops_the_mailbox() -> Result<()> {
    let Some(mut tokens) = Tokens::start().await? else { return Ok(()) };
    let Some(dovecot) = Dovecot::start_with(Some(&tokens)).await? else { return Ok(()) };
    let proxy = Proxy::start(([127, 0, 0, 1], dovecot.imaps).into()).await?;
    let source = format!(
        "imap = {{ host = \"localhost\", port = {} }}\ntls_ca = \"{}\"\n\
         oauth = {{ token_url = \"{}\", client_id = \"hub\", \
         client_secret = {{ env = \"MAIL_SECRET\" }}, scope = \"mail\" }}",
        proxy.port(),
        dovecot.certificate().display(),
        tokens.address("token")
    );
    let world = hub(&source, "", tokens::APP_SECRET).await?;
    dovecot.deliver(SUPPORT, &[mail("t-1@shop", "", "Hello", "There")]).await?;
    world.queued("inbox", "t-1@shop").await?;
    let n_given = tokens.end_all().await?;
    ensure!(n_given == 1, "{n_given} tokens were got for one mailbox");
    // The next sign-in is with a token that is good no more.
    proxy.reset().await?;
    dovecot.deliver(SUPPORT, &[mail("t-2@shop", "", "Hello", "There")]).await?;
    world.queued("inbox", "t-2@shop").await?;
    let log = std::fs::read_to_string(world.place.path("hub.log"))?;
    ensure!(!log.contains(tokens::APP_SECRET) && !log.contains("eyJ"), "a secret is in the log");
    world.stop_and_verify().await?;

    let world = hub(&source, "", "a-wrong-secret").await?;
    let stopped = |status: &Value| status["captures"]["inbox"]["state"] == "stopped";
    let status = world.until("/status", stopped).await?;
    let error = &status["captures"]["inbox"]["last_error"];
    let message = error["message"].as_str().context("no message")?;
    ensure!(error["class"] == "auth_denied" && message.contains("check the client id"), "{error}");
    world.goes_on().await?;
    world.stop_and_verify().await
}

/// The token server takes each refresh token once, so the hub has to keep the next one, also when
/// it is killed. Both servers are signed in to with the same token.
#[tokio::test]
async fn refresh_tokens_that_are_good_once_outlive_a_kill_and_open_both_servers() -> Result<()> {
    let Some(mut tokens) = Tokens::start().await? else { return Ok(()) };
    let Some(dovecot) = Dovecot::start_with(Some(&tokens)).await? else { return Ok(()) };
    let Some(postfix) = Postfix::start(&dovecot).await? else { return Ok(()) };
    let proxy = Proxy::start(([127, 0, 0, 1], dovecot.imaps).into()).await?;
    let oauth = format!(
        "oauth = {{ token_url = \"{}\", client_id = \"hub\", \
         client_secret = {{ env = \"MAIL_SECRET\" }}, refresh_token = {{ env = \"MAIL_REFRESH\" }} }}",
        tokens.address("token")
    );
    let text = built::case("email/desk.toml")?
        .replace("password = { env = \"MAIL_PASSWORD\" }", &oauth)
        .replace("@IMAPS@", &proxy.port().to_string())
        .replace("@SMTP@", &postfix.submission.to_string())
        .replace("@TLS@", "starttls")
        .replace("@CA@", &dovecot.certificate().display().to_string())
        .replace("@COPY@", "append");
    let secrets = [("MAIL_SECRET", tokens::APP_SECRET), ("MAIL_REFRESH", tokens::REFRESH_TOKEN)];
    let world = World::start(Place::new(&[("desk", text)])?, &secrets).await?;
    let arrives = async |world: &World, id: &str| -> Result<()> {
        dovecot.deliver(SUPPORT, &[mail(id, "", "A question", "Where is it?")]).await?;
        world.queued("inbox", id).await?;
        let acknowledged = format!("mailbox INBOX header references {id}");
        dovecot.until(BOB, &acknowledged, 1).await
    };
    arrives(&world, "f-1@shop").await?;
    ensure!(tokens.end_all().await? == 1, "one token is enough for both servers");
    // The next sign-in, at whichever server, is with a token that is good no more.
    proxy.reset().await?;
    arrives(&world, "f-2@shop").await?;
    ensure!(tokens.end_all().await? == 2, "the token that ended was got anew once");
    let world = world.kill_and_start().await?;
    arrives(&world, "f-3@shop").await?;
    ensure!(tokens.end_all().await? == 3, "the new process got a token of its own");

    let kept = std::fs::read_to_string(world.place.path("data/gantry.db.credentials"))?;
    let kept: Value = serde_json::from_str(&kept)?;
    let kept = kept["mail"]["oauth.refresh_token"]["value"].as_str().context("nothing is kept")?;
    let log = std::fs::read_to_string(world.place.path("hub.log"))?;
    for secret in [tokens::APP_SECRET, tokens::REFRESH_TOKEN, kept, "eyJ"] {
        ensure!(!log.contains(secret), "a secret is in the log");
    }
    world.stop_and_verify().await
}
