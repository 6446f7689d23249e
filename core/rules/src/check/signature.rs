//! The functions that expressions may call, with their types.

use cel::common::ast::{CallExpr, IdedExpr};
use regex::RegexBuilder;

use super::{Checker, Type, Typed, any, typed};
use crate::eval::{Function, Matches, Node};
use crate::finding::{ExpressionError, suggest};
use crate::functions::apply;
use crate::value::Val;

/// A function: `name(first, …)` and `first.name(…)` mean the same.
struct Signature {
    name: &'static str,
    function: Function,
    /// Types of the arguments; [`Type::Any`] takes all.
    takes: &'static [Type<'static>],
    /// How many of the arguments at the end may be left out.
    optional: usize,
    gives: Type<'static>,
    example: &'static str,
}

const fn signature(
    name: &'static str,
    function: Function,
    takes: &'static [Type<'static>],
    gives: Type<'static>,
    example: &'static str,
) -> Signature {
    Signature { name, function, takes, optional: 0, gives, example }
}

use Type::{Any, Boolean, Decimal, Duration, Integer, List, Text, Timestamp};

/// All functions but `coalesce` and `matches`, sorted by name.
const FUNCTIONS: &[Signature] = &[
    signature("bool", Function::ToBoolean, &[Any], Boolean, "bool(record.vip)"),
    signature(
        "contains",
        Function::Contains,
        &[Text, Text],
        Boolean,
        "item.name.contains(\"loan\")",
    ),
    signature("decimal", Function::ToDecimal, &[Any], Decimal, "decimal(record.amount)"),
    // CEL's name for it; the number is exact all the same.
    signature("double", Function::ToDecimal, &[Any], Decimal, "double(record.amount)"),
    signature("duration", Function::ToDuration, &[Any], Duration, "duration(\"1h30m\")"),
    signature("endsWith", Function::EndsWith, &[Text, Text], Boolean, "item.name.endsWith(\"!\")"),
    signature("int", Function::ToInteger, &[Any], Integer, "int(record.count)"),
    signature("lower", Function::Lower, &[Text], Text, "lower(record.mail)"),
    signature(
        "replace",
        Function::Replace,
        &[Text, Text, Text],
        Text,
        "record.phone.replace(\" \", \"\")",
    ),
    signature("size", Function::Size, &[Any], Integer, "size(record.lines)"),
    signature("split", Function::Split, &[Text, Text], List, "record.tags.split(\",\")"),
    signature(
        "startsWith",
        Function::StartsWith,
        &[Text, Text],
        Boolean,
        "item.name.startsWith(\"VIP\")",
    ),
    signature("string", Function::ToText, &[Any], Text, "string(record.number)"),
    Signature {
        name: "substring",
        function: Function::Substring,
        takes: &[Text, Integer, Integer],
        optional: 1,
        gives: Text,
        example: "record.code.substring(0, 2)",
    },
    signature(
        "timestamp",
        Function::ToTimestamp,
        &[Any],
        Timestamp,
        "timestamp(\"2026-01-31T08:00:00Z\")",
    ),
    signature("trim", Function::Trim, &[Text], Text, "trim(record.name)"),
    signature("upper", Function::Upper, &[Text], Text, "upper(record.country)"),
];

/// Largest compiled pattern of `matches`, in bytes.
const PATTERN_BYTES_MAX: usize = 1 << 20;

impl Signature {
    /// Whether it is a conversion of one value.
    fn converts(&self) -> bool {
        matches!(
            self.function,
            Function::ToBoolean
                | Function::ToDecimal
                | Function::ToDuration
                | Function::ToInteger
                | Function::ToText
                | Function::ToTimestamp
        )
    }
}

