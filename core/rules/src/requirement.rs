//! Skill expressions: `sales > 7 && group("berlin")` to a closed requirement.
//!
//! Written as in CEL, but over the agent instead of the item: a name is the agent's level in that
//! skill. There are no values to look up later, so the result is plain data.

use std::collections::BTreeSet;
use std::ops::Range;

use gantry_model::requirement::Compare;
use gantry_model::{Name, Requirement};

use crate::finding::ExpressionError;
use crate::syntax::TEXT_BYTES_MAX;

/// Deepest nesting of parentheses and `!`.
const DEPTH_MAX: usize = 32;
/// Highest level of a skill.
const LEVEL_MAX: u8 = 100;

/// Reads a skill expression: comparisons of levels (0 to 100), `group("…")`, `agent("…")`,
/// `anybody`, joined by `&&`, `||`, `!` and parentheses. `&&` binds tighter than `||`.
///
/// A skill whose name is no plain word stands in quotes: `"first aid" >= 3`.
///
/// # Errors
/// The first mistake.
pub fn parse_requirement(text: &str) -> Result<Requirement, ExpressionError> {
    parse(text).map(|(requirement, _)| requirement)
}

/// Reads a skill expression whose skills and groups must be among those of the config.
///
/// # Errors
/// The first mistake of form, or else every unknown name.
pub fn check_requirement(
    text: &str,
    skills: &BTreeSet<Name>,
    groups: &BTreeSet<Name>,
) -> Result<Requirement, Vec<ExpressionError>> {
    let (requirement, names) = parse(text).map_err(|error| vec![error])?;
    let unknown = names.into_iter().filter_map(|used| {
        let (known, kind) = match used.kind {
            NameKind::Skill => (skills, "skill"),
            NameKind::Group => (groups, "group"),
        };
        if known.contains(used.name.as_str()) {
            return None;
        }
        let found = ExpressionError::new(used.span, format!("unknown {kind} `{}`", used.name));
        let found = found.did_you_mean(&used.name, known.iter().map(Name::as_str));
        Some(found.or_help(format!("add it to `{kind}s` in [routing]")))
    });
    let unknown: Vec<_> = unknown.collect();
    if unknown.is_empty() { Ok(requirement) } else { Err(unknown) }
}

fn parse(text: &str) -> Result<(Requirement, Vec<UsedName>), ExpressionError> {
    if text.len() > TEXT_BYTES_MAX {
        let message = format!("the skill expression is longer than {TEXT_BYTES_MAX} bytes");
        return Err(ExpressionError::new(0..text.len(), message));
    }
    let mut parser =
        Parser { tokens: tokens(text)?, at: 0, end: text.len(), depth: 0, names: Vec::new() };
    let requirement = parser.any_of()?;
    match parser.next() {
        None => Ok((requirement, parser.names)),
        Some(token) => Err(Parser::unexpected(&token)),
    }
}

/// A skill or group that an expression names.
struct UsedName {
    kind: NameKind,
    name: String,
    span: Range<usize>,
}

enum NameKind {
    Skill,
    Group,
}

#[derive(Clone, Debug, PartialEq)]
struct Token {
    kind: TokenKind,
    span: Range<usize>,
}

#[derive(Clone, Debug, PartialEq)]
enum TokenKind {
    Word(String),
    Quoted(String),
    Number(String),
    Symbol(&'static str),
}

/// Longest first, so that `>=` is not read as `>`. The last ones are mistakes worth a good answer.
const SYMBOLS: [&str; 16] =
    ["&&", "||", ">=", "<=", "==", "!=", "<>", ">", "<", "!", "(", ")", "=", "&", "|", ","];

fn tokens(text: &str) -> Result<Vec<Token>, ExpressionError> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        if first.is_whitespace() {
            at += first.len_utf8();
            continue;
        }
        let run = |fits: fn(char) -> bool| rest.find(|c| !fits(c)).unwrap_or(rest.len());
        let (kind, length) = if first.is_alphabetic() || first == '_' {
            let length = run(|c| c.is_alphanumeric() || c == '_');
            (TokenKind::Word(rest[..length].to_owned()), length)
        } else if first.is_ascii_digit() {
            let length = run(|c| c.is_ascii_digit() || c == '.' || c == '_');
            (TokenKind::Number(rest[..length].to_owned()), length)
        } else if first == '"' || first == '\'' {
            let (text, length) = quoted(rest, at)?;
            (TokenKind::Quoted(text), length)
        } else if let Some(symbol) = SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol)) {
            (TokenKind::Symbol(symbol), symbol.len())
        } else {
            let span = at..at + first.len_utf8();
            let message = format!("`{first}` is not expected here");
            return Err(ExpressionError::new(span, message));
        };
        let span = at..at + length;
        tokens.push(Token { kind, span });
        at += length;
    }
    Ok(tokens)
}

