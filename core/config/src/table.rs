//! Reads one table key by key: types are checked, and keys that nobody asked for are findings.

use std::collections::{BTreeMap, BTreeSet};

use gantry_model::spec::Span;
use gantry_model::{Millis, Name};
use serde_json::Value as Json;

use crate::finding::{Code, Findings, Found, Place};
use crate::keys::{Kind, Section};
use crate::tree::{Node, Value};
use crate::units::{self, UnitError};

/// Keys that a later version will have: a clear word instead of "unknown key".
const NOT_YET: [&str; 1] = ["tz"];

/// A table that is being read.
pub(crate) struct Table<'n> {
    /// How messages name it, as in `[capture.leads]`.
    pub(crate) title: String,
    pub(crate) node: &'n Node,
    entries: Option<&'n BTreeMap<String, Node>>,
    /// What it may have; none = only the reader knows.
    section: Option<&'static Section>,
    asked: BTreeSet<&'static str>,
    /// Needed and not there.
    missing: Vec<&'static str>,
}

impl<'n> Table<'n> {
    /// Opens a table; what is no table is a finding, and reads as an empty one.
    pub(crate) fn open(title: impl Into<String>, node: &'n Node, findings: &mut Findings) -> Self {
        let title = title.into();
        let entries = if let Value::Table(entries) = &node.value {
            Some(entries)
        } else {
            findings.push(wrong_type(&title, "a table", node));
            None
        };
        Self { title, node, entries, section: None, asked: BTreeSet::new(), missing: Vec::new() }
    }

    /// As [`Table::open`], of a table whose keys are declared.
    pub(crate) fn of(
        section: &'static Section,
        title: impl Into<String>,
        node: &'n Node,
        findings: &mut Findings,
    ) -> Self {
        let mut table = Self::open(title, node, findings);
        table.section = Some(section);
        for key in section.keys.iter().filter(|key| key.required) {
            table.need(key.name);
        }
        table
    }

    /// Reports the keys that nobody asked for, and those that are missing. A mistyped key is one
    /// mistake, not an unknown and a missing one.
    pub(crate) fn close(mut self, findings: &mut Findings) {
        for (key, node) in self.entries.into_iter().flatten() {
            if self.asked.contains(key.as_str()) {
                continue;
            }
            if NOT_YET.contains(&key.as_str()) {
                let message = format!("`{key}` is not there yet in this version");
                let found = Found::error(Code::NotYet, node.key, message);
                findings.push(found.label("not yet").help("leave it out for now"));
                continue;
            }
            if let Some(meant) = gantry_rules::suggest(key, self.asked.iter().copied()) {
                self.missing.retain(|missing| *missing != meant);
            }
            let message = format!("unknown key `{key}` in {}", self.title);
            let found = Found::error(Code::UnknownKey, node.key, message);
            findings.push(found.label("unknown key").suggest(key, self.asked.iter().copied()));
        }
        for key in self.missing {
            let message = format!("{} needs `{key}`", self.title);
            let found = Found::error(Code::MissingKey, self.node.key, message);
            findings.push(found.label(format!("`{key}` is missing")));
        }
    }

