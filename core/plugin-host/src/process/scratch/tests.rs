//! What is in use stays, what is left goes.

use super::*;

#[test]
fn what_a_killed_hub_has_left_goes_and_what_is_in_use_stays() {
    let parent = tempfile::tempdir().unwrap();
    let used = Scratch::new_in(parent.path(), 0o700).unwrap();
    let left = parent.path().join(format!("{PREFIX}left"));
    fs::create_dir(&left).unwrap();
    fs::write(left.join("a file"), "of a plug-in").unwrap();
    let others = parent.path().join("somebody-else");
    fs::create_dir(&others).unwrap();

    assert_eq!(sweep(parent.path()), 1);
    assert!(!left.exists());
    assert!(used.path().exists() && others.exists());
    let path = used.path().to_owned();
    drop(used);
    assert!(!path.exists(), "it vanishes with its plan");
}
