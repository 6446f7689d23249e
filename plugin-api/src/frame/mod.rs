//! The frames between the hub and a plug-in in a process of its own. Pure: bytes in, frames out;
//! who reads and writes them stands elsewhere. `docs/plugins/frames.md` tells the author of a
//! plug-in in another language all of it.
//!
//! A frame is a header of [`HEADER_LEN`] bytes and a body, little-endian:
//!
//! ```text
//! 0        4      5       6      8          16
//! | length | kind | flags | code | number   | body … |
//! | u32    | u8   | u8    | u16  | u64      |        |
//! ```
//!
//! The operations and their messages are the very same as in-process ([`crate::message`]); a
//! plug-in that cannot do CBOR gets their JSON form ([`form`]). Start reading at [`Frame`].

mod decoder;
mod form;
mod greeting;
mod log;
#[cfg(test)]
mod tests;

pub use decoder::{Decoded, Decoder, FrameError, decode};
pub use form::{error_to_cbor, log_from, reply_to_cbor, request_to_json};
pub use greeting::{Encoding, GreetingError, Hello, Welcome};
pub use log::LogLine;

/// Lowest version of the protocol this crate speaks.
pub const PROTOCOL_MIN: u32 = 1;

/// Highest version of the protocol this crate speaks.
pub const PROTOCOL_MAX: u32 = 1;

/// Bytes of a header.
pub const HEADER_LEN: usize = 16;

/// The longest body, in bytes: 16 MiB.
pub const BODY_MAX: usize = 16 << 20;

/// The file descriptor a child process finds its end of the connection at.
pub const FD: i32 = 3;

/// The environment variable by which a program sees that a hub started it, and not a person. Its
/// value is another at each start.
pub const COOKIE: &str = "GANTRY_PLUGIN_COOKIE";

/// One thing said. `B` is what holds the bytes of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame<B> {
    /// Plug-in to hub, first of all: [`Hello`] as JSON.
    Hello(B),
    /// Hub to plug-in, the answer: [`Welcome`] as JSON.
    Welcome(B),
    /// Hub to plug-in: starts an operation. It ends by exactly one [`Frame::Complete`].
    Op {
        /// Names the operation from here on; never given twice.
        op_id: u64,
        /// [`crate::message::Opcode`]; one nobody knows is answered with class `unsupported`.
        opcode: u16,
        /// Instance or attachment, as the opcode says; 0 if none.
        target: u64,
        /// As the opcode says; may be empty.
        request: B,
    },
    /// Plug-in to hub: ends an operation.
    Complete {
        /// The operation.
        op_id: u64,
        /// 0, or the number of the error's class.
        status: u16,
        /// As the opcode says, or with another status than 0 an encoded error.
        reply: B,
    },
    /// Hub to plug-in: calls an operation off. Its completion still comes.
    Cancel {
        /// The operation.
        op_id: u64,
    },
    /// Plug-in to hub: a batch of a running stream. It costs a credit a record, at least one.
    Emit {
        /// The stream's operation.
        op_id: u64,
        /// [`crate::Batch`].
        batch: B,
    },
    /// Hub to plug-in: a running stream may send so many records more.
    Credit {
        /// The stream's operation.
        op_id: u64,
        /// How many.
        n: u32,
    },
    /// Plug-in to hub: a log line.
    Log {
        /// 1 (error) to 5 (trace).
        level: u16,
        /// The instance or attachment it is about; 0 if none.
        about: u64,
        /// [`LogLine`].
        line: B,
    },
    /// Hub to plug-in: answer at once, and this is the time.
    Ping {
        /// Comes back in the pong.
        number: u64,
        /// The hub's time: Unix milliseconds.
        now_ms: i64,
    },
    /// Plug-in to hub: the answer to a ping.
    Pong {
        /// As in the ping.
        number: u64,
    },
    /// Hub to plug-in: end; [`Frame::Goodbye`] and the end of the process are expected in time.
    Shutdown {
        /// So much time is left, in milliseconds.
        timeout_ms: u32,
    },
    /// Either way, last of all: why the connection ends, as UTF-8 text; empty after a shutdown.
    Goodbye(B),
}

/// The kinds of frames by number. The numbers are part of the protocol: append only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Kind {
    Hello = 1,
    Welcome = 2,
    Op = 3,
    Complete = 4,
    Cancel = 5,
    Emit = 6,
    Credit = 7,
    Log = 8,
    Ping = 9,
    Pong = 10,
    Shutdown = 11,
    Goodbye = 12,
}

