//! Its records: numbers, and the position is the number behind the last one.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use gantry_plugin_api::{
    Batch, Capture, Context, Emitter, Error, Extended, HttpCapture, HttpRequest, HttpResponse,
    Lease, Outcome, Position, Record, RecordOutcome,
};

use super::{EVERYWHERE, Faulty, Settings};
use crate::source::books;

/// How long a record is lent for.
const LENT_MS: u64 = 60_000;

impl Capture for Faulty {
    type Settings = Settings;

    async fn poll(
        &self,
        settings: &Settings,
        cx: &Context,
        from: Option<&Position>,
        limit: usize,
    ) -> Result<Batch, Error> {
        self.ask(settings).await?;
        self.look_at_clock(cx)?;
        self.look_at_watch()?;
        let n_polls = self.n_polls.fetch_add(1, Ordering::SeqCst);
        if self.has("deaf") && n_polls > 1 {
            return Ok(Batch::default());
        }
        let mut begin = self.place(from)?;
        if self.has("forgetful") && n_polls == 0 && from.is_some() {
            begin += 1;
        }
        let numbers = books(|books| books.records.clone());
        let mut left: Vec<u64> = numbers.into_iter().filter(|number| *number >= begin).collect();
        let more = left.len() > limit;
        left.truncate(if self.has("generous") { usize::MAX } else { limit });
        if self.has("generous") {
            left.extend(std::iter::repeat_n(u64::MAX, limit + 1));
        }
        if self.has("no_records") {
            left.clear();
        }
        if self.has("shuffled") && EVERYWHERE.number().is_multiple_of(2) {
            left.reverse();
        }
        if self.has("deletes_early") {
            books(|books| books.records.retain(|number| !left.contains(number)));
        }
        let records = left.iter().map(|number| self.record(*number, limit)).collect();
        let more = (more && !self.has("silent_on_more")) || self.has("endless");
        Ok(Batch { records, position_after: None, more })
    }

    async fn stream(
        &self,
        settings: &Settings,
        cx: &Context,
        from: Option<Position>,
        out: Emitter,
    ) -> Result<(), Error> {
        self.ask(settings).await?;
        if self.has("stream_fails") {
            return Err(Error::transient("no stream today"));
        }
        let skip = u64::from(self.has("stream_skips") && from.is_some());
        let begin = self.place(from.as_ref())? + skip;
        let numbers = books(|books| books.records.clone());
        for number in numbers.into_iter().filter(|number| *number >= begin) {
            let records = vec![self.record(number, 2)];
            let batch = Batch { records, ..Batch::default() };
            if self.has("stream_gives_up") && number > begin + 1 {
                return Ok(());
            }
            tokio::select! {
                () = cx.draining(), if !self.has("stream_never_ends") => return Ok(()),
                sent = out.emit(batch) => sent?,
            }
            if self.has("stream_blocks") {
                EVERYWHERE.block();
            }
        }
        if self.has("stream_never_ends") {
            std::future::pending::<()>().await;
        }
        cx.draining().await;
        Ok(())
    }

    async fn http(
        &self,
        settings: &Settings,
        _: &Context,
        request: HttpRequest,
    ) -> Result<HttpCapture, Error> {
        self.ask(settings).await?;
        if self.has("http_panics") {
            assert!(!request.body.is_empty(), "no body");
        }
        if self.has("http_status") {
            return Ok(HttpCapture::Refuse(HttpResponse::status(42)));
        }
        let is_json = serde_json::from_slice::<serde::de::IgnoredAny>(&request.body).is_ok();
        if request.method != "POST" || (!is_json && !self.has("not_json")) {
            return Ok(HttpCapture::Refuse(HttpResponse::status(400)));
        }
        let mut record = Record::json(request.body);
        if self.has("new_ids") {
            record = record.with_message_id(EVERYWHERE.number().to_string());
        }
        let records = if self.has("http_takes_nothing") { Vec::new() } else { vec![record] };
        Ok(HttpCapture::records(records))
    }

