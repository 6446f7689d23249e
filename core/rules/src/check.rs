//! The type check: syntax tree to checked tree, with all mistakes of an expression at once.
//!
//! Known are the root (`record` or `item`), the declared attributes with their types, the
//! functions in [`signature`], and the type that the whole expression must have.

mod operators;
mod signature;
mod types;

use gantry_model::attribute::SETTABLE;
use gantry_model::spec::{MessageKind, Spec};
use gantry_model::{AttributeType, Name};

use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue};

use crate::eval::{Fold, Node};
use crate::finding::ExpressionError;
use crate::syntax::Parsed;
use crate::value::Val;
pub(crate) use types::{Type, Want};

/// What an expression is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    /// A source's record: `record`, of any shape.
    Record,
    /// A work item: `item`, with declared attributes.
    Item,
}

/// A checked part of an expression.
struct Typed<'s> {
    node: Node,
    kind: Type<'s>,
}

/// Parses and checks an expression over `item` that may have any type; says which.
pub(crate) fn typed_item<'s>(
    text: &str,
    spec: &'s Spec,
) -> Result<(Node, Type<'s>), Vec<ExpressionError>> {
    let parsed = Parsed::new(text).map_err(|error| vec![error])?;
    let mut checker = Checker {
        parsed: &parsed,
        spec,
        subject: Subject::Item,
        locals: Vec::new(),
        errors: Vec::new(),
    };
    let typed = checker.part(parsed.root());
    match checker.errors {
        errors if errors.is_empty() => Ok((typed.node, typed.kind)),
        errors => Err(errors),
    }
}

/// Parses and checks an expression.
pub(crate) fn compile(
    text: &str,
    spec: &Spec,
    subject: Subject,
    want: Want<'_>,
) -> Result<Node, Vec<ExpressionError>> {
    let parsed = Parsed::new(text).map_err(|error| vec![error])?;
    let mut checker =
        Checker { parsed: &parsed, spec, subject, locals: Vec::new(), errors: Vec::new() };
    let typed = checker.part(parsed.root());
    if checker.errors.is_empty() {
        checker.fits(parsed.root(), &typed, want);
    }
    match checker.errors {
        errors if errors.is_empty() => Ok(typed.node),
        errors => Err(errors),
    }
}

