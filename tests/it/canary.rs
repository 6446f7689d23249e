//! Planted secrets, given in every way, in plug-ins that tell them wherever they can: none turns up
//! in the log, the API, the pages, the store or the command line.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use gantry_tests::built;
use gantry_tests::cli::gantry_with;
use gantry_tests::place::Place;
use gantry_tests::world::World;
use serde_json::{Value, json};

/// What must not be seen. The whole secret goes on with signs that JSON and HTML write otherwise.
const CANARIES: [&str; 3] = ["kanarie-env-4711", "kanarie-file-4712", "kanarie-cred-4713"];
const TAIL: &str = "\"&<é\\z";

/// The secret, by the names of its sources, how it is given, and where its plug-in runs.
const GIVEN: [(&str, &str, &str); 3] = [
    ("env", "{ env = \"TEST_CANARY\" }", "process"),
    ("file", "{ file = \"secrets/crm\" }", "in-process"),
    ("cred", "{ credential = \"crm\" }", "process"),
];

/// Sources and points that tell their secret in one way each.
fn pipeline(name: &str, reference: &str, isolation: &str) -> String {
    let source = |how: &str| {
        format!(
            "[source.{name}-{how}]\nplugin = \"misbehaving\"\nisolation = \"{isolation}\"\n\
             config = {{ behaviour = \"{how}\", password = {reference} }}\n"
        )
    };
    let part = |family: &str, how: &str, more: &str| {
        format!(
            "[{family}.{name}-{how}]\nsource = \"{name}-{how}\"\n\
             settings = {{ behaviour = \"{how}\" }}\n{more}\n"
        )
    };
    let mut text = String::new();
    for how in ["tell", "tell_inside", "panic_telling"] {
        let capture = "every = \"1h\"\nlookups = []\nmap = { external_id = \"record.id\" }";
        let lookup = "yields = { credit = \"integer\" }\nretries = 0";
        let callback = format!("on = [\"captured\"]\ncaptures = [\"{name}\"]\nattempts = 1");
        text += &source(how);
        text += &part("capture", how, capture);
        text += &part("lookup", how, lookup);
        text += &part("callback", how, &callback);
    }
    let lookups = ["tell", "tell_inside", "panic_telling"].map(|how| format!("{name}-{how}"));
    // A database that does not answer, and one with another password would say the same.
    text + &format!(
        "[capture.{name}]\nconfirm = \"none\"\nlookups = {lookups:?}\n\
         map = {{ external_id = \"record.id\" }}\n\n\
         [source.{name}-db]\nplugin = \"database\"\nisolation = \"{isolation}\"\n\
         [source.{name}-db.config]\nengine = \"postgres\"\nhost = \"127.0.0.1\"\nport = 1\n\
         database = \"crm\"\nuser = \"crm\"\npassword = {reference}\n\n\
         [capture.{name}-db]\nsource = \"{name}-db\"\nevery = \"1h\"\nlookups = []\n\
         settings = {{ table = \"t\", key = [\"id\"], watermark = \"at\" }}\n\
         map = {{ external_id = \"record.id\" }}\n"
    )
}

fn place() -> Result<Place> {
    let pipelines =
        GIVEN.map(|(name, reference, isolation)| (name, pipeline(name, reference, isolation)));
    let place = Place::new(&pipelines)?;
    place.add_plugin(&built::test_library("test-misbehaving"))?;
    for (folder, canary) in [("secrets", CANARIES[1]), ("credentials", CANARIES[2])] {
        fs::create_dir(place.path(folder))?;
        let file = place.path(folder).join("crm");
        fs::write(&file, format!("{canary}{TAIL}\n"))?;
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600))?;
    }
    Ok(place)
}

fn expect_silent(place: &str, text: &str) -> Result<()> {
    for canary in CANARIES {
        let at = text.find(canary);
        let near = at.map(|at| text[..at].chars().rev().take(300).collect::<Vec<_>>());
        let near = near.map(|near| near.into_iter().rev().collect::<String>());
        ensure!(at.is_none(), "{place} tells {canary}, after: {near:?}");
    }
    Ok(())
}

