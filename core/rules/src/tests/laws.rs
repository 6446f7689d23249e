//! Laws over arbitrary input: nothing panics, hashes do not depend on order, text round-trips.

use std::collections::BTreeMap;

use gantry_model::requirement::Compare;
use gantry_model::spec::{
    CaptureSpec, Confirm, LookupSpec, OnChange, OnFailure, OnReopen, SegmentLevel, SegmentRule,
    Spec,
};
use gantry_model::{AttributeType, Document, Millis, Name, Origin, Requirement, Value};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use crate::value::Val;
use crate::{RuleError, Rules, compile, parse_requirement};

fn rule(when: &str) -> SegmentRule {
    SegmentRule {
        id: "rule".into(),
        level: SegmentLevel::Global,
        when: Some(when.into()),
        set: BTreeMap::from([("product".into(), when.to_owned())]),
        ..SegmentRule::default()
    }
}

fn capture(map: BTreeMap<Name, String>) -> CaptureSpec {
    CaptureSpec {
        source: None,
        settings: Json::Null,
        every: None,
        batch: 1,
        map,
        defaults: BTreeMap::new(),
        message: None,
        on_change: OnChange::default(),
        on_reopen: OnReopen::default(),
        confirm: Confirm::default(),
        lookups: None,
        ..CaptureSpec::default()
    }
}

fn mapping(expression: &str) -> Rules {
    let map = BTreeMap::from([
        ("external_id".into(), expression.to_owned()),
        ("deal_value".into(), expression.to_owned()),
        ("undeclared".into(), expression.to_owned()),
    ]);
    let captures = BTreeMap::from([("c".into(), capture(map))]);
    let spec = Spec { captures, ..Spec::default() };
    compile(&spec).0
}

fn any_json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        // Plus nothing: an exact decimal knows no negative zero.
        any::<f64>().prop_map(|number| Json::from(number + 0.0)),
        "[ -~ä]{0,8}".prop_map(Json::from),
        Just(json!("2026-01-31T08:00:00Z")),
        Just(json!("12.50")),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
            prop::collection::btree_map("[a-c]{1}", inner, 0..4)
                .prop_map(|map| Json::Object(map.into_iter().collect())),
        ]
    })
}

/// Words of the language, thrown together: mostly wrong, sometimes right.
fn any_expression() -> impl Strategy<Value = String> {
    let words = [
        "item",
        ".",
        "department",
        "deal_value",
        "record",
        "a",
        "custom",
        "[",
        "]",
        "(",
        ")",
        "{",
        "}",
        "\"x\"",
        "'",
        "\"",
        "5",
        "1.5",
        "-",
        "+",
        "*",
        "/",
        "%",
        "==",
        "!=",
        "<",
        ">=",
        "&&",
        "||",
        "!",
        "?",
        ":",
        ",",
        "in",
        "has(",
        "size(",
        "true",
        "null",
        "and",
        "matches(",
        "exists(x, ",
        "x",
        "map(",
        "decimal(",
        "timestamp(",
        "\\",
        "ä",
        "99999999999999999999",
        "1e400",
        "b\"x\"",
        "u",
        "\n",
        "//",
    ];
    prop::collection::vec(prop::sample::select(words.to_vec()), 0..12)
        .prop_map(|words| words.join(" "))
}

fn requirement() -> impl Strategy<Value = Requirement> {
    let compare = prop::sample::select(vec![
        Compare::Greater,
        Compare::AtLeast,
        Compare::Equal,
        Compare::AtMost,
        Compare::Less,
    ]);
    let name = "[a-z \"\\\\äÖ\u{1}-\u{20}]{1,6}";
    let leaf = prop_oneof![
        Just(Requirement::Anybody),
        (name, compare, 0u8..=100).prop_map(|(skill, compare, level)| Requirement::Skill {
            skill: skill.into(),
            compare,
            level,
        }),
        name.prop_map(|group| Requirement::Group(group.into())),
        name.prop_map(|agent| Requirement::Agent(agent.into())),
    ];
    leaf.prop_recursive(4, 16, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(Requirement::All),
            prop::collection::vec(inner.clone(), 2..4).prop_map(Requirement::AnyOf),
            inner.prop_map(|part| Requirement::Not(Box::new(part))),
        ]
    })
}

