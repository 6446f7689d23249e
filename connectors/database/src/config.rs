//! What the operator writes: the source, and the settings of its captures, look-ups and
//! callbacks. The build script derives the manifest from these types too, so they need only serde
//! and schemars.

use std::num::{NonZeroU32, NonZeroU64};

use gantry_plugin_api::{HumanDuration, HumanMoment, Secret};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A database: one `[source.NAME]`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// Which kind of database it is.
    pub(crate) engine: Engine,
    /// SQLite: the file, counted from the config file's folder; it must exist.
    pub(crate) path: Option<String>,
    /// Servers: the name or address, or the socket (starting with `/`): its folder for PostgreSQL,
    /// the file itself for MySQL.
    pub(crate) host: Option<String>,
    /// Servers: the port; default 5432 for PostgreSQL, 3306 for MySQL.
    pub(crate) port: Option<u16>,
    /// Servers: the database on the server.
    pub(crate) database: Option<String>,
    /// Servers: who signs in.
    pub(crate) user: Option<String>,
    /// Servers: the password, by reference: `{ env = "CRM_PASSWORD" }`.
    pub(crate) password: Option<Secret<String>>,
    /// Servers: how the connection is encrypted.
    #[serde(default)]
    pub(crate) tls: Tls,
    /// Servers: a file with the certificates to trust (PEM), instead of the public ones.
    pub(crate) tls_ca: Option<String>,
    /// How long a statement may take, waiting for a connection or for a lock included.
    #[serde(default = "request_timeout")]
    pub(crate) request_timeout: HumanDuration,
    /// At most so many connections; look-ups of one batch run on as many at once.
    #[serde(default = "max_connections")]
    pub(crate) max_connections: NonZeroU32,
}

/// The kinds of databases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Engine {
    /// SQLite 3: a file on this machine.
    Sqlite,
    /// PostgreSQL 12 or later.
    Postgres,
    /// MySQL 8.0 or MariaDB 10.5, or later.
    Mysql,
}

/// How a connection is encrypted.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Tls {
    /// Never.
    Disable,
    /// If the server offers it; the certificate is not checked.
    #[default]
    Prefer,
    /// Always; the certificate is not checked.
    Require,
    /// Always, and the certificate must be valid for the host.
    Verify,
}

/// Which rows are captured: `[capture.NAME] settings`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CaptureSettings {
    /// The table or view, with its schema if need be (`crm.leads`); either this or `query`. Names
    /// are quoted: write them as they are stored.
    pub(crate) table: Option<String>,
    /// A `SELECT` whose rows are captured; either this or `table`.
    pub(crate) query: Option<String>,
    /// A condition in SQL that a row must fulfil to be captured.
    #[serde(rename = "where")]
    pub(crate) filter: Option<String>,
    /// The columns that make up the record; without it all of them.
    pub(crate) columns: Option<Vec<String>>,
    /// The column that says when the row last changed. Rows without a value are not captured.
    pub(crate) watermark: String,
    /// What stands in that column, always in UTC.
    #[serde(default)]
    pub(crate) watermark_type: WatermarkType,
    /// The columns that tell rows of equal watermark apart: the primary key.
    pub(crate) key: Vec<String>,
    /// How far back each poll looks again for rows that were committed late.
    #[serde(default = "overlap")]
    pub(crate) overlap: HumanDuration,
    /// How old a row must be, by the database's clock, before it is captured.
    #[serde(default = "lag")]
    pub(crate) lag: HumanDuration,
    /// Rows that changed before this moment are never captured: `2026-01-31` (midnight in UTC) or
    /// RFC 3339.
    pub(crate) from: Option<HumanMoment>,
    /// The first load takes only so many rows, the latest ones; those before them are never
    /// captured.
    pub(crate) at_most: Option<NonZeroU64>,
}

/// What stands in the watermark column; all times are UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum WatermarkType {
    /// PostgreSQL `timestamptz` or `timestamp`; MySQL `timestamp` or `datetime`; SQLite text such
    /// as `2026-01-31 12:00:00`, as `CURRENT_TIMESTAMP` writes it.
    #[default]
    Timestamp,
    /// Text such as `2026-01-31T12:00:00Z`.
    Rfc3339,
    /// An integer: seconds since 1970.
    Seconds,
    /// An integer: milliseconds since 1970.
    Millis,
}

/// What is asked: `[lookup.NAME] settings`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LookupSettings {
    /// A `SELECT`; `:name` stands for the item's attribute of that name, NULL if it is absent. The
    /// columns of the row become the answer.
    pub(crate) query: String,
    /// What to do if there are several rows.
    #[serde(default)]
    pub(crate) on_many: OnMany,
}

/// What several rows mean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OnMany {
    /// Take the first, and log a warning.
    #[default]
    First,
    /// The look-up fails.
    Fail,
}

/// What is done: `[callback.NAME] settings`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CallbackSettings {
    /// One statement. `:name` stands for `external_id`, `event`, `occurred_at`, `occurred_at_ms`,
    /// `item_id`, `capture_point`, `sequence` or `idempotency_key`; else for a detail of the event
    /// (`disposition`, …) or an attribute of the item, NULL if there is none.
    pub(crate) statement: String,
    /// A table with a unique text column `idempotency_key`, written in the same transaction: a
    /// repeated delivery then has no second effect.
    pub(crate) ledger: Option<String>,
    /// What it means that the statement touched no row.
    #[serde(default)]
    pub(crate) on_no_row: OnNoRow,
}

/// What it means that a statement touched no row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OnNoRow {
    /// The row is gone: the delivery becomes a dead letter.
    #[default]
    Gone,
    /// There was nothing to do: the delivery is done.
    Done,
}

fn request_timeout() -> HumanDuration {
    HumanDuration::from_secs(10)
}

fn max_connections() -> NonZeroU32 {
    const { NonZeroU32::new(4).expect("invariant: 4 is not 0") }
}

fn overlap() -> HumanDuration {
    HumanDuration::from_secs(120)
}

fn lag() -> HumanDuration {
    HumanDuration::from_secs(15)
}
