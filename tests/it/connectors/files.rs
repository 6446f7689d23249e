//! `files` on a drop folder.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use async_trait::async_trait;
use gantry_tests::built;
use gantry_tests::connector::{self, Case, Setup, SourceSystem};
use gantry_tests::proxy::Proxy;
use jiff::Timestamp;
use serde_json::{Value, json};

const NO_CALLBACK: &str = "nothing is written back into a folder";

/// Drops files; each record's line has its id, a subject and a state.
#[derive(Default)]
struct Dropper {
    folder: Option<PathBuf>,
    n_files: usize,
    n_records: usize,
    mood: Option<Value>,
}

#[tokio::test]
async fn a_drop_folder_keeps_all_promises() -> Result<()> {
    connector::prove(&mut Dropper::default()).await
}

impl Dropper {
    /// Files are read in the order of their names, so a name stands for a time.
    fn drop_file(&mut self, moment: Timestamp, records: &[Value]) -> Result<()> {
        self.n_files += 1;
        let folder = self.folder.as_ref().context("there is no folder yet")?;
        let name = format!("{}-{:04}.jsonl", moment.as_millisecond(), self.n_files);
        let lines: Vec<_> = records.iter().map(Value::to_string).collect();
        let part = folder.join(format!("{name}.part"));
        fs::write(&part, lines.join("\n"))?;
        fs::rename(&part, folder.join(name))?;
        Ok(())
    }

    fn record(&self, id: &str, subject: &str, state: &str) -> Value {
        let mut record = json!({ "id": id, "subject": subject, "state": state });
        if let Some(mood) = &self.mood {
            record["mood"] = mood.clone();
        }
        record
    }
}

#[async_trait]
impl SourceSystem for Dropper {
    fn name(&self) -> String {
        "files".to_owned()
    }

    fn waived(&self) -> Vec<(Case, &'static str)> {
        vec![
            (Case::ClockSkew, "the times of files are those of this machine"),
            (Case::Throttled, "a folder does not ask to wait"),
            (Case::TokenExpiry, "nobody signs in to a folder"),
            (Case::WrongPassword, "nobody signs in to a folder"),
            (Case::CursorExpired, "the position is a place in a file, and says which file it is"),
            (Case::CompletedOnce, NO_CALLBACK),
            (Case::DeletedUpstream, NO_CALLBACK),
        ]
    }

    fn config(&self, setup: &Setup) -> String {
        built::case("connectors/files.toml")
            .expect("invariant: the case lies beside the tests")
            .replace("@BATCH@", &setup.batch.to_string())
    }

    fn proxy(&self) -> Option<&Proxy> {
        None
    }

    fn place_at(&mut self, folder: &Path) -> Result<()> {
        let folder = folder.join("drop");
        // Plug-ins run as another user.
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o777))?;
        self.folder = Some(folder);
        Ok(())
    }

    async fn clear(&mut self) -> Result<()> {
        // Each hub has a folder of its own.
        self.mood = None;
        Ok(())
    }

    async fn put(&mut self, texts: &[String]) -> Result<Vec<String>> {
        self.put_at(texts, Timestamp::now()).await
    }

    async fn put_at(&mut self, texts: &[String], moment: Timestamp) -> Result<Vec<String>> {
        let first = self.n_records;
        self.n_records += texts.len();
        let ids: Vec<_> = (first..self.n_records).map(|n| format!("R-{n:06}")).collect();
        let records: Vec<_> =
            ids.iter().zip(texts).map(|(id, text)| self.record(id, text, "new")).collect();
        self.drop_file(moment, &records)?;
        Ok(ids)
    }

    async fn change(&mut self, id: &str, name: &str) -> Result<()> {
        let record = self.record(id, name, "new");
        self.drop_file(Timestamp::now(), &[record])
    }

    async fn withdraw(&mut self, id: &str) -> Result<()> {
        let record = self.record(id, "", "withdrawn");
        self.drop_file(Timestamp::now(), &[record])
    }

    async fn add_unknown_field(&mut self) -> Result<()> {
        self.mood = Some(json!({ "a": [1] }));
        Ok(())
    }

    fn can_be_killed(&self) -> bool {
        false
    }
}
