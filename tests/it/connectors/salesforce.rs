//! `salesforce` on the stand-in for an org.

use std::time::Duration;

use anyhow::Result;
use async_trait::async_trait;
use gantry_tests::built;
use gantry_tests::connector::{self, Case, Deletion, Setup, SourceSystem};
use gantry_tests::peers::salesforce::{Org, SECRET};
use gantry_tests::proxy::Proxy;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

/// Few enough that a walk has many pages.
const N_PAGE: usize = 7;
/// How often the log is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

struct Salesforce {
    org: Org,
    proxy: Proxy,
}

#[tokio::test]
async fn the_stand_in_keeps_all_promises() -> Result<()> {
    let Some(mut org) = Org::start().await? else {
        eprintln!("SKIPPED: Python is not installed");
        return Ok(());
    };
    org.set("n_page", N_PAGE.into()).await?;
    let proxy = Proxy::start(([127, 0, 0, 1], org.port()).into()).await?;
    connector::prove(&mut Salesforce { org, proxy }).await
}

#[async_trait]
impl SourceSystem for Salesforce {
    fn name(&self) -> String {
        "salesforce, stand-in".to_owned()
    }

    fn waived(&self) -> Vec<(Case, &'static str)> {
        let reason = "a position is a time and an id, which never expire; a list that the server \
                      forgets is tested in it/salesforce/trouble.rs";
        vec![(Case::CursorExpired, reason)]
    }

    fn config(&self, setup: &Setup) -> String {
        built::case("connectors/salesforce.toml")
            .expect("invariant: the case lies beside the tests")
            .replace("@PORT@", &self.proxy.port().to_string())
            .replace("@BATCH@", &setup.batch.to_string())
    }

    fn env(&self, setup: &Setup) -> Vec<(String, String)> {
        let secret = if setup.right_password { SECRET } else { "a-secret-that-is-wrong" };
        vec![("SALESFORCE_SECRET".to_owned(), secret.to_owned())]
    }

    fn proxy(&self) -> Option<&Proxy> {
        Some(&self.proxy)
    }

    async fn clear(&mut self) -> Result<()> {
        self.org.tell(&json!({ "clear": true })).await?;
        self.org.set("noise", false.into()).await?;
        self.org.set("skew_ms", 0.into()).await
    }

    async fn put(&mut self, texts: &[String]) -> Result<Vec<String>> {
        let leads: Vec<_> = texts.iter().map(|text| lead(text)).collect();
        self.org.insert("Lead", &leads).await
    }

    async fn put_at(&mut self, texts: &[String], moment: Timestamp) -> Result<Vec<String>> {
        let stamp = moment.strftime("%Y-%m-%dT%H:%M:%S.%3f+0000").to_string();
        let at = |text: &String| {
            let mut lead = lead(text);
            lead["SystemModstamp"] = stamp.as_str().into();
            lead
        };
        let leads: Vec<_> = texts.iter().map(at).collect();
        self.org.insert("Lead", &leads).await
    }

    async fn change(&mut self, id: &str, name: &str) -> Result<()> {
        self.update(id, json!({ "LastName": name })).await
    }

    async fn completions(&mut self, id: &str) -> Result<usize> {
        let calls = self.org.all("Task").await?;
        Ok(calls.iter().filter(|task| task["WhoId"] == id).count())
    }

    fn completion_holds(&self, id: &str) -> Vec<u8> {
        format!("/sobjects/Lead/{id}").into_bytes()
    }

    async fn delete(&mut self, id: &str) -> Result<()> {
        self.org.tell(&json!({ "delete": "Lead", "id": id })).await?;
        Ok(())
    }

    fn deletion(&self) -> Deletion {
        Deletion::Withdraws
    }

    async fn withdraw(&mut self, id: &str) -> Result<()> {
        self.update(id, json!({ "Status": "Withdrawn" })).await
    }

    async fn add_unknown_field(&mut self) -> Result<()> {
        self.org.set("noise", true.into()).await
    }

    async fn set_clock(&mut self, ahead: SignedDuration) -> Result<()> {
        self.org.set("skew_ms", i64::try_from(ahead.as_millis())?.into()).await
    }

    async fn throttle(&mut self, wait: Duration) -> Result<()> {
        let headers = json!({ "Retry-After": wait.as_secs().to_string() });
        let fault = json!({ "path": "/queryAll", "status": 429, "headers": headers });
        self.org.tell(&json!({ "faults": [fault] })).await?;
        Ok(())
    }

    async fn left_alone(&mut self) -> Result<Duration> {
        let mut look = tokio::time::interval(LOOK_EVERY);
        loop {
            look.tick().await;
            let asked = self.org.asked().await?;
            let mut from = asked.iter().skip_while(|(_, _, _, failed)| !failed);
            if let (Some((throttled, ..)), Some((next, ..))) = (from.next(), from.next()) {
                return Ok(Duration::from_secs_f64(next - throttled));
            }
        }
    }

    async fn expire_token(&mut self) -> Result<()> {
        self.org.tell(&json!({ "expire": true })).await?;
        Ok(())
    }

    fn remedy(&self) -> &'static str {
        "check the client id and secret"
    }

    async fn kill_and_start(&mut self) -> Result<()> {
        self.org.kill_and_restart().await
    }
}

impl Salesforce {
    async fn update(&self, id: &str, fields: Value) -> Result<()> {
        self.org.tell(&json!({ "update": "Lead", "id": id, "fields": fields })).await?;
        Ok(())
    }
}

fn lead(text: &str) -> Value {
    json!({ "LastName": text, "Company": "Acme", "Status": "Open" })
}
