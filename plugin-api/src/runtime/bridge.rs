//! What the plug-in logs reaches the hub: its copies of `tracing`, `log` and the panic hook are
//! its own globals, so each is pointed at the hub's table when the library is initialised.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::panic::PanicHookInfo;
use std::sync::{Mutex, PoisonError};

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use super::guard::current_instance;
use super::host::Host;

/// Points the three globals of this library at the hub. An author's own subscriber, logger or hook
/// set before would have been set by a constructor, which plug-ins must not have.
pub(super) fn install(host: Host) {
    let spans = Spans { host, state: Mutex::default() };
    // Each fails only if it was set already, which leaves the plug-in mute but not broken.
    let _ = tracing::subscriber::set_global_default(spans);
    if log::set_boxed_logger(Box::new(Logger { host })).is_ok() {
        log::set_max_level(log::LevelFilter::Trace);
    }
    std::panic::set_hook(Box::new(move |panic| report(host, panic)));
}

fn report(host: Host, panic: &PanicHookInfo<'_>) {
    let mut fields = Map::new();
    if let Some(location) = panic.location() {
        fields.insert("location".into(), location.to_string().into());
    }
    if let Some(name) = std::thread::current().name() {
        fields.insert("thread".into(), name.into());
    }
    let backtrace = Backtrace::capture();
    if backtrace.status() == BacktraceStatus::Captured {
        fields.insert("backtrace".into(), backtrace.to_string().into());
    }
    let text = panic.payload_as_str().unwrap_or("no message");
    send(host, 1, "panic", &format!("plug-in panicked: {text}"), fields);
}

fn send(host: Host, level: u8, target: &str, message: &str, fields: Map<String, Value>) {
    let fields = if fields.is_empty() { String::new() } else { Value::Object(fields).to_string() };
    host.log(level, current_instance(), target, message, fields.as_bytes());
}

struct Logger {
    host: Host,
}

impl log::Log for Logger {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        self.host.wants(metadata.level() as u8)
    }

    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            let (level, message) = (record.level() as u8, record.args().to_string());
            send(self.host, level, record.target(), &message, Map::new());
        }
    }

    fn flush(&self) {}
}

/// A tracing subscriber: events go to the hub with the fields of the spans around them.
struct Spans {
    host: Host,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    last_id: u64,
    spans: BTreeMap<u64, Span>,
}

struct Span {
    parent: Option<u64>,
    name: &'static str,
    fields: Map<String, Value>,
    n_handles: usize,
}

thread_local! {
    /// The spans entered on this thread, innermost last.
    static ENTERED: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
}

fn innermost() -> Option<u64> {
    ENTERED.try_with(|entered| entered.borrow().last().copied()).ok().flatten()
}

impl Spans {
    fn state<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Subscriber for Spans {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.host.wants(level(*metadata.level()))
    }

    // The hub may change its level at any time, so no call site may remember the answer.
    fn register_callsite(&self, _: &'static Metadata<'static>) -> tracing::subscriber::Interest {
        tracing::subscriber::Interest::sometimes()
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        let parent = match attributes.parent() {
            Some(parent) => Some(parent.into_u64()),
            None if attributes.is_contextual() => innermost(),
            None => None,
        };
        let name = attributes.metadata().name();
        self.state(|state| {
            state.last_id += 1;
            // The parent must outlive its children, whose events name it.
            if let Some(parent) = parent.and_then(|parent| state.spans.get_mut(&parent)) {
                parent.n_handles += 1;
            }
            let span = Span { parent, name, fields: fields.fields, n_handles: 1 };
            state.spans.insert(state.last_id, span);
            Id::from_u64(state.last_id)
        })
    }

    fn record(&self, id: &Id, values: &Record<'_>) {
        let mut fields = Fields::default();
        values.record(&mut fields);
        self.state(|state| {
            if let Some(span) = state.spans.get_mut(&id.into_u64()) {
                span.fields.extend(fields.fields);
            }
        });
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut own = Fields::default();
        event.record(&mut own);
        let inner = match event.parent() {
            Some(parent) => Some(parent.into_u64()),
            None if event.is_contextual() => innermost(),
            None => None,
        };
        let mut fields = Map::new();
        if inner.is_some() {
            self.state(|state| state.describe(inner, &mut fields));
        }
        fields.extend(own.fields);
        let metadata = event.metadata();
        send(self.host, level(*metadata.level()), metadata.target(), &own.message, fields);
    }

    fn enter(&self, id: &Id) {
        let _ = ENTERED.try_with(|entered| entered.borrow_mut().push(id.into_u64()));
    }

    fn exit(&self, id: &Id) {
        let _ = ENTERED.try_with(|entered| {
            let mut entered = entered.borrow_mut();
            // Spans may be left out of order; the innermost of this name is the one meant.
            if let Some(at) = entered.iter().rposition(|entered| *entered == id.into_u64()) {
                entered.remove(at);
            }
        });
    }

    fn clone_span(&self, id: &Id) -> Id {
        self.state(|state| {
            if let Some(span) = state.spans.get_mut(&id.into_u64()) {
                span.n_handles += 1;
            }
        });
        id.clone()
    }

    fn try_close(&self, id: Id) -> bool {
        self.state(|state| state.close(id.into_u64()))
    }
}

impl State {
    /// Gives up one handle of a span, and with the last one also the span's handle of its parent.
    fn close(&mut self, id: u64) -> bool {
        let mut closed = false;
        let mut next = Some(id);
        while let Some(id) = next {
            let Some(span) = self.spans.get_mut(&id) else {
                break;
            };
            span.n_handles -= 1;
            if span.n_handles > 0 {
                break;
            }
            next = span.parent;
            self.spans.remove(&id);
            closed = true;
        }
        closed
    }

    /// Collects the fields of a span and those around it, the outer ones first, and the path of
    /// names.
    fn describe(&self, innermost: Option<u64>, fields: &mut Map<String, Value>) {
        let chain: Vec<&Span> =
            std::iter::successors(innermost.and_then(|id| self.spans.get(&id)), |span| {
                span.parent.and_then(|id| self.spans.get(&id))
            })
            .collect();
        let names: Vec<&str> = chain.iter().rev().map(|span| span.name).collect();
        if !names.is_empty() {
            fields.insert("span".into(), names.join(":").into());
        }
        for span in chain.into_iter().rev() {
            fields.extend(span.fields.clone());
        }
    }
}

fn level(level: tracing::Level) -> u8 {
    match level {
        tracing::Level::ERROR => 1,
        tracing::Level::WARN => 2,
        tracing::Level::INFO => 3,
        tracing::Level::DEBUG => 4,
        tracing::Level::TRACE => 5,
    }
}

/// Collects fields as JSON; the message apart.
#[derive(Default)]
struct Fields {
    message: String,
    fields: Map<String, Value>,
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.fields.insert(field.name().into(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.fields.insert(field.name().into(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.fields.insert(field.name().into(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.fields.insert(field.name().into(), value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.message);
        } else {
            self.fields.insert(field.name().into(), value.into());
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}
