//! The tree against a sorted list, under random changes.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// An order that is not that of the slots.
fn order(slot: u32) -> u32 {
    slot.wrapping_mul(2_654_435_761)
}

proptest! {
    #[test]
    fn agrees_with_a_sorted_list(
        changes in prop::collection::vec(
            (prop_oneof![0..40_u32, 1_000..1_060_u32, 20_000..20_020_u32],
             prop::option::weighted(0.7, 0..30_i64)),
            1..300,
        ),
    ) {
        let (mut minima, mut plain) = (Minima::default(), BTreeMap::new());
        for (slot, at) in changes {
            match at {
                Some(at) => plain.insert(slot, Timestamp(at)),
                None => plain.remove(&slot),
            };
            minima.set(slot, at.map_or(NEVER, Timestamp), order);
            prop_assert_eq!(minima.get(slot), at.map_or(NEVER, Timestamp));
            let first = plain.iter().min_by_key(|(slot, at)| (**at, order(**slot)));
            prop_assert_eq!(minima.first(), first.map(|(slot, at)| (*at, *slot)));
            let mut due = minima.until(Timestamp(12));
            due.sort_unstable();
            let wanted = plain.iter().filter(|(_, at)| at.0 <= 12).map(|(slot, _)| *slot);
            prop_assert_eq!(due, wanted.collect::<Vec<_>>());
        }
    }
}
