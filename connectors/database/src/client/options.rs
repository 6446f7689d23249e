//! How each kind of database is reached.

use sqlx::ConnectOptions;
use sqlx::mysql::{MySqlConnectOptions, MySqlSslMode};
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::sqlite::SqliteConnectOptions;

use crate::config::{Config, Tls};

/// Where PostgreSQL and MySQL listen if nobody says otherwise.
const POSTGRES_PORT: u16 = 5432;
const MYSQL_PORT: u16 = 3306;

pub(super) fn sqlite(config: &Config) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(config.path.as_deref().unwrap_or_default())
        .busy_timeout(config.request_timeout.get())
        .disable_statement_logging()
}

pub(super) fn postgres(config: &Config) -> PgConnectOptions {
    let tls = match config.tls {
        Tls::Disable => PgSslMode::Disable,
        Tls::Prefer => PgSslMode::Prefer,
        Tls::Require => PgSslMode::Require,
        Tls::Verify => PgSslMode::VerifyFull,
    };
    let timeout_ms = config.request_timeout.get().as_millis().to_string();
    let settings =
        [("TimeZone", "UTC"), ("DateStyle", "ISO"), ("statement_timeout", timeout_ms.as_str())];
    let mut options = PgConnectOptions::new_without_pgpass()
        .host(config.host.as_deref().unwrap_or_default())
        .port(config.port.unwrap_or(POSTGRES_PORT))
        .database(config.database.as_deref().unwrap_or_default())
        .username(config.user.as_deref().unwrap_or_default())
        .ssl_mode(tls)
        .application_name("gantry")
        .options(settings)
        .disable_statement_logging();
    if let Some(password) = &config.password {
        options = options.password(password.expose());
    }
    if let Some(file) = &config.tls_ca {
        options = options.ssl_root_cert(file);
    }
    options
}

/// The session's time zone is UTC, as the driver has it by default.
pub(super) fn mysql(config: &Config) -> MySqlConnectOptions {
    let tls = match config.tls {
        Tls::Disable => MySqlSslMode::Disabled,
        Tls::Prefer => MySqlSslMode::Preferred,
        Tls::Require => MySqlSslMode::Required,
        Tls::Verify => MySqlSslMode::VerifyIdentity,
    };
    let host = config.host.as_deref().unwrap_or_default();
    let mut options = MySqlConnectOptions::new()
        .host(host)
        .port(config.port.unwrap_or(MYSQL_PORT))
        .database(config.database.as_deref().unwrap_or_default())
        .username(config.user.as_deref().unwrap_or_default())
        .ssl_mode(tls)
        .disable_statement_logging();
    if host.starts_with('/') {
        options = options.socket(host);
    }
    if let Some(password) = &config.password {
        options = options.password(password.expose());
    }
    if let Some(file) = &config.tls_ca {
        options = options.ssl_ca(file);
    }
    options
}
