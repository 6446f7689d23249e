//! Lines of a file with their places, read as a stream and with a limit on their length.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Take};

use super::{ENTRY_LEN_MAX, FileFault, Trouble};

/// Bytes read from the file at once.
const BUFFER_LEN: usize = 64 * 1024;

/// Reads lines and knows where it is.
#[derive(Debug)]
pub(super) struct Lines {
    reader: BufReader<Take<File>>,
    size: u64,
    offset: u64,
    /// The line last read, or the record where records are no lines, from 1.
    last: u64,
}

/// What the next line was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// There was none.
    End,
    /// It was added, with its line feed if it has one.
    Whole,
    /// It would have made the text longer than [`ENTRY_LEN_MAX`]: only as much of it was added.
    TooLong,
}

impl Lines {
    /// At the start of the file, behind a byte order mark.
    pub(super) fn start(file: File, size: u64) -> Result<Self, Trouble> {
        let reader = BufReader::with_capacity(BUFFER_LEN, file.take(size));
        let mut lines = Self { reader, size, offset: 0, last: 0 };
        // The file has been read before, for its hash.
        lines.go_to((0, 0))?;
        let mut mark = Vec::new();
        lines.reader.by_ref().take(3).read_to_end(&mut mark)?;
        if mark.starts_with(&[0xff, 0xfe]) || mark.starts_with(&[0xfe, 0xff]) {
            return Err(FileFault::Utf16.into());
        }
        let begin = if mark == [0xef, 0xbb, 0xbf] { 3 } else { 0 };
        lines.go_to((begin, 0))?;
        Ok(lines)
    }

    /// Goes to a place that [`Lines::place`] gave.
    pub(super) fn go_to(&mut self, (offset, n_lines): (u64, u64)) -> io::Result<()> {
        // The buffer knows nothing of the limit, so it is thrown away, and both are set anew.
        let taken = self.reader.get_mut();
        taken.get_mut().seek(SeekFrom::Start(offset))?;
        taken.set_limit(self.size.saturating_sub(offset));
        let n_buffered = self.reader.buffer().len();
        self.reader.consume(n_buffered);
        (self.offset, self.last) = (offset, n_lines);
        Ok(())
    }

    /// Bytes read, and lines or records.
    pub(super) fn place(&self) -> (u64, u64) {
        (self.offset, self.last)
    }

    /// The bytes that come next, as far as they are at hand; none at the end.
    pub(super) fn chunk(&mut self) -> io::Result<&[u8]> {
        self.reader.fill_buf()
    }

    /// Goes on behind so many bytes of the chunk.
    pub(super) fn skip(&mut self, n: usize) {
        self.reader.consume(n);
        self.offset += n as u64;
    }

    /// Goes on to the next byte that is no blank, and gives it.
    pub(super) fn next_visible(&mut self) -> io::Result<Option<u8>> {
        loop {
            let chunk = self.chunk()?;
            let n_blank = chunk.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
            let (next, ended) = (chunk.get(n_blank).copied(), chunk.is_empty());
            self.skip(n_blank);
            if next.is_some() || ended {
                return Ok(next);
            }
        }
    }

    /// Counts a record, where records are no lines.
    pub(super) fn count(&mut self) {
        self.last += 1;
    }

    /// Adds the next line to `text`.
    pub(super) fn next(&mut self, text: &mut Vec<u8>) -> io::Result<Line> {
        let begin = self.offset;
        let mut line = Line::Whole;
        loop {
            let chunk = self.reader.fill_buf()?;
            if chunk.is_empty() {
                break;
            }
            let feed = chunk.iter().position(|byte| *byte == b'\n');
            let n = feed.map_or(chunk.len(), |feed| feed + 1);
            let n_kept = n.min(ENTRY_LEN_MAX.saturating_sub(text.len()));
            if n_kept < n {
                line = Line::TooLong;
            }
            text.extend_from_slice(&chunk[..n_kept]);
            self.reader.consume(n);
            self.offset += n as u64;
            if feed.is_some() {
                break;
            }
        }
        if self.offset == begin {
            return Ok(Line::End);
        }
        self.last += 1;
        Ok(line)
    }
}