impl Kind {
    const ALL: [Self; 12] = [
        Self::Hello,
        Self::Welcome,
        Self::Op,
        Self::Complete,
        Self::Cancel,
        Self::Emit,
        Self::Credit,
        Self::Log,
        Self::Ping,
        Self::Pong,
        Self::Shutdown,
        Self::Goodbye,
    ];

    fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == number)
    }

    /// The word for it in errors and in the manual.
    const fn name(self) -> &'static str {
        match self {
            Self::Hello => "hello",
            Self::Welcome => "welcome",
            Self::Op => "op",
            Self::Complete => "complete",
            Self::Cancel => "cancel",
            Self::Emit => "emit",
            Self::Credit => "credit",
            Self::Log => "log",
            Self::Ping => "ping",
            Self::Pong => "pong",
            Self::Shutdown => "shutdown",
            Self::Goodbye => "goodbye",
        }
    }
}

/// A frame's parts as they lie in its bytes.
struct Parts<'b> {
    kind: Kind,
    code: u16,
    number: u64,
    /// The first bytes of the body, which are numbers.
    prefix: Prefix,
    rest: &'b [u8],
}

enum Prefix {
    None,
    Four([u8; 4]),
    Eight([u8; 8]),
}

impl Prefix {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::None => &[],
            Self::Four(bytes) => bytes,
            Self::Eight(bytes) => bytes,
        }
    }
}

impl<B: AsRef<[u8]>> Frame<B> {
    /// The word for its kind, for logs and errors.
    pub fn name(&self) -> &'static str {
        self.parts().kind.name()
    }

    /// Appends the frame's bytes.
    ///
    /// # Errors
    /// [`FrameError::TooLong`] if its body is longer than [`BODY_MAX`]; nothing is appended then.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), FrameError> {
        let Parts { kind, code, number, prefix, rest } = self.parts();
        let prefix = prefix.bytes();
        let len = prefix.len() + rest.len();
        if len > BODY_MAX {
            return Err(FrameError::TooLong { kind: kind.name(), len: len as u64 });
        }
        out.reserve(HEADER_LEN + len);
        out.extend_from_slice(&(len as u32).to_le_bytes());
        out.extend_from_slice(&[kind as u8, 0]);
        out.extend_from_slice(&code.to_le_bytes());
        out.extend_from_slice(&number.to_le_bytes());
        out.extend_from_slice(prefix);
        out.extend_from_slice(rest);
        Ok(())
    }

    fn parts(&self) -> Parts<'_> {
        use Prefix::{Eight, Four, None};
        let (kind, code, number, prefix, rest) = match self {
            Self::Hello(body) => (Kind::Hello, 0, 0, None, body.as_ref()),
            Self::Welcome(body) => (Kind::Welcome, 0, 0, None, body.as_ref()),
            Self::Op { op_id, opcode, target, request } => {
                (Kind::Op, *opcode, *op_id, Eight(target.to_le_bytes()), request.as_ref())
            }
            Self::Complete { op_id, status, reply } => {
                (Kind::Complete, *status, *op_id, None, reply.as_ref())
            }
            Self::Cancel { op_id } => (Kind::Cancel, 0, *op_id, None, EMPTY),
            Self::Emit { op_id, batch } => (Kind::Emit, 0, *op_id, None, batch.as_ref()),
            Self::Credit { op_id, n } => (Kind::Credit, 0, *op_id, Four(n.to_le_bytes()), EMPTY),
            Self::Log { level, about, line } => (Kind::Log, *level, *about, None, line.as_ref()),
            Self::Ping { number, now_ms } => {
                (Kind::Ping, 0, *number, Eight(now_ms.to_le_bytes()), EMPTY)
            }
            Self::Pong { number } => (Kind::Pong, 0, *number, None, EMPTY),
            Self::Shutdown { timeout_ms } => {
                (Kind::Shutdown, 0, 0, Four(timeout_ms.to_le_bytes()), EMPTY)
            }
            Self::Goodbye(reason) => (Kind::Goodbye, 0, 0, None, reason.as_ref()),
        };
        Parts { kind, code, number, prefix, rest }
    }
}

const EMPTY: &[u8] = &[];
