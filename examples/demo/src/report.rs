//! What happened, counted from the hub's own events.

use std::collections::BTreeMap;

use anyhow::Result;
use serde::Serialize;
use serde_json::Value;

use crate::events::Events;
use crate::hub::Session;

/// Counts of what the hub journaled.
#[derive(Debug, Default)]
pub struct Counts {
    events: BTreeMap<String, u64>,
    confirmed_by_source: u64,
}

/// The outcome of a demo run.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Work items captured.
    pub captured: u64,
    pub enriched: u64,
    pub offered: u64,
    pub rona: u64,
    pub completed: u64,
    pub confirmed_by_source: u64,
    pub callbacks: u64,
    pub leads_in_crm: i64,
    pub leads_closed_in_crm: i64,
    pub seconds: f64,
}

impl Counts {
    /// Follows the hub's events from the first one on, until `enough` says so.
    pub async fn follow(hub: &Session, enough: impl Fn(&Self) -> bool) -> Result<Self> {
        let mut counts = Self::default();
        let mut events = Events::after(hub, "0").await?;
        while !enough(&counts) {
            counts.note(&events.next().await?);
        }
        Ok(counts)
    }

    fn note(&mut self, event: &Value) {
        let name = event["event"].as_str().unwrap_or_default();
        *self.events.entry(name.to_owned()).or_default() += 1;
        if name == "completed" && event["actor"]["kind"] == "source" {
            self.confirmed_by_source += 1;
        }
    }

    pub fn of(&self, event: &str) -> u64 {
        self.events.get(event).copied().unwrap_or(0)
    }

    /// The report, with what the CRM itself says.
    pub fn report(&self, callbacks: u64, crm: (i64, i64), seconds: f64) -> Report {
        Report {
            captured: self.of("captured"),
            enriched: self.of("enriched"),
            offered: self.of("offered"),
            rona: self.of("rona"),
            completed: self.of("completed"),
            confirmed_by_source: self.confirmed_by_source,
            callbacks,
            leads_in_crm: crm.1,
            leads_closed_in_crm: crm.0,
            seconds,
        }
    }
}

impl Report {
    /// The report as a table.
    pub fn table(&self) -> String {
        let rows = [
            ("captured", self.captured.to_string()),
            ("enriched by look-ups", self.enriched.to_string()),
            ("offered to agents", self.offered.to_string()),
            ("not answered in time (RONA)", self.rona.to_string()),
            ("completed", self.completed.to_string()),
            ("  confirmed by the source", self.confirmed_by_source.to_string()),
            ("callbacks delivered", self.callbacks.to_string()),
            ("leads closed in the CRM", {
                format!("{} of {}", self.leads_closed_in_crm, self.leads_in_crm)
            }),
            ("seconds", format!("{:.1}", self.seconds)),
        ];
        let lines = rows.map(|(what, figure)| format!("{what:<30} {figure:>10}"));
        lines.join("\n")
    }
}
