//! The text of a cell: what a condition asks of a value, and what a result is.
//!
//! A cell is read in two steps, because the type of a column may follow from all its cells:
//! [`Raw::parse`] takes the text apart, [`RawPart::typed`] reads the values.

use std::cmp::Ordering;
use std::ops::Range;

use gantry_model::{Millis, Timestamp};

use crate::check::Type;
use crate::eval::Node;
use crate::finding::ExpressionError;
use crate::value::Val;

/// A cell that anything satisfies, or that sets nothing; so does an empty one.
const ANY: &str = "-";
/// A cell that an absent value satisfies.
const NONE: &str = "(none)";
/// A cell that any value satisfies, but not an absent one.
const SOME: &str = "(any)";
/// One day.
const DAY: i64 = 86_400_000;

/// What a cell says, its values still as text.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Raw<'t> {
    Any,
    Absent,
    Present,
    /// An expression, as it stands between the braces.
    Braced(Range<usize>),
    OneOf {
        not: bool,
        parts: Vec<RawPart<'t>>,
    },
}

/// What a cell that sets something says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum RawResult<'t> {
    Nothing,
    /// An expression, as it stands between the braces.
    Braced(Range<usize>),
    Value(Word<'t>),
}

/// One of the alternatives of a cell.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum RawPart<'t> {
    Is(Word<'t>),
    Compare(Compare, Word<'t>),
    Between(Option<Word<'t>>, Option<Word<'t>>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compare {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// A value as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word<'t> {
    /// Without its quotes; a quote inside is still written twice.
    text: &'t str,
    quote: Option<char>,
    /// In bytes of the cell, quotes included.
    start: usize,
    end: usize,
}

/// What a cell asks of the value of its column.
#[derive(Debug)]
pub(super) enum Test {
    Any,
    Absent,
    Present,
    Condition { text: String, node: Node },
    OneOf { not: bool, parts: Vec<Part> },
}

/// One of the alternatives of a cell.
#[derive(Debug)]
pub(super) enum Part {
    Is(Val<'static>),
    Within {
        from: Bound,
        to: Bound,
    },
    /// Text that starts, ends, or both, with anything: `loan*`, `*loan`, `*loan*`.
    Like {
        text: String,
        before: bool,
        after: bool,
    },
}

/// An end of a range; `true` if it belongs to the range.
pub(super) type Bound = Option<(Val<'static>, bool)>;

impl Raw<'_> {
    /// Takes a cell's text apart.
    pub(super) fn parse(text: &str) -> Result<Raw<'_>, ExpressionError> {
        let start = text.len() - text.trim_start().len();
        let trimmed = text.trim();
        match trimmed {
            "" | ANY => return Ok(Raw::Any),
            NONE => return Ok(Raw::Absent),
            SOME => return Ok(Raw::Present),
            _ => {}
        }
        if let Some(inner) = trimmed.strip_prefix('{') {
            let Some(inner) = inner.strip_suffix('}') else {
                let whole = start..start + trimmed.len();
                let found = ExpressionError::new(whole, "the expression is not closed");
                return Err(found.help("write the closing brace: {item.budget > item.limit}"));
            };
            return Ok(Raw::Braced(start + 1..start + 1 + inner.len()));
        }
        let (not, from) = match trimmed.strip_prefix("!=") {
            Some(_) => (true, start + 2),
            None => (false, start),
        };
        let end = start + trimmed.len();
        let mut parts = Vec::new();
        let mut at = from;
        loop {
            let stop = at + unquoted(&text[at..end], "|").unwrap_or(end - at);
            parts.push(part(text, at..stop)?);
            if stop == end {
                return Ok(Raw::OneOf { not, parts });
            }
            at = stop + 1;
        }
    }

    /// Reads a cell that sets something: nothing, a value, or an expression in braces.
    pub(super) fn parse_result(text: &str) -> Result<RawResult<'_>, ExpressionError> {
        if text.trim_start().starts_with('{')
            && let Raw::Braced(span) = Raw::parse(text)?
        {
            return Ok(RawResult::Braced(span));
        }
        match text.trim() {
            "" | ANY => Ok(RawResult::Nothing),
            _ => Ok(RawResult::Value(word(text, 0..text.len())?)),
        }
    }

    /// Everything written in it, for finding out the type of its column.
    pub(super) fn words(&self) -> impl Iterator<Item = &Word<'_>> {
        let parts = match self {
            Raw::OneOf { parts, .. } => parts.as_slice(),
            _ => &[],
        };
        parts.iter().flat_map(|part| {
            let (a, b) = match part {
                RawPart::Is(word) | RawPart::Compare(_, word) => (Some(word), None),
                RawPart::Between(from, to) => (from.as_ref(), to.as_ref()),
            };
            a.into_iter().chain(b)
        })
    }
}

/// Reads one alternative.
fn part(cell: &str, span: Range<usize>) -> Result<RawPart<'_>, ExpressionError> {
    let text = &cell[span.clone()];
    let start = span.start + text.len() - text.trim_start().len();
    let text = text.trim();
    let end = start + text.len();
    if text.is_empty() {
        let found = ExpressionError::new(span, "an alternative is empty");
        return Err(found.help("write a value on each side of |"));
    }
    let operators = [
        (">=", Some(Compare::GreaterOrEqual)),
        ("<=", Some(Compare::LessOrEqual)),
        (">", Some(Compare::Greater)),
        ("<", Some(Compare::Less)),
        ("==", None),
        ("=", None),
    ];
    for (operator, compare) in operators {
        if text.starts_with(operator) {
            let value = word(cell, start + operator.len()..end)?;
            return Ok(compare.map_or(RawPart::Is(value), |c| RawPart::Compare(c, value)));
        }
    }
    let Some(dots) = unquoted(text, "..") else {
        return Ok(RawPart::Is(word(cell, start..end)?));
    };
    let side = |span: Range<usize>| {
        let empty = cell[span.clone()].trim().is_empty();
        if empty { Ok(None) } else { word(cell, span).map(Some) }
    };
    let (from, to) = (side(start..start + dots)?, side(start + dots + 2..end)?);
    if from.is_none() && to.is_none() {
        let found = ExpressionError::new(start..end, "the range has no ends");
        return Err(found.help("write one or both, as in 100..200, 100.. or ..200"));
    }
    Ok(RawPart::Between(from, to))
}

