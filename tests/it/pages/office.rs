//! What the people at the pages work in: a hub, a colleague, customers, and leads that come in.

use std::path::PathBuf;
use std::{env, fs};

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gantry_demo::events::Events;
use gantry_demo::hub::Hub;
use gantry_tests::built;
use serde_json::{Value, json};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};
use tempfile::TempDir;

use super::driver::Browser;

/// Where leads are worked on, by the config.
pub(super) const SOURCE: &str = "https://crm.example/leads";
/// How a page must look good: width, height, colour scheme, and what the picture's name ends in.
const LOOKS: [(u32, u32, &str, &str); 3] =
    [(390, 844, "light", "-phone"), (1280, 800, "dark", "-dark"), (1280, 800, "light", "")];
/// Leads that lie in the list: external id, subject, customer.
const LEADS: [(&str, &str, &str); 8] = [
    ("L-1003", "Upgrade to the fibre line", "C-3"),
    ("L-1004", "Second site in Lisbon wants the same", "C-1"),
    ("L-1005", "Asked for a call on Thursday morning", "C-4"),
    ("L-1006", "Heat pump, with the grant form filled in", "C-2"),
    ("L-1007", "Maintenance contract runs out", "C-3"),
    ("L-1008", "Trade fair: wants a visit and three references", "C-4"),
    ("L-1009", "Spare parts for the old press", "C-1"),
    ("L-1010", "Quote for twelve charging points", "C-2"),
];

/// The hub, and who works there.
pub(super) struct Office {
    pub(super) hub: Hub,
    /// The agent's token.
    pub(super) anna: String,
    pictures: Option<PathBuf>,
    _folder: TempDir,
}

impl Office {
    pub(super) async fn open() -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("gantry-pages-").tempdir()?;
        let config = folder.path().join("gantry.toml");
        fs::write(&config, include_str!("../../cases/pages/gantry.toml"))?;
        let path = folder.path().join("customers.db");
        let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
        let customers = SqlitePool::connect_with(options).await?;
        sqlx::raw_sql(
            "CREATE TABLE customers (id TEXT PRIMARY KEY, segment TEXT, city TEXT, nps INTEGER);
             INSERT INTO customers VALUES
                ('C-1', 'Gold', 'Berlin', 9), ('C-2', 'Silver', 'Porto', 6),
                ('C-3', 'Bronze', 'Utrecht', 3), ('C-4', 'Silver', 'Graz', 8)",
        )
        .execute(&customers)
        .await?;
        customers.close().await;
        let hub = built::start_hub(&config, &[]).await?;
        let anna = json!({
            "id": "anna", "name": "Anna Albers", "skills": { "sales": 90, "legacy": 40 },
            "capacity": { "workitem": 2 },
        });
        hub.admin.put("/agents/anna", &anna).await?;
        let ben = json!({ "id": "ben", "name": "Ben Bastos", "skills": { "sales": 60 } });
        hub.admin.put("/agents/ben", &ben).await?;
        let anna = hub.sign_in("anna").await?.token;
        let pictures = env::var_os("GANTRY_TEST_PICTURES").map(PathBuf::from);
        Ok(Self { hub, anna, pictures, _folder: folder })
    }

    pub(super) fn address(&self, page: &str) -> String {
        format!("{}{page}", self.hub.admin.base)
    }

    pub(super) fn log_tail(&self) -> String {
        self.hub.log_tail()
    }

    /// A lead comes in. Returns the hub's id of it.
    pub(super) async fn capture(&self, id: &str, subject: &str, customer: &str) -> Result<String> {
        let record = json!({
            "id": id, "subject": subject, "customer": customer,
            "product": "Service plan", "value": "1890.50",
        });
        let answer = self.hub.admin.post("/capture/leads", &record).await?;
        Ok(answer["item"].as_str().context("nothing was created")?.to_owned())
    }

    /// Somebody wants to be called back. Returns the hub's id of it once it waits.
    pub(super) async fn callback(&self, id: &str, subject: &str) -> Result<String> {
        let record = json!({ "id": id, "subject": subject, "product": "Callback" });
        let answer = self.hub.admin.post("/capture/leads", &record).await?;
        let item = answer["item"].as_str().context("nothing was created")?.to_owned();
        let mut events = Events::after(&self.hub.admin, "0").await?;
        loop {
            let event = events.next().await?;
            if event["event"] == "queued" && event["item"] == *item {
                return Ok(item);
            }
        }
    }

    /// The source says that a lead is closed.
    pub(super) async fn confirm(&self, id: &str) -> Result<()> {
        self.message(id, "complete", &json!({})).await
    }

    /// A morning's leads come in: some wait, one is held, one is canceled, one fits nobody.
    pub(super) async fn fill(&self) -> Result<()> {
        for (id, subject, customer) in LEADS {
            self.capture(id, subject, customer).await?;
        }
        let return_slip = json!({
            "id": "R-77", "subject": "Return of a damaged inverter", "customer": "C-3",
            "product": "Return", "value": "310.00",
        });
        self.hub.admin.post("/capture/leads", &return_slip).await?;
        self.message("L-1005", "hold", &json!({ "reason": "waits for Thursday" })).await?;
        self.message("L-1008", "cancel", &json!({ "reason": "bought elsewhere" })).await
    }

    async fn message(&self, id: &str, kind: &str, body: &Value) -> Result<()> {
        self.hub.admin.post(&format!("/capture/leads/{id}/{kind}"), body).await?;
        Ok(())
    }

    /// No page is wider than its window, on a screen or on a phone. Takes pictures if they are
    /// wanted.
    pub(super) async fn picture(&self, browser: &Browser, name: &str) -> Result<()> {
        for (width, height, scheme, ending) in LOOKS {
            browser.look(width, height, scheme).await?;
            let spare =
                "document.documentElement.clientWidth - document.documentElement.scrollWidth";
            let spare = browser.read(spare).await?;
            ensure!(spare == 0, "{name} at {width} pixels is too wide: {spare}");
            if let Some(folder) = &self.pictures {
                let picture = STANDARD.decode(browser.picture().await?)?;
                fs::write(folder.join(format!("{name}{ending}.png")), picture)?;
            }
        }
        Ok(())
    }

    pub(super) async fn close(self) -> Result<()> {
        self.hub.stop().await
    }
}
