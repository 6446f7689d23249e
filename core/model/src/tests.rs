//! Laws of the vocabulary: text forms round-trip, codecs round-trip, decimals are exact.

use super::*;
use crate::command::Classified;
use crate::item::PriorityBounds;
use crate::journal::{Entry, Segment};
use crate::spec::{RoutingSpec, Sla};
use std::sync::Arc;

#[test]
fn item_ids_read_back_and_mistyped_ones_do_not() {
    for (partition, counter) in [(0, 0), (0, 1), (0, 31), (0, 1 << 40), (7, 12345), (65535, 1)] {
        let id = ItemId::new(partition, counter);
        assert_eq!(id.to_string().parse(), Ok(id), "{id}");
        assert_eq!((id.partition(), id.counter()), (partition, counter));
    }
    assert_eq!(ItemId::new(0, 1).to_string(), "W0000011");
    let id = ItemId::new(0, 123_456);
    let text = id.to_string();
    for at in 1..text.len() {
        for digit in "0123456789ABCDEFGHJKMNPQRSTVWXYZ".chars() {
            let mut wrong: Vec<char> = text.chars().collect();
            if wrong[at] != digit {
                wrong[at] = digit;
                let wrong: String = wrong.into_iter().collect();
                assert_ne!(wrong.parse(), Ok(id));
                assert!(wrong.parse::<ItemId>().is_err(), "{wrong}");
            }
        }
    }
}

#[test]
fn a_priority_as_a_decimal_is_exact() {
    use crate::priority::Priority;
    let half = 1 << 39;
    for (units, text) in [
        (0, "0"),
        (700 << 40, "700"),
        ((712 << 40) + half, "712.5"),
        (-(712 << 40) - half, "-712.5"),
        (1, "0.0000000000009094947017729282379150390625"),
        (-1, "-0.0000000000009094947017729282379150390625"),
        (i64::MIN, "-8388608"),
    ] {
        assert_eq!(Priority(units).to_decimal(), text);
    }
}

#[test]
fn durations_read_back() {
    for (text, millis) in
        [("0s", 0), ("500ms", 500), ("1h30m", 5_400_000), ("3d", 259_200_000), ("1m1s1ms", 61_001)]
    {
        assert_eq!(text.parse(), Ok(Millis(millis)));
        assert_eq!(Millis(millis).to_string(), text);
    }
    for wrong in ["", "5", "h", "5 weeks", "-5s", "1.5h", "99999999999999999999d"] {
        assert!(wrong.parse::<Millis>().is_err(), "{wrong}");
    }
    assert_eq!("90m".parse(), Ok(Millis(5_400_000)));
}

#[test]
fn decimals_are_exact() {
    let sum: Decimal = "3.30".parse().unwrap();
    assert_eq!(sum, "3.3".parse().unwrap());
    assert_eq!(sum.to_string(), "3.30");
    assert!("-0.5".parse::<Decimal>().unwrap() < "-0.49".parse().unwrap());
    assert_eq!("-0.5".parse::<Decimal>().unwrap().to_string(), "-0.5");
    for wrong in ["", ".", "1e5", "1,5", "--1", "1.2.3", "99999999999999999999"] {
        assert!(wrong.parse::<Decimal>().is_err(), "{wrong}");
    }
}

#[test]
fn settable_attributes_are_sorted() {
    assert!(attribute::SETTABLE.windows(2).all(|pair| pair[0].0 < pair[1].0));
    assert_eq!(attribute::settable("due_at"), Some(&AttributeType::Timestamp));
    assert_eq!(attribute::settable("nonsense"), None);
    assert!(event::CALLBACK_EVENTS.windows(2).all(|pair| pair[0] < pair[1]));
}

#[test]
fn documents_read_back_with_their_types() {
    let mut document = Document::default();
    document.set("deal_value".into(), Value::Decimal("12.50".parse().unwrap()), None);
    document.set("due_at".into(), Value::Timestamp("2026-01-01T00:00:00Z".parse().unwrap()), None);
    document.set("nps".into(), Value::Integer(9), Some(Origin::Lookup("nps".into())));
    let bytes = document.to_vec();
    let back = Document::from_slice(&bytes, attribute::settable).unwrap();
    assert_eq!(back, document);
    assert_eq!(back.to_vec(), bytes);
}

#[test]
fn a_wrong_type_says_what_was_expected() {
    let error = Value::from_json(&"soon".into(), &AttributeType::Timestamp).unwrap_err();
    assert_eq!(error.to_string(), "expected timestamp (RFC 3339), got \"soon\"");
    let gold = AttributeType::Enumeration(vec!["Gold".into(), "Silver".into()]);
    assert!(Value::from_json(&"Bronze".into(), &gold).is_err());
}

