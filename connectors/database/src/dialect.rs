//! How each kind of database wants its SQL: names, parameters, and columns as text.
//!
//! PostgreSQL and MySQL parse and print values themselves: every parameter is cast to the type it
//! is compared with, every column is cast to text and read by its type. So each type works that the
//! server has, without a codec here.

use jiff::Timestamp;
use serde_json::Value;

use crate::config::Engine;
use crate::value::Kind;

/// A moment as MySQL writes it.
pub(crate) const MYSQL_MOMENT: &str = "%Y-%m-%d %H:%M:%S%.6f";

impl Engine {
    /// An identifier, whatever is in it.
    pub(crate) fn quoted(self, name: &str) -> String {
        match self {
            Self::Sqlite | Self::Postgres => format!("\"{}\"", name.replace('"', "\"\"")),
            Self::Mysql => format!("`{}`", name.replace('`', "``")),
        }
    }

    /// A table's name with its schema: `crm.leads`.
    pub(crate) fn quoted_path(self, path: &str) -> String {
        let parts: Vec<_> = path.split('.').map(|part| self.quoted(part)).collect();
        parts.join(".")
    }

    /// How a parameter is written, counted from 0; `type_name` is what the server casts it to.
    /// MySQL has no numbers: its parameters are bound in the order in which they stand.
    pub(crate) fn placeholder(self, index: usize, type_name: &str) -> String {
        match (self, type_name) {
            (Self::Sqlite, _) => format!("?{}", index + 1),
            (Self::Postgres, "") => format!("${}", index + 1),
            (Self::Postgres, _) => format!("(${}::text)::{type_name}", index + 1),
            (Self::Mysql, _) => match mysql_cast(type_name) {
                Some(target) => format!("CAST(? AS {target})"),
                None => "?".to_owned(),
            },
        }
    }

    /// How a column is read so that `Client::rows` and [`Kind::typed`] understand it.
    pub(crate) fn output(self, expression: &str, kind: Kind) -> String {
        match (self, kind) {
            (Self::Sqlite, _) => expression.to_owned(),
            (Self::Postgres, Kind::Bytes) => format!("encode({expression}, 'base64')"),
            (Self::Postgres, Kind::Json) => format!("to_json({expression})::text"),
            (Self::Postgres, _) => format!("{expression}::text"),
            (Self::Mysql, Kind::Bytes) => format!("TO_BASE64({expression})"),
            (Self::Mysql, _) => format!("CAST({expression} AS CHAR)"),
        }
    }

    /// Text that sorts by its bytes, and not by some language.
    pub(crate) fn by_bytes(self, expression: &str) -> String {
        match self {
            Self::Sqlite => expression.to_owned(),
            Self::Postgres => format!("{expression} COLLATE \"C\""),
            Self::Mysql => format!("CAST({expression} AS BINARY)"),
        }
    }

    /// Asks for the database's own clock: Unix time in microseconds.
    pub(crate) fn now_us(self) -> &'static str {
        match self {
            Self::Sqlite => "SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER) * 1000",
            Self::Postgres => "SELECT (extract(epoch FROM now()) * 1000000)::int8::text",
            Self::Mysql => "SELECT CAST(CAST(unix_timestamp(now(6)) * 1000000 AS SIGNED) AS CHAR)",
        }
    }

    /// Asks for the tables there are.
    pub(crate) fn tables(self) -> &'static str {
        match self {
            Self::Sqlite => {
                "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') ORDER BY 1 LIMIT 50"
            }
            Self::Postgres => {
                "SELECT oid::regclass::text FROM pg_class WHERE relkind IN ('r', 'v', 'm', 'f', \
                 'p') AND relnamespace NOT IN (SELECT oid FROM pg_namespace WHERE nspname LIKE \
                 'pg\\_%' OR nspname = 'information_schema') ORDER BY 1 LIMIT 50"
            }
            Self::Mysql => {
                "SELECT CAST(table_name AS CHAR) FROM information_schema.tables \
                 WHERE table_schema = database() ORDER BY 1 LIMIT 50"
            }
        }
    }

    /// The first two rows of an operator's query. MySQL keeps an order only where it is cut off.
    pub(crate) fn first_two(self, outputs: &str, sql: &str) -> String {
        match self {
            Self::Sqlite | Self::Postgres => {
                format!("SELECT {outputs} FROM (\n{sql}\n) AS answer LIMIT 2")
            }
            Self::Mysql => format!("SELECT {outputs} FROM ((\n{sql}\n) LIMIT 2) AS answer"),
        }
    }

    /// A value for an operator's statement. MySQL reads no offset in a moment, so it gets UTC.
    pub(crate) fn parameter(self, value: Value) -> Value {
        let moment = value.as_str().and_then(|text| text.parse::<Timestamp>().ok());
        match (self, moment) {
            (Self::Mysql, Some(moment)) => moment.strftime(MYSQL_MOMENT).to_string().into(),
            _ => value,
        }
    }

    /// Enters a key, `placeholder`, into a ledger. Where it is there already, SQLite and PostgreSQL
    /// touch no row, MySQL refuses.
    pub(crate) fn enter(self, ledger: &str, placeholder: &str) -> String {
        let insert = format!("INSERT INTO {ledger} (idempotency_key) VALUES ({placeholder})");
        match self {
            Self::Sqlite | Self::Postgres => {
                format!("{insert} ON CONFLICT (idempotency_key) DO NOTHING")
            }
            Self::Mysql => insert,
        }
    }
}

/// What MySQL can cast to, of the types that it would else compare as floating point, or as text.
fn mysql_cast(type_name: &str) -> Option<&'static str> {
    match type_name {
        "DATETIME" | "TIMESTAMP" => Some("DATETIME(6)"),
        "DATE" => Some("DATE"),
        "DECIMAL" => Some("DECIMAL(65, 30)"),
        _ if type_name.ends_with("INT UNSIGNED") => Some("UNSIGNED"),
        _ if type_name.ends_with("INT") || type_name == "BOOLEAN" => Some("SIGNED"),
        _ => None,
    }
}
