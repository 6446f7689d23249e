//! From bytes to frames. Strict: whatever is not said in the protocol is an error that names it.

use super::{BODY_MAX, Frame, HEADER_LEN, Kind};

/// Room that is made for a read where no longer frame is known to come.
const READ_LEN: usize = 64 << 10;

/// A buffer that grew beyond this for a long frame is given back once it is empty.
const KEEP_MAX: usize = 1 << 20;

/// Why bytes are no frame. After one of these the connection cannot be used any more: where the
/// next frame begins is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The body is longer than allowed, as the header says.
    #[error("cannot take a frame `{kind}` of {len} bytes: at most {BODY_MAX}")]
    TooLong {
        /// The kind of frame.
        kind: &'static str,
        /// Length of the body.
        len: u64,
    },
    /// The kind is none of this protocol version.
    #[error("cannot read a frame of kind {kind}: there is no such kind")]
    UnknownKind {
        /// The number in the header.
        kind: u8,
    },
    /// A flag is set; there are none yet.
    #[error("cannot read a frame `{kind}` with flags {flags:#04x}: no flag is known")]
    UnknownFlags {
        /// The kind of frame.
        kind: &'static str,
        /// The flags.
        flags: u8,
    },
    /// A field of the header is set that this kind does not use.
    #[error("cannot read a frame `{kind}` with {field} {value}: it must be 0")]
    NotZero {
        /// The kind of frame.
        kind: &'static str,
        /// `code` or `number`.
        field: &'static str,
        /// What stands there.
        value: u64,
    },
    /// The body has not the length that this kind has.
    #[error("cannot read a frame `{kind}` with a body of {len} bytes: it has {expected}")]
    BodyLength {
        /// The kind of frame.
        kind: &'static str,
        /// Length of the body.
        len: usize,
        /// What it should be.
        expected: &'static str,
    },
    /// A log line has another level than 1 to 5.
    #[error("cannot read a frame `log` with level {level}: 1 (error) to 5 (trace)")]
    Level {
        /// The number in the header.
        level: u16,
    },
}

/// A frame and the bytes it took.
pub type Decoded<'b> = (Frame<&'b [u8]>, usize);

/// Reads the first frame of some bytes and says how many bytes it took; none if it is not complete
/// yet. Whatever the bytes, it never panics and never allocates.
///
/// # Errors
/// As soon as the bytes cannot begin a frame, also if more of them are to come.
pub fn decode(bytes: &[u8]) -> Result<Option<Decoded<'_>>, FrameError> {
    let Some(header) = Header::read(bytes) else { return Ok(None) };
    let kind = header.check()?;
    let total = HEADER_LEN + header.len;
    let Some(body) = bytes.get(HEADER_LEN..total) else { return Ok(None) };
    Ok(Some((header.frame(kind, body)?, total)))
}

struct Header {
    len: usize,
    kind: u8,
    flags: u8,
    code: u16,
    number: u64,
}

impl Header {
    fn read(bytes: &[u8]) -> Option<Self> {
        let (len, rest) = bytes.split_first_chunk()?;
        let ([kind, flags], rest) = rest.split_first_chunk()?;
        let (code, rest) = rest.split_first_chunk()?;
        let (number, _) = rest.split_first_chunk()?;
        Some(Self {
            len: u32::from_le_bytes(*len) as usize,
            kind: *kind,
            flags: *flags,
            code: u16::from_le_bytes(*code),
            number: u64::from_le_bytes(*number),
        })
    }

