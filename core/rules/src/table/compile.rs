//! A decision table's texts to columns and rows, with all mistakes told.

use std::collections::BTreeMap;

use gantry_model::priority::POINTS_MAX;
use gantry_model::spec::{DecisionTable, Sla, Spec};
use gantry_model::{AttributeType, Millis, Name};

use super::cell::{Raw, RawPart, RawResult, Test, Word};
use super::index::Index;
use super::{Condition, Kind, Row, Table};
use crate::check::{Subject, Type, Want, attribute_names, compile, typed_item};
use crate::effect::{Assignment, BOUNDS, Effect, Points};
use crate::eval::Node;
use crate::finding::{ExpressionError, ExpressionFinding, ExpressionPath, MistakeKind};
use crate::value::Val;

/// Heading of the column that names the rows.
const ID: &str = "id";
/// What the heading of a column starts with that sets something.
const SET: &str = "set ";
/// Longest id of a row.
const ID_CHARS_MAX: usize = 64;
/// Most mistakes told of one table: whoever pasted a wrong column need not read each cell of it.
const MISTAKES_MAX: usize = 50;

/// What a column is for.
enum Column<'s> {
    Id,
    Condition(Condition, Type<'s>),
    Set(Target<'s>),
    /// Its heading cannot be read.
    Unreadable,
}

/// What a column sets.
#[derive(Clone, PartialEq)]
enum Target<'s> {
    Process,
    Department,
    Sla,
    Priority,
    /// One of [`BOUNDS`].
    Points(usize),
    Attribute(&'s str, &'s AttributeType),
}

type Mistake = (MistakeKind, ExpressionError);

impl Table {
    /// Compiles a table; `None` if it has mistakes, since half a table would hit the wrong items.
    pub(crate) fn compile(
        table: &DecisionTable,
        spec: &Spec,
        findings: &mut Vec<ExpressionFinding>,
    ) -> Option<Self> {
        let mut compiler = Compiler { table, spec, found: Vec::new() };
        let columns = compiler.columns();
        let rows = compiler.rows(&columns);
        if !compiler.found.is_empty() {
            findings.extend(compiler.found.into_iter().take(MISTAKES_MAX));
            return None;
        }
        let conditions: Vec<Condition> = columns
            .into_iter()
            .filter_map(|column| match column {
                Column::Condition(condition, _) => Some(condition),
                _ => None,
            })
            .collect();
        Some(Self {
            id: table.id.clone(),
            within: table.within.clone(),
            hit: table.hit,
            index: Index::new(&rows, conditions.len()),
            conditions,
            rows,
        })
    }
}

struct Compiler<'s> {
    table: &'s DecisionTable,
    spec: &'s Spec,
    found: Vec<ExpressionFinding>,
}

