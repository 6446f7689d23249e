//! What goes over an IMAP connection: responses cut out by length, never by line, and commands.
//!
//! Nothing here trusts the server: lengths and depths have bounds, and what cannot be read is an
//! error, not a panic. Source: RFC 9051, sections 2.2, 4 and 9.

use bytes::{Bytes, BytesMut};
use thiserror::Error;

/// The longest response without its last literal: the UIDs of a million messages fit.
const RESPONSE_BYTES_MAX: usize = 16 << 20;
/// The longest literal: the longest mail anybody may allow, and some more.
const LITERAL_BYTES_MAX: usize = 128 << 20;
/// How deep lists may nest.
const DEPTH_MAX: usize = 32;

/// Why the server's words cannot be read.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub(crate) enum WireError {
    #[error("the response is longer than {RESPONSE_BYTES_MAX} bytes")]
    TooLong,
    #[error("a literal is longer than {LITERAL_BYTES_MAX} bytes")]
    LiteralTooLong,
    #[error("lists nest deeper than {DEPTH_MAX}")]
    TooDeep,
    #[error("the response ends too early")]
    CutOff,
}

/// A piece of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    /// An atom, a number, a flag, `BODY[…]`, NIL.
    Word(Bytes),
    /// A quoted string or a literal.
    Text(Bytes),
    /// What stood in parentheses.
    List(Vec<Token>),
}

/// What the server says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Response {
    /// `+ …`: go on.
    Continue,
    /// `* …`: data.
    Data(Vec<Token>),
    /// OK, NO, BAD, BYE, PREAUTH; with the tag of the command it ends, if it ends one.
    Status(Option<String>, Status),
}

/// How something went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Status {
    /// Upper case: `OK`, `NO`, …
    pub(crate) kind: String,
    /// What stood in brackets: its first word in upper case, and the rest.
    pub(crate) code: Option<(String, Vec<Token>)>,
    /// For a person.
    pub(crate) text: String,
}

impl Token {
    /// Its bytes, unless it is a list.
    pub(crate) fn bytes(&self) -> Option<&Bytes> {
        match self {
            Self::Word(bytes) | Self::Text(bytes) => Some(bytes),
            Self::List(_) => None,
        }
    }

    pub(crate) fn number<N: std::str::FromStr>(&self) -> Option<N> {
        std::str::from_utf8(self.bytes()?).ok()?.parse().ok()
    }

    pub(crate) fn is(&self, word: &str) -> bool {
        matches!(self, Self::Word(bytes) if bytes.eq_ignore_ascii_case(word.as_bytes()))
    }

    pub(crate) fn list(&self) -> &[Token] {
        match self {
            Self::List(tokens) => tokens,
            Self::Word(_) | Self::Text(_) => &[],
        }
    }

    fn text(&self) -> String {
        self.bytes().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).unwrap_or_default()
    }
}

/// Finds the end of a response in bytes that come bit by bit.
#[derive(Debug, Default)]
pub(crate) struct Cutter {
    /// Bytes that were looked at: the end of a line or of a literal.
    at: usize,
    /// Bytes of it that were literals.
    literals: usize,
}

impl Cutter {
    /// Takes the first whole response out of the bytes, if it is there.
    pub(crate) fn cut(&mut self, bytes: &mut BytesMut) -> Result<Option<Bytes>, WireError> {
        loop {
            if bytes.len() < self.at {
                return Ok(None);
            }
            let Some(line) = bytes[self.at..].iter().position(|byte| *byte == b'\n') else {
                let too_long = bytes.len() - self.literals > RESPONSE_BYTES_MAX;
                return if too_long { Err(WireError::TooLong) } else { Ok(None) };
            };
            let end = self.at + line + 1;
            let Some(length) = literal(&bytes[self.at..end])? else {
                *self = Self::default();
                return Ok(Some(bytes.split_to(end).freeze()));
            };
            self.at = end + length;
            self.literals += length;
        }
    }
}

