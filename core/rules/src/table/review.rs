//! What is odd about the rows of a table: rows that never hit, and rows that contradict each other
//! where only one may hit. Only what can be proven from the cells is said; an expression in a cell
//! proves nothing.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use gantry_model::Name;
use gantry_model::spec::HitPolicy;

use super::cell::{Bound, Part, Test};
use super::{Kind, Row, Table};
use crate::value::Val;

/// Most remarks on one table.
const REMARKS_MAX: usize = 20;
/// Most pairs of rows that are compared; a table with more is not looked at further.
const PAIRS_MAX: usize = 2_000_000;

/// What is odd about a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableRemark {
    /// Id of the table.
    pub table: Name,
    /// Number of the row, from 0.
    pub row: usize,
    /// Number of the row before it that it collides with, from 0.
    pub other: usize,
    /// How.
    pub kind: RemarkKind,
}

/// How two rows collide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RemarkKind {
    /// The earlier row hits whatever the later one would.
    Unreachable,
    /// Both can hit the same item, and only one may.
    Overlap,
}

impl Table {
    pub(crate) fn remarks(&self) -> Vec<TableRemark> {
        let kind = match self.hit {
            HitPolicy::First => RemarkKind::Unreachable,
            HitPolicy::Unique => RemarkKind::Overlap,
        };
        let buckets = Buckets::new(&self.rows, self.conditions.len());
        let mut remarks = Vec::new();
        let mut pairs = 0;
        for (at, row) in self.rows.iter().enumerate() {
            let earlier = buckets.before(at, row);
            pairs += earlier.len();
            if pairs > PAIRS_MAX || remarks.len() >= REMARKS_MAX {
                break;
            }
            let other = earlier.into_iter().find(|other| self.collide(&self.rows[*other], row));
            if let Some(other) = other {
                remarks.push(TableRemark { table: self.id.clone(), row: at, other, kind });
            }
        }
        remarks
    }

    fn collide(&self, earlier: &Row, row: &Row) -> bool {
        let mut tests = earlier.tests.iter().zip(&row.tests).zip(&self.conditions);
        tests.all(|((a, b), condition)| match self.hit {
            HitPolicy::First => covers(a, b),
            HitPolicy::Unique => overlap(a, b, condition.kind),
        })
    }
}

/// Rows by the value that they want in the column where most of them want one.
struct Buckets {
    column: Option<usize>,
    rows: BTreeMap<String, Vec<usize>>,
    /// Rows that want no value there.
    loose: Vec<usize>,
}

impl Buckets {
    fn new(rows: &[Row], n_columns: usize) -> Self {
        let wanting = |column: &usize| {
            rows.iter().filter(|row| row.tests[*column].values().is_some()).count()
        };
        let column = (0..n_columns).max_by_key(wanting);
        let mut buckets = Self { column, rows: BTreeMap::new(), loose: Vec::new() };
        for (at, row) in rows.iter().enumerate() {
            match buckets.keys(row) {
                None => buckets.loose.push(at),
                Some(keys) => {
                    for key in keys {
                        buckets.rows.entry(key).or_default().push(at);
                    }
                }
            }
        }
        buckets
    }

    fn keys(&self, row: &Row) -> Option<Vec<String>> {
        let values = row.tests[self.column?].values()?;
        Some(values.into_iter().map(Val::excerpt).collect())
    }

    /// The rows before one that may collide with it.
    fn before(&self, at: usize, row: &Row) -> Vec<usize> {
        let Some(keys) = self.keys(row) else { return (0..at).collect() };
        let same = keys.iter().filter_map(|key| self.rows.get(key)).flatten();
        let mut rows: Vec<usize> =
            same.chain(&self.loose).copied().filter(|row| *row < at).collect();
        rows.sort_unstable();
        rows.dedup();
        rows
    }
}

