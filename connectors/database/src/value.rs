//! Values on their way from a database to JSON, and moments on their way there and back.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::Serializer as _;
use serde_json::Value;

use crate::client::Column;
use crate::config::Engine;

/// Room that is made for a column's name and value.
const BYTES_A_COLUMN: usize = 48;

/// What JSON a column becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Bool,
    /// A number, if it is one JSON can hold exactly; decimals stay text.
    Number,
    /// RFC 3339 in UTC.
    Moment,
    /// Base64.
    Bytes,
    Json,
    /// As the database prints it.
    Plain,
}

impl Kind {
    /// By the database's word for the type.
    pub(crate) fn of(engine: Engine, type_name: &str) -> Self {
        match type_name.to_ascii_uppercase().as_str() {
            number if engine == Engine::Mysql && is_mysql_number(number) => Self::Number,
            bytes if engine == Engine::Mysql && is_mysql_bytes(bytes) => Self::Bytes,
            "BOOL" | "BOOLEAN" => Self::Bool,
            "INT2" | "INT4" | "INT8" | "OID" | "FLOAT4" | "FLOAT8" => Self::Number,
            "TIMESTAMP" | "TIMESTAMPTZ" | "DATETIME" => Self::Moment,
            "BYTEA" => Self::Bytes,
            "JSON" | "JSONB" => Self::Json,
            array if array.ends_with("[]") => Self::Json,
            _ => Self::Plain,
        }
    }

    /// Gives a value its type; one that does not fit stays as it is, since nothing may be lost.
    pub(crate) fn typed(self, raw: Value) -> Value {
        let typed = match (self, &raw) {
            (Self::Bool, Value::Number(number)) => match number.as_i64() {
                Some(0) => Some(false.into()),
                Some(1) => Some(true.into()),
                _ => None,
            },
            (Self::Bool, Value::String(word)) => match word.as_str() {
                "0" => Some(false.into()),
                "1" => Some(true.into()),
                _ => word.parse().ok().map(Value::Bool),
            },
            (Self::Number, Value::String(digits)) => {
                let integer = digits.parse::<i64>().map(Value::from);
                let integer = integer.or_else(|_| digits.parse::<u64>().map(Value::from)).ok();
                let float = || digits.parse().ok().and_then(serde_json::Number::from_f64);
                integer.or_else(|| float().map(Value::Number))
            }
            (Self::Moment, Value::String(text)) => {
                moment(text).map(|moment| moment.to_string().into())
            }
            (Self::Bytes, Value::String(base64)) => Some(base64.replace('\n', "").into()),
            (Self::Json, Value::String(json)) => serde_json::from_str(json).ok(),
            _ => None,
        };
        typed.unwrap_or(raw)
    }
}

fn is_mysql_number(type_name: &str) -> bool {
    let signed = type_name.strip_suffix(" UNSIGNED").unwrap_or(type_name);
    signed.ends_with("INT") || matches!(signed, "FLOAT" | "DOUBLE" | "YEAR")
}

fn is_mysql_bytes(type_name: &str) -> bool {
    type_name.ends_with("BLOB") || matches!(type_name, "BINARY" | "VARBINARY" | "BIT" | "GEOMETRY")
}

/// The values of a row with the names of their columns.
pub(crate) fn named<'c>(
    columns: &'c [Column],
    row: impl IntoIterator<Item = Value>,
) -> impl Iterator<Item = (&'c String, Value)> {
    let typed = |(column, raw): (&'c Column, _)| (&column.name, column.kind.typed(raw));
    columns.iter().zip(row).map(typed)
}

/// A row as a JSON object, written at once. No two columns have the same name.
pub(crate) fn object(
    columns: &[Column],
    row: impl IntoIterator<Item = Value>,
) -> Result<Vec<u8>, serde_json::Error> {
    let mut json = Vec::with_capacity(columns.len() * BYTES_A_COLUMN);
    serde_json::Serializer::new(&mut json).collect_map(named(columns, row))?;
    Ok(json)
}

/// Bytes as JSON can hold them.
pub(crate) fn blob(bytes: &[u8]) -> Value {
    STANDARD.encode(bytes).into()
}

/// A value as a parameter in text: text without quotes, all else as JSON.
pub(crate) fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Reads RFC 3339 and what databases print: a space for the `T`, an offset in hours, or none for
/// UTC.
pub(crate) fn moment(text: &str) -> Option<Timestamp> {
    let read = text.parse().or_else(|_| format!("{text}Z").parse());
    read.ok()
}
