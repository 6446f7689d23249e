//! Look-ups: the latest process instance with a business key or id, and its variables, running or
//! ended, from the engine's history.

use futures_util::{StreamExt as _, stream};
use gantry_plugin_api::{Answer, ConfigFault, Context, Error, Json, Lookup, Query};
use serde_json::{Map, Value, json};

use crate::Camunda;
use crate::config::LookupSettings;
use crate::external::{N_AT_ONCE, text};
use crate::variables::{dates, plain_one};

/// Variables of one instance that are read.
const N_VARIABLES_MAX: usize = 1000;

/// What an answer says of the instance: its key, and the engine's.
const INSTANCE: [(&str, &str); 5] = [
    ("process_instance", "id"),
    ("process_definition", "processDefinitionKey"),
    ("process_state", "state"),
    ("process_started_at", "startTime"),
    ("process_ended_at", "endTime"),
];

impl Lookup for Camunda {
    type Settings = LookupSettings;

    fn validate_settings(settings: &LookupSettings) -> Vec<ConfigFault> {
        let mut faults = Vec::new();
        if settings.business_key.is_some() == settings.process_instance.is_some() {
            let message = "write either `business_key` or `process_instance`";
            faults.push(ConfigFault::new("business_key", message));
        }
        for (key, _) in INSTANCE {
            if settings.variables.contains_key(key) {
                let message = "the answer has this key of its own; take another one";
                faults.push(ConfigFault::new(format!("variables.{key}"), message));
            }
        }
        faults
    }

    async fn check_settings(&self, _: &LookupSettings, _: &Context) -> Result<(), Error> {
        self.engine.get::<Value>("history/process-instance/count").await.map(drop)
    }

    async fn lookup(
        &self,
        settings: &LookupSettings,
        _: &Context,
        queries: Vec<Query>,
    ) -> Result<Vec<Result<Option<Answer>, Error>>, Error> {
        let ask = |query: Query| async move { self.instance(settings, &query).await };
        Ok(stream::iter(queries).map(ask).buffered(N_AT_ONCE).collect().await)
    }
}

impl Camunda {
    async fn instance(
        &self,
        settings: &LookupSettings,
        query: &Query,
    ) -> Result<Option<Answer>, Error> {
        let attributes: Map<String, Value> = query.attributes.parse()?;
        let (key, asked) = match (&settings.business_key, &settings.process_instance) {
            (Some(asked), _) => ("processInstanceBusinessKey", asked),
            (None, asked) => ("processInstanceId", asked.as_ref().expect("invariant: validated")),
        };
        let value = match asked.strip_prefix(':') {
            Some(name) => attributes.get(name).cloned().unwrap_or_default(),
            None => asked.clone().into(),
        };
        let value = match value {
            Value::String(text) if !text.is_empty() => text,
            Value::Number(number) => number.to_string(),
            // Who has no key has no process.
            _ => return Ok(None),
        };
        let mut body = json!({ "sorting": [{ "sortBy": "startTime", "sortOrder": "desc" }] });
        body[key] = value.into();
        if let Some(definition) = &settings.process_definition {
            body["processDefinitionKey"] = json!(definition);
        }
        let list = "history/process-instance?firstResult=0&maxResults=1";
        let (found, _): (Vec<Map<String, Value>>, _) = self.engine.query(list, &body).await?;
        let Some(mut instance) = found.into_iter().next() else { return Ok(None) };
        dates(&self.engine, &mut instance, &["startTime", "endTime"])?;
        let mut answer = Map::new();
        for (ours, theirs) in INSTANCE {
            let value = instance.get(theirs).filter(|value| !value.is_null());
            answer.extend(value.map(|value| (ours.to_owned(), value.clone())));
        }
        self.add_variables(settings, &text(&instance, "id"), &mut answer).await?;
        Ok(Some(Answer::new(Json::of(&answer)?)))
    }

    async fn add_variables(
        &self,
        settings: &LookupSettings,
        instance: &str,
        answer: &mut Map<String, Value>,
    ) -> Result<(), Error> {
        if settings.variables.is_empty() {
            return Ok(());
        }
        let list = format!(
            "history/variable-instance?deserializeValues=false&firstResult=0&\
             maxResults={N_VARIABLES_MAX}"
        );
        let names: Vec<_> = settings.variables.values().collect();
        let body = json!({ "processInstanceId": instance, "variableNameIn": names });
        let (found, _): (Vec<Map<String, Value>>, _) = self.engine.query(&list, &body).await?;
        for (ours, theirs) in &settings.variables {
            // Of the process itself, not of one of its tasks.
            let of_process = |variable: &&Map<String, Value>| {
                text(variable, "name") == *theirs && text(variable, "executionId") == instance
            };
            if let Some(variable) = found.iter().find(of_process) {
                let value = plain_one(&self.engine, &Value::Object(variable.clone()))?;
                answer.extend(value.map(|value| (ours.clone(), value)));
            }
        }
        Ok(())
    }
}
