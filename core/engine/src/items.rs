//! Work items as they are kept: most of them packed into one cache line.
//!
//! An item that waits and to which nothing special has happened is kept as [`Packed`]: instants
//! as distances from its capture, its capture point and class as numbers. Any other item, such as
//! one that an agent has or that prefers an agent, is kept as it is. Nobody outside sees the
//! difference: [`Items::get`] gives a [`WorkItem`] either way.

mod packed;
mod shared;

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::FixedState;
use gantry_model::item::Classification;
use gantry_model::{ItemId, PartitionId, Timestamp, WorkItem};

use crate::routes::Dates;

use packed::Packed;
use shared::Shared;

/// Where an item is kept. It stays there until the item ends.
pub(crate) type Slot = u32;

/// Number of a class; it stays the same as long as there is a plain item of the class.
pub(crate) type ClassNo = u32;

const PAGE: usize = 1024;
const NOWHERE: Slot = Slot::MAX;

/// All items that have not ended.
#[derive(Debug, Default)]
pub(crate) struct Items {
    partition: PartitionId,
    /// Pages are never moved, so that growth never copies a million items at once.
    pages: Vec<Box<[Kept]>>,
    vacant: Vec<Slot>,
    /// Slots by the counter of the id. Read only by id: its order is nobody's.
    slots: HashMap<u64, IdPage, FixedState>,
    len: usize,
    shared: Shared,
}

#[derive(Clone, Debug, Default)]
enum Kept {
    #[default]
    Vacant,
    Packed(Packed),
    Rich(Box<WorkItem>),
}

/// Slots of neighbouring ids.
#[derive(Debug)]
struct IdPage {
    slots: Box<[Slot; PAGE]>,
    used: u16,
}