/// No file below the folder has one of them; gives how many were searched.
fn expect_silent_files(folder: &Path) -> Result<usize> {
    let mut n_files = 0;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            n_files += expect_silent_files(&path)?;
            continue;
        }
        let text = String::from_utf8_lossy(&fs::read(&path)?).into_owned();
        expect_silent(&path.display().to_string(), &text)?;
        n_files += 1;
    }
    Ok(n_files)
}

/// Waits until each way of telling was gone, and reported by the hub.
async fn told(world: &World) -> Result<()> {
    for (name, ..) in GIVEN {
        let posted = world.post(&format!("/capture/{name}"), &json!({ "id": "A-1" })).await?;
        ensure!(posted.status == 201, "{}", posted.text);
        for (family, how, says) in [
            ("captures", "tell", "cannot keep ***"),
            ("captures", "panic_telling", "the password is ***"),
            ("lookups", "tell", "cannot keep ***"),
            ("lookups", "tell_inside", "cannot keep ***"),
            ("lookups", "panic_telling", "panic"),
            ("captures", "db", "cannot"),
        ] {
            let part = format!("{name}-{how}");
            let failed = |status: &Value| {
                let message = status[family][&part]["last_error"]["message"].as_str();
                message.is_some_and(|message| message.contains(says))
            };
            let waited = world.until("/status", failed).await;
            waited.with_context(|| format!("{family} {part} never says {says:?}"))?;
        }
        for (how, says) in [("tell", "cannot keep ***"), ("tell_inside", "cannot keep ***")] {
            let origin = format!("{name}-{how}");
            let page = world
                .until(&format!("/dead-letters?limit=500&origin={origin}"), |page| {
                    page.to_string().contains(says)
                })
                .await;
            page.with_context(|| format!("no dead letter of {origin} says {says:?}"))?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn planted_secrets_are_seen_nowhere() -> Result<()> {
    let place = place()?;
    let secret = format!("{}{TAIL}", CANARIES[0]);
    let folder = place.path("credentials").display().to_string();
    let env = [("TEST_CANARY", secret.as_str()), ("CREDENTIALS_DIRECTORY", folder.as_str())];

    for arguments in [
        &["check"][..],
        &["check", "--json"],
        &["check", "--connect"],
        &["plugin", "list", "--json"],
        &["plugin", "inspect", "plugins/libgantry_test_misbehaving.so"],
        &["schema"],
    ] {
        let ran = gantry_with(place.path(""), arguments, &env).await?;
        ensure!(!ran.stdout.is_empty(), "{arguments:?}: {ran:?}");
        expect_silent(&format!("{arguments:?}"), &format!("{}{}", ran.stdout, ran.stderr))?;
        if arguments.contains(&"--connect") {
            ensure!(ran.stdout.contains("cannot keep ***"), "nothing was told: {ran:?}");
        }
    }

    let world = World::start(place, &env).await?;
    told(&world).await?;
    for path in ["/status", "/items?limit=500", "/dead-letters?limit=500", "//items", "//desk"] {
        let answer = world.send(world.request(reqwest::Method::GET, path)).await?;
        expect_silent(path, &answer.text)?;
    }
    for arguments in
        [&["dlq", "list", "--json"][..], &["item", "list", "--json"], &["explain", "1"]]
    {
        let ran = world.place.gantry(arguments).await?;
        expect_silent(&format!("{arguments:?}"), &format!("{}{}", ran.stdout, ran.stderr))?;
    }
    let log = fs::read_to_string(world.place.path("hub.log"))?;
    ensure!(log.contains("the password is ***"), "the plug-ins have logged nothing");
    expect_silent("the log", &log)?;
    ensure!(expect_silent_files(&world.place.path("data"))? > 0, "no store was searched");
    world.hub.stop().await
}
