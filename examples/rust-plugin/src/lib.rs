//! A whole plug-in: its source is the row of numbers, and it knows which of them are even.
#![forbid(unsafe_code)]

mod config;

use config::{CaptureSettings, Config, LookupSettings};
use gantry_plugin_api::{
    Answer, Batch, Capture, ConfigFault, Context, Error, Json, Lookup, Plugin, Position, Query,
    Record, export_plugin,
};
use serde::{Deserialize, Serialize};

struct Counter {
    config: Config,
}

#[derive(Serialize, Deserialize)]
struct Number {
    number: u64,
}

#[derive(Serialize)]
struct Parity {
    even: bool,
}

impl Plugin for Counter {
    type Config = Config;

    fn create(config: Config, _: &Context) -> Result<Self, Error> {
        Ok(Self { config })
    }
}

impl Capture for Counter {
    type Settings = CaptureSettings;

    fn validate_settings(settings: &CaptureSettings) -> Vec<ConfigFault> {
        let zero = settings.step == 0;
        zero.then(|| ConfigFault::new("step", "must be 1 or more, else it never ends"))
            .into_iter()
            .collect()
    }

    async fn poll(
        &self,
        settings: &CaptureSettings,
        _: &Context,
        from: Option<&Position>,
        limit: usize,
    ) -> Result<Batch, Error> {
        let next = from.map_or(Ok(1), next_number)?;
        let mut batch = Batch::default();
        for number in (next..=self.config.last).step_by(settings.step as usize).take(limit) {
            let position = Position::new((number + settings.step).to_string())?;
            let payload = Json::of(&Number { number })?.into_bytes();
            let record = Record::json(payload).with_message_id(number.to_string());
            batch.records.push(record.with_position(position));
        }
        batch.more = batch.records.len() == limit;
        Ok(batch)
    }
}

impl Lookup for Counter {
    type Settings = LookupSettings;

    // The answer needs no waiting, so it need not wait for a thread either.
    const INLINE: bool = true;

    async fn lookup(
        &self,
        _: &LookupSettings,
        _: &Context,
        queries: Vec<Query>,
    ) -> Result<Vec<Result<Option<Answer>, Error>>, Error> {
        Ok(queries.iter().map(|query| self.even(query)).collect())
    }
}

impl Counter {
    fn even(&self, query: &Query) -> Result<Option<Answer>, Error> {
        let Number { number } = query.attributes.parse()?;
        if number > self.config.last {
            return Ok(None); // not one of ours
        }
        Ok(Some(Answer::new(Json::of(&Parity { even: number % 2 == 0 })?)))
    }
}

fn next_number(from: &Position) -> Result<u64, Error> {
    let text = String::from_utf8_lossy(from.as_bytes());
    text.parse().map_err(|error| {
        Error::cursor_expired(format!("cannot read position `{text}`")).because(&error)
    })
}

#[cfg(test)]
mod tests;

export_plugin! {
    plugin: Counter,
    roles: [capture, lookup],
    manifest: include_str!(concat!(env!("OUT_DIR"), "/gantry-manifest.json")),
}