#[test]
fn journal_segments_read_back() {
    let class = Classification {
        version: 3,
        rules: vec!["gold".into()],
        process: "sales/leads".into(),
        schema: "gold".into(),
        sla: Some(Sla::Wall(Millis::from_secs(60))),
        requirement: Some(Requirement::Group("berlin".into())),
        media_type: "workitem".into(),
        flow: Some("gold".into()),
    };
    let classified = Classified {
        class: Some(Arc::new(class)),
        due_at: Some(Timestamp(5)),
        activation_at: None,
        expires_at: None,
        priority: None,
        preferred_agent: Some("anna".into()),
        required_agent: None,
        bounds: Some(Box::new(PriorityBounds { start: None, min: Some(1), max: Some(-2) })),
    };
    let item = ItemId::new(0, 1);
    let events = vec![
        Event::Captured {
            item,
            capture_point: "leads".into(),
            hash: [7; 16],
            previous: None,
            anchor_at: Timestamp(1),
        },
        Event::Classified { item, classified },
        Event::ConfigActivated { version: 1, routing: Arc::new(RoutingSpec::default()) },
    ];
    let entries = events
        .into_iter()
        .map(|event| Entry { at: Timestamp(9), version: 1, actor: Actor::Hub, event })
        .collect();
    let segment = Segment { seq: 1, binary: "0.1.0".into(), entries };
    assert_eq!(Segment::from_slice(&segment.to_vec()).unwrap(), segment);
}

#[test]
fn decimal_arithmetic_is_exact_or_nothing() {
    let decimal = |text: &str| text.parse::<Decimal>().unwrap();
    let sum = decimal("1.10").checked_add(decimal("2.20"));
    assert_eq!(sum, Some(decimal("3.30")));
    assert_eq!(decimal("1").checked_sub(decimal("0.001")), Some(decimal("0.999")));
    assert_eq!(decimal("0.000000001").checked_mul(decimal("1000000000")), Some(decimal("1")));
    assert_eq!(decimal("2").checked_div(decimal("3")), Some(decimal("0.666666667")));
    assert_eq!(decimal("-2").checked_div(decimal("3")), Some(decimal("-0.666666667")));
    assert_eq!(decimal("1").checked_div(decimal("0")), None);
    assert_eq!(decimal("9223372036854775807").checked_add(decimal("1")), None);
    assert_eq!(decimal("0.000000000000000001").checked_mul(decimal("0.1")), None);
    assert_eq!(decimal("-7.9").trunc(), -7);
}

#[test]
fn what_a_rule_replaced_comes_back() {
    let rule = || Some(Origin::Rule("gold".into()));
    let text = |text: &str| Value::Text(text.into());
    let mut document = Document::default();
    document.set("product".into(), text("loan"), None);
    document.set("nps".into(), Value::Integer(5), Some(Origin::Lookup("nps".into())));
    let before = document.clone();
    document.set("product".into(), text("LOAN"), rule());
    document.set("product".into(), text("LOANS"), rule());
    document.set("nps".into(), Value::Integer(9), rule());
    document.set("category".into(), text("x"), rule());
    assert_eq!(document.unruled("product"), Some(&text("loan")));
    assert_eq!(document.unruled("category"), None);
    let stored = Document::from_slice(&document.to_vec(), attribute::settable).unwrap();
    assert_eq!(stored, document);
    for name in ["product", "nps", "category", "absent"] {
        document.unset_rule(name);
    }
    assert_eq!(document, before);
    document.set("product".into(), text("LOAN"), rule());
    document.set("product".into(), text("car"), None);
    document.unset_rule("product");
    assert_eq!(document.text("product"), Some("car"));
}

/// Agents who look alike are judged by a profile without an id, which no requirement may name.
#[test]
fn a_requirement_of_an_empty_id_fits_nobody() {
    let nobody = Requirement::Agent(Name::default());
    assert!(!nobody.fits(&AgentProfile::new(Name::default())));
    assert!(Requirement::Not(Box::new(nobody)).fits(&AgentProfile::new("anna")));
}

/// Journals written before workbins were filled in advance stay readable.
#[test]
fn what_was_parked_before_there_was_prefill_was_parked_by_hand() {
    let (item, workbin) = (ItemId::new(0, 1), Workbin::Agent("anna".into()));
    let mut old = minicbor::Encoder::new(Vec::new());
    old.array(2).unwrap().u32(31).unwrap().array(5).unwrap();
    old.encode(item).unwrap().null().unwrap();
    old.encode(&workbin).unwrap().null().unwrap().null().unwrap();
    let parked =
        Event::Parked { item, agent: None, workbin, until: None, note: None, prefilled: false };
    assert_eq!(minicbor::decode::<Event>(old.writer()).unwrap(), parked);
}
