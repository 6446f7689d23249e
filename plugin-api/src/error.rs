//! The errors a plug-in answers with. The class decides what the hub does; the text is for people.
//!
//! A plug-in never sleeps, loops or retries on its own: it says what happened, and the hub acts.

use std::fmt;
use std::time::Duration;

use minicbor::data::Type;
use minicbor::{Decode, Decoder, Encode, Encoder};
use serde::{Deserialize, Serialize};

/// At most so many causes cross the boundary; more tell nobody anything.
const N_CAUSES_MAX: usize = 16;

/// What kind of trouble it is, and so what the hub does about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorClass {
    /// Credentials were right and are no longer: the hub creates the instance anew, once.
    AuthExpired,
    /// The source does not let us in: the instance stops until a person acts.
    AuthDenied,
    /// Too many requests: the hub waits at least as long as [`Error::retry_after`] says.
    Throttled,
    /// Worth trying again with growing pauses: network, time-out, an unavailable server.
    Transient,
    /// The source has another version of the thing than the one we speak of.
    Conflict,
    /// The thing no longer exists in the source.
    Gone,
    /// The source no longer knows the position; a person decides where to go on.
    CursorExpired,
    /// Trying again would give the same: the record or delivery becomes a dead letter.
    Permanent,
    /// The configuration is wrong; [`Error::field`] says where.
    Config,
    /// The plug-in panicked; made by the framework. The instance is not used again.
    Panic,
    /// The operation was called off; made by the framework.
    Canceled,
    /// The plug-in does not do this; made by the framework and the traits' default methods.
    Unsupported,
    /// One side did not understand the other; made by the framework.
    Protocol,
}

impl ErrorClass {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::AuthExpired,
        Self::AuthDenied,
        Self::Throttled,
        Self::Transient,
        Self::Conflict,
        Self::Gone,
        Self::CursorExpired,
        Self::Permanent,
        Self::Config,
        Self::Panic,
        Self::Canceled,
        Self::Unsupported,
        Self::Protocol,
    ];

    /// The number that crosses the boundary, 1 and up; 0 means success. Numbers are never reused.
    pub const fn code(self) -> u32 {
        self as u32 + 1
    }

    /// Reads a number from the other side; one of a later version counts as permanent.
    pub fn from_code(code: u32) -> Self {
        let index = (code as usize).wrapping_sub(1);
        Self::ALL.get(index).copied().unwrap_or(Self::Permanent)
    }

    /// Reads the word for it; one of a later version counts as permanent.
    fn from_name(name: &str) -> Self {
        Self::ALL.into_iter().find(|class| class.name() == name).unwrap_or(Self::Permanent)
    }

    /// The word for it in logs, reports and the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AuthExpired => "auth_expired",
            Self::AuthDenied => "auth_denied",
            Self::Throttled => "throttled",
            Self::Transient => "transient",
            Self::Conflict => "conflict",
            Self::Gone => "gone",
            Self::CursorExpired => "cursor_expired",
            Self::Permanent => "permanent",
            Self::Config => "config",
            Self::Panic => "panic",
            Self::Canceled => "canceled",
            Self::Unsupported => "unsupported",
            Self::Protocol => "protocol",
        }
    }
}

impl fmt::Display for ErrorClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl<C> Encode<C> for ErrorClass {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.u32(self.code())?.ok()
    }
}

impl<'b, C> Decode<'b, C> for ErrorClass {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        d.u32().map(Self::from_code)
    }
}

/// What went wrong: a class to act on, a text to read, and the chain of causes.
///
/// `Display` prints the message alone; reporters walk `source()`.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(from = "Form", into = "Form")]
pub struct Error {
    #[n(0)]
    class: ErrorClass,
    #[n(1)]
    message: String,
    #[n(2)]
    retry_after_ms: Option<u64>,
    #[n(3)]
    field: Option<String>,
    #[n(4)]
    #[cbor(with = "causes", has_nil)]
    cause: Option<Box<Cause>>,
}

/// An error as it stands in JSON.
#[derive(Serialize, Deserialize)]
struct Form {
    class: String,
    #[serde(default)]
    message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    causes: Vec<String>,
}

impl From<Form> for Error {
    fn from(form: Form) -> Self {
        let Form { class, message, retry_after_ms, field, mut causes } = form;
        causes.truncate(N_CAUSES_MAX);
        let class = ErrorClass::from_name(&class);
        Self { class, message, retry_after_ms, field, cause: link(causes) }
    }
}

impl From<Error> for Form {
    fn from(error: Error) -> Self {
        let causes = texts(error.cause.as_deref()).map(str::to_owned).collect();
        let Error { class, message, retry_after_ms, field, .. } = error;
        Self { class: class.name().to_owned(), message, retry_after_ms, field, causes }
    }
}

/// One link of the chain of causes; only its text survives the way to the hub.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Cause {
    message: String,
    next: Option<Box<Cause>>,
}

impl Error {
    /// An error of a given class. Prefer the constructors named after the classes.
    pub fn new(class: ErrorClass, message: impl Into<String>) -> Self {
        Self { class, message: message.into(), retry_after_ms: None, field: None, cause: None }
    }