/// What the queue has to know of an item, at the cost of one memory access.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Glance<'a> {
    /// Nothing but its class and its dates.
    Plain {
        /// The class and its number.
        class: Option<(ClassNo, &'a Arc<Classification>)>,
        dates: Dates,
    },
    /// The item itself.
    Rich(&'a WorkItem),
}

impl Items {
    pub(crate) fn new(partition: PartitionId) -> Self {
        Self { partition, ..Self::default() }
    }

    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn slot(&self, id: ItemId) -> Option<Slot> {
        let (page, at) = position(id);
        let slot = self.slots.get(&page)?.slots[at];
        (slot != NOWHERE && id.partition() == self.partition).then_some(slot)
    }

    pub(crate) fn get(&self, id: ItemId) -> Option<WorkItem> {
        self.at(self.slot(id)?)
    }

    /// The item in a slot; `None` if the slot is vacant.
    pub(crate) fn at(&self, slot: Slot) -> Option<WorkItem> {
        match self.kept(slot) {
            Kept::Vacant => None,
            Kept::Packed(packed) => Some(packed.unpack(self.partition, &self.shared)),
            Kept::Rich(item) => Some(WorkItem::clone(item)),
        }
    }

    /// All items, in the order of their ids.
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = WorkItem> {
        self.in_order().map(|slot| self.at(slot).expect("invariant: an id leads to an item"))
    }

    /// All slots that hold an item, in the order of the items' ids.
    pub(crate) fn in_order(&self) -> impl ExactSizeIterator<Item = Slot> {
        let mut pages: Vec<u64> = self.slots.keys().copied().collect();
        pages.sort_unstable();
        let slots = pages.into_iter().flat_map(|page| self.slots[&page].slots.iter().copied());
        Counted { inner: slots.filter(|slot| *slot != NOWHERE), left: self.len }
    }

    /// Adds an item; `false` if there is one with this id already.
    pub(crate) fn insert(&mut self, item: WorkItem) -> bool {
        if self.slot(item.id).is_some() {
            return false;
        }
        let slot = self.vacancy();
        let (page, at) = position(item.id);
        let page = self.slots.entry(page).or_insert_with(IdPage::new);
        page.slots[at] = slot;
        page.used += 1;
        self.len += 1;
        *self.kept_mut(slot) = Kept::Rich(Box::new(item));
        true
    }

    /// Changes an item; `None` if there is no such item. It is kept as it is until
    /// [`Items::pack`], because what happens next often happens to the same item.
    pub(crate) fn change<T>(
        &mut self,
        id: ItemId,
        change: impl FnOnce(&mut WorkItem) -> T,
    ) -> Option<T> {
        let slot = self.slot(id)?;
        if let Kept::Packed(packed) = *self.kept(slot) {
            let item = packed.unpack(self.partition, &self.shared);
            packed.release(&mut self.shared);
            *self.kept_mut(slot) = Kept::Rich(Box::new(item));
        }
        match self.kept_mut(slot) {
            Kept::Rich(item) => Some(change(item)),
            Kept::Packed(_) | Kept::Vacant => None,
        }
    }

    /// Packs the item in a slot if nothing special has happened to it.
    pub(crate) fn pack(&mut self, slot: Slot) {
        let page = &mut self.pages[slot as usize / PAGE];
        let kept = &mut page[slot as usize % PAGE];
        if let Kept::Rich(item) = kept
            && let Some(packed) = Packed::pack(item, self.partition, &mut self.shared)
        {
            *kept = Kept::Packed(packed);
        }
    }

    pub(crate) fn remove(&mut self, id: ItemId) -> Option<Box<WorkItem>> {
        let slot = self.slot(id)?;
        let item = match self.take(slot) {
            Kept::Vacant => return None,
            Kept::Packed(packed) => {
                let item = packed.unpack(self.partition, &self.shared);
                packed.release(&mut self.shared);
                Box::new(item)
            }
            Kept::Rich(item) => item,
        };
        let (page_no, at) = position(id);
        let page = self.slots.get_mut(&page_no).expect("invariant: the slot was found here");
        page.slots[at] = NOWHERE;
        page.used -= 1;
        if page.used == 0 {
            self.slots.remove(&page_no);
        }
        self.len -= 1;
        self.vacant.push(slot);
        Some(item)
    }

    /// What the queue has to know of the item in a slot; something plain if the slot is vacant.
    pub(crate) fn glance(&self, slot: Slot) -> Glance<'_> {
        match self.kept(slot) {
            Kept::Packed(packed) => packed.glance(&self.shared),
            Kept::Rich(item) => Glance::Rich(item),
            Kept::Vacant => {
                let at = Timestamp::default();
                let dates = Dates { captured: at, anchor: at, due: None };
                Glance::Plain { class: None, dates }
            }
        }
    }

    /// Since when the item in a slot has been in routing, or was captured.
    pub(crate) fn since(&self, slot: Slot) -> Timestamp {
        match self.kept(slot) {
            Kept::Packed(packed) => packed.since(),
            Kept::Rich(item) => item.routing_at.unwrap_or(item.captured_at),
            Kept::Vacant => Timestamp(i64::MAX),
        }
    }

    /// The id of the item in a slot; the largest if the slot is vacant.
    pub(crate) fn id(&self, slot: Slot) -> ItemId {
        match self.kept(slot) {
            Kept::Packed(packed) => packed.id(self.partition),
            Kept::Rich(item) => item.id,
            Kept::Vacant => ItemId::from_u64(u64::MAX),
        }
    }

    /// The item in a slot, if anything special happened to it.
    pub(crate) fn special(&self, slot: Slot) -> Option<&WorkItem> {
        match self.kept(slot) {
            Kept::Rich(item) => Some(item),
            Kept::Packed(_) | Kept::Vacant => None,
        }
    }

    fn kept(&self, slot: Slot) -> &Kept {
        &self.pages[slot as usize / PAGE][slot as usize % PAGE]
    }

    fn kept_mut(&mut self, slot: Slot) -> &mut Kept {
        &mut self.pages[slot as usize / PAGE][slot as usize % PAGE]
    }

    fn vacancy(&mut self) -> Slot {
        if let Some(slot) = self.vacant.pop() {
            return slot;
        }
        let slot = self.len as Slot;
        if self.len == self.pages.len() * PAGE {
            self.pages.push(vec![Kept::Vacant; PAGE].into_boxed_slice());
        }
        slot
    }

    fn take(&mut self, slot: Slot) -> Kept {
        std::mem::take(self.kept_mut(slot))
    }
}

impl IdPage {
    fn new() -> Self {
        Self { slots: Box::new([NOWHERE; PAGE]), used: 0 }
    }
}

const fn position(id: ItemId) -> (u64, usize) {
    (id.counter() / PAGE as u64, (id.counter() % PAGE as u64) as usize)
}

/// An iterator that knows how much is left.
struct Counted<I> {
    inner: I,
    left: usize,
}

impl<I: Iterator> Iterator for Counted<I> {
    type Item = I::Item;

    fn next(&mut self) -> Option<I::Item> {
        let next = self.inner.next()?;
        self.left -= 1;
        Some(next)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<I: Iterator> ExactSizeIterator for Counted<I> {}

#[cfg(test)]
mod tests;