    pub(crate) fn get(&mut self, key: &'static str) -> Option<&'n Node> {
        let declared = self.section.is_none_or(|section| section.key(key).is_some());
        debug_assert!(declared, "`{key}` of {} is not declared", self.title);
        self.asked.insert(key);
        self.entries?.get(key)
    }

    /// A key without which the table means nothing.
    pub(crate) fn need(&mut self, key: &'static str) -> Option<&'n Node> {
        let node = self.get(key);
        if node.is_none() && self.entries.is_some() && !self.missing.contains(&key) {
            self.missing.push(key);
        }
        node
    }

    pub(crate) fn title_of(&self, key: &str) -> String {
        format!("`{key}` in {}", self.title)
    }

    pub(crate) fn text(&mut self, key: &'static str, findings: &mut Findings) -> Option<&'n str> {
        let node = self.get(key)?;
        text(&self.title_of(key), node, findings)
    }

    pub(crate) fn name(&mut self, key: &'static str, findings: &mut Findings) -> Option<Name> {
        self.text(key, findings).map(Name::new)
    }

    pub(crate) fn need_name(&mut self, key: &'static str, findings: &mut Findings) -> Name {
        self.need(key);
        self.name(key, findings).unwrap_or_default()
    }

    pub(crate) fn boolean(&mut self, key: &'static str, findings: &mut Findings) -> Option<bool> {
        let node = self.get(key)?;
        if let Value::Boolean(truth) = node.value {
            return Some(truth);
        }
        findings.push(wrong_type(&self.title_of(key), "true or false", node));
        None
    }

    /// A number in the range that is declared.
    pub(crate) fn integer(&mut self, key: &'static str, findings: &mut Findings) -> Option<i64> {
        let range = self.range(key);
        self.integer_in(key, range, findings)
    }

    fn range(&self, key: &str) -> std::ops::RangeInclusive<i64> {
        fn of(kind: &Kind) -> Option<(i64, i64)> {
            match kind {
                Kind::Integer(from, to) => Some((*from, *to)),
                Kind::Map(kind) => of(kind),
                Kind::Either(kinds) => kinds.iter().find_map(of),
                _ => None,
            }
        }
        let declared = self.section.and_then(|section| of(&section.key(key)?.kind));
        let (from, to) = declared.expect("invariant: keys with integers declare their range");
        from..=to
    }

    pub(crate) fn integer_in(
        &mut self,
        key: &'static str,
        range: std::ops::RangeInclusive<i64>,
        findings: &mut Findings,
    ) -> Option<i64> {
        let node = self.get(key)?;
        integer(&self.title_of(key), node, &range, findings)
    }

    /// A duration above zero.
    pub(crate) fn duration(
        &mut self,
        key: &'static str,
        findings: &mut Findings,
    ) -> Option<Millis> {
        let time = self.duration_or_zero(key, findings)?;
        if time.0 > 0 {
            return Some(time);
        }
        let place = self.get(key).map_or(self.node.key, |node| node.place);
        let message = format!("{} must be longer than nothing", self.title_of(key));
        findings.push(Found::error(Code::Value, place, message).label("no time at all"));
        None
    }

    pub(crate) fn duration_or_zero(
        &mut self,
        key: &'static str,
        findings: &mut Findings,
    ) -> Option<Millis> {
        self.unit(key, units::duration, findings)
    }

    /// A duration or a time towards the SLA.
    pub(crate) fn span(&mut self, key: &'static str, findings: &mut Findings) -> Option<Span> {
        self.unit(key, units::span, findings)
    }

    /// A value with its unit.
    pub(crate) fn unit<T>(
        &mut self,
        key: &'static str,
        read: fn(&str) -> Result<T, UnitError>,
        findings: &mut Findings,
    ) -> Option<T> {
        let node = self.get(key)?;
        let title = self.title_of(key);
        let text = unit_text(&title, node, findings)?;
        read(text).map_err(|error| findings.push(wrong_unit(&title, node, error))).ok()
    }

    /// One of a few words.
    pub(crate) fn choice<T: Copy>(
        &mut self,
        key: &'static str,
        choices: &[(&'static str, T)],
        findings: &mut Findings,
    ) -> Option<T> {
        let node = self.get(key)?;
        let title = self.title_of(key);
        let word = text(&title, node, findings)?;
        if let Some((_, choice)) = choices.iter().find(|(name, _)| *name == word) {
            return Some(*choice);
        }
        let message = format!("{title} cannot be `{word}`");
        let found = Found::error(Code::Value, node.place, message).label("not one of the choices");
        findings.push(found.suggest(word, choices.iter().map(|(name, _)| *name)));
        None
    }

    /// A list of names.
    pub(crate) fn names(&mut self, key: &'static str, findings: &mut Findings) -> Vec<Name> {
        let Some(node) = self.get(key) else {
            return Vec::new();
        };
        let title = self.title_of(key);
        let parts = list(&title, node, findings).iter();
        parts.filter_map(|part| text(&title, part, findings)).map(Name::new).collect()
    }

    /// A table of names with text: a mapping, the attributes that a rule sets.
    pub(crate) fn texts(
        &mut self,
        key: &'static str,
        findings: &mut Findings,
    ) -> BTreeMap<Name, String> {
        let mut texts = BTreeMap::new();
        for (name, node) in self.entries_of(key, findings) {
            let title = format!("`{name}` in `{key}` of {}", self.title);
            if let Some(text) = text(&title, node, findings) {
                texts.insert(Name::new(name), text.to_owned());
            }
        }
        texts
    }

    /// A table of names with integers, in the range that is declared.
    pub(crate) fn numbers(
        &mut self,
        key: &'static str,
        findings: &mut Findings,
    ) -> BTreeMap<Name, i64> {
        let range = self.range(key);
        let mut numbers = BTreeMap::new();
        for (name, node) in self.entries_of(key, findings) {
            let title = format!("`{name}` in `{key}` of {}", self.title);
            if let Some(number) = integer(&title, node, &range, findings) {
                numbers.insert(Name::new(name), number);
            }
        }
        numbers
    }

    /// A table of names with values.
    pub(crate) fn values(
        &mut self,
        key: &'static str,
        findings: &mut Findings,
    ) -> BTreeMap<Name, Json> {
        let entries = self.entries_of(key, findings);
        entries.map(|(name, node)| (Name::new(name), node.to_json())).collect()
    }

    pub(crate) fn entries_of(
        &mut self,
        key: &'static str,
        findings: &mut Findings,
    ) -> impl Iterator<Item = (&'n String, &'n Node)> + use<'n> {
        let entries = match self.get(key) {
            None => None,
            Some(Node { value: Value::Table(entries), .. }) => Some(entries),
            Some(node) => {
                findings.push(wrong_type(&self.title_of(key), "a table", node));
                None
            }
        };
        entries.into_iter().flatten()
    }

    /// The plug-in's own part, as JSON; an empty map if it is not there.
    pub(crate) fn json(&mut self, key: &'static str, findings: &mut Findings) -> Json {
        let Some(node) = self.get(key) else {
            return Json::Object(serde_json::Map::new());
        };
        if !matches!(node.value, Value::Table(_)) {
            findings.push(wrong_type(&self.title_of(key), "a table", node));
        }
        node.to_json()
    }
}

pub(crate) fn text<'n>(title: &str, node: &'n Node, findings: &mut Findings) -> Option<&'n str> {
    if let Value::Text(text) = &node.value {
        return Some(text);
    }
    findings.push(wrong_type(title, "text in quotes", node));
    None
}

fn integer(
    title: &str,
    node: &Node,
    range: &std::ops::RangeInclusive<i64>,
    findings: &mut Findings,
) -> Option<i64> {
    let Value::Integer(number) = node.value else {
        findings.push(wrong_type(title, "an integer", node));
        return None;
    };
    if range.contains(&number) {
        return Some(number);
    }
    let (from, to) = (range.start(), range.end());
    let message = format!("{title} is out of range");
    let found = Found::error(Code::Value, node.place, message);
    findings.push(found.label("out of range").help(format!("write a number from {from} to {to}")));
    None
}

pub(crate) fn list<'n>(title: &str, node: &'n Node, findings: &mut Findings) -> &'n [Node] {
    if let Value::List(list) = &node.value {
        return list;
    }
    findings.push(wrong_type(title, "a list", node));
    &[]
}

