//! What a database says when it refuses, as the classes the hub acts on.

use gantry_plugin_api::Error;
use sqlx::error::DatabaseError;
use sqlx::mysql::MySqlDatabaseError;

/// What is being tried, and which key of the configuration made us.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Task<'a> {
    /// Completes "cannot …": a verb and its object.
    pub(crate) what: &'a str,
    /// The key that is at fault if the SQL is wrong.
    pub(crate) field: &'a str,
}

/// The error for a person and for the hub. No text of a connection's configuration gets in.
pub(crate) fn classify(error: &sqlx::Error, task: Task<'_>) -> Error {
    let text = format!("cannot {}", task.what);
    match error {
        sqlx::Error::Database(refusal) => {
            let refusal = refusal.as_ref();
            let code = refusal.code().unwrap_or_default();
            let make = match code.parse::<u32>() {
                Ok(code) if is_sqlite(refusal) => sqlite(code),
                _ => match refusal.try_downcast_ref::<MySqlDatabaseError>() {
                    Some(refusal) => mysql(refusal.number(), &code),
                    None => postgres(&code),
                },
            };
            make(text, task.field).because(refusal.as_error())
        }
        sqlx::Error::Io(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::Protocol(_)
        | sqlx::Error::WorkerCrashed => Error::transient(text).because(error),
        sqlx::Error::Tls(_) => Error::config("tls", text).because(error),
        sqlx::Error::Configuration(_) | sqlx::Error::InvalidArgument(_) => {
            Error::config("", text).because(error)
        }
        _ => Error::permanent(text).because(error),
    }
}

type Make = fn(String, &str) -> Error;

const TRANSIENT: Make = |text, _| Error::transient(text);
const FILE: Make = |text, _| Error::auth_denied(text + "; check the rights on the file");
const SIGN_IN: Make = |text, _| Error::auth_denied(text + "; check `user` and `password`");
const RIGHTS: Make = |text, _| Error::auth_denied(text + "; grant `user` the right to it");
const CONFLICT: Make = |text, _| Error::conflict(text);
const PERMANENT: Make = |text, _| Error::permanent(text);
const SQL: Make = |text, field| Error::config(field, text);
const PATH: Make = |text, _| Error::config("path", text);
const DATABASE: Make = |text, _| Error::config("database", text);

fn is_sqlite(refusal: &dyn DatabaseError) -> bool {
    refusal.try_downcast_ref::<sqlx::sqlite::SqliteError>().is_some()
}

/// Source: sqlite.org/rescode.html; the primary code is the lowest byte of the extended one.
fn sqlite(code: u32) -> Make {
    match (code, code & 0xff) {
        // Unique, primary key, row id.
        (2067 | 1555 | 2579, _) => CONFLICT,
        // Busy, locked, no memory, interrupted, input or output, full, schema changed.
        (_, 5 | 6 | 7 | 9 | 10 | 13 | 17) => TRANSIENT,
        // No permission, read only, authorisation denied.
        (_, 3 | 8 | 23) => FILE,
        // Corrupt, cannot open, not a database.
        (_, 11 | 14 | 26) => PATH,
        // No such table or column, wrong syntax: all the same code.
        (_, 1) => SQL,
        _ => PERMANENT,
    }
}

/// Source: PostgreSQL documentation, appendix A (error codes); the first two places are the class.
fn postgres(code: &str) -> Make {
    match (code, code.get(..2).unwrap_or_default()) {
        ("42501", _) => RIGHTS,
        (_, "28") => SIGN_IN,
        ("23505" | "23P01", _) => CONFLICT,
        ("3D000", _) => DATABASE,
        // Connection, rollback, resources, not in the right state (locks), intervention, system.
        (_, "08" | "40" | "53" | "55" | "57" | "58") => TRANSIENT,
        // Wrong syntax, unknown names, wrong types; what this server cannot do.
        (_, "42" | "3F" | "0A") => SQL,
        _ => PERMANENT,
    }
}

/// Source: MariaDB documentation, error codes; MySQL 8 error reference. `state` is the SQLSTATE.
fn mysql(number: u16, state: &str) -> Make {
    match (number, state.get(..2).unwrap_or_default()) {
        // Access denied, with or without a password.
        (1045 | 1698, _) => SIGN_IN,
        // Access denied to a database, table, column, routine or operation.
        (1044 | 1142 | 1143 | 1227 | 1370, _) => RIGHTS,
        (1049, _) => DATABASE,
        (1062 | 1586, _) => CONFLICT,
        // Too many connections, going down, network, locks, killed, limits, read only for now.
        (
            1020
            | 1040
            | 1053
            | 1129
            | 1158..=1161
            | 1203
            | 1205
            | 1213
            | 1226
            | 1290
            | 1317
            | 1836
            | 1927
            | 1969
            | 3024,
            _,
        )
        | (_, "08" | "40") => TRANSIENT,
        // Wrong syntax, unknown tables and columns.
        (_, "42") => SQL,
        _ => PERMANENT,
    }
}
