//! Text to syntax tree: the `cel` crate's parser, with spans in bytes and errors for people.

use std::ops::Range;

use cel::common::ast::{EntryExpr, Expr, IdedExpr};
use cel::{ParseError, Program};

use crate::finding::ExpressionError;

/// Longest expression, in bytes.
pub(crate) const TEXT_BYTES_MAX: usize = 4096;

/// A parsed expression.
pub(crate) struct Parsed<'t> {
    text: &'t str,
    program: Program,
}

impl<'t> Parsed<'t> {
    /// Parses an expression.
    ///
    /// # Errors
    /// The first mistake: those after it are mostly its consequences.
    pub(crate) fn new(text: &'t str) -> Result<Self, ExpressionError> {
        if text.len() > TEXT_BYTES_MAX {
            let message = format!("the expression is longer than {TEXT_BYTES_MAX} bytes");
            let help = "split it into several rules";
            return Err(ExpressionError::new(0..text.len(), message).help(help));
        }
        if text.trim().is_empty() {
            return Err(ExpressionError::new(0..text.len(), "the expression is empty"));
        }
        match Program::compile(text) {
            Ok(program) => Ok(Self { text, program }),
            Err(errors) => Err(match errors.errors.first() {
                Some(error) => readable(text, error),
                None => ExpressionError::new(0..text.len(), "the expression cannot be read"),
            }),
        }
    }

    pub(crate) fn root(&self) -> &IdedExpr {
        self.program.expression()
    }

    /// The text of a node's own token: a literal, a name or an operator.
    pub(crate) fn token(&self, expr: &IdedExpr) -> Range<usize> {
        match self.program.source_info().offset_for(expr.id) {
            // The parser gives the first and the last byte.
            Some((start, stop)) => {
                let start = self.text.floor_char_boundary(start as usize);
                start..self.text.ceil_char_boundary(stop as usize + 1).max(start)
            }
            None => 0..self.text.len(),
        }
    }

    pub(crate) fn slice(&self, span: Range<usize>) -> &'t str {
        self.text.get(span).unwrap_or("")
    }

    /// The text that a node and everything under it covers.
    pub(crate) fn span(&self, expr: &IdedExpr) -> Range<usize> {
        let own = self.token(expr);
        let mut span = own.clone();
        match &expr.expr {
            Expr::Select(select) => {
                cover(&mut span, self.span(&select.operand));
                let field = self.skip_space(own.end);
                if self.text[field..].starts_with(&*select.field) {
                    span.end = span.end.max(field + select.field.len());
                }
            }
            Expr::Call(call) => {
                for part in call.target.as_deref().into_iter().chain(&call.args) {
                    cover(&mut span, self.span(part));
                }
                if call.func_name == "_[_]" {
                    self.close(&mut span, ']');
                } else if self.slice(own.clone()) == "(" {
                    if call.target.is_none() {
                        span.start = own.start.saturating_sub(call.func_name.len());
                    }
                    self.close(&mut span, ')');
                } else {
                    self.balance(&mut span);
                }
            }
            Expr::List(list) => {
                for part in &list.elements {
                    cover(&mut span, self.span(part));
                }
                self.close(&mut span, ']');
            }
            Expr::Map(map) => {
                for entry in &map.entries {
                    if let EntryExpr::MapEntry(entry) = &entry.expr {
                        cover(&mut span, self.span(&entry.value));
                    }
                }
                self.close(&mut span, '}');
            }
            Expr::Comprehension(fold) => {
                cover(&mut span, self.span(&fold.iter_range));
                cover(&mut span, self.span(&fold.loop_step));
                self.close(&mut span, ')');
            }
            Expr::Ident(_) | Expr::Literal(_) | Expr::Struct(_) | Expr::Unspecified => {}
        }
        span
    }

    /// The parser drops parentheses: takes back those that the operands of an operator stand in.
    fn balance(&self, span: &mut Range<usize>) {
        let count = |bracket| self.slice(span.clone()).matches(bracket).count();
        let (open, closed) = (count('('), count(')'));
        for _ in closed..open {
            self.close(span, ')');
        }
        for _ in open..closed {
            let before = self.text[..span.start].trim_end();
            if before.ends_with('(') {
                span.start = before.len() - 1;
            }
        }
    }

    fn close(&self, span: &mut Range<usize>, bracket: char) {
        let at = self.skip_space(span.end);
        if self.text[at..].starts_with(bracket) {
            span.end = at + 1;
        }
    }

    fn skip_space(&self, from: usize) -> usize {
        let rest = self.text.get(from..).unwrap_or("");
        self.text.len() - rest.trim_start().len()
    }
}