/// The length of the literal that a line announces at its end.
fn literal(line: &[u8]) -> Result<Option<usize>, WireError> {
    let line = line.trim_ascii_end();
    let Some(line) = line.strip_suffix(b"}") else { return Ok(None) };
    let line = line.strip_suffix(b"+").unwrap_or(line);
    let digits = line.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let (before, digits) = line.split_at(line.len() - digits);
    if !before.ends_with(b"{") || digits.is_empty() {
        return Ok(None);
    }
    let length = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
    match length {
        Some(length) if length <= LITERAL_BYTES_MAX => Ok(Some(length)),
        _ => Err(WireError::LiteralTooLong),
    }
}

/// Reads a whole response.
pub(crate) fn parse(bytes: &Bytes) -> Result<Response, WireError> {
    let mut reader = Reader { bytes, at: 0 };
    let tag = reader.word();
    if &*tag == b"+" {
        return Ok(Response::Continue);
    }
    let tag = (&*tag != b"*").then(|| String::from_utf8_lossy(&tag).into_owned());
    reader.spaces();
    let mark = reader.at;
    let kind = String::from_utf8_lossy(&reader.word()).to_ascii_uppercase();
    if !matches!(&*kind, "OK" | "NO" | "BAD" | "BYE" | "PREAUTH") {
        reader.at = mark;
        return reader.tokens(0).map(Response::Data);
    }
    reader.spaces();
    let mut code = None;
    if reader.peek() == Some(b'[') {
        let inner = reader.bracketed();
        let mut inside = Reader { bytes: &inner, at: 0 };
        let tokens = inside.tokens(0)?;
        if let Some((name, rest)) = tokens.split_first() {
            code = Some((name.text().to_ascii_uppercase(), rest.to_vec()));
        }
    }
    let text = String::from_utf8_lossy(&bytes[reader.at..]).trim().to_owned();
    Ok(Response::Status(tag, Status { kind, code, text }))
}

struct Reader<'b> {
    bytes: &'b Bytes,
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn spaces(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    /// Up to a space or parenthesis, except in brackets.
    fn word(&mut self) -> Bytes {
        let start = self.at;
        let mut depth = 0_usize;
        while let Some(byte) = self.peek() {
            match byte {
                b'\r' | b'\n' => break,
                b' ' | b'(' | b')' if depth == 0 => break,
                b'[' => depth += 1,
                b']' => depth = depth.saturating_sub(1),
                _ => {}
            }
            self.at += 1;
        }
        self.bytes.slice(start..self.at)
    }

    /// What stands between the bracket here and the one that closes it.
    fn bracketed(&mut self) -> Bytes {
        self.at += 1;
        let start = self.at;
        let length = self.bytes[start..].iter().position(|byte| *byte == b']');
        let end = length.map_or(self.bytes.len(), |length| start + length);
        self.at = (end + 1).min(self.bytes.len());
        self.bytes.slice(start..end)
    }

    /// Up to the end, or to the parenthesis that closes this list.
    fn tokens(&mut self, depth: usize) -> Result<Vec<Token>, WireError> {
        if depth > DEPTH_MAX {
            return Err(WireError::TooDeep);
        }
        let mut tokens = Vec::new();
        loop {
            self.spaces();
            match self.peek() {
                None if depth == 0 => return Ok(tokens),
                None => return Err(WireError::CutOff),
                Some(b')') => {
                    self.at += 1;
                    if depth > 0 {
                        return Ok(tokens);
                    }
                }
                Some(b'(') => {
                    self.at += 1;
                    tokens.push(Token::List(self.tokens(depth + 1)?));
                }
                Some(b'"') => tokens.push(Token::Text(self.quoted()?)),
                Some(b'{') => tokens.push(Token::Text(self.literal()?)),
                Some(_) => tokens.push(Token::Word(self.word())),
            }
        }
    }

    fn quoted(&mut self) -> Result<Bytes, WireError> {
        let mut text = Vec::new();
        self.at += 1;
        while let Some(byte) = self.peek() {
            self.at += 1;
            match byte {
                b'"' => return Ok(text.into()),
                b'\\' => {
                    text.push(self.peek().ok_or(WireError::CutOff)?);
                    self.at += 1;
                }
                _ => text.push(byte),
            }
        }
        Err(WireError::CutOff)
    }

    fn literal(&mut self) -> Result<Bytes, WireError> {
        let line = self.bytes[self.at..].iter().position(|byte| *byte == b'\n');
        let start = self.at + line.ok_or(WireError::CutOff)? + 1;
        let length = literal(&self.bytes[self.at..start])?.ok_or(WireError::CutOff)?;
        let end = start + length;
        if end > self.bytes.len() {
            return Err(WireError::CutOff);
        }
        self.at = end;
        Ok(self.bytes.slice(start..end))
    }
}

