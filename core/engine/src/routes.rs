//! The active config version in the form that the engine reads while it works.

use std::collections::BTreeMap;
use std::sync::Arc;

use gantry_model::priority::Priority;
use gantry_model::spec::{CompletionMode, PrioritySchema, ProcessSpec, RoutingSpec};
use gantry_model::{Hold, Name, Timestamp, WorkItem};

use crate::curve::Curve;

/// A config version: the spec as it was journaled, and its schemas ready to be shared by items.
#[derive(Clone, Debug, Default)]
pub(crate) struct Routes {
    pub(crate) spec: Arc<RoutingSpec>,
    schemas: BTreeMap<Name, Arc<PrioritySchema>>,
}

impl Routes {
    pub(crate) fn new(config: Option<&(u32, Arc<RoutingSpec>)>) -> Self {
        let Some((_, spec)) = config else {
            return Self::default();
        };
        let share =
            |(name, schema): (&Name, &PrioritySchema)| (name.clone(), Arc::new(schema.clone()));
        Self { spec: Arc::clone(spec), schemas: spec.priorities.iter().map(share).collect() }
    }

    /// The process of an item, once it is classified.
    pub(crate) fn process(&self, item: &WorkItem) -> Option<&ProcessSpec> {
        self.spec.processes.get(item.process()?)
    }

    /// Who says that an item is done. A capture point whose source never confirms overrules
    /// the process: nobody else could.
    pub(crate) fn completion_mode(&self, item: &WorkItem) -> CompletionMode {
        if self.spec.unconfirmed.contains(&item.capture_point) {
            return CompletionMode::DoneCloses;
        }
        self.process(item).map_or_else(CompletionMode::default, |process| process.completion.mode)
    }

    /// The item's priority as a function of time. An item without a class has priority 0.
    pub(crate) fn curve(&self, item: &WorkItem) -> Curve {
        if let Some(points) = item.priority {
            return Curve::Constant(Priority::from_points(points));
        }
        let class = item.class.as_ref();
        let schema = class.and_then(|class| self.schemas.get(&class.schema));
        match schema {
            Some(schema) => Curve::Schema {
                schema: Arc::clone(schema),
                anchor_at: item.anchor_at,
                due_at: item.due_at,
            },
            None => Curve::Constant(Priority::default()),
        }
    }

    /// The item's priority at an instant and when it changes its course. A held item stands
    /// still at the priority it had when it was held.
    pub(crate) fn priority(
        &self,
        item: &WorkItem,
        now: Timestamp,
    ) -> (Priority, Option<Timestamp>) {
        let curve = self.curve(item);
        match &item.hold {
            Hold::Held { since, .. } | Hold::Error { since, .. } => {
                (curve.piece(*since).at(*since), None)
            }
            Hold::None | Hold::Activation { .. } => {
                let piece = curve.piece(now);
                let next = Some(piece.until).filter(|until| *until != crate::curve::NEVER);
                (piece.at(now), next)
            }
        }
    }
}
