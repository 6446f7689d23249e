//! A mail's bytes, turned into a record's fields.
//!
//! Everybody can send mail, so nothing here believes it: whatever the bytes are, there is an
//! answer, it is bounded, and HTML becomes text. Sources: RFC 5322 (format), 2045 to 2047 and 2231
//! (MIME), 3834 (automatic answers), 3464 (bounces). It knows nothing of Gantry but the header by
//! which it recognises what the connector itself has sent.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

#[cfg(test)]
mod tests;

use std::panic::{AssertUnwindSafe, catch_unwind};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use mail_parser::{
    Address, HeaderValue, Message, MessageParser, MessagePart, MimeHeaders as _, PartType,
};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

/// Addresses, references and attachments that are told of one mail, each.
const LIST_MAX: usize = 100;
/// Bytes of a subject, an address, a name.
const LINE_BYTES_MAX: usize = 1000;
/// The longest id that is kept as it is; of a longer one, its hash.
const ID_BYTES_MAX: usize = 200;
/// Bytes that attachments may bring together: the hub's records have at most 1 MiB.
const CONTENT_BYTES_MAX: usize = 512 << 10;
/// Bytes of the text that tell two mails of one Message-ID apart.
const TOLD_APART_BYTES: usize = 4096;
/// Marks what this connector sends.
pub const OWN_HEADER: &str = "X-Gantry-Key";

/// How much of a mail is told.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Bytes of the text; what is beyond is cut off.
    pub text_bytes: usize,
    /// An attachment of at most so many bytes brings its content.
    pub attachment_bytes: usize,
}

/// What a mail says; its JSON is the record.
#[derive(Debug, Default, Serialize)]
pub struct Mail {
    /// The first mail of the conversation.
    pub thread_id: String,
    /// Its id, without brackets; a hash where it has none, or one that is too long.
    pub message_id: String,
    /// The mail that it answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_reply_to: Option<String>,
    /// The mails of the conversation before it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<String>,
    /// Who sent it, as the mail says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_to: Option<String>,
    /// Addresses that it went to.
    pub to: Vec<String>,
    cc: Vec<String>,
    /// Its subject.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// As the sender says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub date: Option<String>,
    /// Its text, within its bound.
    pub text: String,
    text_cut: bool,
    attachments: Vec<Attachment>,
    /// Why no person wrote it: `reply`, `bulk`, `bounce`, `own`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto: Option<&'static str>,
    /// Tells mails apart that bear the same Message-ID.
    #[serde(skip)]
    pub fingerprint: String,
}

/// A part of a mail that is not its text.
#[derive(Debug, Serialize)]
struct Attachment {
    name: String,
    #[serde(rename = "type")]
    media_type: String,
    /// In bytes.
    size: usize,
    sha256: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<String>,
}

impl Mail {
    /// Reads a mail. `own` are the mailbox's addresses.
    pub fn read(raw: &[u8], bounds: Bounds, own: &[String]) -> Self {
        if let Some(mail) = guarded(|| Self::whole(raw, bounds, own)) {
            return mail;
        }
        // Not even parts: its bytes are all that is known, beside its header.
        let (mut mail, message_id) = Self::only_head(raw, own);
        (mail.text, mail.text_cut) = cut(&String::from_utf8_lossy(raw), bounds.text_bytes);
        mail.identify(message_id.as_deref());
        mail
    }

    /// Reads what stands before the text.
    pub fn read_head(raw: &[u8], own: &[String]) -> Self {
        let (mut mail, message_id) = Self::only_head(raw, own);
        mail.identify(message_id.as_deref());
        mail
    }

    fn whole(raw: &[u8], bounds: Bounds, own: &[String]) -> Option<Self> {
        let message = MessageParser::default().parse(raw)?;
        let mut mail = Self::head(&message, own);
        let texts = (0..message.text_body_count()).map(|at| body(&message, at));
        let text = texts.collect::<Vec<_>>().join("\n");
        (mail.text, mail.text_cut) = cut(text.trim(), bounds.text_bytes);
        mail.attachments = attachments(&message, bounds.attachment_bytes);
        mail.identify(message.message_id());
        Some(mail)
    }

