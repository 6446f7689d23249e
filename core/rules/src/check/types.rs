//! Types of expressions, and what a place in the config wants.

use std::fmt;

use gantry_model::AttributeType;

/// The type of a part of an expression, as far as it is known before a record is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Type<'s> {
    /// Known only when the value is there.
    Any,
    /// `null`
    Nothing,
    Boolean,
    Integer,
    Decimal,
    Text,
    /// One of these labels.
    Enumeration(&'s [String]),
    Timestamp,
    Duration,
    List,
    Map,
}

/// What the place of an expression wants of its value.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Want<'s> {
    /// True or false.
    Condition,
    /// The name of a kind of message.
    Message,
    /// The value of an attribute.
    Attribute(&'s AttributeType),
    /// Whole points of priority.
    Points,
    /// The value of an attribute that is not declared.
    Anything,
}

impl<'s> Type<'s> {
    pub(crate) fn of(kind: &'s AttributeType) -> Self {
        match kind {
            AttributeType::Text => Self::Text,
            AttributeType::Integer => Self::Integer,
            AttributeType::Decimal => Self::Decimal,
            AttributeType::Boolean => Self::Boolean,
            AttributeType::Timestamp => Self::Timestamp,
            AttributeType::Enumeration(labels) => Self::Enumeration(labels),
            AttributeType::List => Self::List,
            AttributeType::Map => Self::Map,
        }
    }

    pub(crate) fn number(&self) -> bool {
        matches!(self, Self::Integer | Self::Decimal)
    }

    pub(crate) fn text(&self) -> bool {
        matches!(self, Self::Text | Self::Enumeration(_))
    }

    /// `true` where only the value will tell.
    pub(crate) fn open(&self) -> bool {
        matches!(self, Self::Any | Self::Nothing)
    }

    /// Whether values of the two types can be equal.
    pub(crate) fn comparable(&self, other: &Self) -> bool {
        self.open()
            || other.open()
            || (self.number() && other.number())
            || (self.text() && other.text())
            || self == other
    }

    /// The type of a value that comes from one of two branches.
    pub(crate) fn either(self, other: Self) -> Self {
        match (self, other) {
            (a, b) if a == b => a,
            (Self::Nothing, known) | (known, Self::Nothing) => known,
            (a, b) if a.number() && b.number() => Self::Decimal,
            (a, b) if a.text() && b.text() => Self::Text,
            _ => Self::Any,
        }
    }

    /// Whether a value of this type may stand where `want` is wanted. Texts fit where they may
    /// be readable as the type, as in captured records.
    pub(crate) fn fits(&self, want: Want<'_>) -> bool {
        let kind = match want {
            Want::Anything => return true,
            Want::Condition => return self.open() || *self == Self::Boolean,
            Want::Message => return self.open() || self.text(),
            Want::Points => return self.open() || *self == Self::Integer,
            Want::Attribute(kind) => kind,
        };
        match kind {
            _ if self.open() => true,
            AttributeType::Text => self.text() || self.number(),
            AttributeType::Integer => matches!(self, Self::Integer | Self::Text),
            AttributeType::Decimal => self.number() || *self == Self::Text,
            AttributeType::Boolean => *self == Self::Boolean,
            AttributeType::Timestamp => matches!(self, Self::Timestamp | Self::Text),
            AttributeType::Enumeration(_) => self.text(),
            AttributeType::List => *self == Self::List,
            AttributeType::Map => *self == Self::Map,
        }
    }
}

impl Want<'_> {
    pub(crate) fn label(self) -> String {
        match self {
            Self::Condition => "a condition (true or false)".into(),
            Self::Message => "the name of a message".into(),
            Self::Attribute(kind) => kind.label(),
            Self::Points => "whole points (an integer)".into(),
            Self::Anything => "any value".into(),
        }
    }
}

impl fmt::Display for Type<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Any => "any value",
            Self::Nothing => "null",
            Self::Boolean => "boolean",
            Self::Integer => "integer",
            Self::Decimal => "decimal",
            Self::Text => "text",
            Self::Enumeration(_) => "one of the labels",
            Self::Timestamp => "timestamp",
            Self::Duration => "duration",
            Self::List => "list",
            Self::Map => "map",
        })
    }
}
