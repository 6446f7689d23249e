//! The active config version in the form that the engine reads while it works.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use foldhash::fast::FixedState;
use gantry_model::calendar::Calendar;
use gantry_model::item::Classification;
use gantry_model::priority::Priority;
use gantry_model::spec::{
    Anchor, CompletionMode, FLOW_OTHER, PrioritySchema, ProcessSpec, RoutingSpec,
};
use gantry_model::{Hold, Name, Timestamp, WorkItem};

use crate::clock::{ClockNo, CurveClock, WALL};
use crate::curve::{Curve, NEVER, SchemaCurve};
use crate::flows::FlowNo;

/// A config version: the spec as it was journaled, its schemas ready to be shared by items, and
/// its calendars ready to calculate.
#[derive(Clone, Debug, Default)]
pub(crate) struct Routes {
    pub(crate) spec: Arc<RoutingSpec>,
    /// The processes of `spec`, found in one step. Read only by name.
    processes: HashMap<Name, ProcessSpec, FixedState>,
    schemas: HashMap<Name, (Arc<PrioritySchema>, ClockNo), FixedState>,
    calendars: BTreeMap<Name, Arc<Calendar>>,
    /// The business clocks that schemas run in, by number: 1 is the first.
    clocks: Vec<CurveClock>,
}

/// The instants of an item that its curve depends on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dates {
    pub(crate) captured: Timestamp,
    pub(crate) anchor: Timestamp,
    pub(crate) due: Option<Timestamp>,
}

impl Dates {
    const fn of(item: &WorkItem) -> Self {
        Self { captured: item.captured_at, anchor: item.anchor_at, due: item.due_at }
    }

    /// The curve of an item to which nothing special has happened.
    pub(crate) fn curve<'a>(
        self,
        schema: &'a PrioritySchema,
        clock: &CurveClock,
    ) -> SchemaCurve<'a> {
        let anchor_at = match schema.anchor {
            Anchor::Activation => self.anchor,
            Anchor::Capture => self.captured,
        };
        SchemaCurve {
            schema,
            anchor: clock.read(anchor_at),
            due: self.due.map(|due| clock.read(due)),
            bounds: None,
            boost: Priority::default(),
        }
    }
}

impl Routes {
    /// Makes a config version ready. Takes over from the version before what is still the same:
    /// a calendar takes about a millisecond to build.
    pub(crate) fn new(config: Option<&(u32, Arc<RoutingSpec>)>, before: &Self) -> Self {
        let Some((_, spec)) = config else {
            return Self::default();
        };
        if Arc::ptr_eq(spec, &before.spec) {
            return before.clone();
        }
        let processes = spec.processes.iter();
        let mut routes = Self {
            spec: Arc::clone(spec),
            processes: processes.map(|(name, process)| (name.clone(), process.clone())).collect(),
            ..Self::default()
        };
        for (name, calendar) in &spec.calendars {
            let known = before.spec.calendars.get(name).filter(|known| *known == calendar);
            let built = match known.and_then(|_| before.calendars.get(name)) {
                Some(known) => Arc::clone(known),
                // A version with a calendar that is none is not activated.
                None => match Calendar::new(calendar) {
                    Ok(built) => Arc::new(built),
                    Err(_) => continue,
                },
            };
            routes.calendars.insert(name.clone(), built);
        }
        let mut numbers: BTreeMap<&Name, ClockNo> = BTreeMap::new();
        for (name, schema) in &spec.priorities {
            let calendar = schema.calendar.as_ref();
            let built = calendar.and_then(|name| Some((name, routes.calendars.get(name)?)));
            let no = built.map_or(WALL, |(name, calendar)| {
                *numbers.entry(name).or_insert_with(|| {
                    routes.clocks.push(CurveClock::Business(Arc::clone(calendar)));
                    routes.clocks.len() as ClockNo
                })
            });
            routes.schemas.insert(name.clone(), (Arc::new(schema.clone()), no));
        }
        routes
    }

    /// The item's own process, once it is classified: how it ends, and what it is counted under.
    pub(crate) fn process(&self, item: &WorkItem) -> Option<&ProcessSpec> {
        self.processes.get(item.process()?)
    }

    /// The process whose queue the item is in: whom it is offered to, and how. It differs from
    /// its own after a transfer.
    pub(crate) fn queue(&self, item: &WorkItem) -> Option<&ProcessSpec> {
        self.processes.get(self.queue_name(item)?)
    }

