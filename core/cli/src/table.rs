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
    let mut widths: Vec<usize> = headings.iter().map(|heading| heading.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: Vec<&str>| {
        let padded = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        say!("{}", padded.collect::<Vec<_>>().join("  ").trim_end());
    };
    line(headings.to_vec());
    for row in rows {
        line(row.iter().map(String::as_str).collect());
    }
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