proptest! {
    #[test]
    fn no_text_makes_the_check_panic(text in ".{0,40}", words in any_expression()) {
        for text in [text, words] {
            let spec = Spec { segmentation: vec![rule(&text)], ..Spec::default() };
            for finding in compile(&spec).1 {
                prop_assert!(finding.text.get(finding.span).is_some());
            }
            if let Err(error) = parse_requirement(&text) {
                prop_assert!(text.get(error.span).is_some());
            }
        }
    }

    #[test]
    fn no_record_makes_an_expression_panic(words in any_expression(), record in any_json()) {
        let rules = mapping(&words);
        let _ = rules.map("c", &record);
    }

    #[test]
    fn no_record_makes_a_known_expression_panic(
        record in any_json(),
        expression in prop::sample::select(vec![
            "record.a", "record.a.b", "record[\"a\"]", "record.a[1]", "record.a + record.b",
            "record.a - record.b", "record.a * record.b", "record.a / record.b",
            "record.a % record.b", "-record.a", "record.a < record.b", "record.a == record.b",
            "record.a in record.b", "record.a in record", "size(record.a)", "int(record.a)",
            "decimal(record.a)", "string(record.a)", "bool(record.a)", "timestamp(record.a)",
            "duration(record.a)", "record.a.substring(record.b, record.c)",
            "record.a.replace(record.b, record.c)", "record.a.split(record.b)",
            "record.a.exists(x, x == record.b)", "record.a.all(x, x > 1)",
            "record.a.exists_one(x, x > 1)", "record.a.map(x, x + 1)",
            "record.a.filter(x, x.b == 1)", "record.a ? record.b : record.c",
            "record.a && record.b", "!record.a", "coalesce(record.a, record.b)",
            "has(record.a.b)", "{\"k\": record.a}", "[record.a, record.b]",
            "timestamp(record.a) + duration(\"1d\")", "record.a.matches(\"^[a-z]+$\")",
        ]),
    ) {
        let rules = mapping(expression);
        let first = rules.map("c", &record);
        prop_assert_eq!(rules.map("c", &record), first);
    }

    #[test]
    fn the_hash_does_not_depend_on_the_order_of_keys(
        entries in prop::collection::btree_map("[a-z]{1,4}", any_json(), 0..6)
    ) {
        let spec = Spec {
            captures: BTreeMap::from([("c".into(), capture(BTreeMap::new()))]),
            ..Spec::default()
        };
        let rules = compile(&spec).0;
        let id = || ("external_id".to_owned(), json!("1"));
        let forth: serde_json::Map<_, _> = entries.clone().into_iter().chain([id()]).collect();
        let back = [id()].into_iter().chain(entries.into_iter().rev());
        let back: serde_json::Map<_, _> = back.collect();
        let (a, b) = (rules.map("c", &forth.into()), rules.map("c", &back.into()));
        prop_assert_eq!(a, b);
    }

    #[test]
    fn values_are_read_as_the_model_reads_them(
        json in any_json(),
        kind in prop::sample::select(vec![
            AttributeType::Text,
            AttributeType::Integer,
            AttributeType::Decimal,
            AttributeType::Boolean,
            AttributeType::Timestamp,
            AttributeType::List,
            AttributeType::Map,
        ]),
    ) {
        prop_assume!(!json.is_null());
        let ours = Val::from_json(&json).into_value(&kind).map(|value| value.unwrap());
        let models = Value::from_json(&json, &kind);
        prop_assert_eq!(ours.is_ok(), models.is_ok());
        if let (Ok(ours), Ok(models)) = (ours, models) {
            prop_assert_eq!(ours, models);
        }
    }

    #[test]
    fn skill_expressions_round_trip(requirement in requirement()) {
        let parsed = parse_requirement(&requirement.to_string()).unwrap();
        prop_assert_eq!(parse_requirement(&parsed.to_string()), Ok(parsed));
    }
}

fn lookup_rules() -> Rules {
    let lookup = LookupSpec {
        source: "warehouse".into(),
        settings: Json::Null,
        when: Some("has(item.customer_id) && item.nps != 1".into()),
        yields: BTreeMap::from([
            ("nps".into(), AttributeType::Integer),
            ("since".into(), AttributeType::Timestamp),
        ]),
        timeout: Millis::from_secs(1),
        retries: 0,
        cache: None,
        on_failure: OnFailure::Continue,
        ..LookupSpec::default()
    };
    let spec = Spec { lookups: BTreeMap::from([("nps".into(), lookup)]), ..Spec::default() };
    let (rules, findings) = compile(&spec);
    assert_eq!(findings, []);
    rules
}

