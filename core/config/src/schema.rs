//! Walks a value and its JSON Schema side by side.
//!
//! Only as much of JSON Schema as derived schemas have: `$ref` inside the document, `allOf`,
//! `anyOf`, `oneOf`, properties and items.

use serde_json::Value as Json;

/// Marks a secret in a plug-in's schema.
pub(crate) const SECRET: &str = "x-gantry-secret";
/// Most schemas that are looked at for one value; a schema that refers to itself ends here.
const SCHEMAS_MAX: usize = 256;

/// All schemas that may apply to one value.
#[derive(Clone)]
pub(crate) struct Schemas<'s> {
    root: &'s Json,
    all: Vec<&'s Json>,
}

impl<'s> Schemas<'s> {
    pub(crate) fn new(root: &'s Json) -> Self {
        Self::expanded(root, vec![root])
    }

    fn expanded(root: &'s Json, mut open: Vec<&'s Json>) -> Self {
        let mut all: Vec<&Json> = Vec::new();
        while let Some(schema) = open.pop() {
            if all.len() >= SCHEMAS_MAX || all.iter().any(|known| std::ptr::eq(*known, schema)) {
                continue;
            }
            all.push(schema);
            if let Some(Json::String(reference)) = schema.get("$ref")
                && let Some(pointer) = reference.strip_prefix('#')
            {
                open.extend(root.pointer(pointer));
            }
            for key in ["allOf", "anyOf", "oneOf"] {
                if let Some(Json::Array(parts)) = schema.get(key) {
                    open.extend(parts);
                }
            }
        }
        Self { root, all }
    }

    pub(crate) fn of_key(&self, key: &str) -> Self {
        let parts = self.all.iter().filter_map(|schema| {
            let named = schema.get("properties").and_then(|properties| properties.get(key));
            named.or_else(|| schema.get("additionalProperties").filter(|other| other.is_object()))
        });
        Self::expanded(self.root, parts.collect())
    }

    pub(crate) fn of_item(&self, at: usize) -> Self {
        let parts = self.all.iter().filter_map(|schema| {
            let first = schema.get("prefixItems").and_then(|items| items.get(at));
            first.or_else(|| schema.get("items").filter(|items| items.is_object()))
        });
        Self::expanded(self.root, parts.collect())
    }

    /// The schemas of the value at a JSON pointer.
    pub(crate) fn at(&self, pointer: &str) -> Self {
        tokens(pointer).into_iter().fold(self.clone(), |schemas, token| match token.parse() {
            Ok(at) if !schemas.has_key(&token) => schemas.of_item(at),
            _ => schemas.of_key(&token),
        })
    }

    fn has_key(&self, key: &str) -> bool {
        self.keys().any(|known| known == key)
    }

    pub(crate) fn secret(&self) -> bool {
        self.all.iter().any(|schema| schema.get(SECRET) == Some(&Json::Bool(true)))
    }

    /// The named keys that a map may have.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &'s str> + Clone {
        let all = self.all.clone();
        all.into_iter()
            .filter_map(|schema| schema.get("properties")?.as_object())
            .flat_map(|properties| properties.keys().map(String::as_str))
    }

    /// The texts that are allowed, where only some are.
    pub(crate) fn choices(&self) -> Vec<&'s str> {
        let mut choices = Vec::new();
        for schema in &self.all {
            choices.extend(schema.get("const").and_then(Json::as_str));
            if let Some(Json::Array(options)) = schema.get("enum") {
                choices.extend(options.iter().filter_map(Json::as_str));
            }
        }
        choices
    }

    /// Texts that show how to write it, as in "like `30s` or `1h30m`"; none if the author gave none.
    pub(crate) fn examples(&self) -> Option<String> {
        let all = self.all.iter().filter_map(|schema| schema.get("examples")?.as_array());
        let texts = all.flatten().filter_map(Json::as_str);
        let texts: Vec<_> = texts.map(|text| format!("`{text}`")).collect();
        let (last, others) = texts.split_last()?;
        let others = others.join(", ");
        Some(if others.is_empty() { last.clone() } else { format!("{others} or {last}") })
    }

    /// A value that stands for a secret while the rest is checked.
    pub(crate) fn placeholder(&self) -> Json {
        let is = |kind: &str| self.all.iter().any(|s| s.get("type") == Some(&Json::from(kind)));
        if is("integer") && !is("string") { Json::from(1) } else { Json::from("0".repeat(32)) }
    }
}

/// The keys and numbers of a JSON pointer.
pub(crate) fn tokens(pointer: &str) -> Vec<String> {
    let parts = pointer.split('/').skip(1);
    parts.map(|part| part.replace("~1", "/").replace("~0", "~")).collect()
}
