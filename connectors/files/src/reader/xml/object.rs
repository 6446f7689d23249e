//! What an element becomes as JSON; `docs/connectors/files.md` tells it to the operator.

use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::{Reader, XmlVersion};
use serde_json::{Map, Value};

use super::super::EntryFault;

/// Elements inside each other; the hub takes no deeper records.
const DEPTH_MAX: usize = 60;
/// Where the text stands of an element that has attributes or children.
const TEXT: &str = "#text";

/// An element that is open.
#[derive(Default)]
struct Node {
    name: String,
    fields: Map<String, Value>,
    text: String,
}

/// A record's element as a JSON object.
pub(super) fn read(text: &str, lists: &[String]) -> Result<Vec<u8>, EntryFault> {
    let mut reader = Reader::from_str(text);
    let mut open: Vec<Node> = vec![Node::default()];
    loop {
        let event = reader.read_event().map_err(|error| no_xml(&error))?;
        let at = reader.buffer_position();
        // The one around the record stays open.
        let top = open.len() - 1;
        match event {
            Event::Start(_) if top > DEPTH_MAX => return Err(EntryFault::TooDeep),
            Event::Start(start) => open.push(Node::open(&start)?),
            Event::Empty(start) => open[top].add(Node::open(&start)?, lists),
            Event::End(_) => {
                let child = open.pop().expect("invariant: the parser pairs tags");
                let parent = open.last_mut().expect("invariant: the parser pairs tags");
                parent.add(child, lists);
            }
            Event::Text(text) => open[top].text += &text.xml10_content(),
            Event::CData(text) => open[top].text += &text.xml10_content(),
            Event::GeneralRef(reference) => open[top].text += &resolved(&reference)?,
            Event::Eof if top > 0 => {
                return Err(EntryFault::NotXml(format!("an element is open at byte {at}")));
            }
            Event::Eof => break,
            Event::Comment(_) | Event::PI(_) | Event::Decl(_) | Event::DocType(_) => {}
        }
    }
    let mut whole = open.swap_remove(0).fields.into_iter();
    let record = match whole.next() {
        Some((_, Value::Object(fields))) => fields,
        Some((_, Value::Null)) | None => Map::new(),
        Some((_, text)) => Map::from_iter([(TEXT.to_owned(), text)]),
    };
    Ok(serde_json::to_vec(&record).expect("invariant: text to text is valid JSON"))
}

impl Node {
    fn open(start: &BytesStart<'_>) -> Result<Self, EntryFault> {
        let mut fields = Map::new();
        for attribute in start.attributes() {
            let attribute = attribute.map_err(|error| no_xml(&error.into()))?;
            if attribute.key.as_namespace_binding().is_some() {
                continue;
            }
            let value = attribute
                .normalized_value(XmlVersion::Implicit1_0)
                .map_err(|error| no_xml(&error))?;
            let name = format!("@{}", attribute.key.local_name().as_ref());
            fields.insert(name, value.into_owned().into());
        }
        let name = start.local_name().as_ref().to_owned();
        Ok(Self { name, fields, text: String::new() })
    }

    /// Several of a name are a list.
    fn add(&mut self, child: Self, lists: &[String]) {
        let Self { name, mut fields, text } = child;
        let text = text.trim();
        let value = if fields.is_empty() {
            if text.is_empty() { Value::Null } else { text.into() }
        } else {
            if !text.is_empty() {
                fields.insert(TEXT.to_owned(), text.into());
            }
            Value::Object(fields)
        };
        match self.fields.get_mut(&name) {
            Some(Value::Array(values)) => values.push(value),
            Some(first) => *first = Value::Array(vec![first.take(), value]),
            None => {
                let value = if lists.contains(&name) { Value::Array(vec![value]) } else { value };
                self.fields.insert(name, value);
            }
        }
    }
}

/// A character by number, or one of the five that XML itself names.
fn resolved(reference: &BytesRef<'_>) -> Result<String, EntryFault> {
    let by_number = reference.resolve_char_ref().map_err(|error| no_xml(&error))?;
    if let Some(character) = by_number {
        return Ok(character.to_string());
    }
    let name = reference.xml10_content();
    let known = resolve_predefined_entity(&name).map(ToOwned::to_owned);
    known.ok_or_else(|| EntryFault::Entity(name.into_owned()))
}

fn no_xml(error: &quick_xml::Error) -> EntryFault {
    EntryFault::NotXml(error.to_string())
}
