//! Finds the rows that an item may hit by the hash of what they want to equal, so that a table of
//! ten thousand rows costs about as much as one of ten.
//!
//! Rows are grouped by the columns in which they ask for equality. Within a group a row is found
//! by the hash of its values; who is found still has to be tested, so a collision does no harm.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use gantry_model::Decimal;

use super::Row;
use crate::value::Val;

/// Most groups; with more, the column that fewest rows ask for equality in is left out.
const GROUPS_MAX: usize = 16;
/// Most keys of one row, whose cells may each list several values; with more, the longest list is
/// left out.
const KEYS_MAX: usize = 64;

#[derive(Debug, Default)]
pub(super) struct Index {
    groups: Vec<Group>,
}

#[derive(Debug)]
struct Group {
    /// The columns that its rows ask for equality in, in order.
    columns: Vec<usize>,
    /// Numbers of rows, rising, by the hash of their values.
    rows: HashMap<u64, Vec<u32>>,
}

impl Index {
    pub(super) fn new(rows: &[Row], n_columns: usize) -> Self {
        let mut used: Vec<usize> = (0..n_columns).collect();
        loop {
            let shapes: Vec<Vec<usize>> = rows.iter().map(|row| shape(row, &used)).collect();
            let mut distinct: Vec<&Vec<usize>> = shapes.iter().collect();
            distinct.sort();
            distinct.dedup();
            if distinct.len() <= GROUPS_MAX {
                return Self::of(rows, &shapes);
            }
            let asked = |column: &usize| shapes.iter().filter(|s| s.contains(column)).count();
            let rarest = used.iter().copied().min_by_key(asked);
            used.retain(|column| Some(*column) != rarest);
        }
    }

    fn of(rows: &[Row], shapes: &[Vec<usize>]) -> Self {
        let mut groups: Vec<Group> = Vec::new();
        for (at, (row, columns)) in rows.iter().zip(shapes).enumerate() {
            let known = groups.iter().position(|group| group.columns == *columns);
            let group = known.unwrap_or_else(|| {
                groups.push(Group { columns: columns.clone(), rows: HashMap::new() });
                groups.len() - 1
            });
            let group = &mut groups[group];
            for key in keys(row, columns) {
                let rows = group.rows.entry(key).or_default();
                // A cell may list one value twice.
                if rows.last() != Some(&(at as u32)) {
                    rows.push(at as u32);
                }
            }
        }
        Self { groups }
    }

    /// The rows that may hit, rising.
    pub(super) fn candidates(&self, values: &[Val<'_>]) -> impl Iterator<Item = usize> {
        let mut lists: Vec<&[u32]> = Vec::with_capacity(self.groups.len());
        for group in &self.groups {
            let mut hasher = DefaultHasher::new();
            let known = group.columns.iter().all(|column| hash(&values[*column], &mut hasher));
            if known && let Some(rows) = group.rows.get(&hasher.finish()) {
                lists.push(rows);
            }
        }
        std::iter::from_fn(move || {
            let least = lists.iter().filter_map(|rows| rows.first()).min().copied()?;
            for rows in &mut lists {
                if rows.first() == Some(&least) {
                    *rows = &rows[1..];
                }
            }
            Some(least as usize)
        })
    }
}

/// The columns in which a row asks for equality and nothing else.
fn shape(row: &Row, used: &[usize]) -> Vec<usize> {
    let n_values = |column: &usize| row.tests[*column].values().map(|values| values.len());
    let mut columns: Vec<usize> =
        used.iter().copied().filter(|column| n_values(column).is_some()).collect();
    loop {
        let counts = columns.iter().filter_map(n_values);
        let n_keys = counts.fold(1usize, usize::saturating_mul);
        if n_keys <= KEYS_MAX {
            return columns;
        }
        let longest = columns.iter().copied().max_by_key(|column| n_values(column));
        columns.retain(|column| Some(*column) != longest);
    }
}

/// The hashes of all combinations of the values that a row asks for.
fn keys(row: &Row, columns: &[usize]) -> Vec<u64> {
    let mut hashers = vec![DefaultHasher::new()];
    for column in columns {
        let values = row.tests[*column].values().unwrap_or_default();
        let longer = hashers.iter().flat_map(|hasher| {
            values.iter().map(|value| {
                let mut hasher = hasher.clone();
                hash(value, &mut hasher);
                hasher
            })
        });
        hashers = longer.collect();
    }
    hashers.iter().map(Hasher::finish).collect()
}

/// Adds a value to a hash; equal values give the same. `false` for what nothing can equal.
fn hash(value: &Val<'_>, hasher: &mut DefaultHasher) -> bool {
    match value {
        Val::Text(text) => text.hash(hasher),
        Val::Boolean(truth) => truth.hash(hasher),
        // One number has one form, whole or with decimals.
        Val::Integer(number) => Decimal::new(*number, 0).hash(hasher),
        Val::Decimal(number) => number.hash(hasher),
        Val::Timestamp(at) => at.hash(hasher),
        Val::Duration(span) => span.hash(hasher),
        _ => return false,
    }
    true
}
