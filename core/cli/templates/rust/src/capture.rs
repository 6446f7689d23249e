//! Things become work items.

use gantry_plugin_api::{Batch, Capture, Context, Error, ErrorClass, Position, Record};
use serde::Deserialize;
use serde_json::Value;

use crate::@Name@;
use crate::config::CaptureSettings;

/// A page of the list.
#[derive(Deserialize)]
struct Page {
    things: Vec<Value>,
    /// Where the page after this one begins.
    next: String,
    /// Whether there is one already.
    more: bool,
}

impl Capture for @Name@ {
    type Settings = CaptureSettings;

    async fn poll(
        &self,
        settings: &CaptureSettings,
        _: &Context,
        from: Option<&Position>,
        limit: usize,
    ) -> Result<Batch, Error> {
        let after = from.map(|from| String::from_utf8_lossy(from.as_bytes())).unwrap_or_default();
        let limit = limit.to_string();
        let query = [("after", &*after), ("limit", &limit)];
        let page: Result<Option<Page>, Error> = self.client.get(&settings.path, &query).await;
        let page = page.map_err(|error| match error.class() {
            // The place is not known there any more: the hub begins anew.
            ErrorClass::Gone => Error::cursor_expired(format!("cannot go on after `{after}`")),
            _ => error,
        })?;
        let page = page.ok_or_else(|| Error::permanent(format!("no list `{}`", settings.path)))?;
        let records = page.things.iter().map(|thing| Record::json(thing.to_string())).collect();
        // The hub stores the position with the records, and asks from there next time.
        let position_after = Some(Position::new(page.next)?);
        Ok(Batch { records, position_after, more: page.more })
    }
}
