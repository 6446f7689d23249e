//! How far a file was read, in the form that the hub stores; and how a file is recognised.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;

use gantry_plugin_api::{Error, Position};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The place behind the last settled record. As a position it is JSON, which people can read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Progress {
    /// Name of the file in the folder.
    pub(crate) file: String,
    /// What it looked like when it was hashed.
    pub(crate) stamp: Stamp,
    /// The hash of its content, hexadecimal.
    pub(crate) hash: String,
    /// Bytes read.
    pub(crate) offset: u64,
    /// Lines read, or records where records are no lines.
    pub(crate) n_lines: u64,
    /// Files read to their end before this one, which are still in their place.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) ended: Vec<(String, Stamp)>,
}

impl Progress {
    /// Reads a stored position.
    pub(crate) fn read(position: &Position) -> Result<Self, Error> {
        serde_json::from_slice(position.as_bytes()).map_err(|error| {
            Error::cursor_expired(format!("cannot read {position:?}")).because(&error)
        })
    }

    /// Its positions, whichever place of the file it is.
    pub(crate) fn positions(&self) -> Positions {
        let json = self.furthest().to_json();
        let place = place(u64::MAX, u64::MAX);
        let json = String::from_utf8(json).expect("invariant: JSON is text");
        // In the name of a file a quote would be escaped.
        let (head, tail) = json.split_once(&place).expect("invariant: the place was written");
        Positions { head: head.to_owned(), tail: tail.to_owned() }
    }

    /// Whether it can become a position, however far this file is read.
    pub(crate) fn fits(&self) -> bool {
        self.furthest().to_json().len() <= Position::LEN_MAX
    }

    fn furthest(&self) -> Self {
        Self { offset: u64::MAX, n_lines: u64::MAX, ..self.clone() }
    }

    fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("invariant: numbers and text are valid JSON")
    }
}

/// The positions in one file: all of them but the place is written once.
#[derive(Debug)]
pub(crate) struct Positions {
    head: String,
    tail: String,
}

impl Positions {
    /// The position behind so many bytes, and lines or records.
    pub(crate) fn at(&self, offset: u64, n_lines: u64) -> Result<Position, Error> {
        let Self { head, tail } = self;
        Ok(Position::new(format!("{head}{}{tail}", place(offset, n_lines)))?)
    }
}

/// The place as [`Progress`] writes it.
fn place(offset: u64, n_lines: u64) -> String {
    format!("\"offset\":{offset},\"n_lines\":{n_lines}")
}

/// What the file system says of a file: if it is the same, so is the content. Size in bytes, time
/// of the last change in Unix nanoseconds, number of the inode.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stamp(u64, i64, u64);

impl Stamp {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        // Programs that copy may set the content's time back, but not that of the entry.
        let content = (metadata.mtime(), metadata.mtime_nsec());
        let (seconds, nanos) = content.max((metadata.ctime(), metadata.ctime_nsec()));
        let touched_ns = seconds.saturating_mul(1_000_000_000).saturating_add(nanos);
        Self(metadata.size(), touched_ns, metadata.ino())
    }

    pub(crate) fn size(&self) -> u64 {
        self.0
    }

    /// When anything about the file last changed: Unix time in milliseconds.
    pub(crate) fn touched_ms(&self) -> i64 {
        self.1.div_euclid(1_000_000)
    }
}

/// Names a content: 128 bits of its hash, which no two different files share.
pub(crate) fn hash(mut content: impl io::Read) -> io::Result<String> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 256 * 1024];
    loop {
        match content.read(&mut buffer)? {
            0 => break,
            n => hasher.update(&buffer[..n]),
        }
    }
    let digest = hasher.finalize();
    let name = digest.first_chunk().copied().expect("invariant: the hash has 256 bits");
    Ok(format!("{:032x}", u128::from_be_bytes(name)))
}
