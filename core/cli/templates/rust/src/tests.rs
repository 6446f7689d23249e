//! The plug-in against the fake upstream, without a hub.

use gantry_plugin_api::{Context, Error, ErrorClass, Plugin};
use serde_json::json;

use crate::config::Config;
use crate::{@Name@, upstream};

fn cx() -> Context {
    Context::standalone("other", 0)
}

fn plugin(endpoint: &str, token: &str) -> Result<@Name@, Error> {
    let config = json!({ "endpoint": endpoint, "token": token });
    let config: Config = serde_json::from_value(config).expect("a config");
    assert!(@Name@::validate(&config).is_empty());
    @Name@::create(config, &cx())
}

fn connected() -> @Name@ {
    let (endpoint, _) = upstream::start("127.0.0.1:0").expect("a free port");
    plugin(&endpoint, "let-me-in").expect("a plug-in")
}

/// All that a hub relies on, asked over and over; see `gantry plugin test --list`.
#[test]
fn it_conforms() {
    gantry_plugin_testkit::conforms::<@Name@>("gantry-plugin-test.toml");
}

#[test]
fn an_endpoint_that_is_no_url_is_told() {
    let config = serde_json::from_value(json!({ "endpoint": "other.example" })).unwrap();
    assert_eq!(@Name@::validate(&config)[0].path, "endpoint");
}

#[tokio::test]
async fn it_checks_whether_the_other_system_lets_it_in() {
    connected().check(&cx()).await.unwrap();
    let (endpoint, _) = upstream::start("127.0.0.1:0").unwrap();
    let denied = plugin(&endpoint, "wrong").unwrap().check(&cx()).await.unwrap_err();
    assert_eq!(denied.class(), ErrorClass::AuthDenied);
    // Nobody listens there: the hub will try again.
    let absent = plugin("http://127.0.0.1:1", "").unwrap().check(&cx()).await.unwrap_err();
    assert_eq!(absent.class(), ErrorClass::Transient);
}
//@if capture

#[tokio::test]
async fn it_captures_all_things_once_page_by_page() {
    use gantry_plugin_api::Capture;

    let settings = serde_json::from_value(json!({ "path": "/things" })).unwrap();
    let plugin = connected();
    let (mut from, mut ids) = (None, Vec::new());
    loop {
        let batch = plugin.poll(&settings, &cx(), from.as_ref(), 10).await.unwrap();
        for record in &batch.records {
            let thing: serde_json::Value = serde_json::from_slice(&record.payload).unwrap();
            ids.push(thing["id"].as_u64().unwrap());
        }
        from = batch.position_after;
        if !batch.more {
            break;
        }
    }
    assert_eq!(ids, (1..=25).collect::<Vec<_>>());
    let nothing = plugin.poll(&settings, &cx(), from.as_ref(), 10).await.unwrap();
    assert!(nothing.records.is_empty() && !nothing.more);
}
//@end
//@if lookup

#[tokio::test]
async fn it_finds_owners_and_says_who_is_unknown() {
    use gantry_plugin_api::{Json, Lookup, Query};

    let settings = json!({ "path": "/owners", "attribute": "customer_id" });
    let settings = serde_json::from_value(settings).unwrap();
    let query = |id: &str| Query::new(Json::of(&json!({ "customer_id": id })).unwrap());
    let queries = vec![query("C-0"), query("C-7")];
    let answers = connected().lookup(&settings, &cx(), queries).await.unwrap();
    let found = answers[0].as_ref().unwrap().as_ref().unwrap();
    let found: serde_json::Value = found.attributes.parse().unwrap();
    assert_eq!(found["tier"], "gold");
    assert!(answers[1].as_ref().unwrap().is_none());
}
//@end
//@if callback

#[tokio::test]
async fn it_tells_each_event_once_however_often_it_is_delivered() {
    use gantry_plugin_api::{Callback, Delivery, DeliveryOutcome};

    let settings = serde_json::from_value(json!({ "path": "/events" })).unwrap();
    let plugin = connected();
    let delivery = || vec![Delivery::new("key-1", "done", 7, "thing-1")];
    let first = plugin.deliver(&settings, &cx(), delivery()).await;
    assert_eq!(first, [DeliveryOutcome::Done]);
    let again = plugin.deliver(&settings, &cx(), delivery()).await;
    assert_eq!(again, [DeliveryOutcome::AlreadyDone]);
    let nowhere = serde_json::from_value(json!({ "path": "/nowhere" })).unwrap();
    let refused = plugin.deliver(&nowhere, &cx(), delivery()).await;
    assert!(matches!(refused[0], DeliveryOutcome::Refused(_)), "{refused:?}");
}
//@end
