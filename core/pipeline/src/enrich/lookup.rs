//! One look-up: what it asks, and how often.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use gantry_model::spec::{LookupSpec, Spec};
use gantry_model::{Clock, Document, ItemId, Name, TraceParent, Value};
use gantry_plugin_host::api::{ErrorClass, Json, Query};
use serde_json::Value as JsonValue;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::breaker::Breaker;
use crate::backoff::Backoff;
use crate::limits::Limits;
use crate::meter::Operations;
use crate::metered::Metered;
use crate::port::{LookupPort, Trouble};
use crate::reach::Reach;
use crate::status::{Count, LookupStatus, Pulse, State};

pub(crate) struct Lookup {
    pub(crate) name: Name,
    pub(crate) spec: LookupSpec,
    port: Arc<dyn LookupPort>,
    /// Words in its settings and its condition.
    words: BTreeSet<String>,
    /// `true` if the words name at least one attribute that is declared.
    names_attributes: bool,
    answers: Option<Answers>,
    breaker: Breaker,
    permits: Semaphore,
    limits: Arc<Limits>,
    clock: Arc<dyn Clock>,
    pulse: Pulse,
    asked: Count,
    cached: Count,
    failed: Count,
    operations: Arc<Operations>,
}

/// Answers that are kept, by question.
type Answers = moka::future::Cache<Vec<u8>, Option<Arc<JsonValue>>>;

impl Lookup {
    pub(crate) fn new(
        name: Name,
        spec: LookupSpec,
        whole: &Spec,
        port: Arc<dyn LookupPort>,
        reach: Arc<Reach>,
        clock: Arc<dyn Clock>,
        limits: Arc<Limits>,
    ) -> Self {
        let mut words = BTreeSet::new();
        words_of(&spec.settings, &mut words);
        let names_attributes = words.iter().any(|word| whole.attribute_type(word).is_some());
        if let Some(when) = &spec.when {
            words.extend(words_in(when));
        }
        // What the hub knows itself differs from item to item, and changes at any time.
        let kept = spec.cache.filter(|_| spec.history_key().is_none());
        let answers = kept.map(|kept| {
            let answers = moka::future::Cache::builder().max_capacity(limits.answers_kept_max);
            answers.time_to_live(kept.to_std()).build()
        });
        let operations = Arc::<Operations>::default();
        let port = Arc::new(Metered { port, operations: Arc::clone(&operations), reach });
        Self {
            operations,
            breaker: Breaker::new(limits.breaker_failures, limits.breaker_pause),
            permits: Semaphore::new(limits.questions_max),
            name,
            spec,
            port,
            words,
            names_attributes,
            answers,
            limits,
            clock,
            pulse: Pulse::default(),
            asked: Count::default(),
            cached: Count::default(),
            failed: Count::default(),
        }
    }

    /// `true` if it needs what `earlier` yields.
    pub(crate) fn uses(&self, earlier: &Self) -> bool {
        earlier.spec.yields.keys().any(|name| self.words.contains(name.as_str()))
    }

    /// What it asks about an item: a JSON object. What rules set is not seen, so that a later run
    /// asks the same.
    pub(crate) fn question(&self, document: &Document) -> Vec<u8> {
        let asked = document
            .attributes
            .keys()
            .filter(|name| !self.names_attributes || self.words.contains(name.as_str()));
        let asked = asked.filter_map(|name| {
            let own = self.spec.yields.contains_key(name);
            let value = document.unruled(name).filter(|_| !own)?;
            Some((name.as_str(), value))
        });
        let asked: std::collections::BTreeMap<&str, &Value> = asked.collect();
        serde_json::to_vec(&asked).expect("invariant: attributes have text keys only")
    }

