//! XML: elements at a path are records, and become JSON objects.
//!
//! A scanner finds where a record begins and ends, by tags alone, so the memory it takes is that of
//! one record; what is in it is then read by a parser. Entities that a file defines itself are not
//! known: a record that uses one cannot be read, and none can blow up.
//!
//! Source: Extensible Markup Language (XML) 1.0, fifth edition, sections 2.1 to 2.8 (read 2026-08).

mod object;

use super::line::Lines;
use super::{ENTRY_LEN_MAX, Entry, EntryFault, FileFault, Trouble, check_utf8};
use crate::config::Settings;

/// Any child of the root.
const PATH: &str = "/*/*";

/// Reads records.
#[derive(Debug)]
pub(super) struct Tree {
    path: Vec<String>,
    lists: Vec<String>,
    /// Elements that are open, and how many of them, from the root on, are on the path.
    n_open: usize,
    n_on_path: usize,
}

/// What stands between two places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    Text,
    Open,
    Empty,
    Close,
    /// A comment, an instruction, the document type.
    Other,
    End,
}

/// The bytes read, as far as they are kept.
#[derive(Debug, Default)]
struct Kept {
    bytes: Vec<u8>,
    too_long: bool,
}

impl Tree {
    /// Begins before the root; fails if the file says that it is no UTF-8.
    pub(super) fn start(lines: &mut Lines, settings: &Settings) -> Result<Self, Trouble> {
        let path = settings.records.as_deref().unwrap_or(PATH);
        let path = path.split('/').skip(1).map(ToOwned::to_owned).collect();
        let begin = lines.place();
        let mut kept = Kept::default();
        lines.next_visible()?;
        token(lines, &mut kept)?;
        if let Some(encoding) = encoding(&kept.bytes)
            && !["utf-8", "us-ascii"].contains(&encoding.to_ascii_lowercase().as_str())
        {
            return Err(FileFault::Encoding(encoding).into());
        }
        lines.go_to(begin)?;
        Ok(Self { path, lists: settings.lists.clone(), n_open: 0, n_on_path: 0 })
    }

    /// Goes on behind a record: its parents are open.
    pub(super) fn resume(&mut self) {
        self.n_open = self.path.len() - 1;
        self.n_on_path = self.n_open;
    }

    /// The next record; none at the end.
    pub(super) fn next_entry(&mut self, lines: &mut Lines) -> Result<Option<Entry>, Trouble> {
        let mut kept = Kept::default();
        loop {
            kept.clear();
            let token = token(lines, &mut kept)?;
            match token {
                Token::End if self.n_open > 0 => {
                    return Err(FileFault::Unfinished(lines.place().1).into());
                }
                Token::End => return Ok(None),
                Token::Text if self.n_open == 0 && !kept.bytes.trim_ascii().is_empty() => {
                    return Err(FileFault::NoXml.into());
                }
                Token::Text | Token::Other => {}
                Token::Close if self.n_open == 0 => return Err(FileFault::NoXml.into()),
                Token::Close => {
                    self.n_on_path -= usize::from(self.n_on_path == self.n_open);
                    self.n_open -= 1;
                }
                Token::Open | Token::Empty => {
                    let on_path = self.is_on_path(&kept.bytes);
                    if on_path && self.n_open + 1 == self.path.len() {
                        return self.record(lines, kept, token).map(Some);
                    }
                    if token == Token::Open {
                        self.n_open += 1;
                        self.n_on_path += usize::from(on_path);
                    }
                }
            }
        }
    }

    fn is_on_path(&self, tag: &[u8]) -> bool {
        let wanted = self.path.get(self.n_open).filter(|_| self.n_on_path == self.n_open);
        wanted.is_some_and(|wanted| wanted == "*" || wanted.as_bytes() == local_name(tag))
    }

    /// Reads the rest of a record whose first tag was read.
    fn record(&self, lines: &mut Lines, mut kept: Kept, first: Token) -> Result<Entry, Trouble> {
        let mut n_open = usize::from(first == Token::Open);
        while n_open > 0 {
            match token(lines, &mut kept)? {
                Token::Open => n_open += 1,
                Token::Close => n_open -= 1,
                Token::End => return Err(FileFault::Unfinished(lines.place().1).into()),
                Token::Text | Token::Empty | Token::Other => {}
            }
        }
        lines.count();
        let (_, at) = lines.place();
        let raw = kept.bytes;
        let json = if kept.too_long {
            Err(EntryFault::TooLong)
        } else {
            check_utf8(&raw).and_then(|text| object::read(text, &self.lists))
        };
        Ok(Entry { at, content: json.map_err(|fault| (raw, fault)) })
    }
}

