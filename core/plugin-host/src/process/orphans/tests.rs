//! Which processes are orphans.

use super::*;

fn is_orphan(stat: &str, session: i32) -> bool {
    let us = Pid::from_raw(100).unwrap();
    Stat::parse(stat).is_some_and(|stat| stat.is_orphan_of(us, session))
}

#[test]
fn a_child_of_ours_in_a_session_of_its_own_is_an_orphan() {
    assert!(is_orphan("7 (sleep) S 100 7 7 0 -1 4194304", 90));
    assert!(is_orphan("7 (a) b (c) S 100 7 7 0 -1 4194304", 90), "a name may hold brackets");
    assert!(!is_orphan("7 (sleep) S 100 7 90 0 -1 4194304", 90), "in our session");
    assert!(!is_orphan("7 (sleep) S 1 7 7 0 -1 4194304", 90), "another's child");
}

#[test]
fn a_process_that_is_just_being_reaped_is_none() {
    for stat in ["7 (sleep) X 100 -1 -1 0 -1 4194304", "7 (sleep) Z 100 7 0 0", "7 (sleep", ""] {
        assert!(!is_orphan(stat, 90), "{stat}");
    }
}

#[test]
fn a_hub_whose_session_was_begun_outside_of_its_container_finds_them_too() {
    assert!(is_orphan("7 (sleep) S 100 7 7 0 -1 4194304", 0));
    assert!(!is_orphan("7 (cargo) S 100 7 0 0 -1 4194304", 0), "in our session");
}
