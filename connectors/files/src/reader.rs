//! Reads a file as a stream, from any place on: JSON lines and CSV.
//!
//! What is wrong with one entry stays with that entry: reading goes on behind it.

mod csv;
mod line;

use std::fs::File;
use std::io;
use std::path::Path;

use csv::Table;
use line::{Line, Lines};

use crate::config::{Format, Settings};
use crate::select::ColumnFault;

/// The longest entry, in bytes; a longer one is cut off there and cannot be read.
pub(crate) const ENTRY_LEN_MAX: usize = 1024 * 1024;

/// What stands at one place of a file.
#[derive(Debug)]
pub(crate) struct Entry {
    /// The line it begins in, from 1.
    pub(crate) line: u64,
    /// A JSON object, or the raw bytes and what is wrong with them.
    pub(crate) content: Result<Vec<u8>, (Vec<u8>, EntryFault)>,
}

/// Why an entry cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum EntryFault {
    #[error("longer than {ENTRY_LEN_MAX} bytes")]
    TooLong,
    #[error("not UTF-8 from byte {0} on")]
    NotUtf8(usize),
    #[error("not JSON: {what} at column {column}")]
    NotJson { what: String, column: usize },
    #[error("not a JSON object")]
    NotObject,
    #[error("{found} columns where {wanted} are named")]
    Columns { found: usize, wanted: usize },
    #[error("a quoted cell that begins here does not end within {ENTRY_LEN_MAX} bytes or the file")]
    OpenQuote,
}

/// Why a file as a whole cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum FileFault {
    #[error(
        "cannot tell the format by the extension: set `format`, or name the file .jsonl or .csv"
    )]
    UnknownFormat,
    #[error("the name is not UTF-8")]
    Name,
    #[error("the hub may not read it")]
    Forbidden,
    #[error("it is encoded in UTF-16: convert it to UTF-8")]
    Utf16,
    #[error("cannot read the header in line {line}: {fault}")]
    Header { line: u64, fault: EntryFault },
    #[error("cannot use the header: {0}")]
    Columns(ColumnFault),
}

/// Trouble with a file: its own, the system's, or that no position can be made of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Trouble {
    #[error(transparent)]
    File(#[from] FileFault),
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Position(gantry_plugin_api::Error),
}

/// The entries of a file.
#[derive(Debug)]
pub(crate) struct Reader {
    lines: Lines,
    table: Option<Table>,
}

/// By the settings, else by the extension.
pub(crate) fn format_of(name: &str, settings: &Settings) -> Result<Format, FileFault> {
    let by_extension = || match Path::new(name).extension()?.to_str()? {
        "jsonl" | "ndjson" => Some(Format::JsonLines),
        "csv" => Some(Format::Csv),
        _ => None,
    };
    settings.format.or_else(by_extension).ok_or(FileFault::UnknownFormat)
}

impl Reader {
    /// Begins at a place that [`Reader::place`] gave, or at the start of the file for `(0, 0)`.
    /// Bytes from `size` on are not looked at: they were not there when the file was hashed.
    pub(crate) fn open(
        file: File,
        size: u64,
        format: Format,
        settings: &Settings,
        (offset, n_lines): (u64, u64),
    ) -> Result<Self, Trouble> {
        let mut lines = Lines::start(file, size)?;
        let table = match format {
            Format::JsonLines => None,
            Format::Csv => Some(Table::start(&mut lines, settings)?),
        };
        if offset > 0 {
            lines.go_to((offset, n_lines))?;
        }
        Ok(Self { lines, table })
    }

    /// The next entry; none at the end.
    pub(crate) fn next(&mut self) -> io::Result<Option<Entry>> {
        match &mut self.table {
            None => next_json_line(&mut self.lines),
            Some(table) => table.next_entry(&mut self.lines),
        }
    }

    /// Bytes and lines read.
    pub(crate) fn place(&self) -> (u64, u64) {
        self.lines.place()
    }
}

fn next_json_line(lines: &mut Lines) -> io::Result<Option<Entry>> {
    loop {
        let mut text = Vec::new();
        let content = match lines.next(&mut text)? {
            Line::End => return Ok(None),
            Line::TooLong => Err((text, EntryFault::TooLong)),
            Line::Whole => {
                text.truncate(text.trim_ascii_end().len());
                if text.trim_ascii_start().is_empty() {
                    continue;
                }
                match check_json(&text) {
                    Ok(()) => Ok(text),
                    Err(fault) => Err((text, fault)),
                }
            }
        };
        let (_, line) = lines.place();
        return Ok(Some(Entry { line, content }));
    }
}

fn check_utf8(bytes: &[u8]) -> Result<&str, EntryFault> {
    std::str::from_utf8(bytes).map_err(|error| EntryFault::NotUtf8(error.valid_up_to() + 1))
}

/// Only the syntax: what the fields mean is the mapping's.
fn check_json(bytes: &[u8]) -> Result<(), EntryFault> {
    let text = check_utf8(bytes)?;
    serde_json::from_str::<serde::de::IgnoredAny>(text).map_err(|error| {
        // The library counts lines inside the line, and says so at the end.
        let whole = error.to_string();
        let what = whole.split(" at line ").next().unwrap_or_default().to_owned();
        EntryFault::NotJson { what, column: error.column() }
    })?;
    if text.trim_ascii_start().starts_with('{') { Ok(()) } else { Err(EntryFault::NotObject) }
}