impl<'s> Checker<'s, '_> {
    /// Checks the call of a function.
    pub(super) fn function(&mut self, expr: &IdedExpr, call: &CallExpr) -> Typed<'s> {
        let args: Vec<&IdedExpr> = call.target.as_deref().into_iter().chain(&call.args).collect();
        let name = call.func_name.as_str();
        match name {
            "coalesce" => return self.coalesce(expr, &args),
            "matches" => return self.matches(expr, &args),
            _ => {}
        }
        let Some(known) = FUNCTIONS.iter().find(|known| known.name == name) else {
            return self.unknown_function(expr, name, &args);
        };
        let count = known.takes.len();
        if args.len() > count || args.len() < count - known.optional {
            let message = format!("`{name}` does not take {} arguments", args.len());
            let found = ExpressionError::new(self.parsed.span(expr), message);
            self.errors.push(found.help(format!("as in {}", known.example)));
            return typed(any().node, known.gives.clone());
        }
        let mut nodes = Vec::with_capacity(args.len());
        for (arg, wanted) in args.into_iter().zip(known.takes) {
            let part = self.part(arg);
            let fits = match wanted {
                Any => true,
                Text => part.kind.open() || part.kind.text(),
                exact => part.kind.open() || part.kind == *exact,
            };
            if !fits {
                let message = format!("`{name}` expects {wanted} here, got {}", part.kind);
                let found = ExpressionError::new(self.parsed.span(arg), message);
                self.errors.push(found.help(format!("as in {}", known.example)));
            }
            nodes.push(part.node);
        }
        if let (true, [Node::Constant(value)]) = (known.converts(), nodes.as_slice()) {
            let value = value.clone();
            return self.converted(expr, known, value);
        }
        self.made(expr, known.function, nodes, known.gives.clone())
    }

    /// `timestamp("…")` and the like over a literal are made now, not with each record.
    fn converted(&mut self, expr: &IdedExpr, known: &Signature, value: Val<'static>) -> Typed<'s> {
        match apply(known.function, value, Val::Absent, Val::Absent) {
            Ok(value) => typed(Node::Constant(value), known.gives.clone()),
            Err(message) => self.wrong(expr, message),
        }
    }

    fn coalesce(&mut self, expr: &IdedExpr, args: &[&IdedExpr]) -> Typed<'s> {
        let mut kind = Type::Nothing;
        let mut nodes = Vec::with_capacity(args.len());
        for arg in args {
            let part = self.part(arg);
            kind = kind.either(part.kind);
            nodes.push(part.node);
        }
        if nodes.len() < 2 {
            let found = ExpressionError::new(self.parsed.span(expr), "`coalesce` expects choices");
            self.errors.push(found.help("as in coalesce(record.mobile, record.phone, \"\")"));
        }
        typed(Node::Coalesce(nodes), kind)
    }

    fn matches(&mut self, expr: &IdedExpr, args: &[&IdedExpr]) -> Typed<'s> {
        let [text, pattern] = args else {
            let found = ExpressionError::new(self.parsed.span(expr), "`matches` takes a pattern");
            let help = "as in item.external_id.matches(\"^A[0-9]+$\")";
            self.errors.push(found.help(help));
            return typed(any().node, Boolean);
        };
        let text_part = self.part(text);
        if !text_part.kind.open() && !text_part.kind.text() {
            let message = format!("`matches` expects text here, got {}", text_part.kind);
            let span = self.parsed.span(text);
            self.error(span, message);
        }
        let span = self.parsed.span(pattern);
        let Node::Constant(Val::Text(literal)) = self.part(pattern).node else {
            self.error(span, "the pattern of `matches` must be text in quotes");
            return typed(any().node, Boolean);
        };
        let built = RegexBuilder::new(&literal).size_limit(PATTERN_BYTES_MAX).build();
        match built {
            Ok(pattern) => {
                let matches =
                    Matches { span: self.parsed.span(expr), text: text_part.node, pattern };
                typed(Node::Matches(Box::new(matches)), Boolean)
            }
            Err(error) => {
                let reason = error.to_string();
                let reason = reason.lines().last().unwrap_or("it cannot be read").trim();
                let reason = reason.strip_prefix("error: ").unwrap_or(reason);
                self.error(span, format!("wrong pattern: {reason}"));
                typed(any().node, Boolean)
            }
        }
    }

    fn unknown_function(&mut self, expr: &IdedExpr, name: &str, args: &[&IdedExpr]) -> Typed<'s> {
        let macros = ["coalesce", "matches", "has", "exists", "all", "filter", "map"];
        let names = FUNCTIONS.iter().map(|known| known.name).chain(macros);
        let help = match name {
            "toLowerCase" | "lowerAscii" | "lowercase" => Some("lower"),
            "toUpperCase" | "upperAscii" | "uppercase" => Some("upper"),
            "len" | "length" | "count" => Some("size"),
            "str" | "text" | "toString" => Some("string"),
            "float" | "number" => Some("decimal"),
            _ => suggest(name, names.clone()),
        };
        let message = format!("unknown function `{name}`");
        let found = ExpressionError::new(self.parsed.span(expr), message);
        self.errors.push(match help {
            Some(near) => found.help(format!("did you mean `{near}`?")),
            None => found.help(format!("one of {}", names.collect::<Vec<_>>().join(", "))),
        });
        for arg in args {
            self.part(arg);
        }
        any()
    }
}
