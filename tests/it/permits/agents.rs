//! The municipality's employees: 48, with the groups in which they worked.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

/// Everybody, by id.
pub(super) struct Staff(pub(super) BTreeMap<String, Value>);

#[derive(Default)]
struct Record {
    groups: BTreeSet<String>,
    intake: u32,
    review: u32,
    contact: u32,
}

impl Staff {
    /// Reads who worked on what. Levels grow with the steps that somebody did: one level for each
    /// ten, so that the experienced are asked first and nobody is left out.
    pub(super) fn read(data: &Path) -> Result<Self> {
        let mut records: BTreeMap<String, Record> = BTreeMap::new();
        let mut rows = csv::Reader::from_path(data.join("work.csv"))?;
        for row in rows.records() {
            let row = row?;
            let field = |at: usize| row.get(at).context("a short row");
            let (activity, group, resource) = (field(3)?, field(4)?, field(5)?);
            let record = records.entry(resource.to_owned()).or_default();
            record.groups.insert(group.to_owned());
            match activity {
                step if step.contains("onfirmation of receipt") => record.intake += 1,
                step if step.contains("contact") || step.contains("stop") => record.contact += 1,
                _ => record.review += 1,
            }
        }
        let profile = |id: &String, record: &Record| {
            let level = |steps: u32| (1 + steps / 10).min(100);
            json!({
                "id": id,
                "name": id,
                "groups": record.groups,
                "skills": {
                    "intake": level(record.intake),
                    "review": level(record.review),
                    "contact": level(record.contact),
                },
                "capacity": { "workitem": 2 },
            })
        };
        let profiles = records.iter().map(|(id, record)| (id.clone(), profile(id, record)));
        Ok(Self(profiles.collect()))
    }
}
