//! Which files of the folder are to be read, and in what order.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::path::{Component, Path};

use gantry_plugin_api::{ConfigFault, Error};
use glob::{MatchOptions, Pattern};

use crate::config::{Format, Settings};
use crate::position::Stamp;

/// Ends of names under which files are still being written.
const UNFINISHED: [&str; 2] = [".part", ".tmp"];

/// `*` matches any character of a name; hidden files are left out before.
const MATCHING: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: false,
    require_literal_leading_dot: false,
};

/// What is wrong with the settings, all of it.
pub(crate) fn faults(settings: &Settings) -> Vec<ConfigFault> {
    let mut faults = Vec::new();
    let mut fault = |path: &str, message: String| faults.push(ConfigFault::new(path, message));
    if let Err(error) = Pattern::new(&settings.pattern) {
        fault("pattern", format!("cannot read pattern `{}`: {}", settings.pattern, error.msg));
    } else if settings.pattern.contains('/') {
        fault("pattern", "must match names of files, without `/`".to_owned());
    }
    for (key, name) in [("processed", &settings.processed), ("failed", &settings.failed)] {
        let mut parts = Path::new(name).components();
        if !matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None)) {
            fault(key, format!("must be the name of a subfolder, not `{name}`"));
        }
    }
    if settings.processed == settings.failed {
        fault("failed", "must differ from `processed`".to_owned());
    }
    if !settings.delimiter.is_ascii() || ['"', '\n', '\r'].contains(&settings.delimiter) {
        fault("delimiter", "must be an ASCII character other than `\"` or a line end".to_owned());
    }
    let is_not = |format| settings.format.is_some_and(|given| given != format);
    if is_not(Format::Csv) && settings.columns.is_some() {
        fault("columns", "has no meaning with another `format` than `csv`".to_owned());
    }
    if is_not(Format::Xml) && (settings.records.is_some() || !settings.lists.is_empty()) {
        let key = if settings.records.is_some() { "records" } else { "lists" };
        fault(key, "has no meaning with another `format` than `xml`".to_owned());
    }
    if let Some(path) = &settings.records
        && (!path.starts_with('/') || path.split('/').skip(1).any(|name| !is_name(name)))
    {
        let message = "must be a path from the root without prefixes, such as `/orders/order`";
        fault("records", message.to_owned());
    }
    if let Some(columns) = &settings.columns
        && let Err(message) = check_columns(columns)
    {
        fault("columns", message.to_string());
    }
    faults
}

/// Whether an element can have this name; `*` stands for any.
fn is_name(name: &str) -> bool {
    let odd = |c: char| c.is_whitespace() || ":<>&\"'=".contains(c);
    !name.is_empty() && !name.contains(odd)
}

/// Names of columns that cannot become names of fields.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub(crate) enum ColumnFault {
    #[error("there are no columns")]
    None,
    #[error("column {0} has no name")]
    Unnamed(usize),
    #[error("two columns have the name `{0}`")]
    Twice(String),
}

/// Each column needs a name of its own.
pub(crate) fn check_columns(columns: &[String]) -> Result<(), ColumnFault> {
    if columns.is_empty() {
        return Err(ColumnFault::None);
    }
    let mut seen = BTreeSet::new();
    for (index, name) in columns.iter().enumerate() {
        if name.is_empty() {
            return Err(ColumnFault::Unnamed(index + 1));
        }
        if !seen.insert(name) {
            return Err(ColumnFault::Twice(name.clone()));
        }
    }
    Ok(())
}

/// Names of the regular files in the folder, sorted.
///
/// # Errors
/// Of class `config` if there is no such folder or it may not be read.
pub(crate) fn list(folder: &Path) -> Result<Vec<OsString>, Error> {
    let cannot = |error: io::Error| {
        let message = format!("cannot list folder `{}`", folder.display());
        match error.kind() {
            io::ErrorKind::NotFound
            | io::ErrorKind::NotADirectory
            | io::ErrorKind::PermissionDenied => Error::config("folder", message),
            _ => Error::transient(message),
        }
        .because(&error)
    };
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(cannot)? {
        let entry = entry.map_err(cannot)?;
        if entry.file_type().is_ok_and(|kind| kind.is_file()) {
            names.push(entry.file_name());
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// The files to take, in order of name; but first the one that is half read.
pub(crate) fn candidates(
    folder: &Path,
    settings: &Settings,
    current: Option<&str>,
) -> Result<Vec<OsString>, Error> {
    let pattern = Pattern::new(&settings.pattern)
        .map_err(|error| Error::config("pattern", "cannot read the pattern").because(&error))?;
    let mut names = list(folder)?;
    names.retain(|name| {
        let name = name.to_string_lossy();
        !name.starts_with('.')
            && !UNFINISHED.iter().any(|end| name.ends_with(end))
            && pattern.matches_with(&name, MATCHING)
    });
    names.sort_by_key(|name| Some(name.as_os_str()) != current.map(OsStr::new));
    Ok(names)
}

/// Whether the file was left alone for as long as the operator wants, so that nobody still writes
/// it.
pub(crate) fn settled(stamp: &Stamp, settings: &Settings, now_ms: i64) -> bool {
    let alone_ms = now_ms.saturating_sub(stamp.touched_ms());
    let settle_ms = settings.settle.get().as_millis() as i64;
    settle_ms == 0 || alone_ms >= settle_ms
}
