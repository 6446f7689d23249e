//! What it does with events: the source writes down each key once.

use std::sync::atomic::Ordering;

use gantry_plugin_api::{Callback, Context, Delivery, DeliveryOutcome, Error};

use super::{EVERYWHERE, Faulty, Settings};
use crate::source::books;

impl Callback for Faulty {
    type Settings = Settings;

    async fn check_settings(&self, _: &Settings, _: &Context) -> Result<(), Error> {
        if self.has("check_delivers") {
            books(|books| books.effects.insert(format!("check-{}", EVERYWHERE.number()), 1));
        }
        Ok(())
    }

    async fn deliver(
        &self,
        settings: &Settings,
        _: &Context,
        deliveries: Vec<Delivery>,
    ) -> Vec<DeliveryOutcome> {
        if let Err(error) = self.ask(settings).await {
            let outcome = match self.config.fault.as_str() {
                "down_is_done" => DeliveryOutcome::Done,
                _ => DeliveryOutcome::Retry(error),
            };
            return vec![outcome; deliveries.len()];
        }
        let n_others = EVERYWHERE.n_calls.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        EVERYWHERE.n_calls.fetch_sub(1, Ordering::SeqCst);
        let refused = || DeliveryOutcome::Refused(Error::gone("no such order"));
        let is_bad = |delivery: &Delivery| delivery.external_id == "none";
        match self.config.fault.as_str() {
            "no_deliveries_panic" => assert!(!deliveries.is_empty(), "no deliveries"),
            "odd_details_panic" => {
                let odd = |delivery: &Delivery| delivery.details.as_bytes().len() > 100;
                assert!(!deliveries.iter().any(odd), "too much");
            }
            "one_at_a_time" if n_others > 0 => return vec![refused(); deliveries.len()],
            "fails_together" if deliveries.iter().any(is_bad) => {
                return vec![refused(); deliveries.len()];
            }
            "never_delivers" => return vec![refused(); deliveries.len()],
            _ => {}
        }
        let tell = |delivery: &Delivery| {
            if is_bad(delivery) { refused() } else { self.tell(&delivery.idempotency_key) }
        };
        deliveries.iter().map(tell).collect()
    }
}

impl Faulty {
    fn tell(&self, key: &str) -> DeliveryOutcome {
        if self.has("lies") {
            return DeliveryOutcome::Done;
        }
        books(|books| {
            let n = books.effects.entry(key.to_owned()).or_default();
            if *n > 0 && !self.has("tells_again") {
                return DeliveryOutcome::AlreadyDone;
            }
            *n += 1;
            DeliveryOutcome::Done
        })
    }
}
