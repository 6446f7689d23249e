//! A folder of CSV files, as the example in Python reads and writes them.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::ops::Range;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::Source;

pub(crate) struct Desk(PathBuf);

impl Desk {
    /// Makes the folder, which anybody may write to: plug-ins run as another user than the hub.
    pub(crate) fn new(folder: &Path) -> Result<Self> {
        fs::create_dir(folder)?;
        fs::set_permissions(folder, fs::Permissions::from_mode(0o777))?;
        fs::write(folder.join("tickets.csv"), "id,subject,customer\n")?;
        fs::write(folder.join("customers.csv"), "id,tier\nC-0,gold\nC-1,silver\n")?;
        Ok(Self(folder.to_owned()))
    }
}

impl Source for Desk {
    fn add(&self, ids: Range<usize>) -> Result<()> {
        let mut file = fs::OpenOptions::new().append(true).open(self.0.join("tickets.csv"))?;
        for id in ids {
            // A subject over two lines, and one that the plug-in must not take before it is whole.
            write!(file, "T-{id},\"a, \"\"b\"\"\nc\",")?;
            file.flush()?;
            writeln!(file, "C-{}", id % 2)?;
        }
        Ok(())
    }

    fn told(&self) -> Result<BTreeMap<String, usize>> {
        let mut told = BTreeMap::new();
        let mut journal =
            csv::ReaderBuilder::new().has_headers(false).from_path(self.0.join("journal.csv"))?;
        for row in journal.records() {
            let [_key, _event, ticket] = &row?.deserialize::<[String; 3]>(None)?;
            *told.entry(ticket.clone()).or_default() += 1;
        }
        Ok(told)
    }
}
