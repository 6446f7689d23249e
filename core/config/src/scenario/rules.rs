//! `attributes` of `[[arrivals]]`: what the rules of the config say of such items.

use gantry_model::command::{Classified, Verdict};
use gantry_model::{Document, Name, Value};

use super::Reader;
use crate::finding::{Code, Found};
use crate::table::Table;
use crate::tree::Node;

/// The version that a simulation gives the config.
const VERSION: u32 = 1;

impl Reader<'_> {
    /// Asks the rules, if the stream says what its items are like instead of naming a process.
    pub(super) fn found(&mut self, table: &mut Table<'_>) -> Option<Box<Classified>> {
        let process = table.get("process");
        let capture = table.name("capture", &mut self.findings);
        let node = table.get("attributes").or(table.get("capture"));
        let Some(node) = node else {
            table.need("process");
            return None;
        };
        if let Some(process) = process {
            let message = format!("{} names its process twice", table.title);
            let found = Found::error(Code::Twice, process.key, message).label("said here");
            let found = found.related(node.key, "and asked of the rules here");
            self.findings
                .push(found.help("leave out `process`, or else `attributes` and `capture`"));
        }
        let document = self.document(table);
        let capture = capture.unwrap_or_default();
        let Some((config, rules)) = &self.rules else {
            let message = format!("{} has nobody to ask for its process", table.title);
            let found = Found::error(Code::MissingKey, node.key, message).label("needs rules");
            let help = "name the config that has them with --config, or write `process`";
            self.findings.push(found.help(help));
            return None;
        };
        if !capture.is_empty() && !config.captures.contains_key(&capture) {
            let place = table.get("capture").map_or(node.place, |node| node.place);
            let message = format!("unknown capture point `{capture}`");
            let found = Found::error(Code::UnknownName, place, message).label("not in the config");
            let known = config.captures.keys().map(Name::as_str);
            self.findings.push(found.suggest(&capture, known));
            return None;
        }
        let (verdict, _) = rules.classify(&capture, VERSION, &mut document?);
        match verdict {
            Verdict::Classified(found) => Some(Box::new(found)),
            Verdict::Rejected { reason } | Verdict::Failed { reason, .. } => {
                let message = format!("the rules do not take these items: {reason}");
                let found = Found::error(Code::Value, node.key, message).label("these items");
                self.findings.push(found.help("change the attributes, or the rules"));
                None
            }
        }
    }

    /// The attributes, each read as its declared type.
    fn document(&mut self, table: &mut Table<'_>) -> Option<Document> {
        let mut document = Document::default();
        let mut whole = true;
        for (name, node) in table.entries_of("attributes", &mut self.findings) {
            let value = self.attribute(name, node);
            whole &= value.is_some();
            document.attributes.extend(value.map(|value| (Name::new(name), value)));
        }
        whole.then_some(document)
    }

    fn attribute(&mut self, name: &str, node: &Node) -> Option<Value> {
        let (config, _) = self.rules.as_ref()?;
        let Some(kind) = config.attribute_type(name) else {
            let message = format!("attribute `{name}` is not declared");
            let found = Found::warning(Code::UnknownName, node.key, message).label("not declared");
            let known = config.attributes.keys().map(Name::as_str);
            self.findings.push(found.suggest(name, known));
            return Some(Value::from_untyped(&node.to_json()));
        };
        let value = Value::from_json(&node.to_json(), kind);
        value
            .map_err(|wrong| {
                let message = format!("attribute `{name}` is of another type");
                let found = Found::error(Code::Type, node.place, message);
                let found = found.label(format!("this is {}", wrong.got));
                self.findings.push(found.help(format!("it is declared as {}", wrong.expected)));
            })
            .ok()
    }
}
