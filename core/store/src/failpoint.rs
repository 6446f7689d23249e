//! Planned deaths at named places, for tests that kill the hub.
//!
//! `GANTRY_FAILPOINT=store.after_commit:37` aborts the process when it passes that place for the
//! 37th time; several are separated by commas. Always compiled in, so that what is tested is what
//! is shipped; unset, a place costs one load.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// The variable that names the places.
pub const VARIABLE: &str = "GANTRY_FAILPOINT";

/// Before a commit begins.
pub const BEFORE_COMMIT: &str = "store.before_commit";
/// In the middle of a commit: rows are written, the transaction is not committed.
pub const MID_COMMIT: &str = "store.mid_commit";
/// When a commit is durable, and nobody has been told.
pub const AFTER_COMMIT: &str = "store.after_commit";

struct Place {
    name: String,
    passes_left: AtomicU64,
}

static PLACES: OnceLock<Vec<Place>> = OnceLock::new();

/// Aborts the process if this is the pass that [`VARIABLE`] names.
///
/// # Panics
/// On first use, if the variable is set and cannot be read: a kill test that kills nothing is
/// worse than none.
pub fn failpoint(name: &str) {
    let places = PLACES.get_or_init(|| match std::env::var(VARIABLE) {
        Ok(text) => parse(&text).unwrap_or_else(|| panic!("{VARIABLE}={text:?}: write NAME:COUNT")),
        Err(_) => Vec::new(),
    });
    for place in places.iter().filter(|place| place.name == name) {
        if place.passes_left.fetch_sub(1, Ordering::SeqCst) == 1 {
            std::process::abort();
        }
    }
}

fn parse(text: &str) -> Option<Vec<Place>> {
    text.split(',')
        .map(|part| {
            let (name, count) = part.trim().split_once(':')?;
            let passes: u64 = count.parse().ok().filter(|passes| *passes > 0)?;
            Some(Place { name: name.into(), passes_left: AtomicU64::new(passes) })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn places_are_read_and_nonsense_is_refused() {
        let places = parse("store.after_commit:37, store.mid_commit:1").unwrap();
        assert_eq!(places.len(), 2);
        assert_eq!(places[0].name, "store.after_commit");
        assert_eq!(places[0].passes_left.load(std::sync::atomic::Ordering::SeqCst), 37);
        for wrong in ["", "store.after_commit", "x:0", "x:-1", "x:many"] {
            assert!(parse(wrong).is_none(), "{wrong}");
        }
    }
}
