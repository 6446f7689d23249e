//! The type check of operators.

use cel::common::ast::IdedExpr;

use super::{Checker, Type, Typed, any, typed};
use crate::eval::{Among, Call, Function, Is, Node};
use crate::finding::ExpressionError;
use crate::value::Val;

impl<'s> Checker<'s, '_> {
    /// Checks a call that is an operator in the parser's eyes; `None` if it is a function.
    pub(super) fn operator(
        &mut self,
        expr: &IdedExpr,
        name: &str,
        args: &[IdedExpr],
    ) -> Option<Typed<'s>> {
        Some(match (name, args) {
            ("_&&_", [a, b]) => {
                let sides = [self.condition(a), self.condition(b)];
                typed(Node::And(Box::new(sides)), Type::Boolean)
            }
            ("_||_", [a, b]) => {
                let sides = [self.condition(a), self.condition(b)];
                typed(Node::Or(Box::new(sides)), Type::Boolean)
            }
            ("!_", [a]) => typed(Node::Not(Box::new(self.condition(a))), Type::Boolean),
            // Only the parser's own expansion of `all` and `exists` has this.
            ("@not_strictly_false", [a]) => self.part(a),
            ("_?_:_", [when, a, b]) => {
                let when = self.condition(when);
                let (a, b) = (self.part(a), self.part(b));
                let node = Node::Choose(Box::new([when, a.node, b.node]));
                typed(node, a.kind.either(b.kind))
            }
            ("_==_", [a, b]) => self.compare(expr, Function::Equal, a, b),
            ("_!=_", [a, b]) => self.compare(expr, Function::NotEqual, a, b),
            ("_<_", [a, b]) => self.compare(expr, Function::Less, a, b),
            ("_<=_", [a, b]) => self.compare(expr, Function::LessOrEqual, a, b),
            ("_>_", [a, b]) => self.compare(expr, Function::Greater, a, b),
            ("_>=_", [a, b]) => self.compare(expr, Function::GreaterOrEqual, a, b),
            ("_+_", [a, b]) => self.arithmetic(expr, Function::Add, a, b),
            ("_-_", [a, b]) => self.arithmetic(expr, Function::Subtract, a, b),
            ("_*_", [a, b]) => self.arithmetic(expr, Function::Multiply, a, b),
            ("_/_", [a, b]) => self.arithmetic(expr, Function::Divide, a, b),
            ("_%_", [a, b]) => self.arithmetic(expr, Function::Remainder, a, b),
            ("-_", [a]) => {
                let a = self.part(a);
                if !(a.kind.open() || a.kind.number() || a.kind == Type::Duration) {
                    let message = format!("cannot negate {}", a.kind);
                    return Some(self.wrong(expr, message));
                }
                let kind = a.kind.clone();
                self.made(expr, Function::Negate, vec![a.node], kind)
            }
            ("@in", [a, b]) => self.is_in(expr, a, b),
            ("_[_]", [of, key]) => self.index(expr, of, key),
            _ => return None,
        })
    }

    pub(super) fn made(
        &self,
        expr: &IdedExpr,
        function: Function,
        args: Vec<Node>,
        kind: Type<'s>,
    ) -> Typed<'s> {
        let call = Call { span: self.parsed.span(expr), function, args };
        typed(Node::Call(Box::new(call)), kind)
    }

    fn condition(&mut self, expr: &IdedExpr) -> Node {
        let part = self.part(expr);
        if !part.kind.open() && part.kind != Type::Boolean {
            let message = format!("expected true or false, got {}", part.kind);
            let found = ExpressionError::new(self.parsed.span(expr), message);
            self.errors
                .push(found.help("compare it with something, as in item.product == \"loan\""));
        }
        part.node
    }

    fn compare(
        &mut self,
        expr: &IdedExpr,
        function: Function,
        a: &IdedExpr,
        b: &IdedExpr,
    ) -> Typed<'s> {
        let (left, right) = (self.part(a), self.part(b));
        let equality = matches!(function, Function::Equal | Function::NotEqual);
        let span = self.parsed.span(expr);
        for (kind, other) in [(&left.kind, b), (&right.kind, a)] {
            if *kind == Type::Nothing {
                let text = self.parsed.slice(self.parsed.span(other));
                let found = ExpressionError::new(span, "nothing can be compared with null");
                let help = format!("write has({text}) or !has({text})");
                self.errors.push(found.help(help));
                return typed(any().node, Type::Boolean);
            }
        }
        if !left.kind.comparable(&right.kind) {
            let message = format!("cannot compare {} with {}", left.kind, right.kind);
            let found = ExpressionError::new(span, message);
            self.errors.push(found.maybe_help(conversion(&left.kind, &right.kind)));
        } else if !equality && [&left.kind, &right.kind].into_iter().any(unordered) {
            let message = format!("{} has no order", left.kind);
            self.error(span, message);
        }
        for (one, other, at) in [(&left, &right, b), (&right, &left, a)] {
            if let (Type::Enumeration(labels), Node::Constant(value)) = (&one.kind, &other.node) {
                let span = self.parsed.span(at);
                self.label(span, labels, value);
            }
        }
        match (left.node, right.node) {
            (Node::Attribute(attribute), Node::Constant(Val::Text(text)))
            | (Node::Constant(Val::Text(text)), Node::Attribute(attribute))
                if equality =>
            {
                let is = Is {
                    span: self.parsed.span(expr),
                    attribute,
                    text: text.into_owned(),
                    not: matches!(function, Function::NotEqual),
                };
                typed(Node::Is(Box::new(is)), Type::Boolean)
            }
            (left, right) => self.made(expr, function, vec![left, right], Type::Boolean),
        }
    }

    fn arithmetic(
        &mut self,
        expr: &IdedExpr,
        function: Function,
        a: &IdedExpr,
        b: &IdedExpr,
    ) -> Typed<'s> {
        let (a, b) = (self.part(a), self.part(b));
        let kind = result_of(function, &a.kind, &b.kind);
        if kind.is_none() {
            let message = format!("cannot calculate with {} and {}", a.kind, b.kind);
            let found = ExpressionError::new(self.parsed.span(expr), message);
            self.errors.push(found.maybe_help(conversion(&a.kind, &b.kind)));
        }
        let args = vec![a.node, b.node];
        self.made(expr, function, args, kind.unwrap_or(Type::Any))
    }

    fn is_in(&mut self, expr: &IdedExpr, element: &IdedExpr, list: &IdedExpr) -> Typed<'s> {
        let one = self.part(element);
        if self.names_custom(list) {
            return self.made(expr, Function::InCustom, vec![one.node], Type::Boolean);
        }
        let all = self.part(list);
        if !matches!(all.kind, Type::List | Type::Map) && !all.kind.open() {
            let message = format!("cannot search in {}: it is no list", all.kind);
            let found = ExpressionError::new(self.parsed.span(list), message);
            let help = all.kind.text().then_some("write text.contains(\"part\")");
            self.errors.push(found.maybe_help(help));
        }
        self.check_elements(&one.kind, &all.node, list);
        match all.node {
            Node::List(list) => {
                let among = Among { span: self.parsed.span(expr), element: one.node, list };
                typed(Node::Among(Box::new(among)), Type::Boolean)
            }
            other => self.made(expr, Function::In, vec![one.node, other], Type::Boolean),
        }
    }

    /// The literals of a list that something is searched in must be comparable with it.
    fn check_elements(&mut self, kind: &Type<'s>, list: &Node, at: &IdedExpr) {
        let Node::List(parts) = list else { return };
        for part in parts {
            let Node::Constant(value) = part else {
                continue;
            };
            if let Type::Enumeration(labels) = kind {
                let span = self.parsed.span(at);
                self.label(span, labels, value);
            }
            if !kind.comparable(&type_of(value)) {
                let message = format!("cannot compare {kind} with {}", value.describe());
                let span = self.parsed.span(at);
                self.error(span, message);
            }
        }
    }

    fn index(&mut self, expr: &IdedExpr, of: &IdedExpr, key: &IdedExpr) -> Typed<'s> {
        let custom = self.names_custom(of);
        let whole = if custom { any() } else { self.part(of) };
        let key_part = self.part(key);
        let key_kind = &key_part.kind;
        let fits = match &whole.kind {
            _ if key_kind.open() => true,
            Type::Any if custom => key_kind.text(),
            Type::Any => key_kind.text() || *key_kind == Type::Integer,
            Type::Map => key_kind.text(),
            Type::List => *key_kind == Type::Integer,
            _ => false,
        };
        if !fits {
            let message = format!("cannot read {key_kind} of {}", whole.kind);
            return self.wrong(expr, message);
        }
        if custom {
            return typed(Node::Custom(Box::new(key_part.node)), Type::Any);
        }
        let args = vec![whole.node, key_part.node];
        self.made(expr, Function::Index, args, Type::Any)
    }
}

