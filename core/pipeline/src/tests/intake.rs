//! Records become items, changes, repeats, dead letters.

use bytes::Bytes;
use gantry_model::spec::{MessageKind, OnChange, OnReopen};
use gantry_model::{Actor, Command, Hold, Refusal, Reply};
use gantry_store::Store;
use serde_json::json;

use super::script;
use super::world::{World, spec, spec_with};
use crate::pipeline::Ports;
use crate::{CaptureError, Change, DeadLetterError, MessageError, Retried, Settled, Target};
use gantry_plugin_host::api::{CaptureMode, HttpCapture, HttpRequest, HttpResponse, Record};

/// The outcome without what differs from run to run.
fn short(settled: &Settled) -> String {
    match settled {
        Settled::Accepted { change, .. } => format!("{change:?}"),
        Settled::Filtered { .. } => "Filtered".into(),
        Settled::Refused { code, .. } => (*code).into(),
        Settled::Retry { .. } => "Retry".into(),
    }
}

fn shorts(outcomes: &[crate::Outcome]) -> Vec<String> {
    outcomes.iter().map(|outcome| short(&outcome.settled)).collect()
}

#[tokio::test]
async fn a_record_is_created_once_repeated_and_updated_by_merging() {
    let world = World::start(spec(), Ports::default()).await;
    let item = world.create(json!({"external_id": "L-1", "name": "Ada", "product": "loan"})).await;
    let again =
        world.capture(json!({"external_id": "L-1", "name": "Ada", "product": "loan"})).await;
    assert_eq!(again[0].settled, Settled::Accepted { item, change: Change::Repeat });
    let other = world.capture(json!({"external_id": "L-1", "name": "Ada L."})).await;
    assert_eq!(other[0].settled, Settled::Accepted { item, change: Change::Updated });
    let document = world.document(item).await;
    assert_eq!(document.text("name"), Some("Ada L."));
    assert_eq!(document.text("product"), Some("loan"), "what the change does not name stays");
    assert_eq!(world.item(item).await.revision, 2);
    let view = world.store.item(item).await.unwrap().unwrap();
    assert_eq!(view.head.name.as_deref(), Some("Ada L."));
    let repeat = world.capture(json!({"external_id": "L-1", "name": "Ada L."})).await;
    assert_eq!(shorts(&repeat), ["Repeat"]);
    world.stop().await;
}

#[tokio::test]
async fn records_of_one_key_in_one_request_keep_their_order() {
    let world = World::start(spec(), Ports::default()).await;
    let outcomes = world
        .capture(json!([
            {"external_id": "L-1", "name": "one"},
            {"external_id": "L-2", "name": "other"},
            {"external_id": "L-1", "name": "two"},
            {"external_id": "L-1", "name": "three", "message": "update"},
            {"external_id": "L-1", "message": "hold", "reason": "wait"},
            {"external_id": "L-2", "message": "complete", "result_code": "sold"},
        ]))
        .await;
    assert_eq!(shorts(&outcomes), ["Created", "Created", "Updated", "Updated", "Done", "Done"]);
    let Settled::Accepted { item, .. } = outcomes[0].settled else { panic!("accepted") };
    assert_eq!(world.document(item).await.text("name"), Some("three"));
    let held = world.item(item).await.hold;
    assert!(matches!(held, Hold::Held { reason, .. } if reason == "wait"));
    let Settled::Accepted { item, .. } = outcomes[1].settled else { panic!("accepted") };
    assert!(world.item(item).await.ended());
    world.stop().await;
}

