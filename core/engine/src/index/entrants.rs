//! Waiting items as their tournaments see them: curves, and who came first.

use std::sync::Arc;

use gantry_model::decision::Stage;
use gantry_model::item::Classification;
use gantry_model::priority::Priority;
use gantry_model::spec::PrioritySchema;
use gantry_model::{ItemId, Timestamp};

use super::SignatureNo;
use crate::clock::CurveClock;
use crate::curve::{Curve, Piece};
use crate::items::{ClassNo, Glance, Items, Slot};
use crate::routes::Routes;
use crate::tournament::Entrants;

/// What the active config version says of each class of items, looked up once.
#[derive(Debug, Default)]
pub(super) struct Classes(Vec<Option<Class>>);

/// A class of items in the active config version.
#[derive(Debug)]
struct Class {
    found: Arc<Classification>,
    schema: Option<(Arc<PrioritySchema>, CurveClock)>,
    /// Signatures of plain items, by the stage that they have reached.
    signatures: Vec<(Stage, SignatureNo)>,
}

/// All waiting items.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field<'a> {
    pub(super) items: &'a Items,
    pub(super) routes: &'a Routes,
    pub(super) classes: &'a Classes,
}

impl Classes {
    /// Looks a class up. Numbers are used again, so it may be another one than before.
    pub(super) fn know(&mut self, no: ClassNo, class: &Arc<Classification>, routes: &Routes) {
        let at = no as usize;
        if self.0.len() <= at {
            self.0.resize_with(at + 1, || None);
        }
        if self.0[at].as_ref().is_none_or(|known| !Arc::ptr_eq(&known.found, class)) {
            self.0[at] = Some(Class {
                found: Arc::clone(class),
                schema: curve(class, routes),
                signatures: Vec::new(),
            });
        }
    }

    /// Looks the curves up anew; the signatures are still right.
    pub(super) fn recurve(&mut self, routes: &Routes) {
        for class in self.0.iter_mut().flatten() {
            class.schema = curve(&class.found, routes);
        }
    }

    pub(super) fn signature(&self, no: ClassNo, stage: Stage) -> Option<SignatureNo> {
        let known = self.0.get(no as usize)?.as_ref()?.signatures.iter();
        known.copied().find(|(reached, _)| *reached == stage).map(|(_, signature)| signature)
    }

    pub(super) fn note_signature(&mut self, no: ClassNo, stage: Stage, signature: SignatureNo) {
        if let Some(Some(known)) = self.0.get_mut(no as usize) {
            known.signatures.push((stage, signature));
        }
    }

    fn curve_of(&self, no: ClassNo) -> Option<&(Arc<PrioritySchema>, CurveClock)> {
        self.0.get(no as usize)?.as_ref()?.schema.as_ref()
    }
}

fn curve(class: &Classification, routes: &Routes) -> Option<(Arc<PrioritySchema>, CurveClock)> {
    let (schema, clock) = routes.schema(class)?;
    Some((Arc::clone(schema), routes.clock(clock).clone()))
}

impl Entrants for Field<'_> {
    fn piece(&self, slot: Slot, now: Timestamp) -> Piece {
        match self.items.glance(slot) {
            Glance::Plain { class, dates } => {
                match class.and_then(|(no, _)| self.classes.curve_of(no)) {
                    Some((schema, clock)) => dates.curve(schema, clock).piece(now),
                    None => Curve::Constant(Priority::default()).piece(now),
                }
            }
            Glance::Rich(item) => self.routes.curve(item).piece(now),
        }
    }

    fn since(&self, slot: Slot) -> Timestamp {
        self.items.since(slot)
    }

    fn id(&self, slot: Slot) -> ItemId {
        self.items.id(slot)
    }
}
