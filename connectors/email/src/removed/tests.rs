//! Which mail counts as gone, and what a lease says of it.

use std::collections::BTreeSet;

use serde_json::json;

use super::{N_WATCHED_MAX, Watched};
use crate::config::CaptureSettings;

fn watched(mails: &[(u32, u32, &str)]) -> Watched {
    let mut watched = Watched::default();
    watched.add(mails.iter().map(|(v, uid, thread)| ((*v, *uid), (*thread).to_owned())));
    watched
}

#[test]
fn a_conversation_is_gone_with_its_last_mail() {
    let mut watched = watched(&[(1, 3, "a"), (1, 4, "b"), (1, 5, "a"), (1, 6, "c")]);
    assert_eq!(watched.gone(1, &BTreeSet::from([5, 6])), [(4, "b".to_owned())]);
    // Nobody forgot it yet, so it is told again; the mail of `a` that went is no news.
    assert_eq!(watched.gone(1, &BTreeSet::from([6])), [(4, "b".to_owned()), (5, "a".to_owned())]);
    watched.forget(1, 4);
    watched.forget(1, 5);
    assert_eq!(watched.gone(1, &BTreeSet::from([6])), []);
}

#[test]
fn nothing_is_gone_when_the_folder_is_numbered_anew() {
    let mut watched = watched(&[(1, 3, "a"), (1, 4, "b")]);
    assert_eq!(watched.gone(2, &BTreeSet::new()), []);
    assert_eq!(watched.gone(1, &BTreeSet::new()), []);
}

#[test]
fn the_latest_are_watched() {
    let mut watched = Watched::default();
    let n_max = u32::try_from(N_WATCHED_MAX).unwrap();
    watched.add((1..=n_max + 2).map(|uid| ((1, uid), uid.to_string())));
    let gone = watched.gone(1, &BTreeSet::new());
    assert_eq!((gone.len(), gone[0].0), (N_WATCHED_MAX, 3));
}

#[test]
fn a_lease_is_asked_for_each_look_every_where_removals_matter() {
    let settings = |value| serde_json::from_value::<CaptureSettings>(value).unwrap();
    assert_eq!(settings(json!({})).lease(1, 2, "a").unwrap(), None);
    let settings = settings(json!({ "on_removed": "cancel", "look_every": "10s" }));
    let lease = settings.lease(1, 2, "a@b").unwrap().unwrap();
    assert_eq!((lease.for_ms, &*lease.token), (30_000, r#"{"v":1,"uid":2,"thread":"a@b"}"#));
    // The hub would refuse the mail for a token that is too long.
    assert_eq!(settings.lease(1, 2, &"\u{1}".repeat(200)).unwrap(), None);
}
