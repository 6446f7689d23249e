//! Which processes are orphans.

use super::*;

#[test]
fn a_child_of_ours_in_a_session_of_its_own_is_an_orphan() {
    let (us, session) = (Pid::from_raw(100).unwrap(), Pid::from_raw(90));
    let orphan = |stat: &str| shows_orphan(stat, us, session);
    assert!(orphan("7 (sleep) S 100 7 7 0 -1 4194304"));
    assert!(orphan("7 (a) b (c) S 100 7 7 0 -1 4194304"), "a name may hold brackets");
    assert!(!orphan("7 (sleep) S 100 7 90 0 -1 4194304"), "in our session");
    assert!(!orphan("7 (sleep) S 1 7 7 0 -1 4194304"), "another's child");
}

#[test]
fn a_process_that_is_just_being_reaped_is_none() {
    let (us, session) = (Pid::from_raw(100).unwrap(), Pid::from_raw(90));
    for stat in ["7 (sleep) X 100 -1 -1 0 -1 4194304", "7 (sleep) Z 100 7 0 0", "7 (sleep", ""] {
        assert!(!shows_orphan(stat, us, session), "{stat}");
    }
}
