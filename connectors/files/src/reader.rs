//! Reads a file as a stream, from any place on: JSON lines, CSV, JSON and XML.
//!
//! What is wrong with one entry stays with that entry: reading goes on behind it. Where JSON or XML
//! does not tell any more where records begin, the file itself cannot be read on.

mod csv;
mod json;
mod line;
mod xml;

use std::fs::File;
use std::io;
use std::path::Path;

use csv::Table;
use json::Document;
use line::{Line, Lines};
use xml::Tree;

use crate::config::{Format, Settings};
use crate::select::ColumnFault;

/// The longest entry, in bytes; a longer one is cut off there and cannot be read.
pub(crate) const ENTRY_LEN_MAX: usize = 1024 * 1024;

/// What stands at one place of a file.
#[derive(Debug)]
pub(crate) struct Entry {
    /// The line it begins in, or which record it is where records are no lines; from 1.
    pub(crate) at: u64,
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
    #[error("not JSON: {0}")]
    NotJsonDocument(serde_json::Error),
    #[error("not a JSON object")]
    NotObject,
    #[error("not XML: {0}")]
    NotXml(String),
    #[error("the entity `{0}` is not one of XML's own, and others are not read")]
    Entity(String),
    #[error("its elements are nested too deep")]
    TooDeep,
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
        "cannot tell the format by the extension: set `format`, or name the file .jsonl, .csv, \
         .json or .xml"
    )]
    UnknownFormat,
    #[error("the name is not UTF-8")]
    Name,
    #[error("the hub may not read it")]
    Forbidden,
    #[error("it is encoded in UTF-16: convert it to UTF-8")]
    Utf16,
    #[error("it says that it is encoded in `{0}`: convert it to UTF-8")]
    Encoding(String),
    #[error("it ends in the middle of something, behind record {0}; those before it were read")]
    Unfinished(u64),
    #[error("no comma stands behind record {0}; those before it were read")]
    NoComma(u64),
    #[error("something stands behind the end of the array; the records in it were read")]
    Trailing,
    #[error("it is no XML: text or an end tag stands outside of its root")]
    NoXml,
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
    form: Form,
}

/// What the records are, with what reading them needs to know.
#[derive(Debug)]
enum Form {
    JsonLines,
    Csv(Box<Table>),
    Json(Document),
    Xml(Tree),
}

/// By the settings, else by the extension.
pub(crate) fn format_of(name: &str, settings: &Settings) -> Result<Format, FileFault> {
    let by_extension = || match Path::new(name).extension()?.to_str()? {
        "jsonl" | "ndjson" => Some(Format::JsonLines),
        "csv" => Some(Format::Csv),
        "json" => Some(Format::Json),
        "xml" => Some(Format::Xml),
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
        let mut form = match format {
            Format::JsonLines => Form::JsonLines,
            Format::Csv => Form::Csv(Box::new(Table::start(&mut lines, settings)?)),
            Format::Json => Form::Json(Document::start(&mut lines)?),
            Format::Xml => Form::Xml(Tree::start(&mut lines, settings)?),
        };
        if offset > 0 {
            lines.go_to((offset, n_lines))?;
            if let Form::Xml(tree) = &mut form {
                tree.resume();
            }
        }
        Ok(Self { lines, form })
    }

    /// The next entry; none at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Entry>, Trouble> {
        match &mut self.form {
            Form::JsonLines => Ok(next_json_line(&mut self.lines)?),
            Form::Csv(table) => Ok(table.next_entry(&mut self.lines)?),
            Form::Json(document) => document.next_entry(&mut self.lines),
            Form::Xml(tree) => tree.next_entry(&mut self.lines),
        }
    }

    /// What [`Entry::at`] counts, in a word.
    pub(crate) fn unit(&self) -> &'static str {
        match self.form {
            Form::JsonLines | Form::Csv(_) => "line",
            Form::Json(_) | Form::Xml(_) => "record",
        }
    }

    /// Bytes read, and lines or records.
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
        return Ok(Some(Entry { at: line, content }));
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
    check_object(text)
}

/// The same for what may have several lines.
fn check_document(bytes: &[u8]) -> Result<(), EntryFault> {
    let text = check_utf8(bytes)?;
    serde_json::from_str::<serde::de::IgnoredAny>(text).map_err(EntryFault::NotJsonDocument)?;
    check_object(text)
}

fn check_object(text: &str) -> Result<(), EntryFault> {
    if text.trim_ascii_start().starts_with('{') { Ok(()) } else { Err(EntryFault::NotObject) }
}
