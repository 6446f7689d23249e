//! What is wrong with an expression: where, why, and what to write instead.

use std::fmt;
use std::ops::Range;

use gantry_model::Name;
use thiserror::Error;

/// A mistake in one expression.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{message}")]
pub struct ExpressionError {
    /// The wrong part, in bytes of the expression's text.
    pub span: Range<usize>,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
}

/// A mistake in an expression of a config.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpressionFinding {
    /// What is wrong with it.
    pub kind: MistakeKind,
    /// Which expression.
    pub path: ExpressionPath,
    /// Its text.
    pub text: String,
    /// The wrong part, in bytes of the text.
    pub span: Range<usize>,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
}

/// The kinds of mistakes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MistakeKind {
    /// The expression cannot be read, or its parts do not fit each other.
    Expression,
    /// A value cannot be read as its type, or is not allowed.
    Value,
    /// It names something that there is not.
    UnknownName,
    /// It gives a name that something else has.
    Twice,
}

/// Names an expression by its place in the config. Shown as a dotted TOML path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ExpressionPath {
    /// `capture.CAPTURE.map.ATTRIBUTE`
    Map {
        /// The capture point.
        capture: Name,
        /// The attribute.
        attribute: Name,
    },
    /// `capture.CAPTURE.defaults.ATTRIBUTE`: a value, not an expression, of the wrong type.
    Default {
        /// The capture point.
        capture: Name,
        /// The attribute.
        attribute: Name,
    },
    /// `capture.CAPTURE.message`
    Message {
        /// The capture point.
        capture: Name,
    },
    /// `lookup.LOOKUP.when`
    LookupWhen {
        /// The look-up.
        lookup: Name,
    },
    /// `segmentation.RULE.when`
    RuleWhen {
        /// Id of the rule.
        rule: Name,
    },
    /// `segmentation.RULE.set.ATTRIBUTE`
    RuleSet {
        /// Id of the rule.
        rule: Name,
        /// The attribute.
        attribute: Name,
    },
    /// `segmentation.RULE.KEY`: points of priority; the key is `start`, `min` or `max`.
    RulePoints {
        /// Id of the rule.
        rule: Name,
        /// The key.
        key: &'static str,
    },
    /// `priority.SCHEMA.KEY`: points of priority; the key is `start`, `min` or `max`.
    SchemaPoints {
        /// The priority schema.
        schema: Name,
        /// The key.
        key: &'static str,
    },
    /// `decision_table.TABLE.HEADING`: the heading of a column.
    Heading {
        /// Id of the table.
        table: Name,
        /// Number of the column, from 0.
        column: usize,
        /// Its heading.
        heading: String,
    },
    /// `decision_table.TABLE.ROW.HEADING`: a cell.
    Cell {
        /// Id of the table.
        table: Name,
        /// Number of the row, from 0.
        row: usize,
        /// Id of the row, as far as it has one.
        id: String,
        /// Number of the column, from 0.
        column: usize,
        /// Heading of the column.
        heading: String,
    },
}

impl fmt::Display for ExpressionPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Map { capture, attribute } => write!(f, "capture.{capture}.map.{attribute}"),
            Self::Default { capture, attribute } => {
                write!(f, "capture.{capture}.defaults.{attribute}")
            }
            Self::Message { capture } => write!(f, "capture.{capture}.message"),
            Self::LookupWhen { lookup } => write!(f, "lookup.{lookup}.when"),
            Self::RuleWhen { rule } => write!(f, "segmentation.{rule}.when"),
            Self::RuleSet { rule, attribute } => write!(f, "segmentation.{rule}.set.{attribute}"),
            Self::RulePoints { rule, key } => write!(f, "segmentation.{rule}.{key}"),
            Self::SchemaPoints { schema, key } => write!(f, "priority.{schema}.{key}"),
            Self::Heading { table, heading, .. } => write!(f, "decision_table.{table}.{heading}"),
            Self::Cell { table, id, heading, .. } => {
                write!(f, "decision_table.{table}.{id}.{heading}")
            }
        }
    }
}

impl ExpressionError {
    pub(crate) fn new(span: Range<usize>, message: impl Into<String>) -> Self {
        Self { span, message: message.into(), help: None }
    }

    /// The same mistake in a text of which this one's text is a part that starts there.
    pub(crate) fn shifted(mut self, by: isize) -> Self {
        let moved = |at: usize| at.saturating_add_signed(by);
        self.span = moved(self.span.start)..moved(self.span.end);
        self
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub(crate) fn maybe_help(self, help: Option<&str>) -> Self {
        match help {
            Some(help) => self.help(help),
            None => self,
        }
    }

    /// Adds a help, unless there is a better one.
    pub(crate) fn or_help(self, help: impl Into<String>) -> Self {
        match self.help {
            Some(_) => self,
            None => self.help(help),
        }
    }

    /// Adds "did you mean", if a known name is near enough.
    pub(crate) fn did_you_mean<'a>(
        self,
        name: &str,
        known: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        match suggest(name, known) {
            Some(near) => self.help(format!("did you mean `{near}`?")),
            None => self,
        }
    }

    pub(crate) fn at(self, path: ExpressionPath, text: &str) -> ExpressionFinding {
        self.of_kind(MistakeKind::Expression, path, text)
    }

    pub(crate) fn of_kind(
        self,
        kind: MistakeKind,
        path: ExpressionPath,
        text: &str,
    ) -> ExpressionFinding {
        ExpressionFinding {
            kind,
            path,
            text: text.to_owned(),
            span: self.span,
            message: self.message,
            help: self.help,
        }
    }
}

/// Most edits (insert, delete, replace, swap) between a mistyped name and the one meant.
const SUGGEST_EDITS_MAX: usize = 2;

/// The known name that was most likely meant: at most two edits away, and nearer than nothing
/// in common. The first of equally near ones.
pub fn suggest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let length = name.chars().count();
    known
        .into_iter()
        .map(|known| (edits(name, known), known))
        .filter(|(edits, _)| *edits <= SUGGEST_EDITS_MAX && *edits < length)
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, known)| known)
}

/// Case does not count as an edit: `Sales` for `sales` is the likeliest slip of all.
fn edits(name: &str, known: &str) -> usize {
    strsim::damerau_levenshtein(&name.to_lowercase(), &known.to_lowercase())
}