struct Checker<'s, 't> {
    parsed: &'t Parsed<'t>,
    spec: &'s Spec,
    subject: Subject,
    /// Variables of the enclosing folds, outermost first.
    locals: Vec<(String, Type<'s>)>,
    errors: Vec<ExpressionError>,
}

impl<'s> Checker<'s, '_> {
    fn part(&mut self, expr: &IdedExpr) -> Typed<'s> {
        match &expr.expr {
            Expr::Literal(literal) => self.literal(expr, literal),
            Expr::Ident(name) => self.identifier(expr, name),
            Expr::Select(select) => {
                let field = self.field(expr, &select.operand, &select.field);
                if select.test {
                    return typed(Node::Present(Box::new(field.node)), Type::Boolean);
                }
                field
            }
            Expr::List(list) => {
                let parts = list.elements.iter().map(|part| self.part(part).node);
                typed(Node::List(parts.collect()), Type::List)
            }
            Expr::Map(map) => {
                let entries = map.entries.iter().filter_map(|entry| match &entry.expr {
                    EntryExpr::MapEntry(entry) => {
                        let key = self.part(&entry.key).node;
                        let value = self.part(&entry.value).node;
                        let Node::Constant(Val::Text(key)) = key else {
                            let span = self.parsed.span(&entry.key);
                            self.error(span, "the key of a map must be text in quotes");
                            return None;
                        };
                        Some((key.into_owned(), value))
                    }
                    EntryExpr::StructField(_) => None,
                });
                typed(Node::Map(entries.collect()), Type::Map)
            }
            Expr::Call(call) => self.call(expr, call),
            Expr::Comprehension(fold) => self.fold(expr, fold),
            Expr::Struct(_) | Expr::Unspecified => self.wrong(expr, "this cannot be used in rules"),
        }
    }

    fn literal(&mut self, expr: &IdedExpr, literal: &LiteralValue) -> Typed<'s> {
        let (value, kind) = match literal {
            LiteralValue::Boolean(truth) => (Val::Boolean(*truth.inner()), Type::Boolean),
            LiteralValue::Int(number) => (Val::Integer(*number.inner()), Type::Integer),
            LiteralValue::UInt(number) => match i64::try_from(*number.inner()) {
                Ok(number) => (Val::Integer(number), Type::Integer),
                Err(_) => return self.wrong(expr, "the number is out of range"),
            },
            LiteralValue::Double(number) => {
                let Some(number) = self.decimal(expr, *number.inner()) else {
                    let message = "the number has more than 18 digits or an exponent";
                    return self.wrong(expr, message);
                };
                (Val::Decimal(number), Type::Decimal)
            }
            LiteralValue::String(text) => (Val::Text(text.inner().to_owned().into()), Type::Text),
            LiteralValue::Null => (Val::Absent, Type::Nothing),
            LiteralValue::Bytes(_) => return self.wrong(expr, "bytes cannot be used in rules"),
        };
        typed(Node::Constant(value), kind)
    }

    /// The parser has rounded the literal to binary; its text is exact.
    fn decimal(&self, expr: &IdedExpr, number: f64) -> Option<gantry_model::Decimal> {
        let text = self.parsed.slice(self.parsed.token(expr));
        let digits = text.trim_start_matches('-').trim();
        let sign = if number.is_sign_negative() { "-" } else { "" };
        let whole = if digits.starts_with('.') { "0" } else { "" };
        format!("{sign}{whole}{digits}").parse().ok()
    }

    fn identifier(&mut self, expr: &IdedExpr, name: &str) -> Typed<'s> {
        if let Some(slot) = self.locals.iter().rposition(|(local, _)| local == name) {
            return typed(Node::Local(slot), self.locals[slot].1.clone());
        }
        let span = self.parsed.token(expr);
        let (root, other) = match self.subject {
            Subject::Record => ("record", "item"),
            Subject::Item => ("item", "record"),
        };
        if name == root {
            if self.subject == Subject::Record {
                return typed(Node::Path(Vec::new()), Type::Any);
            }
            let found = ExpressionError::new(span, "an item has no value of its own");
            self.errors.push(found.help("name an attribute: item.NAME"));
            return any();
        }
        let found = ExpressionError::new(span, format!("unknown name `{name}`"));
        self.errors.push(if name == other {
            found.help(match self.subject {
                Subject::Record => "mappings read the source's record: record.NAME",
                Subject::Item => "rules read the item's attributes: item.NAME",
            })
        } else if self.subject == Subject::Item && self.spec.attribute_type(name).is_some() {
            found.help(format!("write item.{name}"))
        } else {
            let locals = self.locals.iter().map(|(local, _)| local.as_str());
            found.did_you_mean(name, locals.chain([root]))
        });
        any()
    }

    /// `operand.field`
    fn field(&mut self, expr: &IdedExpr, operand: &IdedExpr, field: &str) -> Typed<'s> {
        if self.names_item(operand) {
            return self.attribute(expr, field);
        }
        if self.names_custom(operand) {
            let key = Node::Constant(Val::Text(field.to_owned().into()));
            return typed(Node::Custom(Box::new(key)), Type::Any);
        }
        let of = self.part(operand);
        if !matches!(of.kind, Type::Any | Type::Map | Type::Nothing) {
            let message = format!("{} has no field `{field}`", of.kind);
            return self.wrong(expr, message);
        }
        let node = match of.node {
            Node::Path(mut keys) => {
                keys.push(field.to_owned());
                Node::Path(keys)
            }
            other => Node::Field(Box::new(other), field.to_owned()),
        };
        typed(node, Type::Any)
    }

    fn attribute(&mut self, expr: &IdedExpr, name: &str) -> Typed<'s> {
        if let Some(kind) = self.spec.attribute_type(name) {
            return typed(Node::Attribute(Name::new(name)), Type::of(kind));
        }
        let span = self.parsed.span(expr);
        let found = ExpressionError::new(span, format!("unknown attribute `{name}`"));
        let found = if name == "custom" {
            found.help("name the key: item.custom[\"key\"]")
        } else {
            let declare = format!(
                "declare it as [attribute.{name}] with a type, or write item.custom[\"{name}\"]"
            );
            found.did_you_mean(name, attribute_names(self.spec)).or_help(declare)
        };
        self.errors.push(found);
        any()
    }

    fn names_item(&self, expr: &IdedExpr) -> bool {
        self.subject == Subject::Item
            && matches!(&expr.expr, Expr::Ident(name) if name == "item")
            && !self.locals.iter().any(|(local, _)| local == "item")
    }

    /// `item.custom`
    fn names_custom(&self, expr: &IdedExpr) -> bool {
        matches!(&expr.expr, Expr::Select(select)
            if !select.test && select.field == "custom" && self.names_item(&select.operand))
    }

    fn fold(&mut self, expr: &IdedExpr, fold: &ComprehensionExpr) -> Typed<'s> {
        let range = self.part(&fold.iter_range);
        if !matches!(range.kind, Type::Any | Type::List | Type::Map | Type::Nothing) {
            let message = format!("cannot go through {}: it is no list", range.kind);
            let span = self.parsed.span(&fold.iter_range);
            self.error(span, message);
        }
        if fold.iter_var2.is_some() {
            return self.wrong(expr, "only one variable can be used here");
        }
        let start = self.part(&fold.accu_init);
        let kind = start.kind.clone();
        self.locals.push((fold.accu_var.clone(), start.kind));
        self.locals.push((fold.iter_var.clone(), Type::Any));
        let go_on = self.part(&fold.loop_cond).node;
        let step = self.part(&fold.loop_step).node;
        self.locals.pop();
        let result = self.part(&fold.result);
        self.locals.pop();
        let kind = match result.kind {
            Type::Any => kind,
            known => known,
        };
        let fold = Fold {
            span: self.parsed.span(expr),
            range: range.node,
            start: start.node,
            go_on,
            step,
            result: result.node,
        };
        typed(Node::Fold(Box::new(fold)), kind)
    }

    fn call(&mut self, expr: &IdedExpr, call: &CallExpr) -> Typed<'s> {
        if call.target.is_none()
            && let Some(typed) = self.operator(expr, &call.func_name, &call.args)
        {
            return typed;
        }
        self.function(expr, call)
    }

    /// Whether the whole expression may stand where it stands.
    fn fits(&mut self, root: &IdedExpr, whole: &Typed<'s>, want: Want<'_>) {
        if let Want::Message = want {
            return self.message_kinds(root, whole);
        }
        let span = self.parsed.span(root);
        if let (Want::Attribute(AttributeType::Enumeration(labels)), Node::Constant(value)) =
            (want, &whole.node)
        {
            self.label(span, labels, value);
        } else if !whole.kind.fits(want) {
            let message = format!("expected {}, got {}", want.label(), whole.kind);
            let found = ExpressionError::new(span, message);
            self.errors.push(match (want, &whole.kind) {
                (Want::Condition, Type::Text | Type::Enumeration(_)) => {
                    found.help("compare it, as in item.department == \"Sales\"")
                }
                (Want::Condition, Type::Integer | Type::Decimal) => {
                    found.help("compare it, as in item.deal_value > 1000")
                }
                (Want::Attribute(AttributeType::Integer) | Want::Points, Type::Decimal) => {
                    found.help("write int(…) to drop the decimals")
                }
                (Want::Attribute(AttributeType::Text), _) => found.help("write string(…)"),
                _ => found,
            });
        }
    }

    /// Every text that a `message` can yield must name a kind of message, where that is visible.
    fn message_kinds(&mut self, expr: &IdedExpr, whole: &Typed<'s>) {
        if !matches!(whole.kind, Type::Any | Type::Text | Type::Nothing) {
            let message = format!("expected the name of a message, got {}", whole.kind);
            let span = self.parsed.span(expr);
            self.error(span, message);
        }
        let mut parts = vec![expr];
        while let Some(part) = parts.pop() {
            match &part.expr {
                Expr::Call(call) if call.func_name == "_?_:_" => parts.extend(&call.args[1..]),
                Expr::Literal(LiteralValue::String(text))
                    if MessageKind::parse(text.inner()).is_none() =>
                {
                    let span = self.parsed.token(part);
                    let known = MessageKind::ALL.map(|(name, _)| name);
                    let message = format!("unknown kind of message {:?}", text.inner());
                    let found = ExpressionError::new(span, message)
                        .did_you_mean(text.inner(), known)
                        .or_help(format!("one of {}", known.join(", ")));
                    self.errors.push(found);
                }
                _ => {}
            }
        }
    }

    /// A literal beside an enumeration must be one of its labels.
    fn label(&mut self, span: std::ops::Range<usize>, labels: &[String], value: &Val<'_>) {
        let Val::Text(text) = value else { return };
        if labels.iter().any(|label| *label == **text) {
            return;
        }
        let found = ExpressionError::new(span, format!("{text:?} is not one of the labels"));
        let found = found.did_you_mean(text, labels.iter().map(String::as_str));
        self.errors.push(found.or_help(format!("one of {}", labels.join(", "))));
    }

    fn error(&mut self, span: std::ops::Range<usize>, message: impl Into<String>) {
        self.errors.push(ExpressionError::new(span, message));
    }

    fn wrong(&mut self, expr: &IdedExpr, message: impl Into<String>) -> Typed<'s> {
        let span = self.parsed.span(expr);
        self.error(span, message);
        any()
    }
}

fn typed(node: Node, kind: Type<'_>) -> Typed<'_> {
    Typed { node, kind }
}

/// Stands for a part that is wrong, so that the rest is still checked.
fn any<'s>() -> Typed<'s> {
    typed(Node::Constant(Val::Absent), Type::Any)
}

/// All attributes that an item may have.
pub(crate) fn attribute_names(spec: &Spec) -> impl Iterator<Item = &str> {
    let settable = SETTABLE.iter().map(|(name, _)| *name);
    let declared = spec.attributes.keys().map(Name::as_str);
    let yielded = spec.lookups.values().flat_map(|lookup| lookup.yields.keys().map(Name::as_str));
    settable.chain(declared).chain(yielded)
}
