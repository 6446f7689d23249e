//! Callbacks: fields written to a record, and records made, in composite requests.
//!
//! To write the same fields twice is to write them once, and a record is made under the delivery's
//! idempotency key, so a repeat after a lost answer has no second effect. Deliveries that write one
//! record each share a call; one that also makes records has a transaction of its own.

use std::collections::BTreeMap;

use gantry_plugin_api::{
    Callback, ConfigFault, Context, Delivery, DeliveryOutcome, Error, ErrorClass,
};
use serde_json::Value;

use crate::Salesforce;
use crate::client::{Part, PartAnswer};
use crate::config::{CallbackSettings, Scalar};
use crate::failure::Fault;
use crate::soql;
use crate::values::Named;

/// The vendor's bound on the parts of a composite request.
const N_PARTS_MAX: usize = 25;

impl Callback for Salesforce {
    type Settings = CallbackSettings;

    fn validate_settings(settings: &CallbackSettings) -> Vec<ConfigFault> {
        let mut faults = Vec::new();
        let mut fault = |path: String, message: &str| faults.push(ConfigFault::new(path, message));
        let name = "write the API name of a field or object, such as `Status`";
        let mut names = vec![("object".to_owned(), &settings.object)];
        let fields = |place: &str, set: &BTreeMap<String, Scalar>| -> Vec<_> {
            set.keys().map(|field| (format!("{place}.{field}"), field.clone())).collect()
        };
        let mut written = fields("set", &settings.set);
        for (n, creation) in settings.create.iter().enumerate() {
            names.push((format!("create.{n}.object"), &creation.object));
            names.push((format!("create.{n}.key"), &creation.key));
            written.extend(fields(&format!("create.{n}.set"), &creation.set));
        }
        let written = written.iter().map(|(path, field)| (path.clone(), field));
        for (path, text) in names.into_iter().chain(written) {
            if !soql::is_name(text, false) {
                fault(path, name);
            }
        }
        if settings.create.len() >= N_PARTS_MAX {
            fault("create".to_owned(), "makes too many records: at most 24");
        }
        match &settings.apex {
            Some(path) if !path.starts_with("/services/") => {
                fault("apex".to_owned(), "write a path such as `/services/apexrest/convert`");
            }
            Some(_) if !settings.create.is_empty() => {
                fault("create".to_owned(), "is the business of the class named by `apex`");
            }
            None if settings.set.is_empty() && settings.create.is_empty() => {
                fault("set".to_owned(), "name at least one field to write");
            }
            _ => {}
        }
        faults
    }

    async fn check_settings(&self, settings: &CallbackSettings, _: &Context) -> Result<(), Error> {
        // What a class of the org's takes is its own.
        if settings.apex.is_some() {
            return Ok(());
        }
        let written = Target { object: &settings.object, place: String::new(), key: None };
        if !settings.set.is_empty() {
            self.check_target(&written, &settings.set).await?;
        }
        for (n, creation) in settings.create.iter().enumerate() {
            let (object, key) = (&*creation.object, Some(&*creation.key));
            let made = Target { object, place: format!("create.{n}."), key };
            self.check_target(&made, &creation.set).await?;
        }
        Ok(())
    }

    async fn deliver(
        &self,
        settings: &CallbackSettings,
        _: &Context,
        deliveries: Vec<Delivery>,
    ) -> Vec<DeliveryOutcome> {
        let mut outcomes = Vec::with_capacity(deliveries.len());
        let alone = !settings.create.is_empty() || settings.apex.is_some();
        for shared in deliveries.chunks(if alone { 1 } else { N_PARTS_MAX }) {
            match (&settings.apex, shared) {
                (Some(path), [delivery]) => {
                    let posted = self.post(settings, path, delivery).await;
                    outcomes.push(outcome(posted));
                }
                _ => outcomes.extend(self.write(settings, shared).await),
            }
        }
        outcomes
    }
}

/// An object that is written to, and the settings that say so.
struct Target<'a> {
    object: &'a str,
    /// Where in the settings, with a dot at its end.
    place: String,
    /// The field that takes the idempotency key, if records are made.
    key: Option<&'a str>,
}

