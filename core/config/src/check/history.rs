//! Look-ups that the hub answers itself, from a customer's earlier items.

use gantry_model::spec::{HISTORY_YIELDS, LookupSpec, SOURCE_HUB};
use gantry_model::{AttributeType, Name};

use super::Checker;
use crate::finding::{Code, Found};
use crate::tree::Value;

/// The only setting of such a look-up.
pub(crate) const KEY: &str = "key";

impl Checker<'_> {
    pub(super) fn history(&mut self, name: &Name, lookup: &LookupSpec, key: &str) {
        if self.spec.sources.contains_key(SOURCE_HUB) {
            let place = self.tree.key_of(&["source", SOURCE_HUB]);
            let message = format!("`{SOURCE_HUB}` is the hub itself, as the source of look-ups");
            let found = Found::error(Code::Value, place, message).label("taken");
            let asked = self.tree.place_of(&["lookup", name, "source"]);
            let found = found.related(asked, "this would ask the hub");
            self.findings.push(found.help("give the source another name"));
        }
        let settings = ["lookup", name.as_str(), "settings"];
        if let Some(Value::Table(given)) = self.tree.at(&settings).map(|node| &node.value) {
            for (setting, node) in given.iter().filter(|(setting, _)| *setting != KEY) {
                let message =
                    format!("unknown key `{setting}` in the settings of look-up `{name}`");
                let found = Found::error(Code::UnknownKey, node.key, message).label("unknown key");
                self.findings.push(found.suggest(setting, std::iter::once(KEY)));
            }
        }
        self.history_key(name, key);
        self.history_yields(name, lookup);
        if self.tree.at(&["lookup", name, "cache"]).is_some() {
            let place = self.tree.key_of(&["lookup", name, "cache"]);
            let message = format!("look-up `{name}` keeps no answers");
            let found = Found::error(Code::Value, place, message).label("not used");
            self.findings.push(found.help("leave it out: the hub's own answers are always fresh"));
        }
    }

    /// The key is a text attribute, and the same for all.
    fn history_key(&mut self, name: &Name, key: &str) {
        let place = self.tree.place_of(&["lookup", name, "settings", KEY]);
        match self.spec.attribute_type(key) {
            None => self.attribute(&Name::new(key), place),
            Some(AttributeType::Text | AttributeType::Enumeration(_)) => {}
            Some(other) => {
                let message = format!("`{key}` is {}, not text", other.label());
                let found = Found::error(Code::Type, place, message).label("names no customer");
                self.findings.push(found.help("name a text attribute"));
            }
        }
        let mut others = self.spec.lookups.iter();
        let other = others.find_map(|(other, lookup)| Some((other, lookup.history_key()?)));
        if let Some((other, known)) = other.filter(|(_, known)| *known != key) {
            let message = format!("look-up `{other}` names the customer by `{known}`");
            let found =
                Found::error(Code::Value, place, message).label("here by another attribute");
            self.findings.push(found.help("use one attribute: items are found by one key"));
        }
    }

    fn history_yields(&mut self, name: &Name, lookup: &LookupSpec) {
        for (attribute, kind) in &lookup.yields {
            let path = ["lookup", name.as_str(), "yields", attribute.as_str()];
            match HISTORY_YIELDS.iter().find(|(known, _)| attribute == known) {
                None => {
                    let message = format!("the hub does not know `{attribute}` of earlier items");
                    let found = Found::error(Code::UnknownName, self.tree.key_of(&path), message);
                    let known = HISTORY_YIELDS.iter().map(|(known, _)| *known);
                    self.findings.push(found.label("not known").suggest(attribute, known));
                }
                Some((_, right)) if right != kind => {
                    let message = format!("`{attribute}` is {}", right.label());
                    let found = Found::error(Code::Type, self.tree.place_of(&path), message);
                    self.findings.push(found.label(format!("here {}", kind.label())));
                }
                Some(_) => {}
            }
        }
    }
}
