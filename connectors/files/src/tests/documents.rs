//! JSON documents and XML: what becomes a record, and what is wrong with the rest.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Hub, check_read, payload, read};
use crate::config::Settings;
use crate::reader::ENTRY_LEN_MAX;
use crate::select;

fn xml(records: &str, lists: &[&str]) -> Settings {
    Settings {
        records: Some(records.to_owned()),
        lists: lists.iter().map(|name| (*name).to_owned()).collect(),
        ..Settings::default()
    }
}

/// The records of an XML file.
fn objects(settings: Settings, content: &str) -> Vec<Result<Value, String>> {
    let records = read("a.xml", settings, content);
    records.into_iter().map(|record| record.map(|r| serde_json::from_str(&r).unwrap())).collect()
}

#[test]
fn a_json_file_is_one_record_or_an_array_of_them() {
    check_read("a.json", " {\n\"id\": 1}\n", &[Ok("{\n\"id\": 1}")]);
    check_read(
        "a.json",
        "\u{feff}[ {\"id\": \"],}\\\"\"} ,\n{\"id\": [2, {}]}, {\"id\":3}]\n",
        &[Ok(r#"{"id": "],}\""}"#), Ok(r#"{"id": [2, {}]}"#), Ok(r#"{"id":3}"#)],
    );
    check_read("a.json", " [ ] ", &[]);
    check_read("a.json", "\n", &[]);
}

#[test]
fn a_bad_element_costs_one_record() {
    check_read(
        "a.json",
        "[{\"id\":1}, {\"id\":}, 7, , \"a\",\n{\"id\":2}]",
        &[
            Ok(r#"{"id":1}"#),
            Err("record 2: not JSON: expected value at line 1 column 7"),
            Err("record 3: not a JSON object"),
            Err("record 4: not JSON: EOF while parsing a value at line 1 column 0"),
            Err("record 5: not a JSON object"),
            Ok(r#"{"id":2}"#),
        ],
    );
    check_read(
        "a.json",
        "{} {}",
        &[Err("record 1: not JSON: trailing characters at line 1 column 4")],
    );
    let long = format!("[{{\"id\":\"{}\"}},{{\"id\":2}}]", "x".repeat(ENTRY_LEN_MAX));
    let records = read("a.json", Settings::default(), long);
    assert!(records[0].as_ref().is_err_and(|reason| reason.contains("longer than 1048576 bytes")));
    assert_eq!(records[1].as_deref(), Ok(r#"{"id":2}"#));
}

#[test]
fn elements_become_objects() {
    let order = r#"<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE orders [<!ENTITY who "Ann > Ben">]>
<orders xmlns:x="urn:x" page="1">
  <!-- <order id="0"/> -->
  <x:order id="A-1" x:mood="a &gt; b" note='1 > 0'>
    <customer>C &amp; D &#x20AC;</customer>
    <lines><line>1</line><line sku="T">two<b/></line></lines>
    <empty/><![CDATA[some <text>]]>
  </x:order>
  between
  <order/>
  <order>just text</order>
</orders>
"#;
    let records = objects(Settings::default(), order);
    let first = json!({
        "@id": "A-1", "@mood": "a > b", "@note": "1 > 0",
        "customer": "C & D €",
        "lines": { "line": ["1", { "@sku": "T", "b": null, "#text": "two" }] },
        "empty": null,
        "#text": "some <text>",
    });
    assert_eq!(records, [Ok(first), Ok(json!({})), Ok(json!({ "#text": "just text" }))]);
}

#[test]
fn a_path_says_which_elements_are_records() {
    let export = "<export><head><order>no</order></head><orders><order><id>1</id></order>\
                  <return><id>2</id></return><order><order><id>3</id></order></order></orders>\
                  <other><order><id>4</id></order></other></export>";
    let records = objects(xml("/export/orders/order", &["id"]), export);
    assert_eq!(records, [Ok(json!({ "id": ["1"] })), Ok(json!({ "order": { "id": ["3"] } }))]);
    let any = objects(xml("/*/*/order", &[]), export);
    assert_eq!(any.len(), 4, "{any:?}");
    assert_eq!(objects(xml("/export", &[]), "<export><id>1</id></export>").len(), 1);
}

#[test]
fn a_bad_element_costs_one_record_of_xml_too() {
    let deep = format!("<r>{}{}</r>", "<a>".repeat(70), "</a>".repeat(70));
    let content = format!(
        "<rs><r><id>1</id></r><r><a></b></r><r>&who;</r><r x=1/>{deep}<r><id>{}</id></r>\
         <r><id>2</id></r></rs>",
        "x".repeat(ENTRY_LEN_MAX),
    );
    let records = objects(Settings::default(), &content);
    assert_eq!(records[0], Ok(json!({ "id": "1" })));
    assert_eq!(records[6], Ok(json!({ "id": "2" })));
    let reason = |at: usize| records[at].as_ref().unwrap_err().as_str();
    assert!(reason(1).starts_with("file `a.xml`, record 2: not XML: "), "{}", reason(1));
    assert_eq!(
        reason(2),
        "file `a.xml`, record 3: the entity `who` is not one of XML's own, and others are not read"
    );
    assert!(reason(3).contains("record 4: not XML: "), "{}", reason(3));
    assert!(reason(4).ends_with("record 5: its elements are nested too deep"), "{}", reason(4));
    assert!(reason(5).ends_with("record 6: longer than 1048576 bytes"), "{}", reason(5));
}

#[test]
fn a_file_that_does_not_go_on_is_put_aside_behind_its_good_records() {
    let check = |name: &str, content: &str, n_good: usize, says: &str| {
        let mut hub = Hub::new();
        hub.drop_file(name, content);
        let first = hub.poll(10).unwrap();
        assert_eq!(first.records.len(), n_good, "{content}");
        if n_good > 0 {
            assert!(hub.files("error").is_empty(), "its records are not settled");
        }
        assert_eq!(hub.drain(1).len(), n_good);
        let reason = &hub.files("error")[&format!("{name}.reason.txt")];
        assert!(reason.contains(says), "{reason}");
    };
    let end = "it ends in the middle of something, behind record";
    check("a.json", "[{\"id\":1},{\"id\":2", 1, &format!("{end} 1"));
    check("a.json", "[{\"id\":1}", 0, &format!("{end} 0"));
    check("a.json", "[{\"id\":1},", 1, &format!("{end} 1"));
    check("a.json", "[", 0, &format!("{end} 0"));
    check("a.json", "[{\"id\":{1},{\"id\":2}]", 0, &format!("{end} 0"));
    check("a.json", "[{\"id\":1}] 7", 1, "something stands behind the end of the array");
    check("a.xml", "<rs><r>1</r><r>2", 1, &format!("{end} 1"));
    check("a.xml", "<rs><r>1</r>", 1, &format!("{end} 1"));
    check("a.xml", "<rs><r a=\"1</r></rs>", 0, &format!("{end} 0"));
    check("a.xml", "no markup", 0, "it is no XML");
    check("a.xml", "<rs><r>1</r></rs></rs>", 1, "it is no XML");
    let latin = "<?xml version='1.0' encoding='ISO-8859-1'?><rs/>";
    check("a.xml", latin, 0, "it says that it is encoded in `ISO-8859-1`");
}

#[test]
fn settings_of_other_formats_have_no_meaning() {
    let faults = |text: Value| -> Vec<String> {
        let settings: Settings = serde_json::from_value(text).unwrap();
        select::faults(&settings).into_iter().map(|fault| fault.path).collect()
    };
    assert!(faults(json!({ "records": "/a/*", "lists": ["b"] })).is_empty());
    assert_eq!(faults(json!({ "format": "json", "columns": ["a"] })), ["columns"]);
    assert_eq!(faults(json!({ "format": "csv", "records": "/a" })), ["records"]);
    assert_eq!(faults(json!({ "format": "json", "lists": ["a"] })), ["lists"]);
    for path in ["a", "", "/", "/a//b", "/x:a", "/a b"] {
        assert_eq!(faults(json!({ "records": path })), ["records"], "{path}");
    }
}

fn json_value() -> impl Strategy<Value = Value> {
    let text = "[\\[\\]{},:\"\\\\ a\u{20ac}\n]{0,8}";
    let leaf = prop_oneof![text.prop_map(Value::from), any::<i32>().prop_map(Value::from)];
    leaf.prop_recursive(3, 12, 3, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map(text, inner, 0..3)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    /// Whatever the records are and wherever a poll begins: each comes once, as it was written.
    #[test]
    fn arrays_come_out_as_they_went_in(
        values in prop::collection::vec(json_value(), 0..8),
        limit in 1_usize..4,
        pretty in any::<bool>(),
    ) {
        let records: Vec<_> = values.into_iter().map(|value| json!({ "v": value })).collect();
        let whole = Value::from(records.clone());
        let text = if pretty { format!("{whole:#}") } else { whole.to_string() };
        let mut hub = Hub::new();
        hub.drop_file("a.json", text);
        let read: Vec<Value> =
            hub.drain(limit).iter().map(|r| serde_json::from_str(payload(r)).unwrap()).collect();
        prop_assert_eq!(read, records);
        prop_assert_eq!(hub.files("processed").len(), 1);
    }

    /// The same of text in elements; and resuming behind any record changes nothing.
    #[test]
    fn texts_come_out_of_xml_as_they_went_in(
        texts in prop::collection::vec("[<>&'\"a\u{20ac}\\]-]{1,8}", 0..8),
        limit in 1_usize..4,
    ) {
        let element = |text: &String| {
            let text = quick_xml::escape::escape(text.as_str());
            format!("<r a=\"{text}\"><!-- <r> > --><t>{text}</t></r>\n")
        };
        let elements: String = texts.iter().map(element).collect();
        let mut hub = Hub::new();
        hub.drop_file("a.xml", format!("<rs>{elements}</rs>"));
        let read: Vec<Value> =
            hub.drain(limit).iter().map(|r| serde_json::from_str(payload(r)).unwrap()).collect();
        let wanted: Vec<_> = texts.iter().map(|text| json!({ "@a": text, "t": text })).collect();
        prop_assert_eq!(read, wanted);
    }

    /// Nothing that is dropped panics, or is read for ever.
    #[test]
    fn arbitrary_bytes_are_read_or_put_aside(
        bytes in prop::collection::vec(
            prop_oneof![any::<u8>(), prop::sample::select(b"<>/!?-[]{},:\"&; ar=\n".to_vec())],
            0..120,
        ),
        name in prop::sample::select(vec!["a.xml", "a.json"]),
    ) {
        let mut hub = Hub::new();
        hub.drop_file(name, bytes);
        hub.drain(2);
        prop_assert!(hub.files("").is_empty());
    }
}
