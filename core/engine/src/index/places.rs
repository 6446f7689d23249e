//! Where each waiting item stands: its signature, and its place there.

use super::SignatureNo;
use crate::items::Slot;

const PAGE: usize = 1024;
const NOWHERE: (SignatureNo, u32) = (SignatureNo::MAX, 0);

/// Places by slot, in pages that are never moved.
#[derive(Debug, Default)]
pub(super) struct Places {
    pages: Vec<Box<[(SignatureNo, u32); PAGE]>>,
}

impl Places {
    pub(super) fn get(&self, slot: Slot) -> Option<(SignatureNo, u32)> {
        let page = self.pages.get(slot as usize / PAGE)?;
        Some(page[slot as usize % PAGE]).filter(|place| *place != NOWHERE)
    }

    pub(super) fn set(&mut self, slot: Slot, signature: SignatureNo, place: u32) {
        while self.pages.len() <= slot as usize / PAGE {
            self.pages.push(Box::new([NOWHERE; PAGE]));
        }
        self.pages[slot as usize / PAGE][slot as usize % PAGE] = (signature, place);
    }

    pub(super) fn take(&mut self, slot: Slot) -> Option<(SignatureNo, u32)> {
        let place = self.get(slot)?;
        self.pages[slot as usize / PAGE][slot as usize % PAGE] = NOWHERE;
        Some(place)
    }
}