fn unordered(kind: &Type<'_>) -> bool {
    matches!(kind, Type::Boolean | Type::List | Type::Map)
}

/// How to make two types comparable.
fn conversion(a: &Type<'_>, b: &Type<'_>) -> Option<&'static str> {
    let other = match (a.text(), b.text()) {
        (true, false) => b,
        (false, true) => a,
        _ => return None,
    };
    Some(match other {
        Type::Timestamp => "write timestamp(\"2026-01-31T08:00:00Z\")",
        Type::Duration => "write duration(\"1h30m\")",
        Type::Integer | Type::Decimal => {
            "write the number without quotes, or int(…) or decimal(…) around the text"
        }
        Type::Boolean => "write true or false without quotes",
        _ => return None,
    })
}

fn result_of<'s>(function: Function, a: &Type<'s>, b: &Type<'s>) -> Option<Type<'s>> {
    Some(match (function, a, b) {
        (Function::Remainder, a, b) => {
            let may_be = |kind: &Type<'_>| kind.open() || *kind == Type::Integer;
            return (may_be(a) && may_be(b)).then_some(Type::Integer);
        }
        (_, a, b) if a.open() || b.open() => Type::Any,
        (_, Type::Integer, Type::Integer) => Type::Integer,
        (_, a, b) if a.number() && b.number() => Type::Decimal,
        (Function::Add, a, b) if a.text() && b.text() => Type::Text,
        (Function::Add, Type::List, Type::List) => Type::List,
        (Function::Add | Function::Subtract, Type::Duration, Type::Duration)
        | (Function::Subtract, Type::Timestamp, Type::Timestamp) => Type::Duration,
        (Function::Add | Function::Subtract, Type::Timestamp, Type::Duration)
        | (Function::Add, Type::Duration, Type::Timestamp) => Type::Timestamp,
        _ => return None,
    })
}

/// The type of a literal.
pub(super) fn type_of<'s>(value: &Val<'_>) -> Type<'s> {
    match value {
        Val::Boolean(_) => Type::Boolean,
        Val::Integer(_) => Type::Integer,
        Val::Decimal(_) => Type::Decimal,
        Val::Text(_) => Type::Text,
        Val::Timestamp(_) => Type::Timestamp,
        Val::Duration(_) => Type::Duration,
        Val::Absent => Type::Nothing,
        _ => Type::Any,
    }
}
