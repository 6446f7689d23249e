//! What the operator writes: the org, and the settings of its captures, look-ups and callbacks.
//! The build script derives the manifest from these types too, so they need only serde and
//! schemars.

use std::collections::BTreeMap;

use gantry_plugin_api::{HumanDuration, HumanMoment, Secret};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An org of Salesforce.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// The org's My Domain: `https://acme.my.salesforce.com`. Tokens are got there, and requests
    /// go to the instance that comes with a token.
    pub(crate) endpoint: String,
    /// The version of the REST API.
    #[serde(default = "api_version")]
    pub(crate) api_version: String,
    /// How the hub signs in.
    #[serde(default)]
    pub(crate) auth: Auth,
    /// The consumer key of the app.
    pub(crate) client_id: String,
    /// Client credentials: the consumer secret of the app, by reference.
    pub(crate) client_secret: Option<Secret<String>>,
    /// JWT bearer: the name of the user that the app acts for.
    pub(crate) user: Option<String>,
    /// JWT bearer: the app's private key (PEM, RSA), by reference: `{ file = "gantry.key" }`.
    pub(crate) private_key: Option<Secret<String>>,
    /// JWT bearer: to whom assertions are addressed; `https://test.salesforce.com` for a sandbox.
    #[serde(default = "audience")]
    pub(crate) audience: String,
    /// A file with the certificates to trust (PEM), instead of the public ones.
    pub(crate) tls_ca: Option<String>,
    /// How long an answer may take.
    #[serde(default = "request_timeout")]
    pub(crate) request_timeout: HumanDuration,
    /// Captures pause when this share of the org's daily API calls is used up, in percent; the rest
    /// is left to look-ups, callbacks and others.
    #[serde(default = "api_share")]
    #[schemars(range(min = 1, max = 100))]
    pub(crate) api_share: u8,
}

/// How the hub signs in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Auth {
    /// OAuth 2 client credentials: the app has a user to run as.
    #[default]
    ClientCredentials,
    /// OAuth 2 JWT bearer: the app signs, and is approved in advance for the user.
    JwtBearer,
}

/// Which records are captured.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CaptureSettings {
    /// The object: `Case`, `Lead`, `Task`, or a custom one (`Claim__c`).
    pub(crate) object: String,
    /// The fields that make up the record, those of related objects too: `Owner.Name`. `Id` is
    /// always among them.
    pub(crate) fields: Vec<String>,
    /// A condition in SOQL that a record must fulfil to be captured.
    #[serde(rename = "where")]
    pub(crate) filter: Option<String>,
    /// What it means that a record was deleted.
    #[serde(default)]
    pub(crate) on_deleted: OnDeleted,
    /// How far back each poll looks again for records that were committed late.
    #[serde(default = "overlap")]
    pub(crate) overlap: HumanDuration,
    /// How old a change must be, by the server's clock, before it is captured.
    #[serde(default = "lag")]
    pub(crate) lag: HumanDuration,
    /// Records that changed before this moment are never captured: `2026-01-31` or RFC 3339.
    pub(crate) from: Option<HumanMoment>,
}

/// What it means that a record was deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OnDeleted {
    /// Its work item is canceled.
    #[default]
    Cancel,
    /// Nothing.
    Ignore,
}

/// What is asked.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LookupSettings {
    /// A `SELECT` in SOQL; `:name` stands for the item's attribute of that name, `null` if it is
    /// absent.
    pub(crate) query: String,
    /// What is answered: names and the fields of the record that they are read from, such as
    /// `{ rating = "Account.Rating" }`. Without it, the record as it is: the look-up's `fields`
    /// choose from it.
    #[serde(default)]
    pub(crate) answer: BTreeMap<String, String>,
    /// What to do if there are several records.
    #[serde(default)]
    pub(crate) on_many: OnMany,
}

/// What several records mean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OnMany {
    /// Take the first, and log a warning.
    #[default]
    First,
    /// The look-up fails.
    Fail,
}

/// What is written.
///
/// Values are text, numbers or booleans; text such as `":name"` stands for `external_id`, `event`,
/// `occurred_at`, `item_id`, `capture_point`, `sequence` or `idempotency_key`; else for a detail of
/// the event (`disposition`, …) or an attribute of the item, null if there is none. `"::x"` is the
/// text `:x`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CallbackSettings {
    /// The object that is written to.
    pub(crate) object: String,
    /// The id of its record.
    #[serde(default = "id")]
    pub(crate) id: String,
    /// Fields and their values.
    #[serde(default)]
    pub(crate) set: BTreeMap<String, Scalar>,
    /// More records to make in the same transaction.
    #[serde(default)]
    pub(crate) create: Vec<Creation>,
    /// The path of an Apex REST class that is posted to instead (`/services/apexrest/convert`), for
    /// what the REST API cannot do, such as converting a lead. It gets `id`, `idempotency_key` and
    /// the values of `set`.
    pub(crate) apex: Option<String>,
}

/// A record to make.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Creation {
    /// Its object.
    pub(crate) object: String,
    /// A text field of it, marked as external id and unique, that takes the idempotency key: a
    /// repeated delivery then finds the record made before.
    pub(crate) key: String,
    /// Fields and their values.
    pub(crate) set: BTreeMap<String, Scalar>,
}

/// The value of a field.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Scalar {
    /// Yes or no.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// Another number.
    Number(f64),
    /// Text, or `":name"`.
    Text(String),
}

fn api_version() -> String {
    "66.0".to_owned()
}

fn audience() -> String {
    "https://login.salesforce.com".to_owned()
}

fn request_timeout() -> HumanDuration {
    HumanDuration::from_secs(30)
}

fn api_share() -> u8 {
    90
}

fn overlap() -> HumanDuration {
    HumanDuration::from_secs(120)
}

fn lag() -> HumanDuration {
    HumanDuration::from_secs(15)
}

fn id() -> String {
    ":external_id".to_owned()
}
