//! What is known of a capture point between calls: its place in the folder, and work begun.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use gantry_imap::Folder;
use gantry_plugin_api::{Error, Position};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::removed::Watched;
use crate::scan::Scan;

/// How an operator writes a position.
pub(crate) const EXAMPLE: &str = "{\"v\": UIDVALIDITY, \"uid\": the last UID}";

/// A place in the folder: right after this mail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mark {
    /// The UIDVALIDITY.
    pub(crate) v: u32,
    pub(crate) uid: u32,
    /// No mail up to this UID was ever wanted.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) floor: u32,
    /// When the server received the last mail: Unix time in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) at: Option<i64>,
    /// While a folder that was numbered anew is read again: not what came before this day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) since: Option<Date>,
}

/// What is known of each capture point, by name; it only saves work, except for removals.
#[derive(Debug, Default)]
pub(crate) struct Points(Mutex<BTreeMap<String, Point>>);

#[derive(Debug, Default)]
pub(crate) struct Point {
    /// What was begun and not ended, and the position its last batch ended at.
    pub(crate) scan: Option<(Scan, Option<Position>)>,
    /// The folder when all of it had been read, and the position then.
    pub(crate) read: Option<(Folder, Option<Position>)>,
    /// What an earlier process left unmarked was given again.
    pub(crate) made_up: bool,
    /// The folder was left and opened again: what the server announced before is forgotten.
    pub(crate) reopened: bool,
    /// Captured mails that are there, and their conversations.
    pub(crate) watched: Watched,
}

/// What comes back with an outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Token {
    pub(crate) v: u32,
    pub(crate) uid: u32,
    /// It told of a removal.
    #[serde(default)]
    pub(crate) gone: bool,
}

pub(crate) fn cannot_write(error: serde_json::Error) -> Error {
    Error::permanent("cannot write a mail as JSON").because(&error)
}

impl Token {
    pub(crate) fn write(self) -> Result<bytes::Bytes, Error> {
        Ok(serde_json::to_vec(&self).map_err(cannot_write)?.into())
    }
}

impl Points {
    pub(crate) fn with<T>(&self, name: &str, act: impl FnOnce(&mut Point) -> T) -> T {
        let mut points = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match points.get_mut(name) {
            Some(point) => act(point),
            None => act(points.entry(name.to_owned()).or_default()),
        }
    }

    /// Watches these mails no longer: their removal is known, or our own.
    pub(crate) fn forget(&self, v: u32, uids: &[u32]) {
        let mut points = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for point in points.values_mut() {
            for uid in uids {
                point.watched.forget(v, *uid);
            }
        }
    }
}

impl Point {
    /// Whether nothing changed since all was read: only servers that count changes say so.
    pub(crate) fn has_read(&self, folder: &Folder, from: Option<&Position>) -> bool {
        let read = self.read.as_ref();
        folder.modseq.is_some()
            && read.is_some_and(|(was, at)| was == folder && at.as_ref() == from)
    }

    /// The folder of the scan that was begun, if the hub goes on where its last batch ended.
    pub(crate) fn goes_on(&self, from: Option<&Position>) -> Option<Folder> {
        let (scan, end) = self.scan.as_ref()?;
        (end.as_ref() == from).then(|| scan.folder.clone())
    }

    /// Gives the scan that was begun, if the hub goes on where its last batch ended.
    pub(crate) fn resume(&mut self, folder: &Folder, from: Option<&Position>) -> Option<Scan> {
        let (scan, end) = self.scan.take()?;
        let same = scan.folder.uid_validity == folder.uid_validity;
        (same && end.as_ref() == from).then_some(scan)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}
