//! Laws of decision tables: no cell makes the check panic, the index finds what a look at every row
//! finds, and cells mean what the expressions mean that they stand for.

use std::collections::BTreeMap;
use std::time::Instant;

use gantry_model::command::Verdict;
use gantry_model::spec::{DecisionTable, HitPolicy, Spec};
use gantry_model::{AttributeType, Document, Name, Value};
use proptest::prelude::*;
use serde_json::json;

use crate::{Rules, compile};

/// A spec with one process and one table.
fn spec(table: DecisionTable) -> Spec {
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
    Spec {
        attributes: BTreeMap::from([("size".into(), AttributeType::Integer)]),
        routing: std::sync::Arc::new(routing),
        decision_tables: vec![table],
        ..Spec::default()
    }
}

fn table(hit: HitPolicy, columns: &[&str], rows: Vec<Vec<String>>) -> DecisionTable {
    let columns = columns.iter().map(ToString::to_string).collect();
    DecisionTable { id: "t".into(), hit, columns, rows, ..DecisionTable::default() }
}

fn compiled(spec: &Spec) -> Rules {
    let (rules, findings) = compile(spec);
    assert_eq!(findings, []);
    rules
}

fn item(product: Option<&str>, channel: Option<&str>, size: Option<i64>) -> Document {
    let mut document = Document::default();
    let mut set = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            document.set(Name::new(name), value, None);
        }
    };
    set("product", product.map(|text| Value::Text(text.into())));
    set("channel", channel.map(|text| Value::Text(text.into())));
    set("size", size.map(Value::Integer));
    document
}

/// The rules that hit, or why none could be asked.
fn hits(rules: &Rules, document: &Document) -> Result<Vec<Name>, String> {
    match rules.classify("c", 1, &mut document.clone()).0 {
        Verdict::Classified(found) => Ok(found.class.unwrap().rules.clone()),
        Verdict::Failed { reason, .. } => Err(reason),
        Verdict::Rejected { .. } => unreachable!("rules reject nothing"),
    }
}

fn text_cell() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "-",
        "",
        "a",
        "b",
        "a|b",
        "a | b|c",
        "!= a",
        "!= a|b",
        "a*",
        "*a",
        "(none)",
        "(any)",
        "'a'",
        "{item.product == \"a\"}",
    ])
}

fn number_cell() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "-", "1", "2", "1|2", "> 1", ">= 2", "< 2", "1..2", "..1", "2..", "!= 1", "1|3..", "(none)",
    ])
}

fn rows() -> impl Strategy<Value = Vec<[&'static str; 3]>> {
    let row = (text_cell(), text_cell(), number_cell()).prop_map(|(a, b, c)| [a, b, c]);
    prop::collection::vec(row, 0..12)
}

fn items() -> impl Strategy<Value = Vec<Document>> {
    let text = || prop::option::of(prop::sample::select(vec!["a", "b", "c", "aa", ""]));
    let one = (text(), text(), prop::option::of(0i64..4))
        .prop_map(|(product, channel, size)| item(product, channel, size));
    prop::collection::vec(one, 1..8)
}

fn cells(rows: &[[&str; 3]]) -> Vec<Vec<String>> {
    let numbered = rows.iter().enumerate();
    numbered
        .map(|(at, row)| {
            let id = format!("r{at}");
            [id.as_str()].iter().chain(row).map(ToString::to_string).collect()
        })
        .collect()
}

const COLUMNS: [&str; 4] = ["id", "product", "channel", "size"];

