//! Times of the vendor's, and what settings may name.

use gantry_plugin_api::{Delivery, Json};
use serde_json::{Value, json};

use crate::values::{Named, moment, tidied};

#[test]
fn times_are_read_as_the_vendor_writes_them() {
    let read = |text: &str| moment(text).map(|moment| moment.to_string());
    let noon = Some("2026-01-02T03:04:05Z".to_owned());
    assert_eq!(read("2026-01-02T03:04:05.000+0000"), noon);
    assert_eq!(read("2026-01-02T04:04:05.000+0100"), noon);
    assert_eq!(read("2026-01-02T03:04:05.120+0000").unwrap(), "2026-01-02T03:04:05.12Z");
    for text in ["", "2026-01-02", "2026-01-02T03:04:05Z", "yesterday, at half past eleven"] {
        assert_eq!(read(text), None, "{text}");
    }
}

#[test]
fn a_record_loses_the_notes_on_its_type() {
    let came = json!({
        "attributes": {"type": "Case", "url": "/x"}, "Id": "500",
        "CreatedDate": "2026-01-02T03:04:05.000+0000",
        "Owner": {"attributes": {"type": "User"}, "Name": "Ada"}, "Contact": null,
    });
    let tidy = json!({
        "Id": "500", "CreatedDate": "2026-01-02T03:04:05Z", "Owner": {"Name": "Ada"},
        "Contact": null,
    });
    assert_eq!(tidied(came), tidy);
}

#[test]
fn a_delivery_names_itself_before_its_details_and_those_before_attributes() {
    let mut delivery = Delivery::new("k", "done", 17, "00Q1");
    delivery.attributes = Json::of(&json!({"event": "a", "result": "b", "city": "c"})).unwrap();
    delivery.details = Json::of(&json!({"event": "d", "result": "e"})).unwrap();
    let named = Named::of(&delivery).unwrap();
    for (text, value) in [
        (":event", json!("done")),
        (":result", json!("e")),
        (":city", json!("c")),
        (":item_id", json!("17")),
        (":occurred_at", json!("1970-01-01T00:00:00Z")),
        (":nobody", Value::Null),
        ("::city", json!(":city")),
        ("city", json!("city")),
    ] {
        assert_eq!(named.resolve(text), value, "{text}");
    }
}
