//! The traits an author implements: [`Plugin`] always, and one for each role the plug-in has.
//!
//! Write the methods as plain `async fn`; no attribute is needed. What holds for all of them:
//!
//! - They run on the plug-in's own tokio runtime, so timers, sockets and `spawn_blocking` work.
//!   Blocking a worker thread hurts only this plug-in, and it hurts it as a whole.
//! - They may run concurrently on one instance, hence `&self`, except where a method says
//!   otherwise.
//! - The hub may call an operation off at any time: its future is dropped at the next `await`. What
//!   must not stop half-way belongs into a task of its own, or is repeated safely.
//! - A panic ends the operation with class `panic`; the instance gets no further operation and is
//!   dropped, and the hub may create another in its place.
//! - No method retries, sleeps or backs off on its own: it returns an [`Error`], and its class
//!   decides.

use std::future::Future;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::context::Context;
use crate::emitter::Emitter;
use crate::error::Error;
use crate::message::{
    Answer, Batch, ConfigFault, Delivery, DeliveryOutcome, Extended, HttpCapture, HttpRequest,
    Lease, Position, Query, RecordOutcome, Suggest, Suggestion,
};

/// A connection to a source system: one value is one `[source.NAME]` of the operator.
pub trait Plugin: Send + Sync + Sized + 'static {
    /// The operator's configuration of the source. Put `#[serde(deny_unknown_fields)]` on it, use
    /// [`crate::Secret`] and [`crate::HumanDuration`], and document each field for the operator.
    type Config: DeserializeOwned + JsonSchema + Send + 'static;

    /// Checks what the schema cannot say; gives all faults at once. Called by `gantry check`,
    /// often, without an instance: it is pure, does no input or output, and starts nothing.
    fn validate(config: &Self::Config) -> Vec<ConfigFault> {
        let _ = config;
        Vec::new()
    }

    /// Makes the instance. Called once an instance, after `validate` found nothing; does no input
    /// or output and starts no task: connections open on first use or in `check`.
    ///
    /// # Errors
    /// Of class `config` for what only shows when the parts are put together.
    fn create(config: Self::Config, cx: &Context) -> Result<Self, Error>;

    /// Connects as running would and changes nothing, so that the operator sees whether it would
    /// work. Called by `gantry check --connect`; may be repeated.
    fn check(&self, cx: &Context) -> impl Future<Output = Result<(), Error>> + Send {
        let _ = cx;
        async { Ok(()) }
    }

    /// Recommends values for a key of the config that somebody is writing: the tables of a
    /// database, the queues of a broker. Connects if it must, and changes nothing. What is there
    /// so far may be wrong or missing. Called by `gantry suggest`.
    fn suggest(
        &self,
        cx: &Context,
        what: &Suggest,
    ) -> impl Future<Output = Result<Vec<Suggestion>, Error>> + Send {
        let _ = (cx, what);
        async { Ok(Vec::new()) }
    }

    /// Finishes what is begun: flushes, waits for what is on its way. Called at most once, while
    /// operations may still be running; [`Context::is_draining`] is true from then on. The hub
    /// waits until its deadline, then calls off what is left.
    fn drain(&self, cx: &Context) -> impl Future<Output = Result<(), Error>> + Send {
        let _ = cx;
        async { Ok(()) }
    }

    /// Lets go: closes connections, ends tasks. Called at most once, after the last operation
    /// ended; the instance is dropped afterwards. After a panic or a crash it is not called.
    fn stop(&self, cx: &Context) -> impl Future<Output = ()> + Send {
        let _ = cx;
        async {}
    }
}

/// Gets records out of a source. Implement the methods of the modes the manifest declares.
///
/// The hub stores position and records in one transaction and acknowledges afterwards, so after a
/// crash it hands back the last stored position and gets the rest again: at least once. A record is
/// recognised by its message id or, without one, by its external id and content.
pub trait Capture: Plugin {
    /// The operator's settings of `[capture.NAME]`.
    type Settings: DeserializeOwned + JsonSchema + Send + Sync + 'static;

