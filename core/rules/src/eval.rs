//! The checked tree and its evaluation.
//!
//! What is absent stays harmless: it compares as false (`!=` as true), counts as false where a
//! truth value is asked for, and makes arithmetic and functions of it absent too. A value of the
//! wrong type is an error that says so.

use std::borrow::Cow;
use std::ops::Range;

use gantry_model::{Document, Name, Value};
use regex::Regex;
use serde_json::Value as Json;
use thiserror::Error;

use crate::functions::{apply, equal};
use crate::value::Val;

/// Elements that one evaluation may visit in all its `exists`, `all`, `map`, … together.
const STEPS_MAX: usize = 100_000;

/// A checked expression.
#[derive(Debug)]
pub(crate) enum Node {
    Constant(Val<'static>),
    /// `item.NAME`
    Attribute(Name),
    /// `item.custom[KEY]`
    Custom(Box<Node>),
    /// `record.a.b`, or `record` alone: the keys to follow.
    Path(Vec<String>),
    /// `item.NAME == "text"`, the commonest condition of all.
    Is(Box<Is>),
    /// `ELEMENT in [LIST]`
    Among(Box<Among>),
    /// A variable of an enclosing fold, counted from the outermost.
    Local(usize),
    Field(Box<Node>, String),
    /// `has(…)`: whether there is a value.
    Present(Box<Node>),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
    Not(Box<Node>),
    And(Box<[Node; 2]>),
    Or(Box<[Node; 2]>),
    Choose(Box<[Node; 3]>),
    Coalesce(Vec<Node>),
    Fold(Box<Fold>),
    Matches(Box<Matches>),
    Call(Box<Call>),
}

/// Compares an attribute with a text.
#[derive(Debug)]
pub(crate) struct Is {
    pub(crate) span: Range<usize>,
    pub(crate) attribute: Name,
    pub(crate) text: String,
    /// `true` for `!=`.
    pub(crate) not: bool,
}

/// Searches a list that is written out.
#[derive(Debug)]
pub(crate) struct Among {
    pub(crate) span: Range<usize>,
    pub(crate) element: Node,
    pub(crate) list: Vec<Node>,
}

/// What computes on the values of all its arguments.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) span: Range<usize>,
    pub(crate) function: Function,
    pub(crate) args: Vec<Node>,
}

/// `matches`: its pattern is compiled once.
#[derive(Debug)]
pub(crate) struct Matches {
    pub(crate) span: Range<usize>,
    pub(crate) text: Node,
    pub(crate) pattern: Regex,
}

/// `exists`, `all`, `exists_one`, `map` and `filter`, as the parser expands them: two locals, the
/// accumulator and the element.
#[derive(Debug)]
pub(crate) struct Fold {
    pub(crate) span: Range<usize>,
    pub(crate) range: Node,
    pub(crate) start: Node,
    pub(crate) go_on: Node,
    pub(crate) step: Node,
    pub(crate) result: Node,
}

/// Operators and functions on values.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Function {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    /// `KEY in item.custom`
    InCustom,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Negate,
    Index,
    Contains,
    EndsWith,
    Lower,
    Replace,
    Size,
    Split,
    StartsWith,
    Substring,
    ToBoolean,
    ToDecimal,
    ToDuration,
    ToInteger,
    ToText,
    ToTimestamp,
    Trim,
    Upper,
}

/// Why an expression has no value for this record or item.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{message}")]
pub(crate) struct EvalError {
    pub(crate) span: Range<usize>,
    pub(crate) message: String,
}

/// What an expression is evaluated over.
#[derive(Clone, Copy)]
pub(crate) enum Root<'a> {
    /// `record`
    Record(&'a Json),
    /// `item`: its document, and what rules have set in this run.
    Item(&'a Document, &'a [Change]),
}

/// What a rule set in this run.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) name: Name,
    pub(crate) value: Value,
    pub(crate) rule: Name,
    /// `false` for what the classification says anyway (process and department).
    pub(crate) stored: bool,
}