impl Kept {
    fn clear(&mut self) {
        self.bytes.clear();
        self.too_long = false;
    }

    fn push(&mut self, bytes: &[u8]) {
        let n = bytes.len().min(ENTRY_LEN_MAX - self.bytes.len());
        self.too_long |= n < bytes.len();
        self.bytes.extend_from_slice(&bytes[..n]);
    }
}

/// Reads up to where the next token begins.
fn token(lines: &mut Lines, kept: &mut Kept) -> Result<Token, Trouble> {
    match lines.chunk()?.first() {
        None => return Ok(Token::End),
        Some(b'<') => {}
        Some(_) => return text(lines, kept),
    }
    byte(lines, kept)?;
    match byte(lines, kept)? {
        b'?' => until(lines, kept, b"?>")?,
        b'/' => {
            until(lines, kept, b">")?;
            return Ok(Token::Close);
        }
        b'!' => match byte(lines, kept)? {
            b'-' => until(lines, kept, b"-->")?,
            b'[' => {
                until(lines, kept, b"]]>")?;
                return Ok(Token::Text);
            }
            _ => document_type(lines, kept)?,
        },
        _ => return tag(lines, kept),
    }
    Ok(Token::Other)
}

fn text(lines: &mut Lines, kept: &mut Kept) -> Result<Token, Trouble> {
    loop {
        let chunk = lines.chunk()?;
        let n = chunk.iter().position(|byte| *byte == b'<');
        let ended = n.is_some() || chunk.is_empty();
        let n = n.unwrap_or(chunk.len());
        kept.push(&chunk[..n]);
        lines.skip(n);
        if ended {
            return Ok(Token::Text);
        }
    }
}

/// The rest of a tag; in quotes `>` is a character as any other.
fn tag(lines: &mut Lines, kept: &mut Kept) -> Result<Token, Trouble> {
    let (mut quote, mut last) = (None, 0);
    loop {
        let byte = byte(lines, kept)?;
        match quote {
            Some(open) if open == byte => quote = None,
            None if byte == b'>' => {
                return Ok(if last == b'/' { Token::Empty } else { Token::Open });
            }
            None if matches!(byte, b'"' | b'\'') => quote = Some(byte),
            Some(_) | None => {}
        }
        last = byte;
    }
}

/// The rest of the document type, with what it declares between brackets.
fn document_type(lines: &mut Lines, kept: &mut Kept) -> Result<(), Trouble> {
    let (mut depth, mut quote) = (0_usize, None);
    loop {
        let byte = byte(lines, kept)?;
        match (quote, byte) {
            (Some(open), _) if open == byte => quote = None,
            (None, b'"' | b'\'') => quote = Some(byte),
            (None, b'[' | b'<') => depth += 1,
            (None, b'>') if depth == 0 => return Ok(()),
            (None, b']' | b'>') => depth = depth.saturating_sub(1),
            (Some(_) | None, _) => {}
        }
    }
}

/// Reads up to and with these bytes.
fn until(lines: &mut Lines, kept: &mut Kept, end: &[u8]) -> Result<(), Trouble> {
    let mut last = Vec::with_capacity(end.len());
    while last != end {
        if last.len() == end.len() {
            last.remove(0);
        }
        last.push(byte(lines, kept)?);
    }
    Ok(())
}

fn byte(lines: &mut Lines, kept: &mut Kept) -> Result<u8, Trouble> {
    let (_, n_before) = lines.place();
    let Some(byte) = lines.chunk()?.first().copied() else {
        return Err(FileFault::Unfinished(n_before).into());
    };
    lines.skip(1);
    kept.push(&[byte]);
    Ok(byte)
}

/// The name in a tag, without its prefix.
fn local_name(tag: &[u8]) -> &[u8] {
    let name = tag.strip_prefix(b"<").unwrap_or(tag);
    let ends = |byte: &u8| byte.is_ascii_whitespace() || b"/>".contains(byte);
    let name = &name[..name.iter().position(ends).unwrap_or(name.len())];
    let prefix = name.iter().position(|byte| *byte == b':').map_or(0, |colon| colon + 1);
    &name[prefix..]
}

/// The encoding that an XML declaration names.
fn encoding(declaration: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(declaration).ok()?.strip_prefix("<?xml")?;
    let (_, value) = text.split_once("encoding")?;
    let value = value.trim_start().strip_prefix('=')?.trim_start();
    let quote = value.chars().next().filter(|quote| ['"', '\''].contains(quote))?;
    value[1..].split(quote).next().map(ToOwned::to_owned)
}
