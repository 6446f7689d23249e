//! What many items have in common, kept once: capture points and classes, by number.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::FixedState;
use gantry_model::item::Classification;
use gantry_model::name::Name;

/// The number of a class that an item does not have.
pub(super) const NO_CLASS: u32 = u32::MAX;

/// Shared values by number.
#[derive(Debug, Default)]
pub(super) struct Shared {
    points: Vec<Name>,
    classes: Vec<Option<Counted>>,
    vacant: Vec<u32>,
    /// By value, and by where the kept value lies: most items bring the kept one itself.
    by_value: HashMap<Arc<Classification>, u32, FixedState>,
    by_address: HashMap<usize, u32, FixedState>,
}

/// A class and how many items have it.
#[derive(Debug)]
struct Counted {
    class: Arc<Classification>,
    count: u32,
}

impl Shared {
    /// The number of a capture point; `None` beyond the 65,536th.
    pub(super) fn point_no(&mut self, point: &Name) -> Option<u16> {
        let known = self.points.iter().position(|known| known == point);
        let no = known.unwrap_or(self.points.len());
        let short = u16::try_from(no).ok()?;
        if known.is_none() {
            self.points.push(point.clone());
        }
        Some(short)
    }

    pub(super) fn point(&self, no: u16) -> &Name {
        &self.points[usize::from(no)]
    }

    pub(super) fn class(&self, no: u32) -> Option<&Arc<Classification>> {
        Some(&self.classes.get(no as usize)?.as_ref()?.class)
    }

    /// The number of a class that one more item has.
    pub(super) fn class_no(&mut self, class: &Arc<Classification>) -> u32 {
        let address = Arc::as_ptr(class) as usize;
        let known = self.by_address.get(&address).or_else(|| self.by_value.get(class));
        if let Some(no) = known.copied() {
            if let Some(counted) = &mut self.classes[no as usize] {
                counted.count += 1;
            }
            return no;
        }
        let counted = Some(Counted { class: Arc::clone(class), count: 1 });
        let no = if let Some(no) = self.vacant.pop() {
            self.classes[no as usize] = counted;
            no
        } else {
            self.classes.push(counted);
            self.classes.len() as u32 - 1
        };
        self.by_value.insert(Arc::clone(class), no);
        self.by_address.insert(address, no);
        no
    }

    /// One item less has a class; nobody's is forgotten.
    pub(super) fn release_class(&mut self, no: u32) {
        let Some(kept) = self.classes.get_mut(no as usize) else {
            return;
        };
        let Some(counted) = kept else { return };
        counted.count -= 1;
        if counted.count == 0 {
            self.by_value.remove(&counted.class);
            self.by_address.remove(&(Arc::as_ptr(&counted.class) as usize));
            *kept = None;
            self.vacant.push(no);
        }
    }

    /// `true` if no item has a class.
    #[cfg(test)]
    pub(super) fn nothing_is_shared(&self) -> bool {
        self.classes.iter().all(Option::is_none) && self.by_value.is_empty()
    }
}