fn cover(span: &mut Range<usize>, part: Range<usize>) {
    span.start = span.start.min(part.start);
    span.end = span.end.max(part.end);
}

/// Says what the parser's message means to someone who does not know its grammar.
fn readable(text: &str, error: &ParseError) -> ExpressionError {
    let at = error_offset(text, error);
    let rest = &text[at..];
    let word = word_at(rest);
    let span = at..at + word.len();
    if error.msg.contains("recursion") {
        return ExpressionError::new(0..text.len(), "the expression is nested too deeply");
    }
    if word.is_empty() {
        return ExpressionError::new(at..at, "the expression ends too early");
    }
    if error.msg.starts_with("reserved identifier") {
        let found = ExpressionError::new(span, format!("`{word}` is a reserved word"));
        return match word {
            "if" => found.help("write `condition ? value : other value`"),
            _ => found,
        };
    }
    if error.msg.contains("int literal") || error.msg.contains("uint literal") {
        return ExpressionError::new(span, "the number is out of range");
    }
    if rest.starts_with(['"', '\'']) && error.msg.contains("token recognition") {
        return ExpressionError::new(at..text.len(), "the text is not closed")
            .help("add the closing quote");
    }
    if word == "[" && text[..at].contains("has(") {
        let found = ExpressionError::new(span, "`has` takes no brackets");
        return found.help("write has(item.custom.key) or \"key\" in item.custom");
    }
    match instead_of(text[..at].trim_end(), word, rest) {
        Some((span_of, help)) => {
            let from = if text[at..].starts_with(span_of) {
                at
            } else {
                text[..at].trim_end().len() - span_of.len()
            };
            let message = format!("`{span_of}` is no operator");
            ExpressionError::new(from..from + span_of.len(), message).help(help)
        }
        None => ExpressionError::new(span, format!("`{word}` is not expected here")),
    }
}

/// What was written as an operator in other languages, and what to write here.
fn instead_of<'t>(before: &'t str, word: &'t str, rest: &'t str) -> Option<(&'t str, String)> {
    let same = |word: &str| match word.to_ascii_lowercase().as_str() {
        "and" => Some("&&"),
        "or" => Some("||"),
        "not" => Some("!"),
        _ => None,
    };
    if let Some(operator) = same(word) {
        return Some((word, format!("write {operator}")));
    }
    let previous = before.rsplit(|c: char| !c.is_alphanumeric()).next()?;
    if let Some(operator) = same(previous) {
        return Some((previous, format!("write {operator}")));
    }
    let first = rest.chars().next()?;
    let operator = &rest[..first.len_utf8()];
    let help = match first {
        '=' => "write == to compare",
        '&' => "write &&",
        '|' => "write ||",
        '>' if before.ends_with('<') => "write != for \"not equal\"",
        '“' | '”' | '„' | '‘' | '’' => "write plain quotes: \" or '",
        _ => return None,
    };
    Some((operator, help.to_owned()))
}

/// The parser gives line and column from 1; unlike its offsets, the column counts characters.
fn error_offset(text: &str, error: &ParseError) -> usize {
    let (line, column) = error.pos;
    let lines_before = usize::try_from(line - 1).unwrap_or(0);
    let start: usize = text.split_inclusive('\n').take(lines_before).map(str::len).sum();
    let column = usize::try_from(column - 1).unwrap_or(0);
    let after = text[start..].char_indices().nth(column);
    after.map_or(text.len(), |(at, _)| start + at)
}

/// The word, number or single character that a text starts with.
fn word_at(rest: &str) -> &str {
    let in_word = |c: char| c.is_alphanumeric() || c == '_';
    let length = match rest.find(|c| !in_word(c)) {
        Some(0) => rest.chars().next().map_or(0, char::len_utf8),
        Some(length) => length,
        None => rest.len(),
    };
    &rest[..length]
}
