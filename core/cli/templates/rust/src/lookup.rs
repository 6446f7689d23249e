//! What the other system knows of an item.

use gantry_plugin_api::{Answer, Context, Error, Json, Lookup, Query};
use serde_json::{Map, Value};

use crate::@Name@;
use crate::config::LookupSettings;

impl Lookup for @Name@ {
    type Settings = LookupSettings;

    async fn lookup(
        &self,
        settings: &LookupSettings,
        _: &Context,
        queries: Vec<Query>,
    ) -> Result<Vec<Found>, Error> {
        let mut answers = Vec::with_capacity(queries.len());
        // One after the other; a system that takes many keys at a time is better asked once.
        for query in &queries {
            answers.push(self.ask(settings, query).await);
        }
        Ok(answers)
    }
}

/// What is known of one key; none if nothing is.
type Found = Result<Option<Answer>, Error>;

impl @Name@ {
    async fn ask(&self, settings: &LookupSettings, query: &Query) -> Found {
        let attributes: Map<String, Value> = query.attributes.parse()?;
        let key = match attributes.get(&settings.attribute) {
            Some(Value::String(key)) => key.clone(),
            Some(key) => key.to_string(),
            None => return Ok(None),
        };
        let path = format!("{}/{key}", settings.path);
        let found: Option<Value> = self.client.get(&path, &[]).await?;
        found.map(|found| Json::of(&found).map(Answer::new)).transpose()
    }
}