impl Salesforce {
    /// Asks the org whether it has the object and its fields, and lets the app's user write them.
    async fn check_target(
        &self,
        target: &Target<'_>,
        set: &BTreeMap<String, Scalar>,
    ) -> Result<(), Error> {
        let Target { object, place, key } = target;
        let wrong = |setting: &str, message: String| {
            Err(Error::config(format!("{place}{setting}"), message))
        };
        let Some(described) = self.client.describe(object).await? else {
            let message =
                format!("the org has no object `{object}`, or hides it from the app's user");
            return wrong("object", message);
        };
        let find = |name: &str| {
            described.fields.iter().find(|field| field.name.eq_ignore_ascii_case(name))
        };
        for name in set.keys() {
            let Some(field) = find(name) else {
                let message =
                    format!("`{object}` has no field `{name}`, or hides it from the app's user");
                return wrong(&format!("set.{name}"), message);
            };
            if !(if key.is_some() { field.createable } else { field.updateable }) {
                let message = format!("the app's user may not write `{object}.{name}`");
                return wrong(&format!("set.{name}"), message);
            }
        }
        match key {
            Some(key) if !find(key).is_some_and(|field| field.external_id) => {
                let message = format!("`{object}` has no field `{key}` that is an external id");
                wrong("key", message)
            }
            _ => Ok(()),
        }
    }

    /// Posts a delivery to the org's own class.
    async fn post(
        &self,
        settings: &CallbackSettings,
        path: &str,
        delivery: &Delivery,
    ) -> Result<(), Error> {
        let named = Named::of(delivery)?;
        let mut body = named.fields(&settings.set);
        body.insert("id".to_owned(), named.resolve(&settings.id));
        body.insert("idempotency_key".to_owned(), delivery.idempotency_key.clone().into());
        self.client.post(path, &body, delivery.traceparent.as_deref()).await
    }

    /// Writes in one call what one delivery asks for, or what several ask for one part each.
    async fn write(
        &self,
        settings: &CallbackSettings,
        deliveries: &[Delivery],
    ) -> Vec<DeliveryOutcome> {
        let mut parts = Vec::new();
        let take = |delivery| {
            let mut asked = self.parts(settings, delivery)?;
            let n = asked.len();
            parts.append(&mut asked);
            Ok(n)
        };
        let counts: Vec<Result<usize, Error>> = deliveries.iter().map(take).collect();
        // Only one that stands alone is told which trace it belongs to.
        let alone = if let [delivery] = deliveries { Some(delivery) } else { None };
        let trace = alone.and_then(|delivery| delivery.traceparent.as_deref());
        let answered = if parts.is_empty() {
            Ok(Vec::new())
        } else {
            self.client.composite(parts, alone.is_some(), trace).await
        };
        let mut answers = answered.map(Vec::into_iter);
        let mut judge = |n: Result<usize, Error>| match &mut answers {
            Ok(answers) => judged(&answers.by_ref().take(n?).collect::<Vec<_>>()),
            Err(error) => n.and_then(|_| Err(error.clone())),
        };
        counts.into_iter().map(|n| outcome(judge(n))).collect()
    }

    fn parts(&self, settings: &CallbackSettings, delivery: &Delivery) -> Result<Vec<Part>, Error> {
        let named = Named::of(delivery)?;
        let mut parts = Vec::new();
        if !settings.set.is_empty() {
            let Value::String(id) = named.resolve(&settings.id) else {
                let id = &settings.id;
                return Err(Error::permanent(format!("no text `{id}` to take for the id")));
            };
            parts.push(self.client.update(&settings.object, &id, named.fields(&settings.set)));
        }
        for creation in &settings.create {
            let place = (&*creation.object, &*creation.key);
            let key = &delivery.idempotency_key;
            parts.push(self.client.upsert(place, key, named.fields(&creation.set)));
        }
        Ok(parts)
    }
}

/// What the answers to the parts of one delivery mean. Of a transaction that was taken back only
/// one part says why.
fn judged(answers: &[PartAnswer]) -> Result<(), Error> {
    let halted = |fault: &Fault| fault.error_code == "PROCESSING_HALTED";
    let failed = |answer: &&PartAnswer| !(200..300).contains(&answer.http_status_code);
    let mut faults: Vec<_> = answers
        .iter()
        .filter(failed)
        .map(|answer| (answer.http_status_code, Fault::read(&answer.body)))
        .collect();
    // The stable sort leaves the first that is no consequence in front.
    faults.sort_by_key(|(_, fault)| halted(fault));
    let Some((status, fault)) = faults.into_iter().next() else { return Ok(()) };
    let class = fault.class().unwrap_or(match status {
        404 => ErrorClass::Gone,
        409 | 412 => ErrorClass::Conflict,
        429 => ErrorClass::Throttled,
        500.. => ErrorClass::Transient,
        _ => ErrorClass::Permanent,
    });
    let tried = format!("writing back was answered {status}: {}", fault.message);
    Err(fault.error(class, &tried))
}

fn outcome(result: Result<(), Error>) -> DeliveryOutcome {
    match result {
        Ok(()) => DeliveryOutcome::Done,
        Err(error) => match error.class() {
            ErrorClass::Permanent | ErrorClass::Conflict | ErrorClass::Gone => {
                DeliveryOutcome::Refused(error)
            }
            _ => DeliveryOutcome::Retry(error),
        },
    }
}
