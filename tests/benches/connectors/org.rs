//! Leads of the org that stands in for Salesforce, and a bare loop over its queries by the HTTP
//! client alone.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use gantry_tests::peers::salesforce::{Org, SECRET};
use reqwest::Client;
use serde_json::{Map, Value, json};

use crate::Pace;

/// The version of the API, as the connector has it by default.
const API: &str = "/services/data/v66.0";
const CLIENT: &str = "gantry-app";
/// Leads told to the org at once.
const N_TOLD: u64 = 1_000;
/// So many leads carry one timestamp.
const LEADS_A_MOMENT: i64 = 100;
/// When the first one changed: Unix milliseconds.
const BEGIN_MS: i64 = 1_767_268_800_000;

/// A filled org.
pub(crate) struct Leads(Org);

/// A page of the list.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    records: Vec<Map<String, Value>>,
    next_records_url: Option<String>,
}

/// Of the capture point.
pub(crate) fn settings() -> Value {
    json!({ "object": "Lead", "fields": ["LastName", "Company", "Status"] })
}

impl Leads {
    /// Starts the org and fills it; `None` where Python is not installed.
    pub(crate) async fn fill(n_leads: u64) -> Result<Option<Self>> {
        let Some(org) = Org::start().await? else { return Ok(None) };
        for begin in (0..n_leads).step_by(N_TOLD as usize) {
            let lead = |n: u64| {
                let at_ms = BEGIN_MS + n as i64 / LEADS_A_MOMENT;
                let at = jiff::Timestamp::from_millisecond(at_ms)?;
                let at = at.strftime("%Y-%m-%dT%H:%M:%S.%3f+0000").to_string();
                Ok(json!({
                    "LastName": format!("Lead {n}"), "Company": "Acme", "Status": "Open",
                    "SystemModstamp": at,
                }))
            };
            let leads = (begin..n_leads.min(begin + N_TOLD)).map(lead).collect::<Result<Vec<_>>>();
            org.insert("Lead", &leads?).await?;
        }
        Ok(Some(Self(org)))
    }

    /// Of the source.
    pub(crate) fn config(&self) -> Value {
        json!({ "endpoint": self.0.endpoint(), "client_id": CLIENT, "client_secret": SECRET })
    }

    /// Signs in and follows the list of the connector's query; each record is written as JSON.
    pub(crate) async fn read_bare(&self, page: u64, limit: Duration) -> Result<Pace> {
        let begun = Instant::now();
        let web = Client::builder().build()?;
        let form =
            format!("grant_type=client_credentials&client_id={CLIENT}&client_secret={SECRET}");
        let token = web.post(format!("{}/services/oauth2/token", self.0.endpoint()));
        let token = token.header("content-type", "application/x-www-form-urlencoded").body(form);
        let token: Value = token.send().await?.error_for_status()?.json().await?;
        let token = token["access_token"].as_str().context("no token")?;
        let fields = "Id,+SystemModstamp,+IsDeleted,+LastName,+Company,+Status";
        let order = "SystemModstamp,+Id";
        let mut next = Some(format!("{API}/queryAll?q=SELECT+{fields}+FROM+Lead+ORDER+BY+{order}"));
        let mut n = 0;
        while let Some(path) = next.filter(|_| begun.elapsed() <= limit) {
            let asked = web.get(format!("{}{path}", self.0.endpoint())).bearer_auth(token);
            let asked = asked.header("sforce-query-options", format!("batchSize={page}"));
            let answer = asked.send().await?.error_for_status()?.bytes().await?;
            let page: Page = serde_json::from_slice(&answer)?;
            n += page.records.len() as u64;
            for record in &page.records {
                std::hint::black_box(serde_json::to_vec(record)?);
            }
            next = page.next_records_url;
        }
        Ok(Pace { n, took: begun.elapsed() })
    }
}
