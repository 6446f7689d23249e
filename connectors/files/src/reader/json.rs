//! JSON: one document a file, or an array of which each element is a record.
//!
//! Only brackets and quotes are followed to find where an element ends, so the memory it takes is
//! that of one element, however long the file is.

use super::line::Lines;
use super::{ENTRY_LEN_MAX, Entry, EntryFault, FileFault, Trouble, check_document};

/// Reads records.
#[derive(Debug)]
pub(super) struct Document {
    in_array: bool,
}

/// Where in an element the reader is.
#[derive(Debug, Default)]
struct Scan {
    depth: usize,
    quoted: bool,
    escaped: bool,
}

impl Document {
    /// Finds out whether the file is an array, and if so goes behind its bracket.
    pub(super) fn start(lines: &mut Lines) -> Result<Self, Trouble> {
        let in_array = lines.next_visible()? == Some(b'[');
        if in_array {
            lines.skip(1);
        }
        Ok(Self { in_array })
    }

    /// The next record; none at the end.
    pub(super) fn next_entry(&mut self, lines: &mut Lines) -> Result<Option<Entry>, Trouble> {
        if self.in_array {
            return next_element(lines);
        }
        if lines.next_visible()?.is_none() {
            return Ok(None);
        }
        let mut raw = Raw::default();
        while raw.take(lines, |chunk| (chunk.len(), false))? {}
        Ok(Some(raw.entry(lines)))
    }
}

fn next_element(lines: &mut Lines) -> Result<Option<Entry>, Trouble> {
    let (_, n_before) = lines.place();
    let mut next = lines.next_visible()?;
    if n_before > 0 && next == Some(b',') {
        lines.skip(1);
        next = lines.next_visible()?;
    } else if n_before > 0 && !matches!(next, None | Some(b']')) {
        return Err(FileFault::NoComma(n_before).into());
    } else if next == Some(b']') {
        lines.skip(1);
        return match lines.next_visible()? {
            None => Ok(None),
            Some(_) => Err(FileFault::Trailing.into()),
        };
    }
    if next.is_none() {
        return Err(FileFault::Unfinished(n_before).into());
    }
    let (mut scan, mut raw) = (Scan::default(), Raw::default());
    while raw.take(lines, |chunk| scan.feed(chunk))? {}
    if !raw.ended {
        return Err(FileFault::Unfinished(n_before).into());
    }
    Ok(Some(raw.entry(lines)))
}

impl Scan {
    /// How many of these bytes belong to the element, and whether it ends with them.
    fn feed(&mut self, chunk: &[u8]) -> (usize, bool) {
        for (at, byte) in chunk.iter().enumerate() {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' if self.quoted => self.escaped = true,
                b'"' => self.quoted = !self.quoted,
                _ if self.quoted => {}
                b'{' | b'[' => self.depth += 1,
                b',' | b']' if self.depth == 0 => return (at, true),
                b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
        }
        (chunk.len(), false)
    }
}

/// An element's bytes, as far as they are kept.
#[derive(Debug, Default)]
struct Raw {
    bytes: Vec<u8>,
    too_long: bool,
    ended: bool,
}

impl Raw {
    /// Takes what belongs to the element of the bytes at hand; `false` if it or the file ends.
    fn take(
        &mut self,
        lines: &mut Lines,
        belongs: impl FnOnce(&[u8]) -> (usize, bool),
    ) -> Result<bool, Trouble> {
        let chunk = lines.chunk()?;
        if chunk.is_empty() {
            return Ok(false);
        }
        let (n, ended) = belongs(chunk);
        let n_kept = n.min(ENTRY_LEN_MAX - self.bytes.len());
        self.too_long |= n_kept < n;
        self.bytes.extend_from_slice(&chunk[..n_kept]);
        lines.skip(n);
        self.ended = ended;
        Ok(!ended)
    }

    fn entry(mut self, lines: &mut Lines) -> Entry {
        lines.count();
        let (_, at) = lines.place();
        self.bytes.truncate(self.bytes.trim_ascii_end().len());
        let checked =
            if self.too_long { Err(EntryFault::TooLong) } else { check_document(&self.bytes) };
        let content = match checked {
            Ok(()) => Ok(self.bytes),
            Err(fault) => Err((self.bytes, fault)),
        };
        Entry { at, content }
    }
}
