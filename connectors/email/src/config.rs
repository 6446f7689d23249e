//! What the operator writes: the mailbox and its servers, and the settings of captures, look-ups
//! and callbacks. The build script derives the manifest from these types too, so they need only
//! serde and schemars.

use std::num::{NonZeroU32, NonZeroU64};

use gantry_plugin_api::{HumanDuration, HumanMoment, Secret};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A mailbox: one `[source.NAME]`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// Where mail is read.
    pub(crate) imap: Server,
    /// Where replies are handed in; only callbacks that reply need it.
    pub(crate) smtp: Option<Server>,
    /// Who signs in, at both servers.
    pub(crate) user: String,
    /// The password, by reference: `{ env = "MAIL_PASSWORD" }`. This, `token` or `oauth`.
    pub(crate) password: Option<Secret<String>>,
    /// An OAuth access token, by reference: signs in with XOAUTH2.
    pub(crate) token: Option<Secret<String>>,
    /// Where OAuth access tokens are got: signs in with XOAUTH2.
    pub(crate) oauth: Option<OAuth>,
    /// A file with the certificates to trust (PEM), instead of the public ones.
    pub(crate) tls_ca: Option<String>,
    /// The mailbox's own address: replies come from it, and mail from it is no work.
    pub(crate) address: String,
    /// Further addresses of the mailbox; mail from them is no work either.
    #[serde(default)]
    pub(crate) aliases: Vec<String>,
    /// The name that replies show beside the address.
    pub(crate) name: Option<String>,
    /// How long a server may take to answer a command, and the longest silence within an answer.
    #[serde(default = "request_timeout")]
    pub(crate) request_timeout: HumanDuration,
    /// At most so many IMAP connections, beside one for each capture point that streams. Servers
    /// limit them: many to 10, some to 15.
    #[serde(default = "max_connections")]
    pub(crate) max_connections: NonZeroU32,
}

/// A token server, and what it gives tokens for: the application itself (client credentials), or
/// the mailbox's owner (a refresh token).
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OAuth {
    /// Its address: `https://login.example.com/tenant/oauth2/v2.0/token`.
    pub(crate) token_url: String,
    /// The application's id.
    pub(crate) client_id: String,
    /// The application's secret, by reference; with a refresh token some need none.
    pub(crate) client_secret: Option<Secret<String>>,
    /// The owner's refresh token, by reference; without it the application signs in by itself.
    /// Where the token server replaces it, the hub keeps the new one.
    pub(crate) refresh_token: Option<Secret<String>>,
    /// The scopes asked for, separated by spaces.
    pub(crate) scope: Option<String>,
}

/// A mail server.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Server {
    /// Its name or address.
    pub(crate) host: String,
    /// Its port; without it the usual one: IMAP 993 (`implicit`) or 143, SMTP 465 or 587.
    pub(crate) port: Option<u16>,
    /// How the connection is encrypted. The certificate must be valid for the host.
    #[serde(default)]
    pub(crate) tls: Tls,
}

/// How a connection is encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Tls {
    /// From the first byte on.
    #[default]
    Implicit,
    /// By the command STARTTLS, before anything secret is said.
    Starttls,
    /// Never: passwords and mail can be read on the way. For servers on the same machine.
    None,
}

/// Which mail is captured: `[capture.NAME] settings`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CaptureSettings {
    /// The folder.
    #[serde(default = "inbox")]
    pub(crate) folder: String,
    /// Mail that the server received before this day (UTC) is never captured: `2026-01-31`.
    pub(crate) from: Option<HumanMoment>,
    /// The first load takes only so many mails, the latest ones.
    pub(crate) at_most: Option<NonZeroU64>,
    /// The keyword that marks mail that the hub is done with; empty for none. Where the server does
    /// not keep keywords there is none, and where there is `move_to`, that marks it.
    #[serde(default = "keyword")]
    pub(crate) keyword: String,
    /// The folder that mail is moved to once the hub is done with it, also what the hub filtered or
    /// refused; it is created if it is not there. Without it, mail stays where it is.
    pub(crate) move_to: Option<String>,
    /// What it means that a captured mail is deleted, flagged so, or moved away by somebody else.
    #[serde(default)]
    pub(crate) on_removed: OnRemoved,
    /// `on_removed = "cancel"`: mail in these folders counts as not removed: those that people or
    /// callbacks move mail to whose work is not done.
    #[serde(default)]
    pub(crate) kept_in: Vec<String>,
    /// The longest mail, in bytes: a longer one is refused, and its head becomes a dead letter.
    #[serde(default = "max_message_bytes")]
    pub(crate) max_message_bytes: NonZeroU32,
    /// The longest text, in bytes; what is beyond is cut off, and `text_cut` says so.
    #[serde(default = "max_text_bytes")]
    pub(crate) max_text_bytes: NonZeroU32,
    /// Attachments of at most so many bytes bring their content (base64); larger ones are listed
    /// only. Together they bring at most 512 KiB.
    #[serde(default)]
    pub(crate) max_attachment_bytes: u32,
    /// How far before the last captured mail to look again when the server has numbered the folder
    /// anew (UIDVALIDITY). What the hub has is recognised.
    #[serde(default = "resync")]
    pub(crate) resync: HumanDuration,
    /// While it streams: how often to look even though the server announced nothing; the interval
    /// of looks where the server cannot announce (no IDLE). With `on_removed = "cancel"`, how often
    /// to ask whether the mail of open items is there.
    #[serde(default = "look_every")]
    pub(crate) look_every: HumanDuration,
}