/// A command without its tag: pieces, between which the server has to say that it wants the next.
#[derive(Debug)]
pub(crate) struct Command {
    /// The first word or two, for errors. Arguments may be secret.
    pub(crate) name: &'static str,
    pub(crate) pieces: Vec<Vec<u8>>,
}

impl Command {
    pub(crate) fn new(name: &'static str) -> Self {
        Self { name, pieces: vec![name.as_bytes().to_vec()] }
    }

    fn last(&mut self) -> &mut Vec<u8> {
        self.pieces.last_mut().expect("invariant: there is always one")
    }

    /// Adds an argument as it is.
    pub(crate) fn raw(mut self, argument: impl AsRef<[u8]>) -> Self {
        self.last().push(b' ');
        self.last().extend_from_slice(argument.as_ref());
        self
    }

    /// Adds an argument as a string, whatever is in it.
    pub(crate) fn string(mut self, argument: impl AsRef<[u8]>) -> Self {
        let bytes = argument.as_ref();
        if !bytes.iter().all(|byte| (b' '..=b'~').contains(byte)) {
            return self.literal(bytes);
        }
        self.last().extend_from_slice(b" \"");
        for byte in bytes {
            if matches!(byte, b'"' | b'\\') {
                self.last().push(b'\\');
            }
            self.last().push(*byte);
        }
        self.last().push(b'"');
        self
    }

    /// Adds an argument by its length.
    pub(crate) fn literal(mut self, bytes: &[u8]) -> Self {
        let announced = format!(" {{{}}}", bytes.len());
        self.last().extend_from_slice(announced.as_bytes());
        self.pieces.push(bytes.to_vec());
        self
    }

    /// Adds the name of a folder.
    pub(crate) fn folder(self, name: &str) -> Self {
        self.string(folder_name(name))
    }
}

/// A folder's name in modified UTF-7. Source: RFC 3501, section 5.1.3.
fn folder_name(name: &str) -> String {
    let mut written = String::new();
    let mut foreign: Vec<u8> = Vec::new();
    let flush = |foreign: &mut Vec<u8>, written: &mut String| {
        if !foreign.is_empty() {
            use base64::Engine as _;
            let text = base64::engine::general_purpose::STANDARD_NO_PAD.encode(&*foreign);
            written.push('&');
            written.push_str(&text.replace('/', ","));
            written.push('-');
            foreign.clear();
        }
    };
    for char in name.chars() {
        if (' '..='~').contains(&char) {
            flush(&mut foreign, &mut written);
            written.push(char);
            if char == '&' {
                written.push('-');
            }
        } else {
            let mut units = [0; 2];
            for unit in char.encode_utf16(&mut units) {
                foreign.extend(unit.to_be_bytes());
            }
        }
    }
    flush(&mut foreign, &mut written);
    written
}

/// UIDs, ascending, as a set: `1:3,7`.
pub(crate) fn uid_set(uids: &[u32]) -> String {
    let mut set = String::new();
    let mut rest = uids.iter().copied().peekable();
    while let Some(first) = rest.next() {
        let mut last = first;
        while let Some(next) = rest.next_if(|next| Some(*next) == last.checked_add(1)) {
            last = next;
        }
        let comma = if set.is_empty() { "" } else { "," };
        let range = if last > first { format!("{first}:{last}") } else { first.to_string() };
        set.push_str(comma);
        set.push_str(&range);
    }
    set
}