    fn check(&self) -> Result<Kind, FrameError> {
        let Self { len, flags, code, number, .. } = *self;
        let kind =
            Kind::from_number(self.kind).ok_or(FrameError::UnknownKind { kind: self.kind })?;
        let name = kind.name();
        if flags != 0 {
            return Err(FrameError::UnknownFlags { kind: name, flags });
        }
        if len > BODY_MAX {
            return Err(FrameError::TooLong { kind: name, len: len as u64 });
        }
        let has_code = matches!(kind, Kind::Op | Kind::Complete | Kind::Log);
        if !has_code && code != 0 {
            return Err(FrameError::NotZero { kind: name, field: "code", value: code.into() });
        }
        let has_number =
            !matches!(kind, Kind::Hello | Kind::Welcome | Kind::Shutdown | Kind::Goodbye);
        if !has_number && number != 0 {
            return Err(FrameError::NotZero { kind: name, field: "number", value: number });
        }
        if kind == Kind::Log && !(1..=5).contains(&code) {
            return Err(FrameError::Level { level: code });
        }
        let fits = match kind {
            Kind::Op => len >= 8,
            Kind::Ping => len == 8,
            Kind::Credit | Kind::Shutdown => len == 4,
            Kind::Cancel | Kind::Pong => len == 0,
            _ => true,
        };
        if fits { Ok(kind) } else { Err(wrong_length(kind, len)) }
    }

    fn frame<'b>(&self, kind: Kind, body: &'b [u8]) -> Result<Frame<&'b [u8]>, FrameError> {
        let Self { code, number, len, .. } = *self;
        let wrong = || wrong_length(kind, len);
        let four = || Ok(u32::from_le_bytes(*body.first_chunk().ok_or_else(wrong)?));
        Ok(match kind {
            Kind::Hello => Frame::Hello(body),
            Kind::Welcome => Frame::Welcome(body),
            Kind::Op => {
                let (target, request) = body.split_first_chunk().ok_or_else(wrong)?;
                let target = u64::from_le_bytes(*target);
                Frame::Op { op_id: number, opcode: code, target, request }
            }
            Kind::Complete => Frame::Complete { op_id: number, status: code, reply: body },
            Kind::Cancel => Frame::Cancel { op_id: number },
            Kind::Emit => Frame::Emit { op_id: number, batch: body },
            Kind::Credit => Frame::Credit { op_id: number, n: four()? },
            Kind::Log => Frame::Log { level: code, about: number, line: body },
            Kind::Ping => {
                let now_ms = i64::from_le_bytes(*body.first_chunk().ok_or_else(wrong)?);
                Frame::Ping { number, now_ms }
            }
            Kind::Pong => Frame::Pong { number },
            Kind::Shutdown => Frame::Shutdown { timeout_ms: four()? },
            Kind::Goodbye => Frame::Goodbye(body),
        })
    }
}

fn wrong_length(kind: Kind, len: usize) -> FrameError {
    let expected = match kind {
        Kind::Op => "at least 8",
        Kind::Ping => "8",
        Kind::Credit | Kind::Shutdown => "4",
        _ => "0",
    };
    FrameError::BodyLength { kind: kind.name(), len, expected }
}

/// Cuts what was read into frames. Holds at most one frame and what came with its end.
#[derive(Debug, Default)]
pub struct Decoder {
    bytes: Vec<u8>,
    start: usize,
}

impl Decoder {
    /// Where to append what is read. Its spare capacity is what fits: read no more than that, and
    /// call [`Decoder::next`] until it gives none before the next read.
    pub fn room(&mut self) -> &mut Vec<u8> {
        self.bytes.drain(..self.start);
        self.start = 0;
        if self.bytes.is_empty() && self.bytes.capacity() > KEEP_MAX {
            self.bytes = Vec::new();
        }
        let missing = match Header::read(&self.bytes) {
            Some(header) => {
                (HEADER_LEN + header.len.min(BODY_MAX)).saturating_sub(self.bytes.len())
            }
            None => 0,
        };
        self.bytes.reserve(missing.max(READ_LEN));
        &mut self.bytes
    }

    /// The next frame; none if more must be read first.
    ///
    /// # Errors
    /// [`FrameError`]; nothing that comes after it can be read.
    #[expect(clippy::should_implement_trait, reason = "a frame borrows from the decoder")]
    pub fn next(&mut self) -> Result<Option<Frame<&[u8]>>, FrameError> {
        let Some((frame, len)) = decode(&self.bytes[self.start..])? else { return Ok(None) };
        self.start += len;
        Ok(Some(frame))
    }

    /// Whether the bytes end in the middle of a frame.
    pub fn is_amid(&self) -> bool {
        self.start < self.bytes.len()
    }
}