/// What it means that captured mail is removed in the mailbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OnRemoved {
    /// Nothing: people tidy up.
    #[default]
    Ignore,
    /// Its work item is canceled, with the last mail of the thread.
    Cancel,
}

/// What is asked: `[lookup.NAME] settings`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LookupSettings {
    /// The folders that are searched.
    #[serde(default = "folders")]
    pub(crate) folders: Vec<String>,
    /// Mail from this address counts; `:name` stands for an attribute. Either this or `thread`.
    pub(crate) address: Option<String>,
    /// Mail of this thread counts, named by its first mail; `:name` stands for an attribute.
    /// Either this or `address`.
    pub(crate) thread: Option<String>,
}

/// What is done: `[callback.NAME] settings`. `:name` stands for `external_id`, `event`,
/// `occurred_at`, `item_id`, `capture_point` or `idempotency_key`; else for a detail of the event
/// (`disposition`, …) or an attribute of the item.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CallbackSettings {
    /// What is done with the mail.
    pub(crate) action: Action,
    /// `reply`: the text. If the item has none, nothing is sent.
    #[serde(default = "text")]
    pub(crate) text: String,
    /// `reply`: the address that it goes to.
    #[serde(default = "to")]
    pub(crate) to: String,
    /// `reply`: the subject of the mail that is answered.
    #[serde(default = "subject")]
    pub(crate) subject: String,
    /// `reply`: the Message-ID of the mail that is answered.
    #[serde(default = "in_reply_to")]
    pub(crate) in_reply_to: String,
    /// `reply`: nobody wrote it. So it says `Auto-Submitted: auto-replied`, and a report that it
    /// cannot be delivered goes to nobody.
    #[serde(default)]
    pub(crate) automatic: bool,
    /// `reply` with `automatic`: so many at most go to one address within `automatic_within`, so
    /// that two machines do not answer each other for ever. What would be more becomes a dead
    /// letter.
    #[serde(default = "automatic_max")]
    pub(crate) automatic_max: NonZeroU32,
    /// `reply` with `automatic`: for how long an answer counts.
    #[serde(default = "automatic_within")]
    pub(crate) automatic_within: HumanDuration,
    /// `reply`: how the mailbox gets its copy, in which a repeat is recognised.
    #[serde(default)]
    pub(crate) copy: Copies,
    /// `reply` with `copy = "append"`: the folder of the copies; it is created if it is not there.
    #[serde(default = "sent")]
    pub(crate) sent: String,
    /// The folder in which the mail is found, and in which copies by `bcc` arrive.
    #[serde(default = "inbox")]
    pub(crate) folder: String,
    /// `move`: the folder that the thread's mail goes to; it is created if it is not there.
    pub(crate) move_to: Option<String>,
    /// `flag` and `move`: flags that the thread's mail gets, such as `\\Answered`, or keywords.
    #[serde(default)]
    pub(crate) flags: Vec<String>,
}

/// How the mailbox gets a copy of a reply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Copies {
    /// It is put into the folder `sent` once the server has taken the reply. If the server's answer
    /// is lost, the reply goes out again, with the same Message-ID.
    #[default]
    Append,
    /// The mailbox is a recipient of the reply: the copy is there exactly if the reply was sent,
    /// also when the server's answer was lost. It arrives in `folder`, as mail of our own.
    Bcc,
}

/// What a callback does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Action {
    /// Sends a reply in the thread.
    Reply,
    /// Moves the thread's mail to another folder.
    Move,
    /// Flags the thread's mail.
    Flag,
}

fn request_timeout() -> HumanDuration {
    HumanDuration::from_secs(30)
}

fn max_connections() -> NonZeroU32 {
    const { NonZeroU32::new(3).expect("invariant: 3 is not 0") }
}

fn automatic_max() -> NonZeroU32 {
    const { NonZeroU32::new(10).expect("invariant: 10 is not 0") }
}

fn automatic_within() -> HumanDuration {
    HumanDuration::from_secs(86_400)
}

fn inbox() -> String {
    "INBOX".to_owned()
}

fn folders() -> Vec<String> {
    vec![inbox()]
}

fn sent() -> String {
    "Sent".to_owned()
}

fn text() -> String {
    ":reply".to_owned()
}

fn to() -> String {
    ":from".to_owned()
}

fn subject() -> String {
    ":subject".to_owned()
}

fn in_reply_to() -> String {
    ":message_id".to_owned()
}

fn keyword() -> String {
    "$GantryTaken".to_owned()
}

fn max_message_bytes() -> NonZeroU32 {
    const { NonZeroU32::new(25 << 20).expect("invariant: 25 MiB is not 0") }
}

fn max_text_bytes() -> NonZeroU32 {
    const { NonZeroU32::new(128 << 10).expect("invariant: 128 KiB is not 0") }
}

fn resync() -> HumanDuration {
    HumanDuration::from_secs(7 * 24 * 60 * 60)
}

fn look_every() -> HumanDuration {
    HumanDuration::from_secs(5 * 60)
}