    /// Whether [`Capture::http`] first runs on the thread that calls, up to its first wait: it then
    /// saves two thread hops. Choose it only if that part neither blocks nor computes over 100 µs.
    const HTTP_INLINE: bool = false;

    /// As [`Plugin::validate`], for the settings.
    fn validate_settings(settings: &Self::Settings) -> Vec<ConfigFault> {
        let _ = settings;
        Vec::new()
    }

    /// As [`Plugin::check`], for one capture point: its table is there and has the named columns,
    /// its folder can be read.
    fn check_settings(
        &self,
        settings: &Self::Settings,
        cx: &Context,
    ) -> impl Future<Output = Result<(), Error>> + Send {
        let _ = (settings, cx);
        async { Ok(()) }
    }

    /// Whether a batch that said `more` has the next one asked for at once, while the hub settles
    /// it: [`Capture::poll`] then runs beside [`Capture::acknowledge`], still never twice at a
    /// time, and what it gives is thrown away where the hub goes on from elsewhere. Choose it where
    /// polling takes nothing out of the source, and where `from` is only a place: what lies before
    /// it may not be settled yet.
    fn reads_ahead(settings: &Self::Settings) -> bool {
        let _ = settings;
        false
    }

    /// Gives at most `limit` records that come after `from`, in the order of the source.
    ///
    /// Called on the operator's schedule and at once after a batch that said `more`; never twice
    /// at a time for one capture point. `from` is none on the very first poll. The next call may
    /// start from an earlier position than this one's end, if records had to be retried: give them
    /// again.
    ///
    /// # Errors
    /// Each is answered by another poll from the same position, when its class says;
    /// `cursor_expired` makes the hub read again from the beginning; what it has is a repeat.
    fn poll(
        &self,
        settings: &Self::Settings,
        cx: &Context,
        from: Option<&Position>,
        limit: usize,
    ) -> impl Future<Output = Result<Batch, Error>> + Send {
        let _ = (settings, cx, from, limit);
        async { Err(Error::unsupported("poll")) }
    }

    /// Emits records as they come, from `from` on, until [`Context::draining`] or the source ends.
    ///
    /// Called once a capture point and start, never twice at a time. `out.emit(batch).await` waits
    /// for credit, and that is the back-pressure: do not buffer beyond it.
    ///
    /// # Errors
    /// End the stream; the hub starts it again from the stored position, when the class says. `Ok`
    /// means that the source has come to an end, or that the instance drains.
    fn stream(
        &self,
        settings: &Self::Settings,
        cx: &Context,
        from: Option<Position>,
        out: Emitter,
    ) -> impl Future<Output = Result<(), Error>> + Send {
        let _ = (settings, cx, from, out);
        async { Err(Error::unsupported("stream")) }
    }

    /// Says what a request to the capture point's own path means. Called for each request, any
    /// number at a time. The sender is answered only after the records are settled, so an accepted
    /// answer is a durable one.
    ///
    /// # Errors
    /// Are the plug-in's own trouble (500 or 503 to the sender, by class). A request that is wrong
    /// in itself is no error: answer [`HttpCapture::Refuse`].
    fn http(
        &self,
        settings: &Self::Settings,
        cx: &Context,
        request: HttpRequest,
    ) -> impl Future<Output = Result<HttpCapture, Error>> + Send {
        let _ = (settings, cx, request);
        async { Err(Error::unsupported("http")) }
    }

    /// Learns what became of records, after that is durable: the time to delete, move or commit in
    /// the source. One entry a record, of poll and stream alike; entries of one partition in order.
    ///
    /// May repeat, and may not come at all after a crash: the source then gives the record again,
    /// the hub knows it, and acknowledges again. An outcome of `Retry` is no acknowledgement: make
    /// the record come again.
    ///
    /// # Errors
    /// The hub calls again with the same outcomes, when the class says.
    fn acknowledge(
        &self,
        settings: &Self::Settings,
        cx: &Context,
        outcomes: &[RecordOutcome],
    ) -> impl Future<Output = Result<(), Error>> + Send {
        let _ = (settings, cx, outcomes);
        async { Ok(()) }
    }

