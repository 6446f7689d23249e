//! Windows: when a span of an item's time is over.
//!
//! A share of the SLA runs in the time that the SLA runs in: in working time if the SLA is one
//! of working time, else on the wall clock.

use gantry_model::spec::{Sla, Span};
use gantry_model::{Timestamp, WorkItem};

use crate::clock::CurveClock;
use crate::curve::sla_share;
use crate::routes::Routes;

/// The clocks that an item's windows run in.
pub(crate) struct Windows<'a> {
    item: &'a WorkItem,
    /// That of its SLA.
    sla: CurveClock,
    /// That of the process whose queue it is in; the wall's if it has no calendar.
    business: CurveClock,
}

impl<'a> Windows<'a> {
    pub(crate) fn new(routes: &Routes, item: &'a WorkItem) -> Self {
        let given = item.class.as_ref().and_then(|class| class.sla);
        let sla = match given.or_else(|| routes.process(item)?.sla) {
            Some(Sla::Business(_) | Sla::Workdays(_)) => routes.business_clock(item.process()),
            Some(Sla::Wall(_)) | None => CurveClock::Wall,
        };
        Self { item, sla, business: routes.business_clock(routes.queue_name(item)) }
    }

    /// When a span that begins at `from` is over. `None` for a share of an SLA that the item does
    /// not have; [`crate::curve::NEVER`] if there is not so much working time left.
    pub(crate) fn end(&self, span: Span, from: Timestamp) -> Option<Timestamp> {
        Some(match span {
            Span::Time(time) => CurveClock::Wall.after(from, time),
            Span::Business(time) => self.business.after(from, time),
            Span::SlaPermille(0) => from,
            Span::SlaPermille(share) => {
                let due = self.sla.read(self.item.due_at?);
                let whole = due.since(self.sla.read(self.item.anchor_at));
                self.sla.after(from, sla_share(whole, share))
            }
            Span::BeforeSla(time) => {
                let due = self.sla.read(self.item.due_at?);
                self.sla.reaches(Timestamp(due.0.saturating_sub(time.0.max(0)))).max(from)
            }
        })
    }
}
