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
    /// Lines read.
    pub(crate) n_lines: u64,
}

impl Progress {
    /// Reads a stored position.
    pub(crate) fn read(position: &Position) -> Result<Self, Error> {
        serde_json::from_slice(position.as_bytes()).map_err(|error| {
            Error::cursor_expired(format!("cannot read {position:?}")).because(&error)
        })
    }

    pub(crate) fn to_position(&self) -> Result<Position, Error> {
        let json = serde_json::to_vec(self).expect("invariant: numbers and text are valid JSON");
        Ok(Position::new(json)?)
    }
}

/// What the file system says of a file: if it is the same, so is the content. The time of the last
/// change of the entry is part of it, since programs that copy may set the other one back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stamp {
    size: u64,
    /// Unix time: seconds, nanoseconds.
    modified: (i64, i64),
    /// Unix time: seconds, nanoseconds.
    changed: (i64, i64),
    inode: u64,
}

impl Stamp {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        Self {
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
            inode: metadata.ino(),
        }
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// When anything about the file last changed: Unix time in milliseconds.
    pub(crate) fn touched_ms(&self) -> i64 {
        let (seconds, nanos) = self.modified.max(self.changed);
        seconds.saturating_mul(1_000).saturating_add(nanos / 1_000_000)
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
