//! The small company: a CRM in SQLite, a folder for orders, and the folder that holds it all.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool};

const CUSTOMERS: [(&str, &str, &str, &str, i64); 6] = [
    ("C-100", "Ada Verlag", "Gold", "Berlin", 9),
    ("C-101", "Bakery Sousa", "Silver", "Lisbon", 7),
    ("C-102", "Cranes & Co", "Gold", "Hamburg", 3),
    ("C-103", "Dr. Duarte", "Bronze", "Porto", 8),
    ("C-104", "Elektro Nord", "Silver", "Kiel", 4),
    ("C-105", "Fadista Hotel", "Bronze", "Lisbon", 10),
];
const PRODUCTS: [&str; 4] = ["Fibre 1000", "Cloud backup", "Phone system", "Managed Wi-Fi"];
const WISHES: [&str; 4] =
    ["wants an offer for", "asks for a demo of", "wants to extend", "considers cancelling"];

/// Leads in the CRM at the start.
pub const LEADS: usize = 24;
/// Orders in the drop folder.
pub const ORDERS: usize = 12;
/// Abandoned carts that the shop reports.
pub const CARTS: usize = 8;

/// The company.
#[derive(Debug)]
pub struct World {
    /// Everything lies in here.
    pub folder: PathBuf,
    crm: SqlitePool,
}

/// How long an offer rings in the config, for people; and while the demo plays by itself.
const OFFER_TIMEOUT: &str = "offer_timeout = \"45s\"";
const OFFER_TIMEOUT_SHORT: &str = "offer_timeout = \"2s\"";

impl World {
    /// Lets offers ring for two seconds only, so that nobody waits long for the one agent who
    /// does not answer.
    pub fn hurry(&self) -> Result<()> {
        let path = self.folder.join("rules/sales.toml");
        let rules = fs::read_to_string(&path)?;
        fs::write(path, rules.replace(OFFER_TIMEOUT, OFFER_TIMEOUT_SHORT))?;
        Ok(())
    }

    /// Makes the company in `folder`, which must be empty or not be there.
    pub async fn create(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder.join("orders"))?;
        copy_tree(&Path::new(env!("CARGO_MANIFEST_DIR")).join("config"), folder)?;
        let options = SqliteConnectOptions::new()
            .filename(folder.join("crm.db"))
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal);
        let crm = SqlitePool::connect_with(options).await.context("opening the CRM")?;
        let world = Self { folder: folder.to_path_buf(), crm };
        world.fill_crm().await.context("filling the CRM")?;
        world.drop_orders().context("dropping orders")?;
        Ok(world)
    }

    async fn fill_crm(&self) -> Result<(), sqlx::Error> {
        let schema = "
            CREATE TABLE customers (id TEXT PRIMARY KEY, name TEXT, segment TEXT, city TEXT);
            CREATE TABLE nps (customer_id TEXT PRIMARY KEY, score INTEGER);
            CREATE TABLE leads (
                id TEXT PRIMARY KEY, customer_id TEXT, subject TEXT, product TEXT,
                deal_value TEXT, status TEXT NOT NULL DEFAULT 'new', owner TEXT, result TEXT,
                created_at TEXT NOT NULL, updated_at TEXT NOT NULL, closed_at TEXT);
            CREATE INDEX leads_updated ON leads (updated_at, id);";
        sqlx::raw_sql(schema).execute(&self.crm).await?;
        for (id, name, segment, city, score) in CUSTOMERS {
            sqlx::query("INSERT INTO customers VALUES (?, ?, ?, ?)")
                .bind(id)
                .bind(name)
                .bind(segment)
                .bind(city)
                .execute(&self.crm)
                .await?;
            let insert = sqlx::query("INSERT INTO nps VALUES (?, ?)").bind(id).bind(score);
            insert.execute(&self.crm).await?;
        }
        for number in 0..LEADS {
            self.add_lead(number).await?;
        }
        Ok(())
    }

    /// Adds one lead, as a salesperson or a web form would.
    pub async fn add_lead(&self, number: usize) -> Result<(), sqlx::Error> {
        let (customer, name, ..) = CUSTOMERS[number % CUSTOMERS.len()];
        let product = PRODUCTS[(number / 2) % PRODUCTS.len()];
        let subject = format!("{name} {} {product}", WISHES[number % WISHES.len()]);
        let now = "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')";
        let insert = format!(
            "INSERT INTO leads (id, customer_id, subject, product, deal_value, created_at, \
             updated_at) VALUES (?, ?, ?, ?, ?, {now}, {now})"
        );
        sqlx::query(sqlx::AssertSqlSafe(insert))
            .bind(format!("L-{:04}", number + 1))
            .bind(customer)
            .bind(subject)
            .bind(product)
            .bind(format!("{}.50", 400 + number * 37))
            .execute(&self.crm)
            .await?;
        Ok(())
    }

    /// Writes the orders beside the folder and moves them in whole, as a careful sender does.
    fn drop_orders(&self) -> Result<()> {
        let problems = ["Address incomplete", "Payment unclear", "Item out of stock"];
        let mut lines = String::new();
        for number in 0..ORDERS {
            let order = serde_json::json!({
                "order": format!("O-{:04}", number + 1),
                "customer": CUSTOMERS[(number + 2) % CUSTOMERS.len()].0,
                "problem": problems[number % problems.len()],
                "at": jiff::Timestamp::now().to_string(),
            });
            lines.push_str(&order.to_string());
            lines.push('\n');
        }
        let beside = self.folder.join("orders.tmp");
        fs::write(&beside, lines)?;
        fs::rename(&beside, self.folder.join("orders/morning.jsonl"))?;
        Ok(())
    }

    /// How many leads the CRM itself shows as closed, and how many there are.
    pub async fn closed_leads(&self) -> Result<(i64, i64)> {
        let count = "SELECT count(*) FILTER (WHERE status = 'closed' AND result IS NOT NULL), \
                     count(*) FROM leads";
        Ok(sqlx::query_as(count).fetch_one(&self.crm).await?)
    }
}

/// The carts that the shop reports, as the bodies of its webhooks.
pub fn carts() -> impl Iterator<Item = (String, String)> {
    (0..CARTS).map(|number| {
        let body = serde_json::json!({
            "type": "cart.abandoned",
            "timestamp": jiff::Timestamp::now().to_string(),
            "data": {
                "cart": format!("K-{:04}", number + 1),
                "customer": CUSTOMERS[(number + 1) % CUSTOMERS.len()].0,
                "product": PRODUCTS[number % PRODUCTS.len()],
                "total": format!("{}.90", 40 + number * 13),
            },
        });
        (format!("msg_cart_{number}"), body.to_string())
    })
}

fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| format!("reading {}", from.display()))? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_tree(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