    /// Who says that an item is done. A capture point whose source never confirms overrules
    /// the process: nobody else could.
    pub(crate) fn completion_mode(&self, item: &WorkItem) -> CompletionMode {
        if self.spec.unconfirmed.contains(&item.capture_point) {
            return CompletionMode::DoneCloses;
        }
        self.process(item).map_or_else(CompletionMode::default, |process| process.completion.mode)
    }

    /// The name of the process whose queue the item is in.
    pub(crate) fn queue_name<'a>(&self, item: &'a WorkItem) -> Option<&'a Name> {
        let transferred = item.queue.as_ref();
        transferred.filter(|queue| self.processes.contains_key(*queue)).or(item.process())
    }

    /// The calendar of a process: its own, else that of its department.
    pub(crate) fn calendar(&self, process: &str) -> Option<&Arc<Calendar>> {
        let own = self.processes.get(process)?.calendar.as_ref();
        let department = process.split_once('/').map_or(process, |(department, _)| department);
        let of_department = || self.spec.departments.get(department)?.calendar.as_ref();
        self.calendars.get(own.or_else(of_department)?)
    }

    /// The clock of a process's calendar; the wall's if it has none.
    pub(crate) fn business_clock(&self, process: Option<&Name>) -> CurveClock {
        let calendar = process.and_then(|process| self.calendar(process));
        calendar.map_or(CurveClock::Wall, |calendar| CurveClock::Business(Arc::clone(calendar)))
    }

    /// The number of the clock that the item's priority runs in.
    pub(crate) fn clock_of(&self, item: &WorkItem) -> ClockNo {
        if item.priority.is_some() {
            return WALL;
        }
        let schema = item.class.as_ref().and_then(|class| self.schemas.get(&class.schema));
        schema.map_or(WALL, |(_, clock)| *clock)
    }

    /// A clock that priorities run in.
    pub(crate) fn clock(&self, no: ClockNo) -> &CurveClock {
        let business = usize::from(no).checked_sub(1).and_then(|at| self.clocks.get(at));
        business.unwrap_or(&CurveClock::Wall)
    }

    /// The number of the flow that the item belongs to.
    pub(crate) fn flow_of(&self, item: &WorkItem) -> FlowNo {
        let Some(fairness) = &self.spec.fairness else {
            return 0;
        };
        let named = item.class.as_ref().and_then(|class| class.flow.as_ref());
        let place = |flow: &str| fairness.flows.keys().position(|name| *name == flow);
        let place = named.and_then(|flow| place(flow)).or_else(|| place(FLOW_OTHER));
        place.map_or(0, |place| place as FlowNo + 1)
    }

    /// The item's priority as a function of what its clock shows. An item without a class has
    /// priority 0.
    pub(crate) fn curve<'a>(&'a self, item: &'a WorkItem) -> Curve<'a> {
        let boost = Priority::from_points(item.boost);
        if let Some(points) = item.priority {
            return Curve::Constant(Priority(Priority::from_points(points).0 + boost.0));
        }
        let schema = item.class.as_ref().and_then(|class| self.schema(class));
        let Some((schema, clock)) = schema else {
            return Curve::Constant(boost);
        };
        let (bounds, dates) = (item.bounds.as_deref(), Dates::of(item));
        Curve::Schema(SchemaCurve { bounds, boost, ..dates.curve(schema, self.clock(clock)) })
    }

    /// The schema of a class and the number of its clock.
    pub(crate) fn schema(&self, class: &Classification) -> Option<(&Arc<PrioritySchema>, ClockNo)> {
        self.schemas.get(&class.schema).map(|(schema, clock)| (schema, *clock))
    }

    /// The item's priority at an instant and when it changes its course. A held item stands
    /// still at the priority it had when it was held.
    pub(crate) fn priority(
        &self,
        item: &WorkItem,
        now: Timestamp,
    ) -> (Priority, Option<Timestamp>) {
        let (curve, clock) = (self.curve(item), self.clock(self.clock_of(item)));
        match &item.hold {
            Hold::Held { since, .. } | Hold::Error { since, .. } => {
                (curve.at(clock.read(*since)), None)
            }
            Hold::None | Hold::Activation { .. } => {
                let shown = clock.read(now);
                let piece = curve.piece(shown);
                let next = Some(clock.reaches(piece.until)).filter(|until| *until != NEVER);
                (piece.at(shown), next)
            }
        }
    }
}