/// `true` if whatever satisfies `b` satisfies `a` too.
fn covers(a: &Test, b: &Test) -> bool {
    match (a, b) {
        (Test::Any, _) | (Test::Absent, Test::Absent) | (Test::Present, Test::Present) => true,
        (Test::Present, Test::OneOf { not, .. }) => !not,
        (Test::OneOf { not, .. }, Test::Absent) => *not,
        (Test::OneOf { not: false, parts: a }, Test::OneOf { not: false, parts: b }) => {
            b.iter().all(|b| a.iter().any(|a| part_covers(a, b)))
        }
        (Test::OneOf { not: true, parts: a }, Test::OneOf { not: true, parts: b }) => {
            a.iter().all(|a| b.iter().any(|b| part_covers(b, a)))
        }
        (Test::OneOf { not: true, .. }, Test::OneOf { not: false, .. }) => {
            b.values().is_some_and(|values| values.iter().all(|v| a.holds(v) == Some(true)))
        }
        _ => false,
    }
}

fn part_covers(a: &Part, b: &Part) -> bool {
    match (a, b) {
        (a, Part::Is(value)) => a.holds(value),
        (Part::Within { from, to }, Part::Within { from: later, to: earlier }) => {
            starts_before(from, later) && ends_after(to, earlier)
        }
        (
            Part::Like { text: a, before: false, after: true },
            Part::Like { text: b, before: false, after: true },
        ) => b.starts_with(a.as_str()),
        (
            Part::Like { text: a, before: true, after: false },
            Part::Like { text: b, before: true, after: false },
        ) => b.ends_with(a.as_str()),
        (Part::Like { text: a, before: true, after: true }, Part::Like { text: b, .. }) => {
            b.contains(a.as_str())
        }
        _ => false,
    }
}

fn starts_before(a: &Bound, b: &Bound) -> bool {
    match (a, b) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some((a, a_too)), Some((b, b_too))) => match a.order(b) {
            Some(Ordering::Less) => true,
            Some(Ordering::Equal) => *a_too || !b_too,
            _ => false,
        },
    }
}

fn ends_after(a: &Bound, b: &Bound) -> bool {
    match (a, b) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some((a, a_too)), Some((b, b_too))) => match a.order(b) {
            Some(Ordering::Greater) => true,
            Some(Ordering::Equal) => *a_too || !b_too,
            _ => false,
        },
    }
}

/// `true` if a value satisfies both.
fn overlap(a: &Test, b: &Test, kind: Kind) -> bool {
    match (a, b) {
        (Test::Condition { .. }, _)
        | (_, Test::Condition { .. })
        | (Test::Absent, Test::Present)
        | (Test::Present, Test::Absent) => false,
        (Test::Any, _)
        | (_, Test::Any)
        | (Test::Absent, Test::Absent)
        | (Test::Present, Test::Present)
        | (Test::OneOf { not: true, .. }, Test::OneOf { not: true, .. }) => true,
        (Test::Absent, Test::OneOf { not, .. }) | (Test::OneOf { not, .. }, Test::Absent) => *not,
        (Test::Present, Test::OneOf { not, .. }) | (Test::OneOf { not, .. }, Test::Present) => {
            !not || kind != Kind::Boolean
        }
        (Test::OneOf { not: false, parts: a }, Test::OneOf { not: false, parts: b }) => {
            a.iter().any(|a| b.iter().any(|b| parts_overlap(a, b)))
        }
        (Test::OneOf { not: false, parts }, other) | (other, Test::OneOf { parts, .. }) => {
            parts.iter().any(|part| match part {
                Part::Is(value) => other.holds(value) == Some(true),
                _ => false,
            })
        }
    }
}

fn parts_overlap(a: &Part, b: &Part) -> bool {
    match (a, b) {
        (a, Part::Is(value)) | (Part::Is(value), a) => a.holds(value),
        (Part::Within { from: a, to: b }, Part::Within { from: c, to: d }) => {
            meet(a, b) && meet(a, d) && meet(c, b) && meet(c, d)
        }
        (Part::Like { .. }, Part::Like { .. }) => part_covers(a, b) || part_covers(b, a),
        _ => false,
    }
}

/// `true` if something lies between a start and an end. Between 5 and 6 no whole number does.
fn meet(from: &Bound, to: &Bound) -> bool {
    let (Some((from, from_too)), Some((to, to_too))) = (from, to) else { return true };
    match (from.order(to), from, to) {
        (Some(Ordering::Equal), ..) => *from_too && *to_too,
        (Some(Ordering::Less), Val::Integer(a), Val::Integer(b)) => {
            *from_too || *to_too || b.saturating_sub(*a) > 1
        }
        (order, ..) => order == Some(Ordering::Less),
    }
}