/// Reads text in quotes, with the escapes that Rust's debug form writes.
fn quoted(rest: &str, at: usize) -> Result<(String, usize), ExpressionError> {
    let mut chars = rest.char_indices();
    let quote = chars.next().map(|(_, quote)| quote);
    let mut text = String::new();
    while let Some((offset, c)) = chars.next() {
        if Some(c) == quote {
            return Ok((text, offset + c.len_utf8()));
        }
        if c != '\\' {
            text.push(c);
            continue;
        }
        let wrong = |to: usize| {
            let span = at + offset..at + to;
            ExpressionError::new(span, "unknown escape").help("write \\\\ for a backslash")
        };
        text.push(match chars.next() {
            Some((_, 'n')) => '\n',
            Some((_, 't')) => '\t',
            Some((_, 'r')) => '\r',
            Some((_, '0')) => '\0',
            Some((_, c @ ('\\' | '"' | '\''))) => c,
            Some((_, 'u')) => {
                let code =
                    rest[offset + 2..].strip_prefix('{').and_then(|digits| digits.split_once('}'));
                let (digits, _) = code.ok_or_else(|| wrong(offset + 2))?;
                let decoded = u32::from_str_radix(digits, 16).ok().and_then(char::from_u32);
                for _ in 0..digits.chars().count() + 2 {
                    chars.next();
                }
                decoded.ok_or_else(|| wrong(offset + 2))?
            }
            Some((next, c)) => return Err(wrong(next + c.len_utf8())),
            None => break,
        });
    }
    let span = at..at + rest.len();
    Err(ExpressionError::new(span, "the text is not closed").help("add the closing quote"))
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    end: usize,
    depth: usize,
    names: Vec<UsedName>,
}

