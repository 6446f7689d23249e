//! What goes wrong in an org, one thing at a time. What all connectors are asked stands in
//! `it/connectors/salesforce.rs`.

use anyhow::{Context as _, Result, ensure};
use gantry_tests::peers::salesforce::file;
use serde_json::{Value, json};

use super::scene::{self, Scene, lead, old_leads};

/// The capture of leads in the hub's status, once it is as wanted.
async fn leads(scene: &Scene, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
    let status =
        scene.world.until("/status", |status| wanted(&status["captures"]["leads"])).await?;
    Ok(status["captures"]["leads"].clone())
}

/// How often the org was asked for something that holds this.
async fn n_asked(scene: &Scene, path: &str) -> Result<usize> {
    let asked = scene.org.asked().await?;
    Ok(asked.iter().filter(|(_, _, asked, _)| asked.contains(path)).count())
}

#[tokio::test]
async fn a_token_that_ends_in_mid_walk_is_replaced() -> Result<()> {
    let Some(mut org) = scene::org(&[]).await? else { return Ok(()) };
    org.set("n_page", 5.into()).await?;
    org.set("token_life", 4.into()).await?;
    let ids = org.insert("Lead", &old_leads(40)).await?;
    let scene = Scene::with(org, &[]).await?;
    scene.captured(&ids).await?;
    // Eight pages with tokens that are good for four requests each.
    ensure!(n_asked(&scene, "oauth2/token").await? >= 2, "{:?}", scene.org.asked().await?);
    let capture = leads(&scene, |_| true).await?;
    ensure!(capture["state"] == "running", "{capture}");
    Ok(())
}

#[tokio::test]
async fn a_list_that_the_org_forgets_is_asked_for_again_from_where_it_stood() -> Result<()> {
    let Some(mut org) = scene::org(&[]).await? else { return Ok(()) };
    org.set("n_page", 5.into()).await?;
    let fault = json!({ "errorCode": "INVALID_QUERY_LOCATOR", "message": "invalid query locator" });
    let fault = json!({ "path": "query/01g", "skip": 2, "status": 400, "body": [fault] });
    let ids = org.insert("Lead", &old_leads(40)).await?;
    org.tell(&json!({ "faults": [fault] })).await?;
    let scene = Scene::with(org, &[]).await?;
    scene.captured(&ids).await?;
    let asked = scene.org.asked().await?;
    let failed = asked.iter().position(|(_, _, _, failed)| *failed);
    let next = asked.get(failed.context("nothing failed")? + 1).context("nothing came after")?;
    let stamp = "SystemModstamp+%3E%3D+";
    ensure!(next.2.contains("/queryAll?q=") && next.2.contains(stamp), "{next:?}");
    scene.world.letters("leads", 0).await?;
    Ok(())
}

#[tokio::test]
async fn an_org_that_asks_to_wait_in_mid_walk_is_left_alone() -> Result<()> {
    let Some(mut org) = scene::org(&[]).await? else { return Ok(()) };
    org.set("n_page", 5.into()).await?;
    let ids = org.insert("Lead", &old_leads(40)).await?;
    let headers = json!({ "Retry-After": "2" });
    let fault = json!({ "path": "query/01g", "skip": 2, "status": 429, "headers": headers });
    org.tell(&json!({ "faults": [fault] })).await?;
    let scene = Scene::with(org, &[]).await?;
    scene.captured(&ids).await?;
    let asked = scene.org.asked().await?;
    // Cases are asked for on a schedule of their own.
    let is_of_leads = |path: &str| path.contains("query/01g") || path.contains("FROM+Lead");
    let of_leads = asked.iter().filter(|(_, _, path, _)| is_of_leads(path));
    let mut from = of_leads.skip_while(|(_, _, _, failed)| !failed);
    let (throttled, next) = from.next().zip(from.next()).context("nothing came after")?;
    let alone = next.0 - throttled.0;
    ensure!(alone >= 2.0, "it was left alone for {alone} s only");
    Ok(())
}

#[tokio::test]
async fn the_rest_of_a_days_calls_is_left_to_look_ups_and_callbacks() -> Result<()> {
    let Some(mut scene) = Scene::start(&[]).await? else { return Ok(()) };
    let id = scene.org.insert("Lead", &[lead("Before")]).await?.remove(0);
    let item = scene.world.queued("leads", &id).await?;
    scene.org.set("usage", json!([90, 100])).await?;
    let capture = leads(&scene, |capture| capture["last_error"]["class"] == "throttled").await?;
    let message = scene::text(&capture["last_error"], "message");
    ensure!(
        message.ends_with("90 of the org's 100 API calls a day are used: over 90 %"),
        "{capture}"
    );
    let anna = scene.anna().await?;
    scene.work(&anna, &item, "converted").await?;
    scene.org.until("Lead", &id, |lead| lead["Status"] == "Closed").await?;
    Ok(())
}

