//! Data files: arrivals and durations that were recorded, as CSV or JSON lines.

use std::ops::Range;
use std::sync::Arc;

use gantry_model::spec::scenario::{Distribution, Flow, RecordedArrival};
use gantry_model::{Millis, Name, Timestamp};
use serde_json::Value as Json;

use super::Reader;
use crate::csv;
use crate::finding::{Code, Found, Place, Source};
use crate::table::text;
use crate::tree::Node;

/// Largest data file, in bytes.
const DATA_BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// Columns of recorded arrivals; only the first must be there.
const COLUMNS: [&str; 5] = ["at", "handle_time", "due_at", "process", "segment"];
/// The column of recorded durations.
const TIME: &[&str] = &["handle_time"];

/// What is wrong in a data file, and where.
struct Wrong {
    span: Range<usize>,
    message: String,
    help: String,
}

/// A line of a data file: its place, and its value in each of the columns that were asked for.
struct Line<'k> {
    span: Range<usize>,
    columns: &'k [&'static str],
    values: Vec<Option<String>>,
}

impl Reader<'_> {
    /// Arrivals from a file. Where it names process or segment, only those of this stream count.
    pub(super) fn recorded(&mut self, node: &Node, process: &Name, segment: &Name) -> Flow {
        let read = |lines: Vec<Line<'_>>| {
            let mut arrivals = Vec::with_capacity(lines.len());
            for line in lines {
                let ours = |column, name: &Name| line.get(column).is_none_or(|has| has == &**name);
                if ours("process", process) && ours("segment", segment) {
                    arrivals.push(line.arrival()?);
                }
            }
            arrivals.sort_by_key(|arrival| arrival.at);
            Ok(arrivals)
        };
        let arrivals = self.data("`recorded`", node, &COLUMNS, read).unwrap_or_default();
        Flow::Recorded(Arc::from(arrivals))
    }

    /// Durations from a file.
    pub(super) fn empirical(&mut self, node: &Node) -> Option<Distribution> {
        let read = |lines: Vec<Line<'_>>| {
            let times: Result<Vec<Millis>, Wrong> =
                lines.iter().map(|line| line.need("handle_time", duration)).collect();
            times.and_then(|times| if times.is_empty() { Err(Wrong::empty()) } else { Ok(times) })
        };
        let times = self.data("`file`", node, TIME, read)?;
        Some(Distribution::Empirical(Arc::from(times)))
    }

    /// Reads a data file. Its text is kept only if something in it is wrong.
    fn data<T>(
        &mut self,
        title: &str,
        node: &Node,
        columns: &[&'static str],
        read: impl FnOnce(Vec<Line<'_>>) -> Result<T, Wrong>,
    ) -> Option<T> {
        let name = text(title, node, &mut self.findings)?;
        let path = self.folder.join(name);
        let content = std::fs::metadata(&path).and_then(|meta| {
            if meta.len() > DATA_BYTES_MAX {
                let message = format!("it is larger than {DATA_BYTES_MAX} bytes");
                return Err(std::io::Error::new(std::io::ErrorKind::FileTooLarge, message));
            }
            std::fs::read_to_string(&path)
        });
        let content = match content {
            Ok(content) => content,
            Err(error) => {
                let message = format!("cannot read {}: {error}", path.display());
                let found = Found::error(Code::File, node.place, message).label("this file");
                self.findings.push(found.help("the path starts at the folder of the scenario"));
                return None;
            }
        };
        let json = path.extension().is_some_and(|extension| extension != "csv");
        let lines = if json { from_json(&content, columns) } else { from_csv(&content, columns) };
        match lines.and_then(read) {
            Ok(value) => Some(value),
            Err(Wrong { span, message, help }) => {
                let place = Place { file: self.sources.0.len(), start: span.start, end: span.end };
                let code = if json { Code::Value } else { Code::Csv };
                let found = Found::error(code, place, message).label("here");
                self.findings.push(found.related(node.place, "named here").help(help));
                self.sources.0.push(Source { name: name.to_owned(), text: content, csv: !json });
                None
            }
        }
    }
}

impl Wrong {
    fn new(span: Range<usize>, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { span, message: message.into(), help: help.into() }
    }

    fn empty() -> Self {
        Self::new(0..0, "the file has no durations", "write one a line, below the column's name")
    }
}

impl Line<'_> {
    fn get(&self, column: &str) -> Option<&str> {
        let at = self.columns.iter().position(|known| *known == column)?;
        self.values.get(at)?.as_deref().filter(|value| !value.is_empty())
    }

    fn need<T>(&self, column: &str, parse: fn(&str) -> Result<T, String>) -> Result<T, Wrong> {
        self.read(column, parse)?.ok_or_else(|| {
            let help = "every line needs it";
            Wrong::new(self.span.clone(), format!("`{column}` is missing"), help)
        })
    }

    fn read<T>(
        &self,
        column: &str,
        parse: fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, Wrong> {
        let value = self.get(column).map(parse).transpose();
        value.map_err(|help| {
            Wrong::new(self.span.clone(), format!("`{column}` cannot be read"), help)
        })
    }

    fn arrival(&self) -> Result<RecordedArrival, Wrong> {
        Ok(RecordedArrival {
            at: self.need("at", instant)?,
            handle_time: self.read("handle_time", duration)?,
            due_at: self.read("due_at", instant)?,
        })
    }
}

fn instant(text: &str) -> Result<Timestamp, String> {
    let error = "write RFC 3339, as in 2026-03-02T08:15:30+01:00";
    text.parse().map_err(|_| error.to_owned())
}

/// A duration with units, or seconds.
fn duration(text: &str) -> Result<Millis, String> {
    if let Ok(seconds) = text.parse::<f64>()
        && (0.0..=1e12).contains(&seconds)
    {
        return Ok(Millis((seconds * 1000.0).round() as i64));
    }
    let time = text.parse::<Millis>().ok().filter(|time| time.0 >= 0);
    time.ok_or_else(|| "write seconds, or numbers with units, as in 5m30s".to_owned())
}

fn from_csv<'k>(content: &str, columns: &'k [&'static str]) -> Result<Vec<Line<'k>>, Wrong> {
    let broken = |broken: csv::Broken| {
        let help = "a quote inside a field in quotes is written twice";
        Wrong::new(broken.span, broken.message, help)
    };
    let mut rows = csv::parse(content).map_err(broken)?.into_iter();
    let heading = rows.next().unwrap_or_default();
    let mut places = vec![None; columns.len()];
    for (at, field) in heading.iter().enumerate() {
        let known = columns.iter().position(|column| *column == field.text.trim());
        let Some(column) = known else {
            let near = gantry_rules::suggest(&field.text, columns.iter().copied());
            let help = near.map_or_else(
                || format!("there are: {}", columns.join(", ")),
                |near| format!("did you mean `{near}`?"),
            );
            let message = format!("unknown column `{}`", field.text);
            return Err(Wrong::new(field.span.clone(), message, help));
        };
        places[column] = Some(at);
    }
    let line = |fields: Vec<csv::Field>| {
        let start = fields.first().map_or(0, |field| field.span.start);
        let end = fields.last().map_or(start, |field| field.span.end);
        let value = |place: &Option<usize>| {
            place.and_then(|at| fields.get(at)).map(|field| field.text.trim().to_owned())
        };
        Line { span: start..end, columns, values: places.iter().map(value).collect() }
    };
    Ok(rows.map(line).collect())
}

fn from_json<'k>(content: &str, columns: &'k [&'static str]) -> Result<Vec<Line<'k>>, Wrong> {
    let mut lines = Vec::new();
    let mut start = 0;
    for text in content.split_inclusive('\n') {
        let span = start..start + text.trim_end().len();
        start += text.len();
        if text.trim().is_empty() {
            continue;
        }
        let help = "write one JSON object a line";
        let value: Json = serde_json::from_str(text.trim())
            .map_err(|error| Wrong::new(span.clone(), format!("no JSON: {error}"), help))?;
        let Json::Object(object) = value else {
            return Err(Wrong::new(span, "this is no JSON object", help));
        };
        let value = |column: &&str| match object.get(*column)? {
            Json::Null => None,
            Json::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        };
        lines.push(Line { span, columns, values: columns.iter().map(value).collect() });
    }
    Ok(lines)
}
