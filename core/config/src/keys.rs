//! What keys a table may have: their kinds, defaults and meanings, declared once.
//!
//! The declarations stand beside the code that reads them, in `read`. The reader takes from them
//! what is required and the ranges of numbers; the JSON Schema of the file is made of them.

use serde_json::Value as Json;

/// A table of the config.
#[derive(Debug)]
pub(crate) struct Section {
    /// What it is, for whoever writes one.
    pub(crate) about: &'static str,
    pub(crate) keys: &'static [Key],
    /// Keys of which it has exactly one; empty = nothing of the kind.
    pub(crate) one_of: &'static [&'static str],
}

/// A key of a table.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) required: bool,
    /// What holds without it, where that is a value.
    pub(crate) default: Option<fn() -> Json>,
    /// What it means, for whoever writes it.
    pub(crate) about: &'static str,
}

/// What may stand at a key.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Text,
    /// An expression in CEL.
    Expression,
    /// An expression over the skills and groups of an agent.
    Skills,
    /// From, to.
    Integer(i64, i64),
    Boolean,
    /// `"1h30m"`
    Duration,
    /// A duration, or a time towards the SLA.
    Span,
    /// `"72h business"`
    Sla,
    /// `"50%"`
    Share,
    /// `"512MiB"`
    Bytes,
    /// `"10/1m"`
    Rate,
    /// A date of TOML, with or without time.
    Date,
    /// One of a few words.
    Words(fn() -> Vec<&'static str>),
    List(&'static Kind),
    /// Any names, each with a value of this kind.
    Map(&'static Kind),
    /// A table with keys of its own.
    Table(&'static Section),
    /// Named tables, as in `[source.NAME]`: the form of the names, and what each is.
    Named(&'static str, &'static Section),
    /// One of these.
    Either(&'static [Kind]),
    /// A single value of any kind.
    Scalar,
    Any,
    /// A table of any form.
    AnyTable,
    /// The part of the config that belongs to the plug-in.
    Plugin(Part),
    /// What the hub itself puts there for its reader; nobody writes it.
    Internal,
}

/// The parts of the config that belong to plug-ins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Source,
    Capture,
    Lookup,
    Callback,
}

/// Names of parts as they stand in addresses, files and metrics.
pub(crate) const PLAIN_NAME: &str = "^[A-Za-z0-9_-]{1,64}$";

impl Section {
    pub(crate) const fn new(about: &'static str, keys: &'static [Key]) -> Self {
        Self { about, keys, one_of: &[] }
    }

    pub(crate) const fn one_of(self, keys: &'static [&'static str]) -> Self {
        Self { one_of: keys, ..self }
    }

    pub(crate) fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }
}

/// A key that may be left out.
pub(crate) const fn key(name: &'static str, kind: Kind, about: &'static str) -> Key {
    Key { name, kind, required: false, default: None, about }
}

impl Key {
    pub(crate) const fn required(self) -> Self {
        Self { required: true, ..self }
    }

    pub(crate) const fn or(self, default: fn() -> Json) -> Self {
        Self { default: Some(default), ..self }
    }
}

/// A default as text.
pub(crate) fn shown(value: impl std::fmt::Display) -> Json {
    Json::from(value.to_string())
}

/// The words of choices.
pub(crate) fn words<T>(choices: &[(&'static str, T)]) -> Vec<&'static str> {
    choices.iter().map(|(word, _)| *word).collect()
}