impl<'s> Compiler<'s> {
    fn cell(&self, row: usize, column: usize) -> &'s str {
        self.table.rows[row].get(column).map_or("", String::as_str)
    }

    fn wrong(&mut self, row: Option<usize>, column: usize, (kind, error): Mistake) {
        let heading = self.table.columns.get(column).cloned().unwrap_or_default();
        let table = self.table.id.clone();
        let (path, text) = match row {
            None => {
                let text = heading.clone();
                (ExpressionPath::Heading { table, column, heading }, text)
            }
            Some(row) => {
                let ids = self.table.columns.iter().position(|heading| heading.trim() == ID);
                let id = ids.map_or("", |column| self.cell(row, column)).trim().to_owned();
                let text = self.cell(row, column).to_owned();
                (ExpressionPath::Cell { table, row, id, column, heading }, text)
            }
        };
        self.found.push(error.of_kind(kind, path, &text));
    }

    fn columns(&mut self) -> Vec<Column<'s>> {
        let mut columns: Vec<Column<'s>> = Vec::with_capacity(self.table.columns.len());
        for (at, heading) in self.table.columns.iter().enumerate() {
            let column = match self.column(at, heading) {
                Ok(column) => column,
                Err(mistakes) => {
                    for mistake in mistakes {
                        self.wrong(None, at, mistake);
                    }
                    Column::Unreadable
                }
            };
            let again = match &column {
                Column::Id => columns.iter().any(|known| matches!(known, Column::Id)),
                Column::Set(target) => {
                    columns.iter().any(|known| matches!(known, Column::Set(set) if set == target))
                }
                Column::Condition(..) | Column::Unreadable => false,
            };
            if again {
                let whole = 0..heading.len();
                let found = ExpressionError::new(whole, "an earlier column has this heading");
                let found = found.help("leave one of the two out");
                self.wrong(None, at, (MistakeKind::Twice, found));
            }
            columns.push(column);
        }
        if !columns.is_empty() && !columns.iter().any(|column| matches!(column, Column::Id)) {
            let whole = 0..self.table.columns[0].len();
            let found = ExpressionError::new(whole, "the table has no column `id`");
            let help = "add one that names each row: explanations and history show the names";
            self.wrong(None, 0, (MistakeKind::Value, found.help(help)));
        }
        columns
    }

    /// Reads the heading of a column, and the type of a condition column off all its cells.
    fn column(&self, at: usize, heading: &'s str) -> Result<Column<'s>, Vec<Mistake>> {
        let name = heading.trim();
        if name == ID {
            return Ok(Column::Id);
        }
        if let Some(target) = name.strip_prefix(SET) {
            let start = heading.len() - heading.trim_start().len() + SET.len();
            let target = target.trim_start();
            return self.target(target).map(Column::Set).map_err(|error| {
                vec![(MistakeKind::UnknownName, error.shifted(start.cast_signed()))]
            });
        }
        let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        let plain = !name.is_empty() && name.chars().all(word);
        let text = if plain { format!("item.{name}") } else { name.to_owned() };
        let before = heading.len() - heading.trim_start().len();
        let added = text.len().cast_signed() - (before + name.len()).cast_signed();
        let (node, kind) = typed_item(&text, self.spec).map_err(|errors| {
            let moved = |error: ExpressionError| {
                let mut error = error.shifted(-added);
                error.span.end = error.span.end.min(heading.len());
                (MistakeKind::Expression, error)
            };
            errors.into_iter().map(moved).collect::<Vec<_>>()
        })?;
        let kind = if kind.open() { self.inferred(at) } else { kind };
        let kind = if kind == Type::Integer { Type::Decimal } else { kind };
        let heading = name.to_owned();
        let condition = Condition { heading, text, node, kind: kind_of(&kind) };
        Ok(Column::Condition(condition, kind))
    }

    /// The type that all cells of a column can be read as.
    fn inferred(&self, column: usize) -> Type<'s> {
        let cells = (0..self.table.rows.len()).map(|row| self.cell(row, column));
        let raws: Vec<Raw<'_>> = cells.filter_map(|cell| Raw::parse(cell).ok()).collect();
        if raws.iter().all(|raw| raw.words().next().is_none()) {
            return Type::Any;
        }
        let all = |kind: &Type<'_>| {
            raws.iter().flat_map(Raw::words).all(|word: &Word<'_>| word.reads_as(kind))
        };
        let kinds = [Type::Decimal, Type::Timestamp, Type::Boolean];
        kinds.into_iter().find(all).unwrap_or(Type::Text)
    }

    fn target(&self, name: &'s str) -> Result<Target<'s>, ExpressionError> {
        let attribute = match name {
            "process" => return Ok(Target::Process),
            "department" => return Ok(Target::Department),
            "sla" => return Ok(Target::Sla),
            "priority" => return Ok(Target::Priority),
            _ if BOUNDS.contains(&name) => {
                let at = BOUNDS.iter().position(|known| *known == name);
                return Ok(Target::Points(at.unwrap_or_default()));
            }
            // Reaches attributes that are called like one of the words above.
            _ => name.strip_prefix("item.").unwrap_or(name),
        };
        if let Some(kind) = self.spec.attribute_type(attribute) {
            return Ok(Target::Attribute(attribute, kind));
        }
        let words = ["process", "department", "sla", "priority"];
        let known = words.into_iter().chain(BOUNDS).chain(attribute_names(self.spec));
        let found = ExpressionError::new(0..name.len(), format!("cannot set `{name}`"));
        let declare = format!("declare it: [attribute.{attribute}] with a type");
        Err(found.did_you_mean(attribute, known).or_help(declare))
    }

    fn rows(&mut self, columns: &[Column<'s>]) -> Vec<Row> {
        let mut rows = Vec::with_capacity(self.table.rows.len());
        let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
        for at in 0..self.table.rows.len() {
            let mut row = Row { id: Name::default(), tests: Vec::new(), effect: Effect::default() };
            for (column, what) in columns.iter().enumerate() {
                let cell = self.cell(at, column);
                let read = match what {
                    Column::Id => {
                        let id = cell.trim();
                        row.id = Name::new(format!("{}.{id}", self.table.id));
                        let first = seen.insert(id, at);
                        check_id(cell, first.is_some())
                    }
                    Column::Condition(_, kind) => {
                        self.test(cell, kind).map(|test| row.tests.push(test))
                    }
                    Column::Set(target) => self.set(&mut row.effect, target, cell),
                    Column::Unreadable => Ok(()),
                };
                for mistake in read.err().into_iter().flatten() {
                    self.wrong(Some(at), column, mistake);
                }
            }
            rows.push(row);
            if self.found.len() > MISTAKES_MAX {
                break;
            }
        }
        rows
    }

    fn test(&self, cell: &str, kind: &Type<'_>) -> Result<Test, Vec<Mistake>> {
        let value = |error| vec![(MistakeKind::Value, error)];
        match Raw::parse(cell).map_err(value)? {
            Raw::Any => Ok(Test::Any),
            Raw::Absent => Ok(Test::Absent),
            Raw::Present => Ok(Test::Present),
            Raw::Braced(span) => {
                let text = &cell[span.clone()];
                let node = self.braced(text, span.start, Want::Condition)?;
                Ok(Test::Condition { text: text.to_owned(), node })
            }
            Raw::OneOf { .. } if matches!(kind, Type::List | Type::Map) => {
                let message = format!("a {kind} cannot be compared with a cell");
                let found = ExpressionError::new(0..cell.len(), message);
                let help = "write an expression in braces: {\"vip\" in item.tags}";
                Err(value(found.help(help)))
            }
            Raw::OneOf { not, parts } => {
                let parts: Result<Vec<_>, _> =
                    parts.iter().map(|part: &RawPart<'_>| part.typed(kind)).collect();
                Ok(Test::OneOf { not, parts: parts.map_err(value)? })
            }
        }
    }

    fn braced(&self, text: &str, start: usize, want: Want<'_>) -> Result<Node, Vec<Mistake>> {
        compile(text, self.spec, Subject::Item, want).map_err(|errors| {
            let moved = errors.into_iter().map(|error| error.shifted(start.cast_signed()));
            moved.map(|error| (MistakeKind::Expression, error)).collect()
        })
    }

    fn set(
        &self,
        effect: &mut Effect,
        target: &Target<'_>,
        cell: &str,
    ) -> Result<(), Vec<Mistake>> {
        let value = |error| vec![(MistakeKind::Value, error)];
        let word = match Raw::parse_result(cell).map_err(value)? {
            RawResult::Nothing => return Ok(()),
            RawResult::Braced(span) => {
                let (start, text) = (span.start, &cell[span]);
                return self.set_braced(effect, target, text, start);
            }
            RawResult::Value(word) => word,
        };
        let routing = &self.spec.routing;
        match target {
            Target::Process => {
                let known = routing.processes.keys().map(Name::as_str);
                effect.process = Some(named("process", word, known)?);
            }
            Target::Department => {
                let processes = routing.processes.keys();
                let known = processes.filter_map(|name| Some(name.split_once('/')?.0));
                effect.department = Some(named("department", word, known)?);
            }
            Target::Priority => {
                let known = routing.priorities.keys().map(Name::as_str);
                effect.schema = Some(named("priority schema", word, known)?);
            }
            Target::Sla => {
                let none = [Sla::Wall(Millis(0)), Sla::Business(Millis(0)), Sla::Workdays(0)];
                let sla = word.to_text().parse().ok().filter(|sla| !none.contains(sla));
                let found = word.wrong("the SLA cannot be read");
                let help = "write 72h, 72h business or 3 workdays";
                effect.sla = Some(sla.ok_or_else(|| value(found.help(help)))?);
            }
            Target::Points(at) => match word.value(&Type::Integer).map_err(value)? {
                Val::Integer(points) if (-POINTS_MAX..=POINTS_MAX).contains(&points) => {
                    let node = Node::Constant(Val::Integer(points));
                    effect.bounds[*at] = Some(Points { text: cell.trim().to_owned(), node });
                }
                _ => {
                    let found = word.wrong("the points are out of range");
                    let help = format!("write a number from {} to {POINTS_MAX}", -POINTS_MAX);
                    return Err(value(found.help(help)));
                }
            },
            Target::Attribute(_, AttributeType::List | AttributeType::Map) => {
                let found = word.wrong("a list or map cannot be written as it stands");
                return Err(value(found.help("write an expression in braces: {[\"a\", \"b\"]}")));
            }
            Target::Attribute(name, kind) => {
                let node = Node::Constant(word.value(&Type::of(kind)).map_err(value)?);
                let (attribute, kind) = (Name::new(name), Some((*kind).clone()));
                let text = cell.trim().to_owned();
                effect.set.push(Assignment { attribute, kind, text, node });
            }
        }
        Ok(())
    }

    /// A result that is computed for each item.
    fn set_braced(
        &self,
        effect: &mut Effect,
        target: &Target<'_>,
        text: &str,
        start: usize,
    ) -> Result<(), Vec<Mistake>> {
        match target {
            Target::Attribute(name, kind) => {
                let node = self.braced(text, start, Want::Attribute(kind))?;
                let (attribute, kind) = (Name::new(name), Some((*kind).clone()));
                effect.set.push(Assignment { attribute, kind, text: text.to_owned(), node });
            }
            Target::Points(at) => {
                let node = self.braced(text, start, Want::Points)?;
                effect.bounds[*at] = Some(Points { text: text.to_owned(), node });
            }
            Target::Process | Target::Department | Target::Sla | Target::Priority => {
                let span = start - 1..start + text.len() + 1;
                let found = ExpressionError::new(span, "this cannot be computed");
                let found = found.help("write the value itself");
                return Err(vec![(MistakeKind::Value, found)]);
            }
        }
        Ok(())
    }
}

fn check_id(cell: &str, known: bool) -> Result<(), Vec<Mistake>> {
    let id = cell.trim();
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let found = |message: String| ExpressionError::new(0..cell.len(), message);
    if id.is_empty() || id.len() > ID_CHARS_MAX || !id.chars().all(fits) {
        let found = found(format!("`{id}` cannot be the id of a row"));
        let help = format!("use 1 to {ID_CHARS_MAX} letters (a to z), digits, `_` and `-`");
        return Err(vec![(MistakeKind::Value, found.help(help))]);
    }
    if known {
        let found = found(format!("row `{id}` is defined twice"));
        return Err(vec![(MistakeKind::Twice, found.help("give every row an id of its own"))]);
    }
    Ok(())
}

/// A name that must be one of those known.
fn named<'n>(
    what: &str,
    word: Word<'_>,
    known: impl Iterator<Item = &'n str> + Clone,
) -> Result<Name, Vec<Mistake>> {
    let name = word.to_text();
    if known.clone().any(|known| known == name) {
        return Ok(name.into());
    }
    let found = word.wrong(format!("there is no {what} `{name}`"));
    let found = found.did_you_mean(&name, known.clone());
    let mut all: Vec<&str> = known.take(30).collect();
    all.dedup();
    let found = if all.is_empty() {
        found
    } else {
        found.or_help(format!("there are: {}", all.join(", ")))
    };
    Err(vec![(MistakeKind::UnknownName, found)])
}

fn kind_of(kind: &Type<'_>) -> Kind {
    match kind {
        Type::Text | Type::Enumeration(_) => Kind::Text,
        Type::Integer | Type::Decimal => Kind::Number,
        Type::Boolean => Kind::Boolean,
        Type::Timestamp => Kind::Timestamp,
        Type::Duration => Kind::Duration,
        Type::Any | Type::Nothing | Type::List | Type::Map => Kind::Open,
    }
}
