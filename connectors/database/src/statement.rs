//! An operator's SQL with named parameters (`:customer_id`), taken apart once.

use crate::config::Engine;

/// SQL text with the places where parameters stand.
#[derive(Debug)]
pub(crate) struct Statement {
    /// Text, and the parameter that follows it: an index into `names`.
    pieces: Vec<(String, Option<usize>)>,
    names: Vec<String>,
}

impl Statement {
    /// Finds the parameters. Text in quotes, comments and casts (`::`) are left alone.
    pub(crate) fn parse(sql: &str) -> Self {
        let sql = sql.trim().trim_end_matches(';');
        let mut statement = Self { pieces: Vec::new(), names: Vec::new() };
        let (mut text, mut at) = (String::new(), 0);
        while let Some(next) = sql[at..].chars().next() {
            let rest = &sql[at..];
            let name = parameter(rest);
            if name.is_empty() {
                let length = opaque(rest).unwrap_or(next.len_utf8());
                text.push_str(&rest[..length]);
                at += length;
            } else {
                let index = statement.index_of(name);
                let before = std::mem::take(&mut text);
                statement.pieces.push((before, Some(index)));
                at += 1 + name.len();
            }
        }
        statement.pieces.push((text, None));
        statement
    }

    /// The parameters in the order in which they are bound: each once where they have numbers, else
    /// as often as they stand in the text.
    pub(crate) fn names(&self, engine: Engine) -> Vec<String> {
        match engine {
            Engine::Sqlite | Engine::Postgres => self.names.clone(),
            Engine::Mysql => {
                let indices = self.pieces.iter().filter_map(|(_, index)| *index);
                indices.map(|index| self.names[index].clone()).collect()
            }
        }
    }

    /// The SQL, with what `placeholder` gives for the parameter of an index.
    pub(crate) fn render(&self, placeholder: impl Fn(usize) -> String) -> String {
        let piece = |(text, index): &(String, Option<usize>)| {
            text.clone() + &index.map(&placeholder).unwrap_or_default()
        };
        self.pieces.iter().map(piece).collect()
    }

    fn index_of(&mut self, name: &str) -> usize {
        let known = self.names.iter().position(|other| other == name);
        known.unwrap_or_else(|| {
            self.names.push(name.to_owned());
            self.names.len() - 1
        })
    }
}

/// The name of the parameter that `rest` starts with, else nothing.
fn parameter(rest: &str) -> &str {
    let Some(name) = rest.strip_prefix(':') else {
        return "";
    };
    let end = name.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let name = &name[..end.unwrap_or(name.len())];
    let starts_well = |c: char| c.is_ascii_alphabetic() || c == '_';
    if name.starts_with(starts_well) { name } else { "" }
}

/// How many bytes at the start of `rest` are a quoted text, a comment or a cast.
fn opaque(rest: &str) -> Option<usize> {
    let until = |open: usize, close: &str| {
        let end = rest[open..].find(close).map(|at| open + at + close.len());
        Some(end.unwrap_or(rest.len()))
    };
    match rest.as_bytes() {
        [b'\'', ..] => until(1, "'"),
        [b'"', ..] => until(1, "\""),
        [b'`', ..] => until(1, "`"),
        [b'-', b'-', ..] => until(2, "\n"),
        [b'/', b'*', ..] => until(2, "*/"),
        [b':', b':', ..] => Some(2),
        [b'$', ..] => {
            let tag = &rest[..rest[1..].find('$')? + 2];
            let inner = &tag[1..tag.len() - 1];
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
            (inner.chars().all(plain)).then(|| until(tag.len(), tag))?
        }
        _ => None,
    }
}
