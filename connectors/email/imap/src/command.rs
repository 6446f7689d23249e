//! What is said to a server: commands, whose arguments cannot leave their place.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;

/// A command without its tag (RFC 9051, section 6).
///
/// ```
/// # use gantry_imap::Command;
/// let search = Command::new("UID SEARCH").raw("UNDELETED FROM").string("bob@example.com");
/// ```
#[must_use]
pub struct Command {
    /// The first word or two, for errors.
    pub(crate) name: &'static str,
    /// Between these the server has to say that it wants the next.
    pub(crate) pieces: Vec<Vec<u8>>,
}

impl Command {
    /// The command of this name, without arguments.
    pub fn new(name: &'static str) -> Self {
        Self { name, pieces: vec![name.as_bytes().to_vec()] }
    }

    fn last(&mut self) -> &mut Vec<u8> {
        self.pieces.last_mut().expect("invariant: there is always one")
    }

    /// Adds an argument as it is: it must not come from elsewhere.
    pub fn raw(mut self, argument: impl AsRef<[u8]>) -> Self {
        self.last().push(b' ');
        self.last().extend_from_slice(argument.as_ref());
        self
    }

    /// Adds an argument as a string, whatever is in it (RFC 9051, section 4.3).
    pub fn string(mut self, argument: impl AsRef<[u8]>) -> Self {
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

    /// Adds an argument by its length: the bytes of a mail.
    pub fn literal(mut self, bytes: &[u8]) -> Self {
        let announced = format!(" {{{}}}", bytes.len());
        self.last().extend_from_slice(announced.as_bytes());
        self.pieces.push(bytes.to_vec());
        self
    }

    /// Adds the name of a folder, in modified UTF-7 where it is not ASCII.
    pub fn folder(self, name: &str) -> Self {
        self.string(folder_name(name))
    }
}

/// Without its arguments: they may be secret.
impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Command").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A folder's name in modified UTF-7. Source: RFC 3501, section 5.1.3.
fn folder_name(name: &str) -> String {
    let mut written = String::new();
    let mut foreign: Vec<u8> = Vec::new();
    let flush = |foreign: &mut Vec<u8>, written: &mut String| {
        if !foreign.is_empty() {
            let text = BASE64.encode(&*foreign);
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

/// UIDs, ascending, as a set (RFC 9051, `sequence-set`): `1:3,7`. No UIDs are no set: the text is
/// empty then, and nothing to ask with.
pub fn uid_set(uids: &[u32]) -> String {
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