#[tokio::test]
async fn what_cannot_be_taken_is_a_dead_letter_and_the_rest_goes_on() {
    let world = World::start(spec(), Ports::default()).await;
    let deep = "[".repeat(70) + &"]".repeat(70);
    let large = format!(r#"{{"external_id": "L-3", "x": "{}"}}"#, "y".repeat(1024 * 1024));
    let body = format!(
        r#"[{{"name": "no id"}}, {{"external_id": "L-1", "due_at": "soon"}}, 17,
            {{"external_id": "L-2"}}, {large}, {{"external_id": "L-4", "message": "hold"}},
            {{"external_id": "L-5", "message": "cancel"}}]"#
    );
    let outcomes = world.pipeline.capture_json("leads", Bytes::from(body), None).await.unwrap();
    let expected = [
        "GANTRY-R010",
        "GANTRY-R010",
        "GANTRY-R006",
        "Created",
        "GANTRY-R001",
        "GANTRY-R011",
        "Filtered",
    ];
    assert_eq!(shorts(&outcomes), expected);
    assert_eq!(world.dead_letters().await.len(), 5);
    let counts = world.pipeline.status().captures["leads"].counts;
    assert_eq!((counts.created, counts.refused, counts.filtered), (1, 5, 1));

    // A request that cannot be read is refused as a whole.
    let codes = [
        (deep.clone().into_bytes(), "GANTRY-R003"),
        (format!(r#"{{"external_id": "x", "deep": {deep}}}"#).into_bytes(), "GANTRY-R003"),
        (b"{\"external_id\": \"\xff\"}".to_vec(), "GANTRY-R002"),
        (br#"{"external_id": "a\u0000b"}"#.to_vec(), "GANTRY-R004"),
        (br#"{"external_id": "#.to_vec(), "GANTRY-R005"),
        (vec![b' '; 2 * 1024 * 1024], "GANTRY-R001"),
    ];
    for (body, code) in codes {
        let error =
            world.pipeline.capture_json("leads", Bytes::from(body), None).await.unwrap_err();
        assert_eq!(error.code(), Some(code), "{error}");
    }
    let unknown = world.pipeline.capture_json("nobody", Bytes::from("{}"), None).await.unwrap_err();
    assert!(matches!(unknown, CaptureError::UnknownPoint { .. }), "{unknown}");
    world.stop().await;
}

#[tokio::test]
async fn other_content_is_a_conflict_or_ignored_where_the_capture_point_says_so() {
    let conflict = spec_with(|point| point.on_change = OnChange::Conflict);
    let world = World::start(conflict, Ports::default()).await;
    world.create(json!({"external_id": "L-1", "name": "Ada"})).await;
    let outcomes = world.capture(json!({"external_id": "L-1", "name": "Bob"})).await;
    assert_eq!(shorts(&outcomes), ["GANTRY-R012"]);
    assert_eq!(world.dead_letters().await.len(), 1);
    world.stop().await;

    let ignore = spec_with(|point| point.on_change = OnChange::Ignore);
    let world = World::start(ignore, Ports::default()).await;
    world.create(json!({"external_id": "L-1", "name": "Ada"})).await;
    let outcomes = world.capture(json!({"external_id": "L-1", "name": "Bob"})).await;
    assert_eq!(shorts(&outcomes), ["Filtered"]);
    world.stop().await;
}

#[tokio::test]
async fn what_the_mapping_ignores_is_filtered_and_changes_nothing() {
    let world = World::start(spec(), Ports::default()).await;
    world.create(json!({"external_id": "L-1", "name": "Ada"})).await;
    let ignored = json!({"external_id": "L-1", "name": "Bob", "message": "ignore"});
    assert_eq!(shorts(&world.capture(ignored).await), ["Filtered"]);
    let new = json!({"external_id": "L-2", "name": "Cy", "message": "ignore"});
    assert_eq!(shorts(&world.capture(new).await), ["Filtered"]);
    let again = world.capture(json!({"external_id": "L-1", "name": "Ada"})).await;
    assert_eq!(shorts(&again), ["Repeat"]);
    let counts = world.pipeline.status().captures["leads"].counts;
    assert_eq!((counts.created, counts.filtered), (1, 2));
    assert!(world.dead_letters().await.is_empty());
    world.stop().await;
}

#[tokio::test]
async fn a_newer_version_of_an_ended_item_is_new_or_refused() {
    let refuse = spec_with(|point| point.on_reopen = OnReopen::DeadLetter);
    for (spec, expected) in [(spec(), "Created"), (refuse, "GANTRY-R012")] {
        let world = World::start(spec, Ports::default()).await;
        let item = world.create(json!({"external_id": "L-1", "name": "Ada"})).await;
        world.command(Command::Complete { item, result_code: None }).await;
        let repeat = world.capture(json!({"external_id": "L-1", "name": "Ada"})).await;
        assert_eq!(shorts(&repeat), ["Repeat"]);
        let newer = world.capture(json!({"external_id": "L-1", "name": "Bob"})).await;
        assert_eq!(shorts(&newer), [expected]);
        let late = world.capture(json!({"external_id": "L-1", "message": "complete"})).await;
        let late_expected = if expected == "Created" { "Done" } else { "Filtered" };
        assert_eq!(shorts(&late), [late_expected]);
        world.stop().await;
    }
}

#[tokio::test]
async fn a_dead_letter_is_retried_edited_or_given_up() {
    let world = World::start(spec(), Ports::default()).await;
    world.capture(json!([{"name": "no id"}, {"name": "no id either"}])).await;
    let ids: Vec<String> =
        world.dead_letters().await.into_iter().map(|letter| letter.row.id).collect();
    let user = || Actor::User("ops".into());

    // As it is, it is refused again, and stays the same dead letter.
    let again = world.pipeline.retry_dead_letter(&ids[0], None, user()).await.unwrap();
    assert!(matches!(again, Retried::Record(outcome) if short(&outcome.settled) == "GANTRY-R010"));
    assert_eq!(world.dead_letters().await.len(), 2);

    let edited = Bytes::from(r#"{"name": "no id", "external_id": "L-9"}"#);
    let again = world.pipeline.retry_dead_letter(&ids[0], Some(edited), user()).await.unwrap();
    assert!(matches!(again, Retried::Record(outcome) if short(&outcome.settled) == "Created"));
    world.pipeline.skip_dead_letter(&ids[1], user()).await.unwrap();
    assert!(world.dead_letters().await.is_empty());

    let settled = world.pipeline.skip_dead_letter(&ids[1], user()).await.unwrap_err();
    assert!(matches!(settled, DeadLetterError::Settled { .. }), "{settled}");
    let unknown = world.pipeline.skip_dead_letter("r-none", user()).await.unwrap_err();
    assert!(matches!(unknown, DeadLetterError::Unknown { .. }), "{unknown}");
    world.stop().await;
}

#[tokio::test]
async fn messages_name_an_item_by_either_id() {
    let world = World::start(spec(), Ports::default()).await;
    let item = world.create(json!({"external_id": "L-1", "name": "Ada"})).await;
    let key = |external_id: &str| Target::Key {
        capture_point: "leads".into(),
        external_id: external_id.into(),
    };
    let send = async |target: Target, kind: MessageKind, body: &'static str| {
        let actor = Actor::User("ops".into());
        world.pipeline.message(actor, target, kind, Bytes::from(body), None).await
    };
    let body = r#"{"name": "Bob", "deal_value": "12.50"}"#;
    let updated = send(key("L-1"), MessageKind::Update, body).await.unwrap();
    assert!(matches!(updated, Reply::Done { revision: Some(2), .. }), "{updated:?}");
    assert_eq!(world.document(item).await.text("name"), Some("Bob"));
    let held = send(Target::Item(item), MessageKind::Hold, r#"{"reason": "wait"}"#).await.unwrap();
    assert!(matches!(held, Reply::Done { .. }));
    send(Target::Item(item), MessageKind::Resume, "").await.unwrap();

    let wrong = send(key("L-1"), MessageKind::Update, r#"{"due_at": "soon"}"#).await.unwrap_err();
    assert_eq!(wrong.code(), Some("GANTRY-R014"), "{wrong}");
    let unknown = send(key("L-2"), MessageKind::Cancel, "").await.unwrap_err();
    assert!(matches!(unknown, MessageError::Unknown { .. }), "{unknown}");
    send(key("L-1"), MessageKind::Cancel, "").await.unwrap();
    let ended = send(Target::Item(item), MessageKind::Hold, "").await.unwrap();
    assert!(matches!(ended, Reply::Refused(Refusal::UnknownItem { .. })), "{ended:?}");
    world.stop().await;
}

#[tokio::test]
async fn the_kind_of_message_survives_in_a_dead_letter() {
    // The plug-in says `update` of an item that never was; when it comes later, the retry updates
    // it.
    let mut record = Record::json(r#"{"external_id": "L-1", "name": "Bob"}"#);
    record.message = Some(gantry_plugin_host::api::MessageKind::Update);
    let mut ports = Ports::default();
    let http = HttpCapture::records(vec![record]);
    script::capture_point(&mut ports, CaptureMode::Http, Some(http));
    let world = World::start(spec(), ports).await;
    let request = HttpRequest::new("POST", "/", "");
    let response = world.pipeline.capture_http("leads", request.clone()).await;
    assert_eq!(response.status, 422);
    let id = world.dead_letters().await[0].row.id.clone();
    let item = world.create(json!({"external_id": "L-1", "name": "Ada"})).await;
    let user = Actor::User("ops".into());
    let again = world.pipeline.retry_dead_letter(&id, None, user).await.unwrap();
    assert!(matches!(again, Retried::Record(outcome) if short(&outcome.settled) == "Updated"));
    assert_eq!(world.document(item).await.text("name"), Some("Bob"));
    world.stop().await;
}

#[tokio::test]
async fn a_request_is_answered_only_when_its_records_are_durable() {
    let mut ports = Ports::default();
    let records = vec![Record::json(r#"{"external_id": "L-1"}"#), Record::json("{}")];
    let http = HttpCapture::records(records);
    script::capture_point(&mut ports, CaptureMode::Http, Some(http));
    let world = World::start(spec(), ports).await;
    let request = HttpRequest::new("POST", "/", "");
    let response = world.pipeline.capture_http("leads", request.clone()).await;
    assert_eq!(response.status, 202);
    let outcomes: serde_json::Value = serde_json::from_slice(&response.body).unwrap();
    assert_eq!(outcomes[0]["outcome"], "accepted");
    assert_eq!(outcomes[1]["outcome"], "refused");
    assert!(world.store.dead_letter(outcomes[1]["dead_letter"].as_str().unwrap()).await.is_ok());
    assert_eq!(world.pipeline.capture_http("nobody", request).await.status, 404);
    world.stop().await;

    let mut ports = Ports::default();
    let refused = HttpCapture::Refuse(HttpResponse::problem(401, "bad signature"));
    script::capture_point(&mut ports, CaptureMode::Http, Some(refused));
    let world = World::start(spec(), ports).await;
    let response = world.pipeline.capture_http("leads", HttpRequest::new("POST", "/", "")).await;
    assert_eq!(response.status, 401);
    world.stop().await;
}