/// Reads a value, in quotes or not.
fn word(cell: &str, span: Range<usize>) -> Result<Word<'_>, ExpressionError> {
    let text = &cell[span.clone()];
    let start = span.start + text.len() - text.trim_start().len();
    let text = text.trim();
    let end = start + text.len();
    let wrong = |message: &str| ExpressionError::new(start..end.max(start), message);
    let Some(quote @ ('"' | '\'')) = text.chars().next() else {
        if text.is_empty() {
            return Err(wrong("a value is missing"));
        }
        return Ok(Word { text, quote: None, start, end });
    };
    let inner = &text[1..];
    match closing(inner, quote) {
        Some(at) if at + 1 == inner.len() => {
            Ok(Word { text: &inner[..at], quote: Some(quote), start, end })
        }
        Some(_) => Err(wrong("something follows the quoted text").help("put all of it in quotes")),
        None => Err(wrong("the text is not closed").help("add the closing quote")),
    }
}

/// Where a quoted text ends; a quote written twice is part of it.
fn closing(text: &str, quote: char) -> Option<usize> {
    let mut quotes = text.match_indices(quote);
    while let Some((at, _)) = quotes.next() {
        if !text[at + 1..].starts_with(quote) {
            return Some(at);
        }
        quotes.next();
    }
    None
}

/// Where a mark stands outside of quotes. A quote counts only at the start of a value.
fn unquoted(text: &str, mark: &str) -> Option<usize> {
    let mut at = 0;
    let mut fresh = true;
    while let Some(first) = text[at..].chars().next() {
        if fresh && (first == '"' || first == '\'') {
            let inner = at + 1;
            at = inner + closing(&text[inner..], first)? + 1;
            fresh = false;
            continue;
        }
        if text[at..].starts_with(mark) {
            return Some(at);
        }
        fresh = first.is_whitespace() || ['<', '>', '=', '!', '|', '.'].contains(&first);
        at += first.len_utf8();
    }
    None
}