    /// Extends what the source has lent ([`crate::Record::lease`]), one answer a lease, in the
    /// order given. Called after a third of its time, and at once after a start of the hub, for as
    /// long as the work item is open, wherever it waits and whoever works on it; also while the
    /// capture point is paused. Never twice at a time for one capture point.
    ///
    /// What is [`Extended::Lost`] is withdrawn from its agent with that reason. When the item has
    /// ended, nobody extends its lease any more: the callback of its end gives the thing back.
    ///
    /// # Errors
    /// The outer error is that of the call as a whole (no connection): the hub asks again.
    fn extend(
        &self,
        settings: &Self::Settings,
        cx: &Context,
        leases: &[Lease],
    ) -> impl Future<Output = Result<Vec<Extended>, Error>> + Send {
        let _ = (settings, cx, leases);
        async { Err(Error::unsupported("extend")) }
    }
}

/// Answers questions about an item from another system.
pub trait Lookup: Plugin {
    /// The operator's settings of `[lookup.NAME]`.
    type Settings: DeserializeOwned + JsonSchema + Send + Sync + 'static;

    /// Whether [`Lookup::lookup`] first runs on the thread that calls, up to its first wait.
    /// Choose it only if that part neither blocks nor computes over 100 µs: an answer from memory.
    const INLINE: bool = false;

    /// As [`Plugin::validate`], for the settings.
    fn validate_settings(settings: &Self::Settings) -> Vec<ConfigFault> {
        let _ = settings;
        Vec::new()
    }

    /// As [`Plugin::check`], for one look-up: the statement can be prepared, the path exists.
    fn check_settings(
        &self,
        settings: &Self::Settings,
        cx: &Context,
    ) -> impl Future<Output = Result<(), Error>> + Send {
        let _ = (settings, cx);
        async { Ok(()) }
    }

    /// Answers each query, in the order asked; as many answers as queries. Any number of calls at a
    /// time. The hub caches, bounds the time (the future is dropped) and repeats; a look-up changes
    /// nothing in the source.
    ///
    /// `Ok(None)` says that there is no such key: an answer like any other, and cached.
    ///
    /// # Errors
    /// The outer error is that of the call as a whole (no connection), an inner one that of a
    /// query.
    fn lookup(
        &self,
        settings: &Self::Settings,
        cx: &Context,
        queries: Vec<Query>,
    ) -> impl Future<Output = Result<Vec<Result<Option<Answer>, Error>>, Error>> + Send;
}

/// Tells a source what happened to its items.
pub trait Callback: Plugin {
    /// The operator's settings of `[callback.NAME]`.
    type Settings: DeserializeOwned + JsonSchema + Send + Sync + 'static;

    /// As [`Plugin::validate`], for the settings.
    fn validate_settings(settings: &Self::Settings) -> Vec<ConfigFault> {
        let _ = settings;
        Vec::new()
    }

    /// As [`Plugin::check`], for one callback.
    fn check_settings(
        &self,
        settings: &Self::Settings,
        cx: &Context,
    ) -> impl Future<Output = Result<(), Error>> + Send {
        let _ = (settings, cx);
        async { Ok(()) }
    }

    /// Delivers each event; as many outcomes as deliveries, in the order given. Calls may be
    /// concurrent, but never two with the same item: its events come in order, the next only after
    /// the one before is done.
    ///
    /// May repeat after a crash or a time-out, with the same idempotency key: write so that a
    /// second time does no harm, and say `AlreadyDone` where that shows.
    fn deliver(
        &self,
        settings: &Self::Settings,
        cx: &Context,
        deliveries: Vec<Delivery>,
    ) -> impl Future<Output = Vec<DeliveryOutcome>> + Send;
}
