//! Pages: signing in, what they show, what they keep out.

use axum::body::Body;
use axum::http::Request;
use serde_json::json;

use super::world::{Answer, World, as_agent};
use crate::token::Role;

/// A browser that is signed in.
async fn browse(world: &World, role: Role, path: &str) -> Answer {
    get(world, path, &format!("gantry_session={}", world.token(role)), "text/html").await
}

async fn get(world: &World, path: &str, cookie: &str, accept: &str) -> Answer {
    let request = Request::get(path).header("cookie", cookie).header("accept", accept);
    world.send(request.body(Body::empty()).unwrap()).await
}

async fn sign_in(world: &World, token: &str, site: &str) -> Answer {
    let request = Request::post("/session")
        .header("content-type", "application/x-www-form-urlencoded")
        .header("accept", "text/html")
        .header("sec-fetch-site", site)
        .body(Body::from(format!("token={token}")));
    world.send(request.unwrap()).await
}

#[tokio::test]
async fn a_token_becomes_a_cookie_that_scripts_cannot_read() {
    let world = World::new().await;
    let form = get(&world, "/", "", "text/html").await;
    assert!(form.text.contains(r#"<form class="card narrow" method="post" action="/session">"#));
    let token = world.token(as_agent("anna"));
    let answer = sign_in(&world, &token, "same-origin").await;
    assert_eq!((answer.status, answer.header("location")), (303, "/desk"));
    let cookie = answer.header("set-cookie");
    for part in [&format!("gantry_session={token}")[..], "HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    let home = get(&world, "/", cookie.split(';').next().unwrap(), "text/html").await;
    assert_eq!((home.status, home.header("location")), (303, "/desk"));

    let wrong = sign_in(&world, "gantry_x.y", "same-origin").await;
    assert_eq!(wrong.status, 401);
    assert!(wrong.text.contains(r#"role="alert""#) && wrong.header("set-cookie").is_empty());
    let lured = sign_in(&world, &token, "cross-site").await;
    assert_eq!((lured.status, lured.header("set-cookie")), (403, ""));
}

#[tokio::test]
async fn a_cookie_is_good_for_changes_from_the_own_site_only() {
    let world = World::new().await;
    world.hire("anna", 1).await;
    let cookie = format!("x=1; gantry_session={}", world.token(as_agent("anna")));
    let put = async |headers: &[(&str, &str)]| {
        let mut request = Request::put("/api/v1/agents/anna/presence")
            .header("cookie", &cookie)
            .header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = Body::from(r#"{"state":"finish_soon"}"#);
        world.send(request.body(body).unwrap()).await
    };
    let host = ("host", "hub.example:8080");
    for refused in [
        &[host][..],
        &[host, ("sec-fetch-site", "cross-site")],
        &[host, ("sec-fetch-site", "same-site"), ("origin", "http://hub.example:8080")],
        &[host, ("origin", "http://evil.example")],
        &[host, ("origin", "null")],
    ] {
        put(refused).await.is_problem(403, "GANTRY-W005");
    }
    for taken in [
        &[host, ("sec-fetch-site", "same-origin")][..],
        &[host, ("origin", "https://hub.example:8080")],
    ] {
        let answer = put(taken).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
    }
}

#[tokio::test]
async fn foreign_text_stays_text_and_foreign_links_stay_harmless() {
    let world = World::new().await;
    let record = json!({
        "external_id": "<b>1</b>",
        "name": "<script>alert(1)</script>",
        "source_url": "javascript:alert(2)",
    });
    let answer = world.call(Role::Administrator, "POST", "/capture/leads", record).await;
    let item = answer.json()["item"].as_str().unwrap().to_owned();
    world.hire("anna", 1).await;
    let pages = [
        browse(&world, Role::Supervisor, "/items").await,
        browse(&world, Role::Supervisor, &format!("/items/{item}")).await,
        browse(&world, as_agent("anna"), "/desk").await,
    ];
    for page in pages {
        assert_eq!(page.status, 200, "{}", page.text);
        assert!(page.text.contains("alert(1)") && !page.text.contains("<script>alert"));
        assert!(!page.text.contains("<b>1</b>") && !page.text.contains(r#"href="javascript"#));
        let policy = page.header("content-security-policy");
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        assert!(!page.text.contains("<style") && !page.text.contains("onclick"));
    }
}

#[tokio::test]
async fn the_desk_shows_offers_and_work() {
    let world = World::new().await;
    world.hire("anna", 1).await;
    let item = world.capture("a").await;
    let offered = browse(&world, as_agent("anna"), "/desk").await.text;
    for part in ["Lead a", "data-until=", r#"data-action="accept""#, r#"data-action="decline""#] {
        assert!(offered.contains(part), "{part} in {offered}");
    }
    let epoch = world.card("anna", "offers").await["epoch"].clone();
    let path = format!("/offers/{item}/{epoch}/accept");
    world.call(as_agent("anna"), "POST", &path, json!({})).await;
    let assigned = browse(&world, as_agent("anna"), "/desk").await.text;
    for part in ["not converted", r#"data-action="done""#, "required"] {
        assert!(assigned.contains(part), "{part} in {assigned}");
    }
    let page = browse(&world, Role::Supervisor, "/desk").await;
    assert_eq!((page.status, page.header("location")), (303, "/items"));
}

#[tokio::test]
async fn the_sources_show_what_troubles_them() {
    let world = World::new().await;
    let page = browse(&world, Role::Supervisor, "/sources").await;
    assert_eq!(page.status, 200, "{}", page.text);
    for part in [
        r#"<a href="/sources" aria-current="page">Sources</a>"#,
        r#"<span class="tag restarting">restarting</span>"#,
        "killed by &#60;SIGSEGV&#62;",
        "5 MiB",
        "no answer, <time",
        "paused by ada",
        r#"data-count="7" data-key="capture point/leads""#,
    ] {
        assert!(page.text.contains(part), "{part} in {}", page.text);
    }
    assert!(!page.text.contains("long over"), "trouble that is over is none");
    let cookie = format!("gantry_session={}", world.token(Role::Auditor));
    let json = get(&world, "/sources", &cookie, "application/json").await.json();
    assert_eq!(json["sources"]["crm"]["process"]["restarts"], 3);
    let agent = browse(&world, as_agent("anna"), "/sources").await;
    assert_eq!(agent.status, 403);
    let items = browse(&world, as_agent("anna"), "/items").await;
    assert!(!items.text.contains("/sources"), "{}", items.text);
}

#[tokio::test]
async fn pages_answer_json_from_the_same_view() {
    let world = World::new().await;
    let item = world.capture("a").await;
    let cookie = format!("gantry_session={}", world.token(Role::Auditor));
    let list = get(&world, "/items?status=waiting", &cookie, "application/json").await.json();
    let api = world.get(Role::Auditor, "/items?status=waiting").await.json();
    assert_eq!(list["items"], api["items"]);
    let page = get(&world, &format!("/items/{item}"), &cookie, "application/json").await.json();
    assert_eq!(page["item"], item.as_str());
    assert_eq!(page["history"]["entries"][0]["seq"], 2);
    assert_eq!(page["explain"]["now"]["stage"], json!({ "target": 0 }));
}

#[tokio::test]
async fn a_problem_is_a_page_for_people() {
    let world = World::new().await;
    let page = get(&world, "/items", "", "text/html").await;
    assert_eq!((page.status, page.header("content-type")), (401, "text/html; charset=utf-8"));
    assert!(page.text.contains("GANTRY-W001") && page.text.contains(r#"<a href="/">"#));
    let json = get(&world, "/items", "", "application/json").await;
    json.is_problem(401, "GANTRY-W001");
    let about = get(&world, "/docs/errors/GANTRY-W001", "", "text/html").await;
    assert!(about.text.starts_with("### GANTRY-W001 Not signed in\n"), "{}", about.text);
    assert!(!about.text.contains("GANTRY-W002"));
}

#[tokio::test]
async fn files_are_in_the_binary_and_revalidate() {
    let world = World::new().await;
    for (file, content_type) in [("style.css", "text/css"), ("desk.js", "text/javascript")] {
        let first = get(&world, &format!("/static/{file}"), "", "*/*").await;
        assert_eq!((first.status, first.header("content-type")), (200, content_type));
        let request =
            Request::get(format!("/static/{file}")).header("if-none-match", first.header("etag"));
        let again = world.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!((again.status, again.text.as_str()), (304, ""));
    }
    get(&world, "/static/..%2FCargo.toml", "", "*/*").await.is_problem(404, "GANTRY-W006");
}
