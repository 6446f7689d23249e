//! Enrichment: the look-ups of an item, in parallel where they can be, with cache, retries and a
//! stated policy for when they fail.
//!
//! A look-up is asked with the attributes that its settings or its `when` name (as `:customer_id`
//! or
//! `{customer_id}`, for example), and with all attributes if they name none. The cache is keyed by
//! what is asked, and a look-up that names what an earlier one yields waits for it.

pub(crate) mod breaker;
pub(crate) mod history;
mod lookup;

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::join_all;
use gantry_model::spec::{OnFailure, Spec};
use gantry_model::{Document, ItemId, Millis, Name, Origin};
use gantry_rules::Rules;
use serde_json::Value;

use crate::intake::Point;
use crate::limits::Limits;
use crate::port::{LookupPort, Trouble};
use crate::reach::Reaches;
use crate::status::LookupStatus;

use lookup::Lookup;

/// All look-ups of a config.
pub(crate) struct Enrich {
    rules: Arc<Rules>,
    lookups: BTreeMap<Name, Lookup>,
}

/// Why an item cannot go on: it is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) reason: String,
    /// Time to the next try; `None` = when somebody resumes it.
    pub(crate) retry: Option<Millis>,
}

impl Enrich {
    pub(crate) fn new(
        spec: &Spec,
        rules: Arc<Rules>,
        ports: BTreeMap<Name, Arc<dyn LookupPort>>,
        clock: &Arc<dyn gantry_model::Clock>,
        limits: &Arc<Limits>,
        reaches: &mut Reaches,
    ) -> Self {
        let lookups = ports.into_iter().filter_map(|(name, port)| {
            let lookup_spec = spec.lookups.get(&name)?.clone();
            let (clock, limits) = (Arc::clone(clock), Arc::clone(limits));
            let reach = reaches.of(&lookup_spec.source);
            let lookup = Lookup::new(name.clone(), lookup_spec, spec, port, reach, clock, limits);
            Some((name, lookup))
        });
        Self { rules, lookups: lookups.collect() }
    }

    /// Puts the look-ups of a capture point into stages, in the listed order.
    pub(crate) fn stages(&self, spec: &Spec, capture: &Name) -> Vec<Vec<Name>> {
        let mut stages: Vec<Vec<Name>> = Vec::new();
        let mut stage_of: BTreeMap<&Name, usize> = BTreeMap::new();
        for name in spec.lookups_of(capture) {
            let Some(lookup) = self.lookups.get(name) else { continue };
            let uses = |earlier: &Name| {
                self.lookups.get(earlier).is_some_and(|earlier| lookup.uses(earlier))
            };
            let after = stage_of.iter().filter(|(earlier, _)| uses(earlier));
            let stage = after.map(|(_, stage)| stage + 1).max().unwrap_or(0);
            stage_of.insert(name, stage);
            if stages.len() <= stage {
                stages.resize(stage + 1, Vec::new());
            }
            stages[stage].push(name.clone());
        }
        stages
    }

    /// `true` if at least one look-up has to be asked, or cannot tell.
    pub(crate) fn wanted(&self, point: &Point, document: &Document) -> bool {
        let mut names = point.stages.iter().flatten();
        names.any(|name| self.rules.wants_lookup(name, document).unwrap_or(true))
    }

    /// `true` if a look-up is to be asked after a change: it would be asked something else, or for
    /// the first time, or its config says that every update asks again.
    pub(crate) fn would_ask_anew(&self, point: &Point, old: &Document, new: &Document) -> bool {
        let asks = |name: &Name, document: &Document| {
            let lookup = self.lookups.get(name)?;
            let wanted = self.rules.wants_lookup(name, document).unwrap_or(true);
            wanted.then(|| lookup.question(document))
        };
        let each_time =
            |name: &Name| self.lookups.get(name).is_some_and(|lookup| lookup.spec.on_update);
        point.stages.iter().flatten().any(|name| {
            let question = asks(name, new);
            question.is_some() && (each_time(name) || question != asks(name, old))
        })
    }

    /// Asks the look-ups of an item and writes their answers into its document.
    ///
    /// # Errors
    /// [`Held`] if a look-up or its condition failed and the item may not go on without it.
    pub(crate) async fn run(
        &self,
        point: &Point,
        item: ItemId,
        document: &mut Document,
    ) -> Result<(), Held> {
        for stage in &point.stages {
            let mut asked = Vec::with_capacity(stage.len());
            for name in stage {
                let wanted = self.rules.wants_lookup(name, document);
                if wanted.map_err(|error| Held::for_a_person(&error))? {
                    asked.push(&self.lookups[name]);
                }
            }
            let read_only = &*document;
            let answers = join_all(asked.iter().map(|lookup| lookup.ask(read_only, item))).await;
            for (lookup, answer) in asked.into_iter().zip(answers) {
                self.take(lookup, answer, document)?;
            }
        }
        Ok(())
    }

    fn take(
        &self,
        lookup: &Lookup,
        answer: Result<Option<Value>, Trouble>,
        document: &mut Document,
    ) -> Result<(), Held> {
        let problem = match answer {
            Ok(answer) => {
                let mut fresh = document.clone();
                forget(lookup, &mut fresh);
                let read = match &answer {
                    Some(answer) => self.rules.read_answer(&lookup.name, answer, &mut fresh),
                    None => Ok(()),
                };
                match read {
                    Ok(()) => {
                        *document = fresh;
                        return Ok(());
                    }
                    Err(error) => error.to_string(),
                }
            }
            Err(trouble) => format!("look-up {:?} failed: {trouble}", lookup.name.as_str()),
        };
        tracing::debug!(lookup = %lookup.name, error = %problem, "a look-up failed");
        match &lookup.spec.on_failure {
            OnFailure::Continue => Ok(()),
            OnFailure::Default(defaults) => {
                let read = self.rules.read_defaults(&lookup.name, defaults, document);
                read.map_err(|error| Held::for_a_person(&error))
            }
            OnFailure::Hold { retry } => Err(Held { reason: problem, retry: Some(*retry) }),
        }
    }

    pub(crate) fn status(&self) -> BTreeMap<Name, LookupStatus> {
        self.lookups.iter().map(|(name, lookup)| (name.clone(), lookup.status())).collect()
    }
}

impl Held {
    fn for_a_person(error: &gantry_rules::RuleError) -> Self {
        Self { reason: error.to_string(), retry: None }
    }
}

/// Drops what an earlier answer of this look-up said, so that the new one stands alone.
fn forget(lookup: &Lookup, document: &mut Document) {
    for name in lookup.spec.yields.keys() {
        document.unset_rule(name);
        let ours =
            matches!(document.origins.get(name), Some(Origin::Lookup(by)) if *by == lookup.name);
        if ours {
            document.attributes.remove(name);
            document.origins.remove(name);
        }
    }
}