proptest! {
    #[test]
    fn no_cell_makes_the_check_panic(
        heading in ".{0,20}",
        cell in ".{0,30}",
        words in prop::collection::vec(prop::sample::select(vec![
            "-", "|", "..", ">", ">=", "<", "!=", "=", "'", "\"", "''", "{", "}", "(none)", "a", "ä",
            "*", "5", "1.5", "2026-01-31", "2026-02-30", "99999999999999999999", " ", "\n", "true",
            "item.product", "T", ":",
        ]), 0..8),
    ) {
        let words = words.concat();
        let headings = ["product", "deal_value", "due_at", "size", "item.custom[\"x\"]",
            "set product", "set deal_value", "set due_at", "set max", "set sla", "set process", "id"];
        for cell in [cell, words] {
            let mut columns = vec!["id", heading.as_str()];
            columns.extend(headings);
            for column in columns {
                let rows = vec![vec!["a".to_owned(), cell.clone()]];
                let (_, findings) = compile(&spec(table(HitPolicy::First, &["id", column], rows)));
                for finding in findings {
                    prop_assert!(finding.text.get(finding.span.clone()).is_some(), "{finding:?}");
                }
            }
        }
    }

    #[test]
    fn the_index_finds_what_a_look_at_every_row_finds(rows in rows(), items in items()) {
        let whole = compiled(&spec(table(HitPolicy::First, &COLUMNS, cells(&rows))));
        let unique = compiled(&spec(table(HitPolicy::Unique, &COLUMNS, cells(&rows))));
        let alone: Vec<Rules> = cells(&rows)
            .into_iter()
            .map(|row| compiled(&spec(table(HitPolicy::First, &COLUMNS, vec![row]))))
            .collect();
        for item in &items {
            let each = alone.iter().map(|rules| hits(rules, item).unwrap());
            let all: Vec<Name> = each.flatten().collect();
            let first: Vec<Name> = all.first().cloned().into_iter().collect();
            prop_assert_eq!(hits(&whole, item), Ok(first.clone()));
            let found = hits(&unique, item);
            if all.len() < 2 {
                prop_assert_eq!(found, Ok(first));
            } else {
                let reason = found.unwrap_err();
                prop_assert!(all[..2].iter().all(|id| reason.contains(id.as_str())), "{}", reason);
            }
        }
    }

    #[test]
    fn what_is_said_of_rows_is_true(rows in rows(), items in items()) {
        for hit in [HitPolicy::First, HitPolicy::Unique] {
            let rules = compiled(&spec(table(hit, &COLUMNS, cells(&rows))));
            let remarks = rules.table_remarks();
            for item in &items {
                let Ok(found) = hits(&rules, item) else { continue };
                for remark in remarks.iter().filter(|_| hit == HitPolicy::First) {
                    let never = format!("t.r{}", remark.row);
                    prop_assert!(!found.iter().any(|id| *id == never.as_str()), "{remark:?}");
                }
            }
        }
    }

    #[test]
    fn cells_mean_what_expressions_mean(items in items(), case in prop::sample::select(vec![
        ("product", "a|b", "item.product in [\"a\", \"b\"]"),
        ("product", "!= a", "item.product != \"a\""),
        ("product", "!= a|b", "!(item.product in [\"a\", \"b\"])"),
        ("product", "a*", "item.product.startsWith(\"a\")"),
        ("product", "*a", "item.product.endsWith(\"a\")"),
        ("product", "*a*", "item.product.contains(\"a\")"),
        ("product", "(none)", "!has(item.product)"),
        ("product", "(any)", "has(item.product)"),
        ("size", "1", "item.size == 1"),
        ("size", "!= 1", "item.size != 1"),
        ("size", "> 1", "item.size > 1"),
        ("size", ">= 1.0", "item.size >= 1"),
        ("size", "< 2.5", "item.size < 2.5"),
        ("size", "1..2", "item.size >= 1 && item.size <= 2"),
        ("size", "!= 1..2", "!(item.size >= 1 && item.size <= 2)"),
        ("size", "..1|3", "item.size <= 1 || item.size == 3"),
        ("size + 1", "3", "item.size + 1 == 3"),
    ])) {
        let (heading, cell, expression) = case;
        let heading = if heading == "size + 1" { "item.size + 1" } else { heading };
        let rules = |heading: &str, cell: String| {
            let rows = vec![vec!["r".to_owned(), cell]];
            compiled(&spec(table(HitPolicy::First, &["id", heading], rows)))
        };
        let (plain, written) = (rules(heading, cell.into()), rules("size", format!("{{{expression}}}")));
        for item in &items {
            prop_assert_eq!(hits(&plain, item), hits(&written, item), "{} {}", cell, expression);
        }
    }
}

/// The cost of a table must not grow with its rows where they ask for equality. Prints what an
/// item costs; asserts no more than that 10,000 rows cost less than a hundred times 10 rows, since
/// a look at every row would cost a thousand times as much.
#[test]
fn ten_thousand_rows_cost_about_as_much_as_ten() {
    let cost = |n_rows: usize| {
        let row = |at: usize| {
            let cells = [format!("r{at}"), format!("p{at}"), "web|app".into(), "1..100".into()];
            cells.to_vec()
        };
        let rows = (0..n_rows).map(row).collect();
        let start = Instant::now();
        let rules = compiled(&spec(table(HitPolicy::First, &COLUMNS, rows)));
        let compiling = start.elapsed();
        let items: Vec<Document> = (0..200)
            .map(|at| item(Some(&format!("p{}", at * n_rows / 200)), Some("app"), Some(5)))
            .collect();
        let best = (0..5).map(|_| {
            let start = Instant::now();
            for item in &items {
                assert_eq!(hits(&rules, item).unwrap().len(), 1);
            }
            start.elapsed() / 200
        });
        let best = best.min().unwrap();
        println!("{n_rows} rows: {best:?} an item, compiled in {compiling:?}");
        best
    };
    let (few, many) = (cost(10), cost(10_000));
    assert!(many < few * 100, "{few:?} {many:?}");
}
