//! What mapping and classification cost: 8 mappings and 10 rules, microseconds an item.
//!
//! `cargo run --release -p gantry-rules --example bench_rules`
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use gantry_model::spec::{
    CaptureSpec, Completion, CompletionMode, Confirm, OnChange, OnReopen, ProcessSpec, RouteSpec,
    RoutingSpec, SegmentLevel, SegmentRule, Sla, Spec,
};
use gantry_model::{Millis, Name};
use gantry_rules::compile;
use serde_json::{Value as Json, json};

const ITEMS: u32 = 200_000;
const ROUNDS: u32 = 5;

fn main() {
    let (rules, findings) = compile(&spec());
    assert_eq!(findings, []);
    let records: Vec<Json> = (0..64).map(record).collect();
    for round in 1..=ROUNDS {
        let start = Instant::now();
        for at in 0..ITEMS {
            let mapped = rules.map("crm", &records[at as usize % records.len()]);
            assert!(mapped.is_ok());
        }
        let mapping = start.elapsed();
        let mapped: Vec<_> =
            records.iter().filter_map(|record| rules.map("crm", record).ok()).collect();
        let mut hits = 0;
        let mut documents: Vec<_> = mapped.into_iter().map(|mapped| mapped.document).collect();
        let start = Instant::now();
        for at in 0..ITEMS {
            let at = at as usize % documents.len();
            let (_, changed) = rules.classify("crm", 1, &mut documents[at]);
            hits += u32::from(changed);
        }
        let classifying = start.elapsed();
        let each = |time: std::time::Duration| time.as_secs_f64() * 1e6 / f64::from(ITEMS);
        println!(
            "round {round}: map {:.2} + classify {:.2} = {:.2} us an item ({hits} changed)",
            each(mapping),
            each(classifying),
            each(mapping) + each(classifying),
        );
    }
}

fn record(at: u32) -> Json {
    let product = ["loan", "card", "insurance", "account"][at as usize % 4];
    let segment = ["Gold", "Silver", "Bronze"][at as usize % 3];
    json!({
        "Id": format!("00Q{at:012}"),
        "Amount": format!("{}.50", at * 10),
        "Product": product,
        "Account": {"Segment__c": segment, "Id": format!("C{at}")},
        "Created": "2026-01-31T08:00:00Z",
        "Channel": "web",
        "Name": "Ada Lovelace",
        "Url": "https://crm.example.com/lead/1",
    })
}

fn spec() -> Spec {
    let map = [
        ("external_id", "record.Id"),
        ("deal_value", "double(record.Amount)"),
        ("product", "record.Product"),
        ("customer_segment", "record.Account.Segment__c"),
        ("customer_id", "record.Account.Id"),
        ("source_created_at", "record.Created"),
        ("channel", "record.Channel"),
        ("name", "record.Name"),
    ];
    let capture = CaptureSpec {
        source: None,
        settings: Json::Null,
        every: None,
        batch: 100,
        map: map.map(|(name, text)| (name.into(), text.to_owned())).into(),
        defaults: BTreeMap::from([("department".into(), json!("sales"))]),
        message: None,
        on_change: OnChange::Update,
        on_reopen: OnReopen::New,
        confirm: Confirm::None,
        lookups: None,
        ..CaptureSpec::default()
    };
    let process = ProcessSpec {
        priority: "normal".into(),
        sla: None,
        route: RouteSpec::default(),
        offer_timeout: Millis::from_secs(30),
        decline_cool_down: Millis::from_secs(60),
        completion: Completion { mode: CompletionMode::DoneCloses, within: Millis::from_secs(60) },
        ..ProcessSpec::default()
    };
    let routing = RoutingSpec {
        processes: BTreeMap::from([("sales/leads".into(), process)]),
        default_process: "sales/leads".into(),
        ..RoutingSpec::default()
    };
    Spec {
        captures: BTreeMap::from([("crm".into(), capture)]),
        segmentation: segmentation(),
        routing: Arc::new(routing),
        ..Spec::default()
    }
}

/// Ten rules in four levels; most items are asked seven or more of them.
fn segmentation() -> Vec<SegmentRule> {
    use SegmentLevel::{Capture, Department, Global, Process};
    let rule = |id: &str, level, when: &str, process: Option<&str>| SegmentRule {
        id: id.into(),
        level,
        when: Some(when.to_owned()),
        process: process.map(Name::new),
        sla: Some(Sla::Wall(Millis::from_secs(3600))),
        ..SegmentRule::default()
    };
    let mut rules = vec![
        rule("vip", Global, "item.customer_segment == \"Platinum\"", None),
        rule("fraud", Global, "item.category == \"fraud\"", None),
        rule(
            "gold",
            Global,
            "item.department == \"sales\" && item.customer_segment == \"Gold\"",
            None,
        ),
        rule(
            "silver",
            Global,
            "item.department == \"sales\" && item.customer_segment == \"Silver\"",
            None,
        ),
        rule("phone", Capture, "item.channel == \"phone\"", None),
        rule("web", Capture, "item.channel in [\"web\", \"app\"]", None),
        rule("big", Department, "item.deal_value >= 5000.50", Some("sales/leads")),
        rule(
            "loan",
            Department,
            "item.product == \"loan\" || item.product == \"card\"",
            Some("sales/leads"),
        ),
        rule("late", Process, "item.source_created_at < timestamp(\"2025-01-01T00:00:00Z\")", None),
        rule("named", Process, "item.name.startsWith(\"Ada\")", None),
    ];
    rules[2].set = BTreeMap::from([("business_value".into(), "500".to_owned())]);
    rules
}