    /// What the header says, and its id.
    fn only_head(raw: &[u8], own: &[String]) -> (Self, Option<String>) {
        let read = || {
            let message = MessageParser::default().parse_headers(raw)?;
            Some((Self::head(&message, own), message.message_id().map(str::to_owned)))
        };
        guarded(read).unwrap_or_default()
    }

    fn head(message: &Message<'_>, own: &[String]) -> Self {
        let from = message.from().and_then(Address::first);
        let line = |text: &str| cut(text.trim(), LINE_BYTES_MAX).0;
        let mut mail = Self {
            in_reply_to: ids(message.in_reply_to()).pop(),
            references: ids(message.references()),
            from: from.and_then(|from| from.address()).map(line),
            from_name: from.and_then(|from| from.name()).map(line),
            reply_to: addresses(message.reply_to()).into_iter().next(),
            to: addresses(message.to()),
            cc: addresses(message.cc()),
            subject: message.subject().map(line),
            date: message
                .date()
                .filter(|date| date.is_valid())
                .map(mail_parser::DateTime::to_rfc3339),
            ..Self::default()
        };
        mail.auto = automatic(message, mail.from.as_deref(), own);
        if mail.auto == Some("bounce")
            && let Some(bounced) = bounced(message)
        {
            // What could not be delivered names the conversation; the report does not.
            mail.references = ids(bounced.references());
            mail.in_reply_to = bounced.message_id().map(id);
        }
        mail
    }

    /// Gives it the ids it is known by.
    fn identify(&mut self, message_id: Option<&str>) {
        let mut hasher = Sha256::new();
        let text = self.text.as_bytes();
        for part in [
            self.from.as_deref().unwrap_or_default().as_bytes(),
            self.date.as_deref().unwrap_or_default().as_bytes(),
            self.subject.as_deref().unwrap_or_default().as_bytes(),
            &text[..text.len().min(TOLD_APART_BYTES)],
        ] {
            hasher.update((part.len() as u64).to_be_bytes());
            hasher.update(part);
        }
        self.fingerprint = hex(&hasher.finalize()[..8]);
        self.message_id = match message_id.map(str::trim).filter(|id| !id.is_empty()) {
            Some(message_id) => id(message_id),
            None => format!("sha256:{}", self.fingerprint),
        };
        let root = self.references.first().or(self.in_reply_to.as_ref());
        self.thread_id = root.unwrap_or(&self.message_id).clone();
    }
}

/// Reads by the parser, which breaks over some mail (`fuzz/corpus/mail`): anybody could send such
/// mail, and nobody may stop a mailbox with it.
fn guarded<T>(read: impl FnOnce() -> Option<T>) -> Option<T> {
    // Nothing outlives what broke: the parser and what it made are dropped.
    catch_unwind(AssertUnwindSafe(read)).ok().flatten()
}

/// The texts of one part of the body; HTML as text.
fn body(message: &Message<'_>, at: usize) -> String {
    let Some(part) = message.text_part(at as u32) else { return String::new() };
    match &part.body {
        PartType::Html(html) => mail_parser::decoders::html::html_to_text(html),
        // Neither a charset is named nor is it UTF-8: what old programs mostly wrote.
        PartType::Text(text) if text.contains('\u{fffd}') && !names_charset(part) => {
            let raw = message.raw_message();
            let (from, to) = (part.offset_body as usize, part.offset_end as usize);
            let bytes = raw.get(from..to).unwrap_or_default();
            let is_plain = part.encoding == mail_parser::Encoding::None;
            let decoded = || encoding_rs::WINDOWS_1252.decode_without_bom_handling(bytes).0;
            if is_plain { decoded().into_owned() } else { text.to_string() }
        }
        _ => message.body_text(at).unwrap_or_default().into_owned(),
    }
}

fn names_charset(part: &MessagePart<'_>) -> bool {
    part.content_type().is_some_and(|kind| kind.has_attribute("charset"))
}

