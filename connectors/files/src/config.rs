//! What the operator writes; `build.rs` includes this file too, so it needs only serde and
//! schemars.

use std::path::PathBuf;

use gantry_plugin_api::HumanDuration;
use schemars::JsonSchema;
use serde::Deserialize;

/// A drop folder.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// The folder that files are dropped into. A relative path counts from the folder of the
    /// config file. The hub must be able to read it, and to move files inside it.
    pub(crate) folder: PathBuf,
}

/// Which files of the folder are taken, and how they are read.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Settings {
    /// Names of the files to take, with `*`, `?` and `[…]`. Files whose name begins
    /// with `.` or ends in `.part` or `.tmp` are never taken. Two capture points on one folder need
    /// patterns that have no file in common.
    pub(crate) pattern: String,
    /// How the files are read. If absent, their extension says it: `.jsonl` and `.ndjson` are JSON
    /// lines, `.csv` is CSV, `.json` is JSON, `.xml` is XML.
    pub(crate) format: Option<Format>,
    /// CSV: the character between two cells, ASCII.
    pub(crate) delimiter: char,
    /// CSV: names of the columns, for files without a header line. If absent, the first line has
    /// them.
    pub(crate) columns: Option<Vec<String>>,
    /// XML: the path of the elements that are records, from the root on, such as
    /// `/export/orders/order`; `*` stands for any name, and prefixes are left out. Default `/*/*`:
    /// each child of the root.
    pub(crate) records: Option<String>,
    /// XML: names of elements that become a list also where there is only one of them.
    pub(crate) lists: Vec<String>,
    /// Subfolder for files whose records are all settled.
    pub(crate) processed: String,
    /// Subfolder for files that cannot be read as a whole, each with the reason in a file beside
    /// it.
    pub(crate) failed: String,
    /// A file is taken once it was left alone for that long. With `0s`, senders must
    /// write under another name (see `pattern`) and rename.
    pub(crate) settle: HumanDuration,
}

/// How a file is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Format {
    /// One JSON object a line.
    JsonLines,
    /// Cells between delimiters, quoted with `"` where needed (RFC 4180).
    Csv,
    /// One JSON object, or an array of them.
    Json,
    /// Elements of an XML document, see `records`.
    Xml,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            pattern: "*".to_owned(),
            format: None,
            delimiter: ',',
            columns: None,
            records: None,
            lists: Vec::new(),
            processed: "processed".to_owned(),
            failed: "error".to_owned(),
            settle: HumanDuration::from_secs(5),
        }
    }
}
