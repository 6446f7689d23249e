//! One poll: the next page of the first file that has one.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use gantry_plugin_api::{Batch, Error, Record};

use crate::config::Settings;
use crate::position::{Progress, Stamp, hash};
use crate::reader::{Entry, FileFault, Reader, Trouble, format_of};
use crate::{select, shelf};

/// A page ends with the record that passes this many bytes, so that long records do not fill the memory.
const PAGE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// What the hub asks for.
#[derive(Debug)]
pub(crate) struct Poll {
    pub(crate) folder: PathBuf,
    pub(crate) settings: Settings,
    /// The hub's time, Unix milliseconds.
    pub(crate) now_ms: i64,
    /// All before it is settled.
    pub(crate) from: Option<Progress>,
    /// At least 1.
    pub(crate) n_records_max: usize,
}

/// What a look at one file gave.
enum Look {
    Page(Vec<Record>),
    /// Nothing is left in it, and what it had is settled.
    Done,
    /// It is still being written, or gone.
    NotNow,
}

impl Poll {
    /// Gives records of one file only: a position names one. Files that are done with are moved on the
    /// way, which may be called off at any point and repeated.
    pub(crate) fn run(&self) -> Result<Batch, Error> {
        let current = self.from.as_ref().map(|progress| progress.file.as_str());
        for name in select::candidates(&self.folder, &self.settings, current)? {
            match self.look(&name) {
                // There is more: at least this file has to be moved, once the records are settled.
                Ok(Look::Page(records)) => {
                    return Ok(Batch { records, position_after: None, more: true });
                }
                Ok(Look::Done) => shelf::put_processed(&self.folder, &name, &self.settings)?,
                Ok(Look::NotNow) => {}
                Err(Trouble::File(fault)) => {
                    let reason = fault.to_string();
                    shelf::put_failed(&self.folder, &name, &self.settings, &reason)?;
                }
                Err(Trouble::Io(error)) => {
                    let message = format!("cannot read file `{}`", name.display());
                    return Err(Error::transient(message).because(&error));
                }
                Err(Trouble::Position(error)) => return Err(error),
            }
        }
        Ok(Batch::default())
    }

    fn look(&self, name: &OsStr) -> Result<Look, Trouble> {
        let mut file = match File::open(self.folder.join(name)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Look::NotNow),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                return Err(FileFault::Forbidden.into());
            }
            Err(error) => return Err(error.into()),
        };
        let Some(progress) = self.progress(name, &mut file)? else { return Ok(Look::NotNow) };
        let format = format_of(&progress.file, &self.settings)?;
        let place = (progress.offset, progress.n_lines);
        let size = progress.stamp.size();
        let reader = Reader::open(file, size, format, &self.settings, place)?;
        let records = self.page(progress, reader)?;
        Ok(if records.is_empty() { Look::Done } else { Look::Page(records) })
    }

    /// How far the file was read: as the position says if it is the same file, else not at all. None
    /// if somebody may still be writing it.
    fn progress(&self, name: &OsStr, file: &mut File) -> Result<Option<Progress>, Trouble> {
        let known = self.from.as_ref().filter(|known| OsStr::new(&known.file) == name);
        let stamp = Stamp::of(&file.metadata()?);
        if let Some(known) = known
            && known.stamp == stamp
        {
            return Ok(Some(known.clone()));
        }
        if !select::settled(&stamp, &self.settings, self.now_ms) {
            return Ok(None);
        }
        let file_name = name.to_str().ok_or(FileFault::Name)?.to_owned();
        let hash = hash(file.take(stamp.size()))?;
        if Stamp::of(&file.metadata()?) != stamp {
            return Ok(None);
        }
        let same_content = known.filter(|known| known.hash == hash);
        if known.is_some() && same_content.is_none() {
            tracing::warn!(file = file_name, "file has changed; it is read from its start");
        }
        let (offset, n_lines) = same_content.map_or((0, 0), |known| (known.offset, known.n_lines));
        Ok(Some(Progress { file: file_name, stamp, hash, offset, n_lines }))
    }

    fn page(&self, mut progress: Progress, mut reader: Reader) -> Result<Vec<Record>, Trouble> {
        let mut records = Vec::new();
        let mut n_bytes = 0;
        while records.len() < self.n_records_max && n_bytes < PAGE_BYTES_MAX {
            let Some(Entry { line, content }) = reader.next()? else { break };
            (progress.offset, progress.n_lines) = reader.place();
            let record = match content {
                Ok(json) => Record::json(json),
                Err((raw, fault)) => Record::unreadable(
                    raw,
                    format!("file `{}`, line {line}: {fault}", progress.file),
                ),
            };
            n_bytes += record.payload.len();
            let message_id = format!("{}:{line}", progress.hash);
            let position = progress.to_position().map_err(Trouble::Position)?;
            records.push(record.with_message_id(message_id).with_position(position));
        }
        Ok(records)
    }
}