impl Word<'_> {
    /// The value as text.
    pub(super) fn to_text(self) -> String {
        match self.quote {
            Some(quote) => self.text.replace(&format!("{quote}{quote}"), &quote.to_string()),
            None => self.text.to_owned(),
        }
    }

    pub(super) fn wrong(self, message: impl Into<String>) -> ExpressionError {
        ExpressionError::new(self.start..self.end, message)
    }

    /// `true` if it can be read as a value of the type. What is quoted is text.
    pub(super) fn reads_as(self, kind: &Type<'_>) -> bool {
        self.quote.is_none() && self.moment(kind).is_ok()
    }

    /// The value and, for a date without a time, the length of the day that is meant.
    fn moment(self, kind: &Type<'_>) -> Result<(Val<'static>, i64), ExpressionError> {
        let text = self.text;
        let value = match kind {
            Type::Integer => text.parse().ok().map(Val::Integer),
            Type::Decimal => number(text),
            Type::Boolean => text.parse().ok().map(Val::Boolean),
            Type::Duration => text.parse::<Millis>().ok().map(Val::Duration),
            Type::Timestamp => match text.parse::<Timestamp>() {
                Ok(at) => Some(Val::Timestamp(at)),
                Err(_) => match format!("{text}T00:00:00Z").parse() {
                    Ok(at) if text.len() == "2026-01-31".len() => {
                        return Ok((Val::Timestamp(at), DAY));
                    }
                    _ => None,
                },
            },
            Type::Enumeration(labels) => {
                let text = self.to_text();
                if !labels.contains(&text) {
                    let found = self.wrong(format!("{text:?} is not one of the labels"));
                    let found = found.did_you_mean(&text, labels.iter().map(String::as_str));
                    return Err(found.or_help(format!("one of {}", labels.join(", "))));
                }
                Some(Val::Text(text.into()))
            }
            _ => Some(Val::Text(self.to_text().into())),
        };
        let value = value.filter(|_| self.quote.is_none() || kind.text() || kind.open());
        let value = value.ok_or_else(|| {
            let found = self.wrong(format!("expected {kind}, got {text:?}"));
            match kind {
                Type::Timestamp => found.help("as in 2026-01-31 or 2026-01-31T08:00:00Z"),
                Type::Duration => found.help("as in 1h30m"),
                Type::Boolean => found.help("write true or false"),
                Type::Integer => found.help("write a whole number, without quotes or separators"),
                _ => found.help("write a number, without quotes or separators, as in 1000.50"),
            }
        })?;
        Ok((value, 0))
    }

    /// The value for a result: a date without a time is its first instant.
    pub(super) fn value(self, kind: &Type<'_>) -> Result<Val<'static>, ExpressionError> {
        self.moment(kind).map(|(value, _)| value)
    }
}

/// Whole numbers stay integers, so that they compare as fast as they can.
fn number(text: &str) -> Option<Val<'static>> {
    text.parse().map(Val::Integer).ok().or_else(|| text.parse().map(Val::Decimal).ok())
}

impl RawPart<'_> {
    /// Reads the values of an alternative.
    pub(super) fn typed(&self, kind: &Type<'_>) -> Result<Part, ExpressionError> {
        match self {
            RawPart::Is(word) => is(*word, kind),
            RawPart::Compare(compare, word) => {
                ordered(*word, kind)?;
                let (value, day) = word.moment(kind)?;
                let later = |value: &Val<'static>| match value {
                    Val::Timestamp(at) => Val::Timestamp(Timestamp(at.0.saturating_add(day))),
                    other => other.clone(),
                };
                // "> 2026-01-31" is after that day, "<= 2026-01-31" before its end.
                let (from, to) = match compare {
                    Compare::Less => (None, Some((value, false))),
                    Compare::LessOrEqual => (None, Some((later(&value), day == 0))),
                    Compare::Greater => (Some((later(&value), day > 0)), None),
                    Compare::GreaterOrEqual => (Some((value, true)), None),
                };
                Ok(Part::Within { from, to })
            }
            RawPart::Between(from, to) => between(*from, *to, kind),
        }
    }
}