    /// Asks about an item, or takes a kept answer; equal questions at one time are asked once.
    pub(crate) async fn ask(
        &self,
        document: &Document,
        about: ItemId,
    ) -> Result<Option<JsonValue>, Trouble> {
        let (question, trace) = (self.question(document), document.traceparent.as_ref());
        let Some(answers) = &self.answers else {
            return self.fetch(&question, trace, about).await;
        };
        let fetched = AtomicBool::new(false);
        let answer = answers.try_get_with_by_ref(&question, async {
            fetched.store(true, Ordering::Relaxed);
            Ok::<_, Trouble>(self.fetch(&question, trace, about).await?.map(Arc::new))
        });
        let answer = answer.await.map_err(|trouble| (*trouble).clone())?;
        if !fetched.load(Ordering::Relaxed) {
            self.cached.add(1);
        }
        Ok(answer.map(Arc::unwrap_or_clone))
    }

    async fn fetch(
        &self,
        question: &[u8],
        trace: Option<&TraceParent>,
        about: ItemId,
    ) -> Result<Option<JsonValue>, Trouble> {
        let mut backoff = Backoff::new(&self.limits);
        let mut attempt = 0;
        loop {
            let trouble = match self.attempt(question, trace, about).await {
                Ok(answer) => {
                    self.pulse.ok(self.clock.now());
                    return Ok(answer);
                }
                // The other system had the key and has it no more.
                Err(trouble) if trouble.class == ErrorClass::Gone => return Ok(None),
                Err(trouble) => trouble,
            };
            self.pulse.trouble(State::BackingOff, self.clock.now(), &trouble);
            attempt += 1;
            if attempt > self.spec.retries || !trouble.passes() {
                self.failed.add(1);
                return Err(trouble);
            }
            tokio::time::sleep(trouble.after.unwrap_or_else(|| backoff.next())).await;
        }
    }

    async fn attempt(
        &self,
        question: &[u8],
        trace: Option<&TraceParent>,
        about: ItemId,
    ) -> Result<Option<JsonValue>, Trouble> {
        let permit = self.permits.acquire().await;
        let _permit = permit.expect("invariant: the permits are never closed");
        self.breaker.check(Instant::now()).map_err(|rest| {
            let message = format!("it failed too often; not asked for {} ms", rest.as_millis());
            Trouble::new(ErrorClass::Unsupported, message)
        })?;
        self.asked.add(1);
        let mut query = Query::new(Json::from_bytes(question.to_vec()));
        query.traceparent = trace.map(ToString::to_string);
        let timeout = self.spec.timeout.to_std();
        let answer = tokio::time::timeout(timeout, self.port.ask(query, about)).await;
        let answer = answer.unwrap_or_else(|_| Err(Trouble::timeout("it", timeout)));
        match &answer {
            Err(trouble) if trouble.class != ErrorClass::Gone => {
                self.breaker.failed(Instant::now());
            }
            _ => self.breaker.succeeded(),
        }
        answer
    }

    pub(crate) fn status(&self) -> LookupStatus {
        LookupStatus {
            source: self.spec.source.clone(),
            health: self.pulse.read(),
            asked: self.asked.read(),
            cached: self.cached.read(),
            failed: self.failed.read(),
            in_flight: self.operations.in_flight(),
            operations: self.operations.read(),
        }
    }
}

/// All words in the texts and keys of a JSON value.
fn words_of(json: &JsonValue, words: &mut BTreeSet<String>) {
    match json {
        JsonValue::String(text) => words.extend(words_in(text)),
        JsonValue::Array(values) => values.iter().for_each(|value| words_of(value, words)),
        JsonValue::Object(map) => {
            for (key, value) in map {
                words.extend(words_in(key));
                words_of(value, words);
            }
        }
        JsonValue::Null | JsonValue::Bool(_) | JsonValue::Number(_) => {}
    }
}

fn words_in(text: &str) -> impl Iterator<Item = String> {
    let word = |c: char| !(c.is_alphanumeric() || c == '_');
    text.split(word).filter(|word| !word.is_empty()).map(Into::into)
}
