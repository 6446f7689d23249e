//! Alerts in a callback: events about no item, in a lane of their own.
//!
//! An alert that cannot be told is given up and logged, and the next one is told: one that blocks
//! the others until a person sees to it would be worse than one that is missed.

use gantry_model::journal::{Entry, Segment};
use gantry_model::{Event, ItemId, Name};
use gantry_plugin_host::api::{Delivery, ErrorClass, Json};
use serde_json::json;

use super::delivery::{Caller, idempotency_key, sequence, unreadable};
use super::lanes::{Due, Place};
use super::{Keep, SEGMENTS_MAX, Subscriber};
use crate::port::Trouble;

/// The lane of all alerts; no item has this id, because items are counted from 1.
pub(super) const ALERTS: ItemId = ItemId::new(0, 0);

impl Caller {
    /// `true` if the event is not about an alert, or about one that names this callback.
    pub(super) fn hears(&self, event: &Event) -> bool {
        event.alert().is_none_or(|alert| {
            let alert = self.whole.alerts.get(alert);
            alert.is_some_and(|alert| alert.callback.as_ref() == Some(&self.name))
        })
    }

    /// `None`: the alert is no longer in the config.
    pub(super) async fn prepare_alert(
        &self,
        due: &Due,
    ) -> Result<Option<(Entry, Name, Delivery)>, Trouble> {
        let entry = if let Some(entry) = due.entry.clone() {
            Some(entry)
        } else {
            let found = self.first(due.place, |place, _| place == due.place).await;
            found.map_err(unreadable)?.map(|(_, entry)| entry)
        };
        let entry = entry.ok_or_else(|| {
            Trouble::new(ErrorClass::Permanent, "the event is missing in the store")
        })?;
        let (Event::AlertRaised { alert, value } | Event::AlertCleared { alert, value }) =
            &entry.event
        else {
            return Ok(None);
        };
        let Some(spec) = self.whole.alerts.get(alert) else { return Ok(None) };
        let key = idempotency_key(&self.name, due.item, due.place);
        let mut delivery = Delivery::new(key, entry.event.name(), ALERTS.as_u64(), &**alert);
        delivery.occurred_at_ms = entry.at.0;
        delivery.sequence = sequence(due.place);
        delivery.attempt = due.attempts + 1;
        let text = spec.sentence(*value);
        let (queue, capture) = (&spec.queue, &spec.capture);
        let details = json!({
            "alert": alert, "when": spec.when, "queue": queue, "capture": capture,
            "value": value, "over": spec.over, "text": text,
        });
        delivery.details = Json::of(&details).unwrap_or_default();
        Ok(Some((entry, Name::default(), delivery)))
    }

    /// The first entry from `from` on that fits, and its place.
    async fn first(
        &self,
        from: Place,
        fits: impl Fn(Place, &Event) -> bool,
    ) -> Result<Option<(Place, Entry)>, gantry_store::Error> {
        let mut after = from.0.saturating_sub(1);
        loop {
            let rows = self.store.segments(after, SEGMENTS_MAX).await?;
            let Some(last) = rows.last() else { return Ok(None) };
            after = last.seq;
            // A segment that cannot be read stops the subscriber where it reads on.
            let segments = rows.iter().filter_map(|row| Segment::from_slice(&row.segment).ok());
            for segment in segments {
                let entries = segment.entries.into_iter().zip(0..);
                let mut placed = entries.map(|(entry, index)| ((segment.seq, index), entry));
                let found = placed.find(|(place, entry)| fits(*place, &entry.event));
                if found.is_some() {
                    return Ok(found);
                }
            }
        }
    }
}

impl Subscriber {
    /// The next alert of those that were read already.
    pub(super) async fn next_alert(&self, due: &Due) -> Result<Option<Place>, gantry_store::Error> {
        let read = self.lanes.read();
        let meant = |place: Place, event: &Event| {
            // What was read later comes by itself: looking on would be in vain.
            place > read || (place > due.place && event.alert().is_some() && self.wants(event))
        };
        let found = self.caller.first(due.place, meant).await?;
        Ok(found.map(|(place, _)| place).filter(|place| *place <= read))
    }

    /// An alert is not told: it is counted and logged, and the next one may go.
    pub(super) async fn give_up(&mut self, due: &Due, trouble: &Trouble, keep: &mut Keep) {
        self.counts.dead.add(1);
        let callback = &self.caller.name;
        tracing::error!(callback = %callback, error = %trouble, "an alert could not be told");
        self.settle(due, self.caller.hub.now(), keep).await;
    }
}