fn is(word: Word<'_>, kind: &Type<'_>) -> Result<Part, ExpressionError> {
    if word.quote.is_none() && kind.text() && word.text.contains('*') {
        let (before, after) = (word.text.starts_with('*'), word.text.ends_with('*'));
        let text = word.text.trim_start_matches('*').trim_end_matches('*');
        if text.contains('*') || text.is_empty() {
            let found = word.wrong("`*` stands for anything at the start or the end of a text");
            return Err(found.help("write loan*, *loan or *loan*, or put the text in quotes"));
        }
        return Ok(Part::Like { text: text.to_owned(), before, after });
    }
    match word.moment(kind)? {
        (Val::Timestamp(at), day) if day > 0 => {
            let end = Timestamp(at.0.saturating_add(day));
            let (from, to) = (Val::Timestamp(at), Val::Timestamp(end));
            Ok(Part::Within { from: Some((from, true)), to: Some((to, false)) })
        }
        (value, _) => Ok(Part::Is(value)),
    }
}

fn between(
    from: Option<Word<'_>>,
    to: Option<Word<'_>>,
    kind: &Type<'_>,
) -> Result<Part, ExpressionError> {
    let mut ends = [None, None];
    for (end, word) in ends.iter_mut().zip([from, to]) {
        if let Some(word) = word {
            ordered(word, kind)?;
            *end = Some(word.moment(kind)?);
        }
    }
    let [lower, upper] = ends;
    if let (Some((a, _)), Some((b, _)), Some(word)) = (&lower, &upper, to)
        && a.order(b) == Some(Ordering::Greater)
    {
        let found = word.wrong("the range ends before it begins");
        return Err(found.help("write the smaller value first"));
    }
    let lower = lower.map(|(value, _)| (value, true));
    let upper = upper.map(|(value, day)| match value {
        Val::Timestamp(at) if day > 0 => {
            (Val::Timestamp(Timestamp(at.0.saturating_add(day))), false)
        }
        value => (value, true),
    });
    Ok(Part::Within { from: lower, to: upper })
}

/// Only what has an order can be compared; in a text these signs are mostly meant as they stand.
fn ordered(word: Word<'_>, kind: &Type<'_>) -> Result<(), ExpressionError> {
    if matches!(kind, Type::Integer | Type::Decimal | Type::Timestamp | Type::Duration) {
        return Ok(());
    }
    let found = word.wrong(format!("{kind} has no order"));
    Err(found.help("put all of it in quotes if it is meant as it stands"))
}

impl Part {
    pub(super) fn holds(&self, value: &Val<'_>) -> bool {
        match self {
            Self::Is(known) => value.equals(known) == Some(true),
            Self::Within { from, to } => {
                let above = from.as_ref().is_none_or(|(from, included)| match value.order(from) {
                    Some(Ordering::Greater) => true,
                    Some(Ordering::Equal) => *included,
                    _ => false,
                });
                above
                    && to.as_ref().is_none_or(|(to, included)| match value.order(to) {
                        Some(Ordering::Less) => true,
                        Some(Ordering::Equal) => *included,
                        _ => false,
                    })
            }
            Self::Like { text, before, after } => match (value, before, after) {
                (Val::Text(value), true, true) => value.contains(text.as_str()),
                (Val::Text(value), true, false) => value.ends_with(text.as_str()),
                (Val::Text(value), ..) => value.starts_with(text.as_str()),
                _ => false,
            },
        }
    }
}

impl Test {
    /// Whether a value satisfies the cell; `None` if that is for its expression to say. The value
    /// has the type of the column, or is absent.
    pub(super) fn holds(&self, value: &Val<'_>) -> Option<bool> {
        Some(match self {
            Self::Any => true,
            Self::Absent => matches!(value, Val::Absent),
            Self::Present => !matches!(value, Val::Absent),
            Self::OneOf { not, parts } => {
                // As in expressions, what is absent equals nothing and differs from everything.
                let hit = !matches!(value, Val::Absent) && parts.iter().any(|p| p.holds(value));
                hit != *not
            }
            Self::Condition { .. } => return None,
        })
    }

    /// The values that the cell wants to equal, if that is all it asks.
    pub(super) fn values(&self) -> Option<Vec<&Val<'static>>> {
        let Self::OneOf { not: false, parts } = self else { return None };
        let values = parts.iter().map(|part| match part {
            Part::Is(value) => Some(value),
            _ => None,
        });
        values.collect()
    }
}