/// Text, with a hint for a bare number: units are part of the value.
fn unit_text<'n>(title: &str, node: &'n Node, findings: &mut Findings) -> Option<&'n str> {
    if let Value::Integer(number) = node.value {
        let message = format!("{title} needs a unit");
        let found = Found::error(Code::Unit, node.place, message).label("how many what?");
        findings.push(
            found.help(format!("write \"{number}s\" for seconds, \"{number}m\" for minutes")),
        );
        return None;
    }
    text(title, node, findings)
}

pub(crate) fn wrong_type(title: &str, expected: &str, node: &Node) -> Found {
    let place = match node.value {
        Value::Table(_) => node.key,
        _ => node.place,
    };
    let message = format!("{title} must be {expected}");
    Found::error(Code::Type, place, message).label(format!("this is {}", node.type_name()))
}

pub(crate) fn wrong_unit(title: &str, node: &Node, error: UnitError) -> Found {
    match error {
        UnitError::Time(help) => {
            let message = format!("{title} cannot be read");
            Found::error(Code::Unit, node.place, message).label("no such time").help(help)
        }
        UnitError::Form(help) => {
            let message = format!("{title} cannot be read");
            Found::error(Code::Unit, node.place, message).label("not like this").help(help)
        }
        UnitError::Long(help) => {
            let message = format!("{title} is out of range");
            Found::error(Code::Value, node.place, message).label("too much").help(help)
        }
    }
}

/// Names that stand in addresses, files and metrics.
pub(crate) fn check_name(what: &str, name: &str, place: Place, findings: &mut Findings) {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !name.is_empty() && name.len() <= NAME_MAX && name.chars().all(fits) {
        return;
    }
    let message = format!("`{name}` cannot be the name of {what}");
    let help = format!("use 1 to {NAME_MAX} letters (a to z), digits, `_` and `-`");
    findings.push(Found::error(Code::Value, place, message).label("not as a name").help(help));
}

/// Longest name of a part of the config.
const NAME_MAX: usize = 64;
