//! Content lines (RFC 5545, section 3.1): unfolded, taken apart, each with its place.

use std::ops::Range;

use super::Broken;

/// A content line: `NAME;PARAMETER=value:value`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// In capitals.
    pub(super) name: String,
    /// Names in capitals, values without quotes.
    pub(super) parameters: Vec<(String, String)>,
    pub(super) value: String,
    /// Where it stands, folds included.
    pub(super) span: Range<usize>,
}

impl Line {
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        let found = self.parameters.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The value as text, without its escapes.
    pub(super) fn text(&self) -> String {
        let mut text = String::with_capacity(self.value.len());
        let mut rest = self.value.chars();
        while let Some(c) = rest.next() {
            match (c, if c == '\\' { rest.next() } else { None }) {
                ('\\', Some('n' | 'N')) => text.push(' '),
                ('\\', Some(escaped)) => text.push(escaped),
                _ => text.push(c),
            }
        }
        text.trim().to_owned()
    }
}

/// Takes a text apart into its content lines.
pub(super) fn parse(text: &str) -> Result<Vec<Line>, Broken> {
    let mut lines = Vec::new();
    let mut unfolded: Option<(String, Range<usize>)> = None;
    let mut at = 0;
    for physical in text.split_inclusive('\n') {
        let content = physical.trim_end_matches(['\r', '\n']);
        let span = at..at + content.len();
        at += physical.len();
        if let Some((line, place)) = &mut unfolded
            && let Some(more) = content.strip_prefix([' ', '\t'])
        {
            line.push_str(more);
            place.end = span.end;
            continue;
        }
        lines.extend(unfolded.take().map(line).transpose()?);
        // Some programs put a byte order mark before the first line.
        let content = content.trim_start_matches('\u{feff}');
        unfolded = (!content.trim().is_empty()).then(|| (content.to_owned(), span));
    }
    lines.extend(unfolded.map(line).transpose()?);
    Ok(lines)
}

fn line((text, span): (String, Range<usize>)) -> Result<Line, Broken> {
    let broken = |message: &str| Broken { span: span.clone(), message: message.to_owned() };
    let end = text.find([';', ':']).ok_or_else(|| broken("this line has no value"))?;
    let name = text[..end].to_ascii_uppercase();
    let mut parameters = Vec::new();
    let mut rest = &text[end..];
    while let Some(parameter) = rest.strip_prefix(';') {
        let is = parameter.find('=').ok_or_else(|| broken("a parameter here has no value"))?;
        let value = &parameter[is + 1..];
        let (value, after) = match value.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').ok_or_else(|| broken("a quote is open"))?,
            None => value.split_at(value.find([';', ':']).unwrap_or(value.len())),
        };
        parameters.push((parameter[..is].to_ascii_uppercase(), value.to_owned()));
        rest = after;
    }
    let value = rest.strip_prefix(':').ok_or_else(|| broken("this line has no value"))?;
    let value = value.to_owned();
    Ok(Line { name, parameters, value, span })
}