#[tokio::test]
async fn calls_that_are_used_up_throttle() -> Result<()> {
    let Some(org) = scene::org(&[]).await? else { return Ok(()) };
    let code = "REQUEST_LIMIT_EXCEEDED";
    let body = json!([{ "errorCode": code, "message": "TotalRequests Limit exceeded." }]);
    let fault = json!({ "path": "queryAll.*FROM.Lead", "status": 403, "body": body });
    org.tell(&json!({ "faults": [fault] })).await?;
    let scene = Scene::with(org, &[]).await?;
    let capture = leads(&scene, |capture| capture["last_error"]["class"] == "throttled").await?;
    ensure!(scene::text(&capture["last_error"], "message").contains(code), "{capture}");
    Ok(())
}

/// What the hub makes of an answer to a write-back: a dead letter that says this, or that it was
/// done in the end.
async fn check(answer: Value, expected: Option<&str>) -> Result<()> {
    let Some(scene) = Scene::start(&[]).await? else { return Ok(()) };
    let case = json!({ "Subject": "It squeaks", "Status": "New" });
    let id = scene.org.insert("Case", &[case]).await?.remove(0);
    let item = scene.world.queued("cases", &id).await?;
    let mut fault = json!({ "path": "POST .*/composite" });
    let more = fault.as_object_mut().context("no object")?;
    more.extend(answer.as_object().cloned().into_iter().flatten());
    scene.org.tell(&json!({ "faults": [fault] })).await?;
    let anna = scene.anna().await?;
    scene.work(&anna, &item, "solved").await?;
    let Some(says) = expected else {
        scene.org.until("Case", &id, |case| case["IsClosed"] == true).await?;
        scene.event(&item, "completed").await?;
        return Ok(());
    };
    let letter = scene.world.letters("case_done", 1).await?.remove(0);
    ensure!(scene::text(&letter, "reason").contains(says), "{letter} does not say {says:?}");
    ensure!(letter["attempts"] == 1, "it was tried again: {letter}");
    Ok(())
}

#[tokio::test]
async fn refusals_that_pass_are_tried_again() -> Result<()> {
    let lock = json!([{ "errorCode": "UNABLE_TO_LOCK_ROW", "message": "unable to lock row" }]);
    let broken = json!([{ "errorCode": "UNKNOWN_EXCEPTION", "message": "unexpected" }]);
    // Side by side, for each waits for the hub's next attempt.
    tokio::try_join!(
        check(json!({ "status": 400, "body": lock }), None),
        check(json!({ "status": 500, "body": broken }), None),
        check(json!({ "status": 503, "headers": { "Retry-After": "1" } }), None),
        // Its answer is lost, before or after it took effect.
        check(json!({}), None),
        check(json!({ "late": true }), None),
    )?;
    Ok(())
}

#[tokio::test]
async fn a_record_that_was_written_by_somebody_else_is_a_conflict() -> Result<()> {
    let fault = json!([{ "errorCode": "PRECONDITION_FAILED", "message": "was modified" }]);
    let answer = json!({ "status": 412, "body": fault });
    check(answer, Some("was modified, PRECONDITION_FAILED")).await
}

#[tokio::test]
async fn what_the_org_refuses_is_a_dead_letter_with_its_words() -> Result<()> {
    // The org's own rule: a case cannot become impossible.
    let changes = [(
        "set = { Status = \"Closed\", Result__c = \":disposition\" } }",
        "set = { Status = \"Impossible\" } }",
    )];
    let Some(scene) = Scene::start(&changes).await? else { return Ok(()) };
    let case = json!({ "Subject": "It squeaks", "Status": "New" });
    let id = scene.org.insert("Case", &[case]).await?.remove(0);
    let item = scene.world.queued("cases", &id).await?;
    let anna = scene.anna().await?;
    scene.work(&anna, &item, "solved").await?;
    let letter = scene.world.letters("case_done", 1).await?.remove(0).to_string();
    for says in ["A case cannot become impossible", "FIELD_CUSTOM_VALIDATION_EXCEPTION"] {
        ensure!(letter.contains(says), "no {says:?} in {letter}");
    }
    Ok(())
}

