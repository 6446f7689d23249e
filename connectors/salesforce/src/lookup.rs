//! Look-ups: a query in SOQL with the item's attributes as values; its record is the answer.

use std::collections::BTreeMap;

use futures_util::{StreamExt, stream};
use gantry_plugin_api::{Answer, ConfigFault, Context, Error, Json, Lookup, Query};
use serde_json::{Map, Value};

use crate::Salesforce;
use crate::config::{LookupSettings, OnMany};
use crate::soql;
use crate::values::tidied;

/// So many queries of one batch run at once; the vendor bounds those of an org.
const N_AT_ONCE: usize = 4;

impl Lookup for Salesforce {
    type Settings = LookupSettings;

    fn validate_settings(settings: &LookupSettings) -> Vec<ConfigFault> {
        let wrong = settings.answer.iter().filter(|(_, path)| !soql::is_name(path, true));
        let fault = |(name, _): (&String, &String)| {
            let message = "write the API name of a field, such as `Rating` or `Account.Rating`";
            ConfigFault::new(format!("answer.{name}"), message)
        };
        wrong.map(fault).collect()
    }

    async fn check_settings(&self, settings: &LookupSettings, cx: &Context) -> Result<(), Error> {
        self.ask(settings, cx, &Query::new(Json::default())).await?;
        Ok(())
    }

    async fn lookup(
        &self,
        settings: &LookupSettings,
        cx: &Context,
        queries: Vec<Query>,
    ) -> Result<Vec<Result<Option<Answer>, Error>>, Error> {
        let ask = |query: Query| async move { self.ask(settings, cx, &query).await };
        Ok(stream::iter(queries).map(ask).buffered(N_AT_ONCE).collect().await)
    }
}

impl Salesforce {
    async fn ask(
        &self,
        settings: &LookupSettings,
        cx: &Context,
        query: &Query,
    ) -> Result<Option<Answer>, Error> {
        let attributes: Map<String, Value> = query.attributes.parse()?;
        let soql = soql::bound(&settings.query, &attributes);
        let page = self.client.query(&soql).await?;
        if page.records.len() > 1 {
            if settings.on_many == OnMany::Fail {
                let message = "look-up found several records; make its query tell them apart";
                return Err(Error::permanent(message));
            }
            tracing::warn!(look_up = cx.name(), "several records found, the first is taken");
        }
        let Some(record) = page.records.into_iter().next() else {
            return Ok(None);
        };
        let record = tidied(Value::Object(record));
        if settings.answer.is_empty() {
            return Ok(Some(Answer::new(Json::of(&record)?)));
        }
        let pick = |path: &String| {
            let pointer = format!("/{}", path.replace('.', "/"));
            record.pointer(&pointer).cloned().unwrap_or_default()
        };
        let answer = settings.answer.iter().map(|(name, path)| (name, pick(path)));
        Ok(Some(Answer::new(Json::of(&answer.collect::<BTreeMap<_, _>>())?)))
    }
}
