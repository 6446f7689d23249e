//! One poll: the next page of records, from the half-read file and those that follow it.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::PathBuf;

use gantry_plugin_api::{Batch, Error, Position, Record};

use crate::config::Settings;
use crate::position::{Progress, Stamp, hash};
use crate::reader::{Entry, FileFault, Reader, Trouble, format_of};
use crate::{select, shelf};

/// A page ends with the record that passes this many bytes, so that long records do not fill the
/// memory.
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

/// Records gathered so far, and the files that they exhaust.
#[derive(Debug, Default)]
struct Page {
    records: Vec<Record>,
    n_bytes: usize,
    ended: Vec<(String, Stamp)>,
}

/// What reading one file came to.
enum Look {
    /// The page is full.
    Full,
    /// All the file has is settled.
    Settled,
    /// The rest of it is in the page; or it is still being written, or gone.
    Passed,
}

impl Poll {
    /// Files that are done with are moved on the way: whatever happens, that may be repeated.
    pub(crate) fn run(&self) -> Result<Batch, Error> {
        self.put_ended()?;
        let current = self.from.as_ref().map(|progress| progress.file.as_str());
        let mut page = Page::default();
        for name in select::candidates(&self.folder, &self.settings, current)? {
            match self.look(&name, &mut page) {
                Ok(Look::Full) => break,
                Ok(Look::Settled) => shelf::put_processed(&self.folder, &name, &self.settings)?,
                Ok(Look::Passed) => {}
                Err(Trouble::File(fault)) => {
                    let reason = fault.to_string();
                    shelf::put_failed(&self.folder, &name, &self.settings, &reason)?;
                }
                // The next poll meets it first, and tells.
                Err(_) if !page.records.is_empty() => break,
                Err(Trouble::Io(error)) => {
                    let message = format!("cannot read file `{}`", name.display());
                    return Err(Error::transient(message).because(&error));
                }
                Err(Trouble::Position(error)) => return Err(error),
            }
        }
        // After records there is more to do at once: their files have to be moved.
        let more = !page.records.is_empty();
        Ok(Batch { records: page.records, position_after: None, more })
    }

    /// Moves the files that earlier pages exhausted: their records stand before the position.
    fn put_ended(&self) -> Result<(), Error> {
        for (name, stamp) in self.from.iter().flat_map(|progress| &progress.ended) {
            // Another file may have the name by now; and if this one cannot be looked at, it is
            // read again, and the hub knows its records.
            let metadata = fs::symlink_metadata(self.folder.join(name));
            if metadata.is_ok_and(|metadata| Stamp::of(&metadata) == *stamp) {
                shelf::put_processed(&self.folder, OsStr::new(name), &self.settings)?;
            }
        }
        Ok(())
    }

    fn look(&self, name: &OsStr, page: &mut Page) -> Result<Look, Trouble> {
        let mut file = match File::open(self.folder.join(name)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Look::Passed),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                return Err(FileFault::Forbidden.into());
            }
            Err(error) => return Err(error.into()),
        };
        let Some(mut progress) = self.progress(name, &mut file)? else { return Ok(Look::Passed) };
        progress.ended.clone_from(&page.ended);
        if !progress.fits() {
            return Ok(Look::Full);
        }
        let format = format_of(&progress.file, &self.settings)?;
        let place = (progress.offset, progress.n_lines);
        let size = progress.stamp.size();
        let mut reader = Reader::open(file, size, format, &self.settings, place)?;
        let positions = progress.positions();
        let n_before = page.records.len();
        while page.records.len() < self.n_records_max && page.n_bytes < PAGE_BYTES_MAX {
            let next = match reader.next() {
                // The file is put aside only once the records before that place are settled.
                Err(Trouble::File(_)) if page.records.len() > n_before => return Ok(Look::Full),
                next => next?,
            };
            let Some(entry) = next else {
                return Ok(if page.records.len() == n_before {
                    Look::Settled
                } else {
                    page.ended.push((progress.file, progress.stamp));
                    Look::Passed
                });
            };
            let (offset, n_lines) = reader.place();
            let position = positions.at(offset, n_lines).map_err(Trouble::Position)?;
            page.push(&progress, reader.unit(), entry, position);
        }
        Ok(Look::Full)
    }

    /// How far the file was read: as the position says if it is the same file, else not at all.
    /// None if somebody may still be writing it.
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
        let ended = Vec::new();
        Ok(Some(Progress { file: file_name, stamp, hash, offset, n_lines, ended }))
    }
}

impl Page {
    fn push(&mut self, progress: &Progress, unit: &str, entry: Entry, position: Position) {
        let Entry { at, content } = entry;
        let record = match content {
            Ok(json) => Record::json(json),
            Err((raw, fault)) => {
                Record::unreadable(raw, format!("file `{}`, {unit} {at}: {fault}", progress.file))
            }
        };
        self.n_bytes += record.payload.len();
        let record = record.with_message_id(format!("{}:{at}", progress.hash));
        self.records.push(record.with_position(position));
    }
}
