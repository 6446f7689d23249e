//! Callbacks: one statement a delivery, in a transaction of its own.
//!
//! With a ledger the delivery's idempotency key is entered in the same transaction, so a repeat
//! after a lost answer finds the key and changes nothing. Without one the statement itself must
//! bear repeats.

use gantry_plugin_api::{Callback, Context, Delivery, DeliveryOutcome, Error, ErrorClass};
use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::Database;
use crate::client::Applied;
use crate::config::{CallbackSettings, OnNoRow};
use crate::failure::Task;
use crate::statement::Statement;

const TASK: Task<'_> = Task { what: "run the callback's statement", field: "statement" };
const LEDGER: Task<'_> = Task { what: "use the callback's ledger", field: "ledger" };

impl Callback for Database {
    type Settings = CallbackSettings;

    async fn check_settings(&self, settings: &CallbackSettings, _: &Context) -> Result<(), Error> {
        let statement = Statement::parse(&settings.statement);
        self.client.resolve(&statement, TASK).await?;
        if let Some(ledger) = &settings.ledger {
            // Planning finds out whether the table and its column are there; where the database
            // plans for a repeat, also whether the column is unique.
            let engine = self.client.engine();
            let insert = engine.enter(&engine.quoted_path(ledger), "''");
            self.client.rows(format!("EXPLAIN {insert}"), &[], LEDGER).await?;
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
        for delivery in deliveries {
            let outcome = self.deliver_one(settings, &delivery).await;
            outcomes.push(outcome.unwrap_or_else(failed));
        }
        outcomes
    }
}

impl Database {
    async fn deliver_one(
        &self,
        settings: &CallbackSettings,
        delivery: &Delivery,
    ) -> Result<DeliveryOutcome, Error> {
        let statement = Statement::parse(&settings.statement);
        let values = values(delivery)?;
        let engine = self.client.engine();
        let bind = |name: &String| engine.parameter(values.get(name).cloned().unwrap_or_default());
        let binds: Vec<_> = statement.names(engine).iter().map(bind).collect();
        let (sql, _) = self.client.resolve(&statement, TASK).await?;
        let ledger = settings.ledger.as_deref().map(|path| engine.quoted_path(path));
        let entry = ledger.as_deref().map(|table| (table, &*delivery.idempotency_key));
        Ok(match self.client.apply(sql, &binds, entry, TASK).await? {
            Applied::Rows(_) => DeliveryOutcome::Done,
            Applied::Repeat => DeliveryOutcome::AlreadyDone,
            Applied::NoRow if settings.on_no_row == OnNoRow::Done => DeliveryOutcome::Done,
            Applied::NoRow => {
                let id = &delivery.external_id;
                DeliveryOutcome::Refused(Error::gone(format!("no row for external id `{id}`")))
            }
        })
    }
}

/// All a statement may name: what the delivery says itself comes before details, those before
/// attributes.
fn values(delivery: &Delivery) -> Result<Map<String, Value>, Error> {
    let occurred_at = Timestamp::from_millisecond(delivery.occurred_at_ms)
        .map_err(|error| Error::permanent("cannot read the time of the event").because(&error))?;
    let mut values: Map<String, Value> = delivery.attributes.parse()?;
    values.append(&mut delivery.details.parse()?);
    let own: [(&str, Value); 8] = [
        ("external_id", delivery.external_id.clone().into()),
        ("event", delivery.event.clone().into()),
        ("occurred_at", occurred_at.to_string().into()),
        ("occurred_at_ms", delivery.occurred_at_ms.into()),
        ("item_id", delivery.item_id.into()),
        ("capture_point", delivery.capture_point.clone().into()),
        ("sequence", delivery.sequence.into()),
        ("idempotency_key", delivery.idempotency_key.clone().into()),
    ];
    values.extend(own.map(|(name, value)| (name.to_owned(), value)));
    Ok(values)
}

fn failed(error: Error) -> DeliveryOutcome {
    match error.class() {
        ErrorClass::Permanent | ErrorClass::Conflict | ErrorClass::Gone => {
            DeliveryOutcome::Refused(error)
        }
        _ => DeliveryOutcome::Retry(error),
    }
}
