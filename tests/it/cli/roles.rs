//! Tokens: each role may do what the table in `docs/api.md` says, and no more.

use anyhow::{Context, Result, ensure};
use gantry_tests::place::Place;
use gantry_tests::world::World;
use reqwest::Method;
use serde_json::json;

/// What is tried with each token.
const TRIED: [(&str, &str, &str); 9] = [
    ("POST", "/capture/orders", r#"{"id": "A-1"}"#),
    ("POST", "/capture/others", r#"{"id": "A-1"}"#),
    ("POST", "/capture/orders/A-0/hold", "{}"),
    ("GET", "/items", ""),
    ("GET", "/capture/orders/A-0", ""),
    ("PUT", "/agents/anna/presence", r#"{"state": "ready"}"#),
    ("PUT", "/agents/ben/presence", r#"{"state": "ready"}"#),
    ("GET", "/dead-letters", ""),
    ("POST", "/dead-letters/r-none/skip", ""),
];

const OTHERS: &str = r#"
[capture.others]
confirm = "none"
map = { external_id = "record.id" }
"#;

/// A token of these options.
async fn token(world: &World, options: &[&str]) -> Result<String> {
    let mut command = vec!["token", "--json"];
    command.extend(options);
    let issued = world.place.gantry(&command).await?.json()?;
    Ok(issued["token"].as_str().context("no token")?.to_owned())
}

/// The statuses that a token gets for everything in [`TRIED`].
async fn statuses(world: &World, token: Option<&str>) -> Result<Vec<u16>> {
    let mut statuses = Vec::new();
    for (method, path, body) in TRIED {
        let method = method.parse::<Method>()?;
        let request = world.request(method, path).by(token).json().body(body);
        let answer = world.send(request).await?;
        let refused = matches!(answer.status, 401 | 403);
        let code = answer.json().map_or_else(|_| json!(null), |answer| answer["code"].clone());
        let expected = ["GANTRY-W001", "GANTRY-W002", "GANTRY-W003", "GANTRY-W004"];
        let coded = expected.iter().any(|expected| code == *expected);
        ensure!(refused == coded, "{path}: {} {}", answer.status, answer.text);
        statuses.push(answer.status);
    }
    Ok(statuses)
}

#[tokio::test]
async fn each_role_may_do_what_it_should_and_no_more() -> Result<()> {
    let world = World::start(Place::new(&[("others", OTHERS.to_owned())])?, &[]).await?;
    world.post("/capture/orders", &json!({ "id": "A-0" })).await?;
    for agent in ["anna", "ben"] {
        let path = format!("/agents/{agent}");
        world.hub.admin.put(&path, &json!({ "id": agent, "name": agent })).await?;
    }
    let roles: [(&[&str], [u16; 9]); 6] = [
        (&["--role", "agent", "--agent", "anna"], [403, 403, 403, 200, 403, 200, 403, 403, 403]),
        (&["--role", "supervisor"], [403, 403, 200, 200, 200, 200, 200, 200, 404]),
        (&["--role", "administrator"], [201, 201, 200, 200, 200, 200, 200, 200, 404]),
        (&["--role", "integrator"], [200, 200, 200, 403, 200, 403, 403, 403, 403]),
        (
            &["--role", "integrator", "--capture-point", "orders"],
            [200, 403, 200, 403, 200, 403, 403, 403, 403],
        ),
        (&["--role", "auditor"], [403, 403, 403, 200, 200, 403, 403, 200, 403]),
    ];
    for (options, expected) in roles {
        let token = token(&world, options).await?;
        let statuses = statuses(&world, Some(&token)).await?;
        ensure!(statuses == expected, "{options:?}: {statuses:?}, expected {expected:?}");
    }
    let expired = token(&world, &["--role", "administrator", "--expires", "1ms"]).await?;
    let admin = &world.hub.admin.token;
    let forged = format!("{}x", &admin[..admin.len() - 1]);
    for token in [None, Some("gantry_nonsense.x"), Some(&forged), Some(&expired)] {
        let statuses = statuses(&world, token).await?;
        ensure!(statuses == [401; 9], "{token:?}: {statuses:?}");
    }
    let request = world.request(Method::GET, "/items").by(Some(&expired));
    world.send(request).await?.must_be_problem(401, "GANTRY-W002", "")
}

#[tokio::test]
async fn the_command_line_has_the_rights_of_the_token_it_is_given() -> Result<()> {
    let world = World::start(Place::new(&[])?, &[]).await?;
    let auditor = token(&world, &["--role", "auditor"]).await?;
    let url = world.hub.admin.base.as_str();
    let at = ["--url", url, "--token", &auditor];
    let run = async |command: &[&str]| world.place.gantry(&[command, &at].concat()).await;
    let list = run(&["dlq", "list", "--json"]).await?.json()?;
    ensure!(list["dead_letters"] == json!([]), "{list}");
    let retried = run(&["dlq", "retry", "r-none"]).await?;
    ensure!(retried.code == 2 && retried.stdout.contains("GANTRY-W003"), "{retried:?}");
    let wrong: [(&[&str], &str); 3] = [
        (&["token", "--role", "agent"], "--role agent wants --agent"),
        (&["token", "--role", "auditor", "--agent", "anna"], "goes with --role agent only"),
        (&["token", "--role", "auditor", "--expires", "soon"], "as in 1h30m"),
    ];
    for (command, says) in wrong {
        let ran = world.place.gantry(command).await?;
        ensure!(ran.code == 2 && ran.stderr.contains(says), "{command:?}: {ran:?}");
        ensure!(ran.stdout.is_empty(), "{command:?}: {ran:?}");
    }
    Ok(())
}
