//! Standard output: lines, tables for people, JSON for programs.

use std::fmt;
use std::io::{self, Write as _};

use serde_json::Value;

/// Prints a line. Whoever reads may stop early (`gantry item list | head`); then there is nobody
/// to print for, and no reason to panic, as the standard macro does.
pub(crate) fn line(text: fmt::Arguments<'_>) {
    let _ = writeln!(io::stdout(), "{text}");
}

/// Prints rows under headings, each column as wide as it must be.
pub(crate) fn print(headings: &[&str], rows: &[Vec<String>]) {
    let headings = headings.iter().map(|heading| (*heading).to_owned()).collect();
    let all: Vec<Vec<String>> = [headings].into_iter().chain(rows.iter().cloned()).collect();
    for line in columns(&all) {
        say!("{line}");
    }
}

/// Rows as lines, each column as wide as it must be, without headings.
pub(crate) fn columns(rows: &[Vec<String>]) -> Vec<String> {
    let n_columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..n_columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let padded = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

/// A JSON value as a cell.
pub(crate) fn cell(value: &Value) -> String {
    match value {
        Value::Null => "–".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A number and what is counted, as in `2 processes`.
pub(crate) fn counted(count: usize, name: &str) -> String {
    match count {
        1 => format!("1 {name}"),
        _ if name.ends_with('s') => format!("{count} {name}es"),
        _ => format!("{count} {name}s"),
    }
}

/// Prints JSON on one line.
pub(crate) fn json(value: &Value) {
    say!("{value}");
}