#[test]
fn a_look_up_is_asked_only_where_it_applies() {
    let rules = lookup_rules();
    let mut document = Document::default();
    assert_eq!(rules.wants_lookup("nps", &document), Ok(false));
    document.set("customer_id".into(), Value::Text("7".into()), None);
    assert_eq!(rules.wants_lookup("nps", &document), Ok(true));
    let by_rule = Some(Origin::Rule("r".into()));
    document.set("nps".into(), Value::Integer(1), by_rule);
    assert_eq!(rules.wants_lookup("nps", &document), Ok(true));
    document.set("nps".into(), Value::Text("x".into()), None);
    assert_eq!(
        rules.wants_lookup("nps", &document),
        Err(RuleError::LookupCondition {
            lookup: "nps".into(),
            reason: "cannot compare text \"x\" with integer 1, in `item.nps != 1`".into(),
        })
    );
    assert!(matches!(rules.wants_lookup("other", &document), Err(RuleError::UnknownLookup { .. })));
}

#[test]
fn an_answer_is_read_by_its_promised_types_or_not_at_all() {
    let rules = lookup_rules();
    let mut document = Document::default();
    let answer = json!({"nps": "9", "since": null, "more": 1});
    rules.read_answer("nps", &answer, &mut document).unwrap();
    assert_eq!(document.attributes.len(), 1);
    assert_eq!(document.attributes["nps"], Value::Integer(9));
    assert_eq!(document.origins["nps"], Origin::Lookup("nps".into()));
    let before = document.clone();
    for wrong in [json!({"nps": 5, "since": "today"}), json!([1]), json!(null)] {
        assert!(rules.read_answer("nps", &wrong, &mut document).is_err());
        assert_eq!(document, before);
    }
}

#[test]
fn an_answer_is_read_where_the_source_has_its_fields() {
    let path = |keys: &[&str]| keys.iter().map(ToString::to_string).collect::<Vec<_>>();
    let lookup = LookupSpec {
        yields: ["customer", "owner", "nps"].map(|n| (n.into(), AttributeType::Text)).into(),
        fields: BTreeMap::from([
            ("customer".into(), path(&["CustomerNo"])),
            ("owner".into(), path(&["Owner", "Full.Name"])),
        ]),
        ..LookupSpec::default()
    };
    let spec = Spec { lookups: BTreeMap::from([("crm".into(), lookup)]), ..Spec::default() };
    let rules = compile(&spec).0;
    let read = |answer: Json| {
        let mut document = Document::default();
        rules.read_answer("crm", &answer, &mut document).unwrap();
        let of = |name| document.text(name).unwrap_or("-").to_owned();
        ["customer", "owner", "nps"].map(of).join(" ")
    };
    let answer = json!({
        "CustomerNo": "C-7", "customer": "no", "Owner": {"Full.Name": "Ada"}, "nps": "9",
    });
    assert_eq!(read(answer), "C-7 Ada 9");
    assert_eq!(read(json!({"customer": "no", "Owner": "Ada", "nps": null})), "- - -");
    // What stands in for an answer has the names of the attributes.
    let (mut document, defaults) = (Document::default(), [("customer".into(), json!("none"))]);
    rules.read_defaults("crm", &defaults.into(), &mut document).unwrap();
    assert_eq!(document.text("customer"), Some("none"));
}

#[test]
fn what_a_rule_set_does_not_outlive_its_reason() {
    let spec = Spec {
        segmentation: vec![SegmentRule {
            set: BTreeMap::from([("product".into(), "upper(item.product)".into())]),
            ..rule("item.customer_segment == \"Gold\"")
        }],
        ..spec_with_a_process()
    };
    let (rules, findings) = compile(&spec);
    assert_eq!(findings, []);
    let text = |text: &str| Value::Text(text.into());
    let mut document = Document::default();
    document.set("product".into(), text("loan"), None);
    document.set("customer_segment".into(), text("Gold"), None);
    assert!(rules.classify("c", 1, &mut document).1);
    assert_eq!(document.text("product"), Some("LOAN"));
    document.set("customer_segment".into(), text("Tin"), None);
    assert!(rules.classify("c", 1, &mut document).1);
    assert_eq!(document.text("product"), Some("loan"));
    assert_eq!(document.origins.len(), 0);
}

/// A spec with the one process that every classification needs.
fn spec_with_a_process() -> Spec {
    let process = json!({
        "priority": "p", "sla": null, "route": {"preferred": null, "stages": []},
        "offer_timeout": "30s", "decline_cool_down": "1m",
        "completion": {"mode": "done_closes", "within": "1m"},
        "dispositions": [], "disposition_required": false, "show": [],
    });
    let routing = gantry_model::spec::RoutingSpec {
        processes: BTreeMap::from([("a/b".into(), serde_json::from_value(process).unwrap())]),
        default_process: "a/b".into(),
        ..Default::default()
    };
    Spec { routing: std::sync::Arc::new(routing), ..Spec::default() }
}
