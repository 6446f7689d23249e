//! A file of work in each format, and a bare loop over it by the parser alone.

use std::fmt;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context as _, Result};
use quick_xml::events::Event;
use serde::Deserializer as _;
use serde::de::{IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::Pace;

/// The formats.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Format {
    JsonLines,
    Csv,
    Json,
    Xml,
}

/// Takes the elements of an array one by one.
struct Records;

/// A drop folder with one file in it.
pub(crate) struct Folder {
    format: Format,
    folder: TempDir,
}

impl Format {
    pub(crate) const ALL: [Self; 4] = [Self::JsonLines, Self::Csv, Self::Json, Self::Xml];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::JsonLines => "files.jsonl",
            Self::Csv => "files.csv",
            Self::Json => "files.json",
            Self::Xml => "files.xml",
        }
    }
}

impl Folder {
    pub(crate) fn fill(format: Format, rows: u64) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("gantry-bench-").tempdir()?;
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777))?;
        let folder = Self { format, folder };
        let mut file = BufWriter::new(File::create(folder.file())?);
        let (head, tail) = match format {
            Format::JsonLines => ("", ""),
            Format::Csv => ("id,subject,customer\n", ""),
            Format::Json => ("[", "]"),
            Format::Xml => ("<work>", "</work>"),
        };
        file.write_all(head.as_bytes())?;
        for n in 1..=rows {
            let subject = format!("Please call back about order {n}");
            match format {
                Format::JsonLines | Format::Json => {
                    let comma = if n > 1 && matches!(format, Format::Json) { "," } else { "" };
                    let record = json!({ "id": n, "subject": subject, "customer": "C-4711" });
                    writeln!(file, "{comma}{record}")?;
                }
                Format::Csv => writeln!(file, "{n},\"{subject}\",C-4711")?,
                Format::Xml => writeln!(
                    file,
                    "<item id=\"{n}\"><subject>{subject}</subject><customer>C-4711</customer></item>"
                )?,
            }
        }
        file.write_all(tail.as_bytes())?;
        file.flush()?;
        Ok(folder)
    }

    /// Of the source.
    pub(crate) fn config(&self) -> Value {
        json!({ "folder": self.folder.path() })
    }

    /// The parser alone; each record is parsed, or checked where it is JSON already, and written.
    pub(crate) fn read_bare(&self) -> Result<Pace> {
        let (begun, mut n) = (Instant::now(), 0);
        let mut file = BufReader::new(File::open(self.file())?);
        match self.format {
            Format::JsonLines => {
                let mut line = String::new();
                while file.read_line(&mut line)? > 0 {
                    serde_json::from_str::<IgnoredAny>(&line)?;
                    std::hint::black_box(line.as_bytes().to_vec());
                    line.clear();
                    n += 1;
                }
            }
            Format::Csv => {
                for row in csv::Reader::from_reader(file).deserialize() {
                    let row: std::collections::BTreeMap<String, String> = row?;
                    std::hint::black_box(serde_json::to_vec(&row)?);
                    n += 1;
                }
            }
            Format::Json => {
                let array = &mut serde_json::Deserializer::from_reader(file);
                n = array.deserialize_seq(Records)?;
            }
            Format::Xml => {
                let mut reader = quick_xml::Reader::from_reader(file);
                let mut buffer = Vec::new();
                let mut item = serde_json::Map::new();
                let mut name = String::new();
                loop {
                    match reader.read_event_into(&mut buffer)? {
                        Event::Start(start) => {
                            start.local_name().as_ref().clone_into(&mut name);
                            if let Some(id) = start.try_get_attribute("id")? {
                                item.insert("@id".to_owned(), id.value.into_owned().into());
                            }
                        }
                        Event::Text(text) => {
                            let text = text.xml10_content().into_owned();
                            item.insert(name.clone(), text.into());
                        }
                        Event::End(end) if end.local_name().as_ref() == "item" => {
                            std::hint::black_box(serde_json::to_vec(&item)?);
                            item.clear();
                            n += 1;
                        }
                        Event::Eof => break,
                        _ => {}
                    }
                    buffer.clear();
                }
            }
        }
        Ok(Pace { n, took: begun.elapsed() })
    }

    fn file(&self) -> PathBuf {
        let ending = self.format.name().strip_prefix("files").context("no ending");
        self.folder.path().join(format!("work{}", ending.unwrap_or_default()))
    }
}

impl<'de> Visitor<'de> for Records {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<u64, A::Error> {
        let mut n = 0;
        while let Some(record) = array.next_element::<Box<RawValue>>()? {
            std::hint::black_box(record);
            n += 1;
        }
        Ok(n)
    }
}