#[tokio::test]
async fn what_was_deleted_meanwhile_is_gone_and_nothing_else_is_written() -> Result<()> {
    let ignore =
        [("object = \"Lead\"\nfields", "object = \"Lead\"\non_deleted = \"ignore\"\nfields")];
    let Some(scene) = Scene::start(&ignore).await? else { return Ok(()) };
    let id = scene.org.insert("Lead", &[lead("Gone")]).await?.remove(0);
    let item = scene.world.queued("leads", &id).await?;
    let anna = scene.anna().await?;
    scene.org.tell(&json!({ "delete": "Lead", "id": id })).await?;
    scene.work(&anna, &item, "converted").await?;
    let letter = scene.world.letters("lead_done", 1).await?.remove(0).to_string();
    ensure!(letter.contains("ENTITY_IS_DELETED"), "{letter}");
    let tasks = scene.org.all("Task").await?;
    ensure!(tasks.is_empty(), "a call of a lead that is gone: {tasks:?}");
    Ok(())
}

#[tokio::test]
async fn a_query_that_is_wrong_names_its_setting() -> Result<()> {
    let Some(org) = scene::org(&[]).await? else { return Ok(()) };
    for (old, new, field, says) in [
        ("\"LastName\"", "\"LastNaem\"", "fields", "No such column 'LastNaem'"),
        ("object = \"Lead\"\nfields", "object = \"Leed\"\nfields", "object", "'Leed'"),
        ("Origin != 'Robot'", "Origin is not Robot", "where", ""),
        ("SELECT Rating FROM", "SELECT Rating FORM", "query", ""),
    ] {
        let place = scene::place(org.endpoint(), &[(old, new)])?;
        let config = place.path("gantry.toml").display().to_string();
        let arguments = ["check", "--connect", "--json", "--config", &config];
        let ran = gantry_tests::cli::gantry_with(place.path(""), &arguments, &scene::ENV);
        let ran = ran.await?;
        ensure!(
            ran.code != 0 && ran.stdout.contains(&format!("check `{field}`")),
            "{field}: {ran:?}"
        );
        ensure!(ran.stdout.contains(says), "{says}: {ran:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_write_back_that_cannot_be_is_found_before_the_first_one() -> Result<()> {
    let Some(org) = scene::org(&[]).await? else { return Ok(()) };
    for (old, new, says) in [
        (
            "Result__c = \":disposition\" }\n",
            "Result = \":disposition\" }\n",
            "has no field `Result`",
        ),
        ("Result__c = \":disposition\" }\n", "CaseNumber = \"1\" }\n", "has no field `CaseNumber`"),
        (
            "set = { Status = \"Closed\", Result__c = \":disposition\" } }",
            "set = { IsClosed = true } }",
            "may not write `Case.IsClosed`",
        ),
        ("object = \"Task\"", "object = \"Tusk\"", "has no object `Tusk`"),
        (
            "key = \"Gantry_Key__c\"",
            "key = \"Subject\"",
            "no field `Subject` that is an external id",
        ),
    ] {
        let place = scene::place(org.endpoint(), &[(old, new)])?;
        let config = place.path("gantry.toml").display().to_string();
        let arguments = ["check", "--connect", "--json", "--config", &config];
        let ran = gantry_tests::cli::gantry_with(place.path(""), &arguments, &scene::ENV).await?;
        ensure!(ran.code != 0 && ran.stdout.contains(says), "{says}: {ran:?}");
    }
    Ok(())
}

#[tokio::test]
async fn an_app_that_signs_its_assertions_is_let_in() -> Result<()> {
    let key = std::fs::read_to_string(file("app.pub.json"))?;
    let Some(org) = scene::org(&["--public-key".to_owned(), key]).await? else { return Ok(()) };
    let key = file("app.key").display().to_string();
    let jwt = format!(
        "auth = \"jwt_bearer\"\nuser = \"gantry@acme.example\"\nprivate_key = {{ file = {key:?} }}"
    );
    let scene =
        Scene::with(org, &[("client_secret = { env = \"SALESFORCE_SECRET\" }", &jwt)]).await?;
    let ids = scene.org.insert("Lead", &old_leads(3)).await?;
    scene.captured(&ids).await
}

#[tokio::test]
async fn an_org_with_a_certificate_of_its_own_is_trusted_by_the_operators_word() -> Result<()> {
    let path = |name: &str| file(name).display().to_string();
    let tls = ["--tls".to_owned(), path("server.crt"), path("server.key")];
    let Some(org) = scene::org(&tls).await? else { return Ok(()) };
    let ids = org.insert("Lead", &old_leads(3)).await?;
    let trust = format!("client_id = \"gantry-app\"\ntls_ca = {:?}", path("ca.crt"));
    let scene = Scene::with(org, &[("client_id = \"gantry-app\"", &trust)]).await?;
    scene.captured(&ids).await?;
    let Scene { org, world } = scene;
    world.hub.stop().await?;
    let scene = Scene::with(org, &[]).await?;
    let capture = leads(&scene, |capture| capture["last_error"]["class"] == "transient").await?;
    ensure!(scene::text(&capture["last_error"], "message").contains("in `tls_ca`"), "{capture}");
    Ok(())
}
