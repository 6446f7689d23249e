//! CSV: rows become JSON objects by the names of the columns.

use std::io;

use csv_core::{ReadRecordResult, Reader as Parser, ReaderBuilder, Terminator};
use serde::Serializer;

use super::line::{Line, Lines};
use super::{Entry, EntryFault, FileFault, Trouble, check_utf8};
use crate::config::Settings;
use crate::select::check_columns;

/// Reads rows.
#[derive(Debug)]
pub(super) struct Table {
    parser: Parser,
    columns: Vec<String>,
    cells: Cells,
}

/// The cells of one row, as the parser writes them: the bytes of all, and where each ends.
#[derive(Debug, Default)]
struct Cells {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    n_bytes: usize,
    n_ends: usize,
}

/// A row: its raw bytes, the line it begins in, and what is wrong with it.
struct Row {
    raw: Vec<u8>,
    line: u64,
    fault: Option<EntryFault>,
}

impl Table {
    /// Finds out the names of the columns: from the settings, or by reading the header.
    pub(super) fn start(lines: &mut Lines, settings: &Settings) -> Result<Self, Trouble> {
        let delimiter = u8::try_from(settings.delimiter).unwrap_or(b',');
        let parser =
            ReaderBuilder::new().delimiter(delimiter).terminator(Terminator::Any(b'\n')).build();
        let columns = settings.columns.clone().unwrap_or_default();
        let mut table = Self { parser, columns, cells: Cells::default() };
        if settings.columns.is_none() {
            table.read_header(lines)?;
        }
        Ok(table)
    }

    /// A file without any row has no header either, and needs none.
    fn read_header(&mut self, lines: &mut Lines) -> Result<(), Trouble> {
        let Some(Row { raw, line, fault }) = self.next_row(lines)? else { return Ok(()) };
        if let Some(fault) = fault.or_else(|| check_utf8(&raw).err()) {
            return Err(FileFault::Header { line, fault }.into());
        }
        self.columns = self.cells.iter().map(String::from_utf8_lossy).map(Into::into).collect();
        check_columns(&self.columns).map_err(FileFault::Columns)?;
        Ok(())
    }

    /// The next row as JSON; none at the end.
    pub(super) fn next_entry(&mut self, lines: &mut Lines) -> io::Result<Option<Entry>> {
        let Some(Row { raw, line, fault }) = self.next_row(lines)? else { return Ok(None) };
        let content = match fault.map_or_else(|| self.to_json(&raw), Err) {
            Ok(json) => Ok(json),
            Err(fault) => Err((raw, fault)),
        };
        Ok(Some(Entry { at: line, content }))
    }

    fn to_json(&self, raw: &[u8]) -> Result<Vec<u8>, EntryFault> {
        check_utf8(raw)?;
        let (found, wanted) = (self.cells.n_ends, self.columns.len());
        if found != wanted {
            return Err(EntryFault::Columns { found, wanted });
        }
        // An empty cell says nothing, which is what `null` means; as text it would fit no number.
        let cells = self.cells.iter().map(|cell| {
            let text = String::from_utf8_lossy(cell);
            if text.is_empty() { None } else { Some(text) }
        });
        let mut json = Vec::with_capacity(2 * raw.len());
        serde_json::Serializer::new(&mut json)
            .collect_map(self.columns.iter().zip(cells))
            .expect("invariant: text to text is valid JSON, and memory takes it");
        Ok(json)
    }

    /// Reads as many lines as the row has. If it never ends, only its first line is taken for it,
    /// so that a stray quote costs one row and not the rest of the file.
    fn next_row(&mut self, lines: &mut Lines) -> io::Result<Option<Row>> {
        let mut raw = Vec::new();
        let first = loop {
            raw.clear();
            match lines.next(&mut raw)? {
                Line::End => return Ok(None),
                Line::Whole if raw == b"\n" || raw == b"\r\n" => {}
                first => break first,
            }
        };
        let behind_first @ (_, line) = lines.place();
        if first == Line::TooLong {
            return Ok(Some(Row { raw, line, fault: Some(EntryFault::TooLong) }));
        }
        let n_first = raw.len();
        let mut n_fed = 0;
        self.parser.reset();
        self.cells.clear();
        loop {
            // The last line may lack its end.
            let ended = self.feed(&raw[n_fed..]) || (!raw.ends_with(b"\n") && self.feed(b"\n"));
            if ended {
                if raw.ends_with(b"\r\n") {
                    self.cells.drop_carriage_return();
                }
                return Ok(Some(Row { raw, line, fault: None }));
            }
            n_fed = raw.len();
            if lines.next(&mut raw)? != Line::Whole {
                lines.go_to(behind_first)?;
                raw.truncate(n_first);
                return Ok(Some(Row { raw, line, fault: Some(EntryFault::OpenQuote) }));
            }
        }
    }

    /// Whether the row ends with these bytes. They end with the only line feed in them.
    fn feed(&mut self, input: &[u8]) -> bool {
        let (bytes, ends) = self.cells.room(input.len());
        let (result, _, n_bytes, n_ends) = self.parser.read_record(input, bytes, ends);
        self.cells.n_bytes += n_bytes;
        self.cells.n_ends += n_ends;
        result == ReadRecordResult::Record
    }
}

impl Cells {
    fn clear(&mut self) {
        (self.n_bytes, self.n_ends) = (0, 0);
    }

    /// Room for all that `n` bytes of input can become.
    fn room(&mut self, n: usize) -> (&mut [u8], &mut [usize]) {
        self.bytes.resize(self.bytes.len().max(self.n_bytes + n + 1), 0);
        self.ends.resize(self.ends.len().max(self.n_ends + n + 1), 0);
        (&mut self.bytes[self.n_bytes..], &mut self.ends[self.n_ends..])
    }

    /// The parser knows only the line feed of `\r\n`.
    fn drop_carriage_return(&mut self) {
        if let Some(end) = self.ends[..self.n_ends].last_mut()
            && self.bytes[..*end].ends_with(b"\r")
        {
            *end -= 1;
        }
    }

    fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let ends = &self.ends[..self.n_ends];
        let begins = std::iter::once(&0).chain(ends);
        begins.zip(ends).map(|(begin, end)| &self.bytes[*begin..*end])
    }
}