impl<'a> Root<'a> {
    pub(crate) fn attribute(&self, name: &str) -> Option<&'a Value> {
        match self {
            Self::Record(_) => None,
            Self::Item(document, changes) => match changes.iter().rev().find(|c| c.name == *name) {
                Some(change) => Some(&change.value),
                None => document.unruled(name),
            },
        }
    }
}

/// Evaluates an expression.
pub(crate) fn evaluate<'a>(node: &'a Node, root: Root<'a>) -> Result<Val<'a>, EvalError> {
    let locals = Vec::new();
    let steps = 0;
    Machine { root, locals, steps }.value(node)
}

/// Evaluates a condition; what is absent is false.
pub(crate) fn holds(node: &Node, root: Root<'_>) -> Result<bool, EvalError> {
    match evaluate(node, root)? {
        Val::Boolean(truth) => Ok(truth),
        Val::Absent => Ok(false),
        other => Err(EvalError {
            span: 0..0,
            message: format!("expected true or false, got {}", other.describe()),
        }),
    }
}

struct Machine<'a> {
    root: Root<'a>,
    locals: Vec<Val<'a>>,
    steps: usize,
}

impl<'a> Machine<'a> {
    fn value(&mut self, node: &'a Node) -> Result<Val<'a>, EvalError> {
        match node {
            Node::Constant(value) => Ok(value.borrowed()),
            Node::Attribute(name) => {
                let value = self.root.attribute(name);
                Ok(value.map_or(Val::Absent, Val::from_value))
            }
            Node::Custom(key) => match self.value(key)? {
                Val::Text(key) => {
                    let value = self.root.attribute(&key);
                    Ok(value.map_or(Val::Absent, Val::from_value))
                }
                _ => Ok(Val::Absent),
            },
            Node::Path(keys) => match self.root {
                Root::Record(record) => follow(record, keys),
                Root::Item(..) => Ok(Val::Absent),
            },
            Node::Is(is) => is.holds(self.root),
            Node::Among(among) => self.among(among),
            Node::Local(slot) => Ok(self.locals[*slot].clone()),
            Node::Field(of, name) => {
                let of = self.value(of)?;
                of.field(name).ok_or_else(|| no_field(name, &of))
            }
            Node::Present(of) => Ok(Val::Boolean(!matches!(self.value(of)?, Val::Absent))),
            Node::List(parts) => {
                let values: Result<_, _> = parts.iter().map(|part| self.value(part)).collect();
                Ok(Val::List(values?))
            }
            Node::Map(entries) => {
                let entries: Result<_, _> = entries
                    .iter()
                    .map(|(key, value)| Ok((Cow::Borrowed(key.as_str()), self.value(value)?)))
                    .collect();
                Ok(Val::Map(entries?))
            }
            Node::Not(of) => Ok(Val::Boolean(!self.truth(of)?)),
            Node::And(sides) => Ok(Val::Boolean(self.truth(&sides[0])? && self.truth(&sides[1])?)),
            Node::Or(sides) => Ok(Val::Boolean(self.truth(&sides[0])? || self.truth(&sides[1])?)),
            Node::Choose(parts) => {
                let chosen = if self.truth(&parts[0])? { 1 } else { 2 };
                self.value(&parts[chosen])
            }
            Node::Coalesce(parts) => {
                for part in parts {
                    let value = self.value(part)?;
                    if !matches!(value, Val::Absent) {
                        return Ok(value);
                    }
                }
                Ok(Val::Absent)
            }
            Node::Fold(fold) => self.fold(fold),
            Node::Matches(matches) => match self.value(&matches.text)? {
                Val::Text(text) => Ok(Val::Boolean(matches.pattern.is_match(&text))),
                Val::Absent => Ok(Val::Boolean(false)),
                other => {
                    let message = format!("expected text, got {}", other.describe());
                    Err(error(&matches.span, message))
                }
            },
            Node::Call(call) => self.call(call),
        }
    }

    fn among(&mut self, among: &'a Among) -> Result<Val<'a>, EvalError> {
        let element = self.value(&among.element)?;
        for candidate in &among.list {
            let candidate = self.value(candidate)?;
            let same = equal(&element, &candidate);
            if same.map_err(|message| error(&among.span, message))? {
                return Ok(Val::Boolean(true));
            }
        }
        Ok(Val::Boolean(false))
    }

    fn truth(&mut self, node: &'a Node) -> Result<bool, EvalError> {
        match self.value(node)? {
            Val::Boolean(truth) => Ok(truth),
            Val::Absent => Ok(false),
            other => Err(EvalError {
                span: 0..0,
                message: format!("expected true or false, got {}", other.describe()),
            }),
        }
    }

    fn fold(&mut self, fold: &'a Fold) -> Result<Val<'a>, EvalError> {
        let range = self.value(&fold.range)?;
        let Some(elements) = range.elements() else {
            let message = format!("cannot go through {}: it is no list", range.describe());
            return Err(error(&fold.span, message));
        };
        let bottom = self.locals.len();
        let start = self.value(&fold.start)?;
        self.locals.push(start);
        for element in elements {
            self.spend(1, &fold.span)?;
            self.locals.push(element);
            if !self.truth(&fold.go_on)? {
                self.locals.pop();
                break;
            }
            let next = self.value(&fold.step)?;
            self.locals.pop();
            self.locals[bottom] = next;
        }
        let result = self.value(&fold.result);
        self.locals.truncate(bottom);
        result
    }

    fn spend(&mut self, steps: usize, span: &Range<usize>) -> Result<(), EvalError> {
        self.steps += steps;
        if self.steps > STEPS_MAX {
            let message = format!("the expression takes more than {STEPS_MAX} steps");
            return Err(error(span, message));
        }
        Ok(())
    }

    fn call(&mut self, call: &'a Call) -> Result<Val<'a>, EvalError> {
        let mut values = [Val::Absent, Val::Absent, Val::Absent];
        for (value, arg) in values.iter_mut().zip(&call.args) {
            *value = self.value(arg)?;
        }
        let [a, b, c] = values;
        if let (Function::Add, Val::List(list)) = (call.function, &a) {
            self.spend(list.len(), &call.span)?;
        }
        if let (Function::InCustom, Val::Text(key)) = (call.function, &a) {
            return Ok(Val::Boolean(self.root.attribute(key).is_some()));
        }
        apply(call.function, a, b, c).map_err(|message| error(&call.span, message))
    }
}

impl Is {
    fn holds<'a>(&self, root: Root<'a>) -> Result<Val<'a>, EvalError> {
        let same = match root.attribute(&self.attribute) {
            Some(Value::Text(text)) => *text == self.text,
            None => false,
            Some(other) => {
                let (value, text) = (Val::from_value(other), Val::Text((&*self.text).into()));
                equal(&value, &text).map_err(|message| error(&self.span, message))?
            }
        };
        Ok(Val::Boolean(same != self.not))
    }
}

/// Follows the keys of a path; what is missing on the way is absent at its end.
fn follow<'a>(record: &'a Json, keys: &[String]) -> Result<Val<'a>, EvalError> {
    let mut at = record;
    for key in keys {
        match at {
            Json::Object(map) => match map.get(key) {
                Some(inner) => at = inner,
                None => return Ok(Val::Absent),
            },
            Json::Null => return Ok(Val::Absent),
            other => return Err(no_field(key, &Val::from_json(other))),
        }
    }
    Ok(Val::from_json(at))
}

fn no_field(name: &str, of: &Val<'_>) -> EvalError {
    EvalError { span: 0..0, message: format!("cannot read `{name}` of {}", of.describe()) }
}

fn error(span: &Range<usize>, message: impl Into<String>) -> EvalError {
    EvalError { span: span.clone(), message: message.into() }
}
