//! Callbacks: one statement a delivery, in a transaction of its own.
//!
//! With a ledger the delivery's idempotency key is entered in the same transaction, so a repeat
//! after a lost answer finds the key and changes nothing. Without one the statement itself must
//! bear repeats.

use gantry_plugin_api::{Callback, Context, Delivery, DeliveryOutcome, Error};

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
            outcomes.push(outcome.unwrap_or_else(Into::into));
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
        let values = delivery.values()?;
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