impl Parser {
    fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at).cloned();
        self.at += 1;
        token
    }

    fn take(&mut self, symbol: &str) -> bool {
        let found = self
            .tokens
            .get(self.at)
            .is_some_and(|token| matches!(token.kind, TokenKind::Symbol(found) if found == symbol));
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, symbol: &str) -> Result<(), ExpressionError> {
        if self.take(symbol) {
            return Ok(());
        }
        match self.next() {
            Some(token) => Err(Self::unexpected(&token).or_help(format!("expected {symbol}"))),
            None => Err(self.too_early().help(format!("expected {symbol}"))),
        }
    }

    fn too_early(&self) -> ExpressionError {
        ExpressionError::new(self.end..self.end, "the skill expression ends too early")
    }

    fn unexpected(token: &Token) -> ExpressionError {
        let (text, help) = match &token.kind {
            TokenKind::Word(word) => {
                let help = match word.to_ascii_lowercase().as_str() {
                    "and" => Some("write &&"),
                    "or" => Some("write ||"),
                    "not" => Some("write !"),
                    _ => None,
                };
                (word.as_str(), help)
            }
            TokenKind::Symbol(symbol) => {
                let help = match *symbol {
                    "=" => Some("write == to compare"),
                    "&" => Some("write &&"),
                    "|" => Some("write ||"),
                    "<>" => Some("write !="),
                    _ => None,
                };
                (*symbol, help)
            }
            TokenKind::Quoted(text) | TokenKind::Number(text) => (text.as_str(), None),
        };
        let message = match help {
            Some(_) => format!("`{text}` is no operator"),
            None => format!("`{text}` is not expected here"),
        };
        ExpressionError::new(token.span.clone(), message).maybe_help(help)
    }

    fn any_of(&mut self) -> Result<Requirement, ExpressionError> {
        let mut parts = vec![self.all_of()?];
        while self.take("||") {
            match self.all_of()? {
                Requirement::AnyOf(more) => parts.extend(more),
                part => parts.push(part),
            }
        }
        if parts.len() == 1 {
            return Ok(parts.remove(0));
        }
        if let Requirement::AnyOf(more) = &mut parts[0] {
            let mut more = std::mem::take(more);
            more.extend(parts.drain(1..));
            parts = more;
        }
        Ok(Requirement::AnyOf(parts))
    }

    fn all_of(&mut self) -> Result<Requirement, ExpressionError> {
        let mut all = self.one()?;
        while self.take("&&") {
            all = all.and(self.one()?);
        }
        Ok(all)
    }

    fn one(&mut self) -> Result<Requirement, ExpressionError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            let message = "the skill expression is nested too deeply";
            return Err(ExpressionError::new(0..self.end, message));
        }
        let one = self.one_inner();
        self.depth -= 1;
        one
    }

    fn one_inner(&mut self) -> Result<Requirement, ExpressionError> {
        let Some(token) = self.next() else {
            return Err(self.too_early());
        };
        match &token.kind {
            TokenKind::Symbol("!") => Ok(Requirement::Not(Box::new(self.one()?))),
            TokenKind::Symbol("(") => {
                let inner = self.any_of()?;
                self.expect(")")?;
                Ok(inner)
            }
            TokenKind::Word(word) if word == "anybody" => Ok(Requirement::Anybody),
            TokenKind::Word(word) if self.take("(") => self.function(word, &token),
            TokenKind::Word(word) if ["and", "or", "not"].contains(&&*word.to_lowercase()) => {
                Err(Self::unexpected(&token))
            }
            TokenKind::Word(skill) | TokenKind::Quoted(skill) => self.skill(skill, &token),
            TokenKind::Number(_) => {
                let found = Self::unexpected(&token);
                Err(found.help("write the skill first, as in sales > 7"))
            }
            TokenKind::Symbol(_) => Err(Self::unexpected(&token)),
        }
    }

    fn function(&mut self, word: &str, token: &Token) -> Result<Requirement, ExpressionError> {
        let group = match word {
            "group" => true,
            "agent" => false,
            _ => {
                let message = format!("unknown function `{word}`");
                let found = ExpressionError::new(token.span.clone(), message);
                return Err(found.help("write group(\"…\") or agent(\"…\")"));
            }
        };
        let Some(arg) = self.next() else {
            return Err(self.too_early());
        };
        let TokenKind::Quoted(name) = arg.kind else {
            return Err(
                Self::unexpected(&arg).or_help(format!("write the name in quotes: {word}(\"…\")"))
            );
        };
        self.expect(")")?;
        if !group {
            return Ok(Requirement::Agent(name.into()));
        }
        self.names.push(UsedName { kind: NameKind::Group, name: name.clone(), span: arg.span });
        Ok(Requirement::Group(name.into()))
    }

    fn skill(&mut self, skill: &str, token: &Token) -> Result<Requirement, ExpressionError> {
        self.names.push(UsedName {
            kind: NameKind::Skill,
            name: skill.to_owned(),
            span: token.span.clone(),
        });
        let missing = |found: ExpressionError| {
            found.or_help(format!("compare the level: {skill} > 0 means \"has the skill\""))
        };
        let Some(operator) = self.next() else {
            return Err(missing(self.too_early()));
        };
        let (compare, negated) = match operator.kind {
            TokenKind::Symbol(">") => (Compare::Greater, false),
            TokenKind::Symbol(">=") => (Compare::AtLeast, false),
            TokenKind::Symbol("==") => (Compare::Equal, false),
            TokenKind::Symbol("!=") => (Compare::Equal, true),
            TokenKind::Symbol("<=") => (Compare::AtMost, false),
            TokenKind::Symbol("<") => (Compare::Less, false),
            _ => return Err(missing(Self::unexpected(&operator))),
        };
        let Some(number) = self.next() else {
            return Err(self.too_early().help("expected a level from 0 to 100"));
        };
        let level = match &number.kind {
            TokenKind::Number(digits) => digits.parse().ok().filter(|level| *level <= LEVEL_MAX),
            _ => {
                return Err(Self::unexpected(&number).or_help("expected a level from 0 to 100"));
            }
        };
        let Some(level) = level else {
            let message = "a level is an integer from 0 to 100";
            return Err(ExpressionError::new(number.span, message));
        };
        let skill = Requirement::Skill { skill: Name::new(skill), compare, level };
        Ok(if negated { Requirement::Not(Box::new(skill)) } else { skill })
    }
}
