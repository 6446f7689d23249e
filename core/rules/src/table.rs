//! Decision tables: their columns and rows compiled, and the rows that hit an item.
//!
//! The value of a column is computed once for an item and has one type, so that a row is a few
//! comparisons; rows that ask for equality are found by hash ([`index`]).

mod cell;
mod compile;
mod index;
mod review;

use gantry_model::spec::HitPolicy;
use gantry_model::{Document, Name};

use crate::effect::{Effect, Run};
use crate::eval::{Node, Root, evaluate, holds};
use crate::rules::reason;
use crate::value::Val;
use cell::Test;
use index::Index;

pub use review::{RemarkKind, TableRemark};

/// A decision table.
#[derive(Debug)]
pub(crate) struct Table {
    id: Name,
    pub(crate) within: Option<Name>,
    hit: HitPolicy,
    conditions: Vec<Condition>,
    rows: Vec<Row>,
    index: Index,
}

/// A column that is compared.
#[derive(Debug)]
struct Condition {
    heading: String,
    text: String,
    node: Node,
    kind: Kind,
}

/// The type of the values of a column, by which its cells were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Number,
    Boolean,
    Timestamp,
    Duration,
    /// Its cells hold nothing to compare with: any value will do.
    Open,
}

#[derive(Debug)]
struct Row {
    /// `table.row`
    id: Name,
    /// One test a condition column.
    tests: Vec<Test>,
    effect: Effect,
}

impl Table {
    /// Lets the row that hits have its effect, if one does.
    pub(crate) fn ask(&self, run: &mut Run, document: &Document) -> Result<(), String> {
        let root = run.root(document);
        let values = self.values(root)?;
        let hit = match self.hit {
            HitPolicy::First => self.first(&values, root)?,
            HitPolicy::Unique => self.unique(&values, root)?,
        };
        match hit {
            Some(row) => run.take(&row.id, &row.effect, document),
            None => Ok(()),
        }
    }

    /// The values of the condition columns.
    fn values<'a>(&'a self, root: Root<'a>) -> Result<Vec<Val<'a>>, String> {
        let mut values = Vec::with_capacity(self.conditions.len());
        for condition in &self.conditions {
            let wrong = |reason: String| {
                let (id, heading) = (&self.id, &condition.heading);
                format!("decision table `{id}`, column `{heading}`: {reason}")
            };
            let value = evaluate(&condition.node, root)
                .map_err(|error| wrong(reason(&condition.text, &error)))?;
            if !condition.kind.takes(&value) {
                let (expected, got) = (condition.kind.label(), value.describe());
                return Err(wrong(format!("expected {expected}, got {got}")));
            }
            values.push(value);
        }
        Ok(values)
    }

    fn first(&self, values: &[Val<'_>], root: Root<'_>) -> Result<Option<&Row>, String> {
        let candidates = self.index.candidates(values);
        for at in candidates {
            if self.rows[at].hits(values, root)? {
                return Ok(Some(&self.rows[at]));
            }
        }
        Ok(None)
    }

    fn unique(&self, values: &[Val<'_>], root: Root<'_>) -> Result<Option<&Row>, String> {
        let mut hit: Option<&Row> = None;
        for at in self.index.candidates(values) {
            let row = &self.rows[at];
            if !row.hits(values, root)? {
                continue;
            }
            if let Some(other) = hit {
                return Err(format!(
                    "rules `{}` and `{}` both hit, and only one may: decision table `{}` is unique",
                    other.id, row.id, self.id
                ));
            }
            hit = Some(row);
        }
        Ok(hit)
    }
}

impl Row {
    fn hits(&self, values: &[Val<'_>], root: Root<'_>) -> Result<bool, String> {
        for (test, value) in self.tests.iter().zip(values) {
            if test.holds(value) == Some(false) {
                return Ok(false);
            }
        }
        // Expressions last: they cost the most, and the cells beside them may rule them out.
        for test in &self.tests {
            if let Test::Condition { text, node } = test
                && !holds(node, root)
                    .map_err(|error| format!("rule `{}`: {}", self.id, reason(text, &error)))?
            {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl Kind {
    fn takes(self, value: &Val<'_>) -> bool {
        match (self, value) {
            (Self::Open, _) | (_, Val::Absent) => true,
            (Self::Text, value) => matches!(value, Val::Text(_)),
            (Self::Number, value) => matches!(value, Val::Integer(_) | Val::Decimal(_)),
            (Self::Boolean, value) => matches!(value, Val::Boolean(_)),
            (Self::Timestamp, value) => matches!(value, Val::Timestamp(_)),
            (Self::Duration, value) => matches!(value, Val::Duration(_)),
        }
    }

    fn label(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Number => "a number",
            Self::Boolean => "true or false",
            Self::Timestamp => "a timestamp",
            Self::Duration => "a duration",
            Self::Open => "any value",
        }
    }
}
