//! A plug-in that answers each query with itself: what a call costs, and nothing else.
#![forbid(unsafe_code)]

mod config;

use config::{Config, Settings};
use gantry_plugin_api::{Answer, Context, Error, Json, Lookup, Plugin, Query, export_plugin};

struct Echo;

impl Plugin for Echo {
    type Config = Config;

    fn create(_: Config, _: &Context) -> Result<Self, Error> {
        Ok(Self)
    }
}

impl Lookup for Echo {
    type Settings = Settings;

    async fn lookup(
        &self,
        settings: &Settings,
        _: &Context,
        queries: Vec<Query>,
    ) -> Result<Vec<Result<Option<Answer>, Error>>, Error> {
        let answer = |query: Query| {
            let attributes = if settings.json {
                let value: serde_json::Value = query.attributes.parse()?;
                Json::of(&value)?
            } else {
                query.attributes
            };
            Ok(Some(Answer::new(attributes)))
        };
        Ok(queries.into_iter().map(answer).collect())
    }
}

export_plugin! {
    plugin: Echo,
    roles: [lookup],
    manifest: include_str!(concat!(env!("OUT_DIR"), "/gantry-manifest.json")),
}
