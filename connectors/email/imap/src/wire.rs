//! What comes over a connection: responses, cut out by length, never by line, and read.
//!
//! Nothing here trusts the server: lengths and depths have bounds, and what cannot be read is an
//! error, not a panic. Source: RFC 9051, sections 2.2, 4 and 9.

use bytes::{Bytes, BytesMut};
use thiserror::Error;

/// The longest response without its literals: the UIDs of a million messages fit.
const RESPONSE_BYTES_MAX: usize = 16 << 20;
/// The longest literal, and all of one response together: the longest mail anybody may allow, and
/// some more.
const LITERAL_BYTES_MAX: usize = 128 << 20;
/// How deep lists may nest.
const DEPTH_MAX: usize = 32;

/// Why the server's words cannot be read.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum WireError {
    /// A response without an end.
    #[error("the response is longer than {RESPONSE_BYTES_MAX} bytes")]
    TooLong,
    /// Literals that are longer than any mail.
    #[error("the literals of a response are longer than {LITERAL_BYTES_MAX} bytes")]
    LiteralTooLong,
    /// Lists in lists in lists.
    #[error("lists nest deeper than {DEPTH_MAX}")]
    TooDeep,
    /// A string, a list or a literal has no end.
    #[error("the response ends too early")]
    CutOff,
}

/// A piece of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token {
    /// An atom, a number, a flag, `BODY[…]`, NIL.
    Word(Bytes),
    /// A quoted string or a literal.
    Text(Bytes),
    /// What stood in parentheses.
    List(Vec<Token>),
}

/// What the server says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Response {
    /// `+ …`: go on.
    Continue,
    /// `* …`: data.
    Data(Vec<Token>),
    /// OK, NO, BAD, BYE, PREAUTH; with the tag of the command it ends, if it ends one.
    Status(Option<String>, Status),
}

/// How something went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Upper case: `OK`, `NO`, …
    pub kind: String,
    /// What stood in brackets: its first word in upper case, and the rest.
    pub code: Option<(String, Vec<Token>)>,
    /// For a person.
    pub text: String,
}

impl Token {
    /// Its bytes, unless it is a list.
    pub fn bytes(&self) -> Option<&Bytes> {
        match self {
            Self::Word(bytes) | Self::Text(bytes) => Some(bytes),
            Self::List(_) => None,
        }
    }

    /// As a number, if it is one and fits.
    pub fn number<N: std::str::FromStr>(&self) -> Option<N> {
        std::str::from_utf8(self.bytes()?).ok()?.parse().ok()
    }

    /// Whether it is this atom, in whatever case.
    pub fn is(&self, word: &str) -> bool {
        matches!(self, Self::Word(bytes) if bytes.eq_ignore_ascii_case(word.as_bytes()))
    }

    /// What is in it, if it is a list.
    pub fn list(&self) -> &[Token] {
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
pub struct Cutter {
    /// Where the line begins whose end is looked for: at the beginning, or after a literal.
    at: usize,
    /// Bytes in which its end is not.
    looked: usize,
    /// Bytes of the response that were literals.
    literals: usize,
}

impl Cutter {
    /// Takes the first whole response out of the bytes, if it is there.
    ///
    /// # Errors
    /// If it is too long; the connection is of no more use.
    pub fn cut(&mut self, bytes: &mut BytesMut) -> Result<Option<Bytes>, WireError> {
        loop {
            let from = self.at.max(self.looked);
            if bytes.len() < from {
                return Ok(None);
            }
            let Some(rest) = bytes[from..].iter().position(|byte| *byte == b'\n') else {
                self.looked = bytes.len();
                let too_long = bytes.len() - self.literals > RESPONSE_BYTES_MAX;
                return if too_long { Err(WireError::TooLong) } else { Ok(None) };
            };
            let end = from + rest + 1;
            let Some(length) = literal(&bytes[self.at..end])? else {
                *self = Self::default();
                return Ok(Some(bytes.split_to(end).freeze()));
            };
            self.at = end + length;
            self.literals += length;
            if self.literals > LITERAL_BYTES_MAX {
                return Err(WireError::LiteralTooLong);
            }
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

/// Reads a whole response, as [`Cutter::cut`] gives it.
///
/// # Errors
/// If it is cut off, or nests too deep.
pub fn parse(bytes: &Bytes) -> Result<Response, WireError> {
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