    async fn acknowledge(
        &self,
        settings: &Settings,
        _: &Context,
        outcomes: &[RecordOutcome],
    ) -> Result<(), Error> {
        self.ask(settings).await?;
        for outcome in outcomes {
            self.acknowledge_one(outcome)?;
        }
        Ok(())
    }

    async fn extend(
        &self,
        _: &Settings,
        _: &Context,
        leases: &[Lease],
    ) -> Result<Vec<Extended>, Error> {
        if self.has("extends_nothing") {
            return Err(Error::transient("not today"));
        }
        assert!(!self.has("no_leases_panic") || !leases.is_empty(), "no leases");
        let known = books(|books| books.records.clone());
        Ok(leases
            .iter()
            .map(|lease| match lease.token.parse::<u64>() {
                Ok(number) if known.contains(&number) => Extended::Kept { for_ms: LENT_MS },
                _ if self.has("keeps_anything") => Extended::Kept { for_ms: LENT_MS },
                _ => Extended::Lost { reason: "nobody knows it".into() },
            })
            .collect())
    }
}

impl Faulty {
    fn place(&self, from: Option<&Position>) -> Result<u64, Error> {
        let Some(from) = from else { return Ok(0) };
        match String::from_utf8_lossy(from.as_bytes()).parse() {
            Ok(place) => Ok(place),
            Err(_) if self.has("takes_any_position") => Ok(0),
            Err(error) => Err(Error::cursor_expired("cannot read the position").because(&error)),
        }
    }

    fn record(&self, number: u64, limit: usize) -> Record {
        let payload = match self.config.fault.as_str() {
            "not_json" => format!("number {number}"),
            "records_tell_token" => format!("\"{}\"", self.config.token.expose()),
            _ => number.to_string(),
        };
        let id = match self.config.fault.as_str() {
            "one_id" => 0,
            "new_ids" => EVERYWHERE.number(),
            _ => number,
        };
        self.given
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id.to_string().into_bytes());
        let lent_ms = if self.has("lends_for_a_moment") { 20 } else { LENT_MS };
        let record = Record::json(payload)
            .with_message_id(id.to_string())
            .with_lease(Lease::new(number.to_string(), lent_ms));
        if self.has("no_positions") {
            return record;
        }
        let next = number.saturating_add(if self.has("strides") && limit == 1 { 2 } else { 1 });
        record.with_position(Position::new(next.to_string()).unwrap())
    }

    fn acknowledge_one(&self, outcome: &RecordOutcome) -> Result<(), Error> {
        let id = outcome.message_id.clone().unwrap_or_default();
        let key = id.clone().into_bytes();
        let number = id.parse::<u64>().unwrap_or(u64::MAX);
        let known = self.given.lock().unwrap_or_else(PoisonError::into_inner).contains(&key);
        let mut acknowledged =
            EVERYWHERE.acknowledged.lock().unwrap_or_else(PoisonError::into_inner);
        let again = !acknowledged.insert(key);
        let delete = |gone: &dyn Fn(u64) -> bool| {
            books(|books| books.records.retain(|number| !gone(*number)));
        };
        match self.config.fault.as_str() {
            "refuses_acknowledgements" => Err(Error::permanent("not this one")),
            "wants_each_once" if again => Err(Error::conflict("I know that already")),
            "wants_its_own" if !known => Err(Error::gone("I never gave that")),
            "deletes_all_before" => {
                delete(&|other| other <= number);
                Ok(())
            }
            "deletes_on_retry" if outcome.outcome == Outcome::Retry => {
                delete(&|other| other == number);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Complains if it had to wait for the hub, if that is its fault.
    fn look_at_watch(&self) -> Result<(), Error> {
        let now = Instant::now();
        let before = self.polled_at.lock().unwrap_or_else(PoisonError::into_inner).replace(now);
        let late = before.is_some_and(|before| now - before > Duration::from_millis(250));
        if late && self.has("fears_waiting") {
            return Err(Error::permanent("where have you been"));
        }
        Ok(())
    }
}