fn attachments(message: &Message<'_>, bytes_max: usize) -> Vec<Attachment> {
    let mut left = CONTENT_BYTES_MAX;
    let describe = |part: &MessagePart<'_>| {
        let bytes = match &part.body {
            PartType::Message(inner) => inner.raw_message(),
            _ => part.contents(),
        };
        let kind = part.content_type();
        let media_type = kind.map_or("application/octet-stream".to_owned(), |kind| {
            format!("{}/{}", kind.ctype(), kind.subtype().unwrap_or("octet-stream"))
        });
        let wanted = bytes.len() <= bytes_max.min(left);
        left -= if wanted { bytes.len() } else { 0 };
        Attachment {
            name: cut(part.attachment_name().unwrap_or("unnamed"), LINE_BYTES_MAX).0,
            media_type: cut(&media_type, LINE_BYTES_MAX).0.to_ascii_lowercase(),
            size: bytes.len(),
            sha256: hex(&Sha256::digest(bytes)),
            content: wanted.then(|| BASE64.encode(bytes)),
        }
    };
    message.attachments().take(LIST_MAX).map(describe).collect()
}

/// Why it was written by a machine, if it was.
fn automatic(message: &Message<'_>, from: Option<&str>, own: &[String]) -> Option<&'static str> {
    let header = |name: &str| {
        let mut all = message.headers_raw();
        let (_, value) = all.find(|(found, _)| found.eq_ignore_ascii_case(name))?;
        Some(value.trim().to_ascii_lowercase())
    };
    let is_own = from.is_some_and(|from| own.iter().any(|own| own.eq_ignore_ascii_case(from)));
    if header(OWN_HEADER).is_some() || header("X-Loop").is_some() || is_own {
        return Some("own");
    }
    let report = message.content_type().is_some_and(|kind| {
        kind.ctype().eq_ignore_ascii_case("multipart")
            && kind.subtype().is_some_and(|subtype| subtype.eq_ignore_ascii_case("report"))
    });
    let nobody = header("Return-Path").is_some_and(|path| path == "<>");
    if report {
        return Some("bounce");
    }
    let submitted = header("Auto-Submitted").is_some_and(|value| !value.starts_with("no"));
    let suppressed = header("X-Auto-Response-Suppress")
        .is_some_and(|value| ["all", "oof", "autoreply"].iter().any(|word| value.contains(word)));
    let precedence = header("Precedence").unwrap_or_default();
    let answers = ["X-Autoreply", "X-Autorespond"].iter().any(|name| header(name).is_some());
    if submitted || suppressed || answers || nobody || precedence.contains("auto") {
        return Some("reply");
    }
    let is_list = ["List-Id", "List-Unsubscribe"].iter().any(|name| header(name).is_some());
    let is_bulk = ["bulk", "junk", "list"].iter().any(|word| precedence.starts_with(word));
    (is_list || is_bulk).then_some("bulk")
}

/// The mail that a report on its delivery brings along.
fn bounced<'m>(message: &'m Message<'_>) -> Option<Message<'m>> {
    message.attachments().find_map(|part| match &part.body {
        PartType::Message(inner) => MessageParser::default().parse(inner.raw_message()),
        // Only its headers: text/rfc822-headers.
        PartType::Text(text) | PartType::Html(text) => part
            .content_type()
            .is_some_and(|kind| kind.subtype() == Some("rfc822-headers"))
            .then(|| MessageParser::default().parse_headers(text.as_bytes()))
            .flatten(),
        _ => None,
    })
}

fn addresses(list: Option<&Address<'_>>) -> Vec<String> {
    let found = list.into_iter().flat_map(Address::iter).filter_map(|one| one.address());
    found.take(LIST_MAX).map(|address| cut(address.trim(), LINE_BYTES_MAX).0).collect()
}

fn ids(value: &HeaderValue<'_>) -> Vec<String> {
    let texts: Vec<&str> = match value {
        HeaderValue::Text(text) => vec![text],
        HeaderValue::TextList(texts) => texts.iter().map(AsRef::as_ref).collect(),
        _ => Vec::new(),
    };
    let texts = texts.into_iter().map(str::trim).filter(|text| !text.is_empty());
    texts.take(LIST_MAX).map(id).collect()
}

/// An id as it is, or its hash where it is too long to be one of the hub's.
fn id(text: &str) -> String {
    let text = text.trim();
    if text.len() <= ID_BYTES_MAX {
        return text.to_owned();
    }
    format!("sha256:{}", hex(&Sha256::digest(text)))
}

/// At most so many bytes, whole characters, without NUL; and whether something was cut off.
fn cut(text: &str, bytes_max: usize) -> (String, bool) {
    let mut end = text.len().min(bytes_max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    (text[..end].replace('\0', ""), end < text.len())
}

/// Bytes in hexadecimal digits, lower case.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