    /// See [`ErrorClass::AuthExpired`].
    pub fn auth_expired(message: impl Into<String>) -> Self {
        Self::new(ErrorClass::AuthExpired, message)
    }

    /// See [`ErrorClass::AuthDenied`].
    pub fn auth_denied(message: impl Into<String>) -> Self {
        Self::new(ErrorClass::AuthDenied, message)
    }

    /// See [`ErrorClass::Throttled`]; `after` as the source gave it, cut to whole milliseconds.
    pub fn throttled(message: impl Into<String>, after: Option<Duration>) -> Self {
        let retry_after_ms = after.map(|after| after.as_millis() as u64);
        Self { retry_after_ms, ..Self::new(ErrorClass::Throttled, message) }
    }

    /// See [`ErrorClass::Transient`].
    pub fn transient(message: impl Into<String>) -> Self {
        Self::new(ErrorClass::Transient, message)
    }

    /// See [`ErrorClass::Conflict`].
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(ErrorClass::Conflict, message)
    }

    /// See [`ErrorClass::Gone`].
    pub fn gone(message: impl Into<String>) -> Self {
        Self::new(ErrorClass::Gone, message)
    }

    /// See [`ErrorClass::CursorExpired`].
    pub fn cursor_expired(message: impl Into<String>) -> Self {
        Self::new(ErrorClass::CursorExpired, message)
    }

    /// See [`ErrorClass::Permanent`].
    pub fn permanent(message: impl Into<String>) -> Self {
        Self::new(ErrorClass::Permanent, message)
    }

    /// See [`ErrorClass::Config`]. `field` is a dotted path in the configuration (`tls.ca`), empty
    /// for the whole of it.
    pub fn config(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: Some(field.into()), ..Self::new(ErrorClass::Config, message) }
    }

    /// See [`ErrorClass::Unsupported`].
    pub fn unsupported(operation: &str) -> Self {
        Self::new(ErrorClass::Unsupported, format!("plug-in does not offer `{operation}`"))
    }

    /// Adds the error that led to this one, with its own chain of sources.
    #[must_use]
    pub fn because(mut self, source: &(dyn std::error::Error + '_)) -> Self {
        let chain = std::iter::successors(Some(source), |error| error.source());
        self.cause = link(chain.take(N_CAUSES_MAX).map(ToString::to_string).collect());
        self
    }

    /// What the hub decides by.
    pub fn class(&self) -> ErrorClass {
        self.class
    }

    /// What was tried and what happened, without the causes.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// How long the source asks us to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after_ms.map(Duration::from_millis)
    }

    /// Where in the configuration the mistake is: a dotted path.
    pub fn field(&self) -> Option<&str> {
        self.field.as_deref()
    }

    /// The same error with each text passed through `edit`, for example to take secrets out.
    #[must_use]
    pub fn map_text(mut self, edit: impl Fn(&str) -> String) -> Self {
        self.message = edit(&self.message);
        self.cause = link(texts(self.cause.as_deref()).map(edit).collect());
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as _)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Cause {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.next.as_deref().map(|cause| cause as _)
    }
}

fn link(texts: Vec<String>) -> Option<Box<Cause>> {
    texts.into_iter().rev().fold(None, |next, message| Some(Box::new(Cause { message, next })))
}

fn texts(cause: Option<&Cause>) -> impl Iterator<Item = &str> {
    std::iter::successors(cause, |cause| cause.next.as_deref()).map(|cause| cause.message.as_str())
}

/// The chain travels as a flat list: a nested form would let a peer recurse us to death.
mod causes {
    use super::{Cause, Decoder, Encoder, N_CAUSES_MAX, Type, link, texts};

    #[expect(clippy::ref_option, reason = "the signature is the codec's")]
    pub(super) fn encode<C, W: minicbor::encode::Write>(
        cause: &Option<Box<Cause>>,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        let n = texts(cause.as_deref()).count();
        e.array(n as u64)?;
        for text in texts(cause.as_deref()) {
            e.str(text)?;
        }
        Ok(())
    }

    pub(super) fn decode<C>(
        d: &mut Decoder<'_>,
        _: &mut C,
    ) -> Result<Option<Box<Cause>>, minicbor::decode::Error> {
        if d.datatype()? == Type::Null {
            d.null()?;
            return Ok(None);
        }
        let texts: Result<Vec<_>, _> = d.array_iter::<String>()?.take(N_CAUSES_MAX + 1).collect();
        let texts = texts?;
        if texts.len() > N_CAUSES_MAX {
            return Err(minicbor::decode::Error::message("too many causes"));
        }
        Ok(link(texts))
    }

    #[expect(clippy::ref_option, reason = "the signature is the codec's")]
    pub(super) fn is_nil(cause: &Option<Box<Cause>>) -> bool {
        cause.is_none()
    }

    #[expect(clippy::option_option, clippy::unnecessary_wraps, reason = "as above")]
    pub(super) fn nil() -> Option<Option<Box<Cause>>> {
        Some(None)
    }
}
