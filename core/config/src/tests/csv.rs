//! Decision tables in CSV files: as spreadsheets write them, with every mistake at its cell.

use std::path::Path;

use proptest::prelude::*;

use super::GOOD;
use crate::csv::{Field, parse, raw_offset};
use crate::{Checked, Code, Finding, Manifests, Severity, load};

const TABLE: &str = "\n[[decision_table]]\nid = \"segments\"\nlevel = \"global\"\n\
                     file = \"rules/segments.csv\"\n";

fn checked(folder: &Path, table: &str, csv: &[u8]) -> Checked {
    std::fs::create_dir_all(folder.join("rules")).unwrap();
    std::fs::write(folder.join("gantry.toml"), format!("{GOOD}{table}")).unwrap();
    std::fs::write(folder.join("rules/segments.csv"), csv).unwrap();
    load(&folder.join("gantry.toml"), &Manifests::default())
}

fn texts(csv: &str) -> Vec<Vec<String>> {
    let lines = parse(csv).unwrap();
    lines.into_iter().map(|line| line.into_iter().map(|field| field.text).collect()).collect()
}

#[test]
fn a_table_is_read_from_the_file_that_a_spreadsheet_wrote() {
    let folder = tempfile::tempdir().unwrap();
    let csv = "\u{feff}id;customer_segment;\"set sla\"\r\ngold;\"Gold|\"\"Top\"\"\";72h\r\n;;\r\n";
    let checked = checked(folder.path(), TABLE, csv.as_bytes());
    assert_eq!(checked.findings, []);
    let spec = checked.spec.unwrap();
    let table = &spec.decision_tables[0];
    assert_eq!(table.columns, ["id", "customer_segment", "set sla"]);
    assert_eq!(table.rows, [["gold", "Gold|\"Top\"", "72h"]]);
}

/// The only finding, with the text that it underlines.
fn one(folder: &Path, table: &str, csv: &[u8]) -> (Finding, String) {
    let checked = checked(folder, table, csv);
    let [finding] = checked.findings.as_slice() else { panic!("{:#?}", checked.findings) };
    let text = checked.sources.text(&finding.file).unwrap();
    (finding.clone(), text[finding.span.clone()].to_owned())
}

#[test]
fn mistakes_are_told_with_file_line_and_column() {
    let folder = tempfile::tempdir().unwrap();
    let cases: [(&str, Code, usize, usize, &str); 8] = [
        ("id,nps\na,> x\n", Code::Value, 2, 5, "x"),
        ("id,nsp\na,> 5\n", Code::Expression, 1, 4, "nsp"),
        (
            "id,nps\n\na,\"{item.nps == \"\"x\"\"}\"\n",
            Code::Expression,
            3,
            5,
            "item.nps == \"\"x\"\"",
        ),
        ("id,set process\na,sales/lead\n", Code::UnknownName, 2, 3, "sales/lead"),
        ("id,nps\na,1\na,2\n", Code::Twice, 3, 1, "a"),
        ("id,nps\na,1,2\n", Code::Value, 2, 1, "a,1,2"),
        ("id,nps\na,\"1\n", Code::Csv, 2, 3, "\""),
        ("id,nps\na,\"1\"x\n", Code::Csv, 2, 6, "x"),
    ];
    for (csv, code, line, column, part) in cases {
        let (finding, text) = one(folder.path(), TABLE, csv.as_bytes());
        let found = (finding.code, finding.line, finding.column, text.as_str());
        assert_eq!(found, (code, line, column, part), "{csv:?}: {}", finding.message);
        assert_eq!(finding.file, "rules/segments.csv", "{csv:?}");
        assert_eq!(finding.severity, Severity::Error, "{csv:?}");
        assert!(finding.help.is_some(), "{csv:?}");
    }
}

#[test]
fn rows_that_collide_are_warnings_with_both_places() {
    let folder = tempfile::tempdir().unwrap();
    let csv = b"id,nps\na,1..5\nb,3\n";
    let (finding, text) = one(folder.path(), TABLE, csv);
    assert_eq!((finding.code, finding.severity), (Code::Unreachable, Severity::Warning));
    assert_eq!((text.as_str(), finding.related.unwrap().line), ("b", 2));
    let unique = format!("{TABLE}hit = \"unique\"\n");
    let (finding, text) = one(folder.path(), &unique, csv);
    assert_eq!((finding.code, finding.severity), (Code::Overlap, Severity::Warning));
    assert_eq!((text.as_str(), finding.related.unwrap().line), ("b", 2));
}

#[test]
fn a_file_that_is_not_there_or_no_text_is_told_where_it_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (finding, text) = one(folder.path(), &TABLE.replace("segments.csv", "none.csv"), b"");
    assert_eq!((finding.code, text.as_str()), (Code::File, "\"rules/none.csv\""));
    let (finding, text) = one(folder.path(), TABLE, b"id,nps\na,\xff\n");
    assert_eq!((finding.code, text.as_str()), (Code::File, "\"rules/segments.csv\""));
    let both = format!("{TABLE}rows = []\n");
    let (finding, text) = one(folder.path(), &both, b"id,nps\na,1\n");
    assert_eq!((finding.code, text.as_str()), (Code::Twice, "rows"));
}

#[test]
fn fields_may_hold_separators_line_ends_and_quotes() {
    assert_eq!(texts("a,b\n\"1,2\n3\",\"\"\"\"\n"), [["a", "b"], ["1,2\n3", "\""]]);
    assert_eq!(texts("a\tb,c\n1\t"), [["a", "b,c"], ["1", ""]]);
    assert_eq!(texts("\"a;b\",c\n"), [["a;b", "c"]]);
    assert_eq!(texts("a\rb\r\n\r\nc"), [["a"], ["b"], ["c"]]);
    assert_eq!(texts(""), Vec::<Vec<String>>::new());
}

fn written(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(text in "[ -~\\n\\r\\t\";,äß\u{feff}]{0,60}") {
        if let Ok(lines) = parse(&text) {
            for Field { text: field, span } in lines.into_iter().flatten() {
                let raw = text.get(span);
                prop_assert!(raw.is_some());
                for at in 0..=field.len() {
                    prop_assert!(raw_offset(raw.unwrap(), at) <= raw.unwrap().len());
                }
            }
        }
    }

    #[test]
    fn what_is_written_is_read(
        lines in prop::collection::vec(prop::collection::vec("[a\"\\n,;ä ]{0,6}x", 3), 1..5)
    ) {
        let line = |fields: &Vec<String>| {
            fields.iter().map(|field| written(field)).collect::<Vec<_>>().join(",")
        };
        let csv = lines.iter().map(line).collect::<Vec<_>>().join("\r\n");
        prop_assert_eq!(texts(&csv), lines);
    }

    #[test]
    fn every_byte_of_a_text_is_found_in_its_field(text in "[a\"ä]{0,8}") {
        let raw = written(&text);
        for (at, c) in text.char_indices() {
            prop_assert!(raw[raw_offset(&raw, at)..].starts_with(c));
        }
    }
}
