//! CSV as spreadsheets write it. Decision tables in files of their own are laid into the tree as if
//! the rows stood in the TOML file, so that every mistake is told at its cell.
//!
//! Fields are separated by comma, semicolon or tab, whichever the first line has first; a field in
//! quotes may hold separators and line ends, and a quote written twice.

use std::ops::Range;
use std::path::Path;

use crate::finding::{Code, Findings, Found, Place, Source, Sources};
use crate::load::read_text;
use crate::tree::{Node, TABLES, Value};

const SEPARATORS: [char; 3] = [',', ';', '\t'];
/// Spreadsheets put it before a text in UTF-8.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// A field: its text, and where it stands, quotes included.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) text: String,
    pub(crate) span: Range<usize>,
}

/// What is wrong with a text as CSV, and where.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Broken {
    pub(crate) span: Range<usize>,
    pub(crate) message: &'static str,
}

/// Reads the files that decision tables name, and lays their rows into the tree.
pub(crate) fn attach(
    tree: &mut Node,
    folder: &Path,
    sources: &mut Sources,
    findings: &mut Findings,
) {
    let Value::Table(root) = &mut tree.value else { return };
    let Some(Node { value: Value::List(tables), .. }) = root.get_mut(TABLES) else { return };
    for table in tables {
        let Value::Table(table) = &mut table.value else { continue };
        let Some(node) = table.get("file") else { continue };
        // What is no text is told when the table is read.
        let Value::Text(name) = &node.value else { continue };
        let (name, place, key) = (name.clone(), node.place, node.key);
        for known in ["columns", "rows"] {
            if let Some(again) = table.get(known) {
                let message = format!("`{known}` stand in the file already");
                let found = Found::error(Code::Twice, again.key, message).label("again here");
                let help = "write the table here, or in a file of its own";
                findings.push(found.related(key, "the file").help(help));
            }
        }
        let text = match read_text(&folder.join(&name)) {
            Ok(text) => text,
            Err(error) => {
                let message = format!("cannot read {name}: {error}");
                let found = Found::error(Code::File, place, message).label("this file");
                let help = "the path starts at the folder of the main file; a spreadsheet saves \
                            it as \"CSV UTF-8\"";
                findings.push(found.help(help));
                continue;
            }
        };
        let file = sources.0.len();
        match nodes(&text, file, key) {
            Ok([columns, rows]) => {
                table.insert("columns".into(), columns);
                table.insert("rows".into(), rows);
            }
            Err(Broken { span, message }) => {
                let place = Place { file, start: span.start, end: span.end };
                let found = Found::error(Code::Csv, place, message).label("cannot be read");
                findings.push(found.help("a quote inside a field in quotes is written twice"));
            }
        }
        sources.0.push(Source { name, text, csv: true });
    }
}

/// The first line as columns, the others as rows.
fn nodes(text: &str, file: usize, key: Place) -> Result<[Node; 2], Broken> {
    let mut rows = parse(text)?.into_iter().map(|fields| {
        let cells: Vec<Node> = fields
            .into_iter()
            .map(|field| {
                let place = Place { file, start: field.span.start, end: field.span.end };
                Node { key: place, place, value: Value::Text(field.text) }
            })
            .collect();
        let place = match (cells.first(), cells.last()) {
            (Some(first), Some(last)) => {
                Place { file, start: first.place.start, end: last.place.end }
            }
            _ => key,
        };
        Node { key: place, place, value: Value::List(cells) }
    });
    let empty = || Node { key, place: key, value: Value::List(Vec::new()) };
    let columns = rows.next().unwrap_or_else(empty);
    let rows = Node { value: Value::List(rows.collect()), ..empty() };
    Ok([columns, rows])
}

/// Takes a text apart into lines of fields. Lines without any field that is filled are left out.
pub(crate) fn parse(text: &str) -> Result<Vec<Vec<Field>>, Broken> {
    let separator = separator(text);
    let mut at = if text.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len_utf8() } else { 0 };
    let (mut lines, mut line) = (Vec::new(), Vec::new());
    while at < text.len() || !line.is_empty() {
        let field = field(text, at, separator)?;
        at = field.span.end;
        line.push(field);
        let rest = &text[at..];
        if rest.starts_with(separator) {
            at += separator.len_utf8();
            continue;
        }
        at += if rest.starts_with("\r\n") { 2 } else { usize::from(!rest.is_empty()) };
        let line = std::mem::take(&mut line);
        if line.iter().any(|field: &Field| !field.text.trim().is_empty()) {
            lines.push(line);
        }
    }
    Ok(lines)
}

/// The separator that the first line has first, outside of quotes.
fn separator(text: &str) -> char {
    let mut quoted = false;
    for c in text.chars() {
        match c {
            '"' => quoted = !quoted,
            '\n' if !quoted => break,
            c if !quoted && SEPARATORS.contains(&c) => return c,
            _ => {}
        }
    }
    SEPARATORS[0]
}

fn field(text: &str, start: usize, separator: char) -> Result<Field, Broken> {
    let rest = &text[start..];
    let Some(quoted) = rest.strip_prefix('"') else {
        let end = rest.find([separator, '\n', '\r']).unwrap_or(rest.len());
        let text = rest[..end].to_owned();
        return Ok(Field { text, span: start..start + end });
    };
    let mut value = String::new();
    let mut at = 0;
    loop {
        let Some(quote) = quoted[at..].find('"') else {
            let message = "a field begins with a quote and does not end with one";
            return Err(Broken { span: start..start + 1, message });
        };
        value.push_str(&quoted[at..at + quote]);
        at += quote + 1;
        if !quoted[at..].starts_with('"') {
            break;
        }
        value.push('"');
        at += 1;
    }
    let end = start + 1 + at;
    let rest = &text[end..];
    if !rest.is_empty() && !rest.starts_with([separator, '\n', '\r']) {
        let message = "something follows a field in quotes";
        let length = rest.find([separator, '\n', '\r']).unwrap_or(rest.len());
        return Err(Broken { span: end..end + length, message });
    }
    Ok(Field { text: value, span: start..end })
}

/// Where a byte of a field's text stands in the field as it is written.
pub(crate) fn raw_offset(raw: &str, offset: usize) -> usize {
    let Some(quoted) = raw.strip_prefix('"') else { return offset };
    let mut decoded = 0;
    let mut at = 0;
    while decoded < offset
        && let Some(c) = quoted[at..].chars().next()
    {
        decoded += c.len_utf8();
        at += if quoted[at..].starts_with("\"\"") { 2 } else { c.len_utf8() };
    }
    at + 1
}
