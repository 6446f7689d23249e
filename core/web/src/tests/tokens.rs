//! Tokens: what is issued is what is verified, and nothing else is.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use gantry_model::{Name, Timestamp};

use crate::token::{Claims, Key, KeyError, Role, TokenError, write_private};

const NOW: Timestamp = Timestamp(1_700_000_000_000);

fn claims(role: Role, expires_at: Option<Timestamp>) -> Claims {
    Claims { name: Name::new("Zoë"), role, expires_at }
}

fn key() -> Key {
    Key::from_bytes(&[42; 32])
}

#[test]
fn every_role_comes_back_as_it_was_issued() {
    let roles = [
        Role::Agent { agent: Name::new("anna") },
        Role::Supervisor,
        Role::Administrator,
        Role::Integrator { capture_point: None },
        Role::Integrator { capture_point: Some(Name::new("leads")) },
        Role::Auditor,
    ];
    for role in roles {
        let issued = claims(role, Some(Timestamp(NOW.0 + 1)));
        let token = key().issue(&issued);
        assert!(token.starts_with("gantry_"));
        assert_eq!(key().verify(&token, NOW), Ok(issued));
    }
}

#[test]
fn a_token_with_any_character_changed_is_refused() {
    let token = key().issue(&claims(Role::Administrator, None));
    for at in 0..token.len() {
        for other in ["A", "z", "_", ".", "é", ""] {
            let mut changed = token.clone();
            changed.replace_range(at..=at, other);
            if changed != token {
                assert!(key().verify(&changed, NOW).is_err(), "{changed}");
            }
        }
    }
}

#[test]
fn claims_of_one_token_do_not_go_with_the_signature_of_another() {
    let auditor = key().issue(&claims(Role::Auditor, None));
    let other = Key::from_bytes(&[43; 32]).issue(&claims(Role::Administrator, None));
    let (powerful, _) = other.split_once('.').unwrap();
    let (_, signature) = auditor.split_once('.').unwrap();
    let forged = format!("{powerful}.{signature}");
    assert_eq!(key().verify(&forged, NOW), Err(TokenError::Signature));
    assert_eq!(key().verify(&other, NOW), Err(TokenError::Signature));
}

#[test]
fn a_token_is_refused_from_its_end_on() {
    let token = key().issue(&claims(Role::Supervisor, Some(NOW)));
    assert!(key().verify(&token, Timestamp(NOW.0 - 1)).is_ok());
    assert_eq!(key().verify(&token, NOW), Err(TokenError::Expired(NOW)));
}

#[test]
fn nonsense_is_refused_without_a_panic() {
    let long = format!("gantry_{}.x", "A".repeat(1 << 20));
    for text in ["", ".", "gantry_", "gantry_.", "gantry_e30.e30", "x.y", "gantry_é.é", &long] {
        assert!(key().verify(text, NOW).is_err());
    }
}

#[test]
fn the_key_file_is_made_once_and_private() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gantry.key");
    let first = Key::load_or_create(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let token = first.issue(&claims(Role::Auditor, None));
    let again = Key::load_or_create(&path).unwrap();
    assert!(again.verify(&token, NOW).is_ok());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left behind");
}

#[test]
fn a_key_file_that_others_can_read_or_that_is_damaged_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gantry.key");
    write_private(&path, "too short").unwrap();
    let damaged = Key::load_or_create(&path).unwrap_err();
    assert!(matches!(damaged, KeyError::Length { found: 9, .. }), "{damaged}");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let exposed = Key::load_or_create(&path).unwrap_err();
    assert!(matches!(exposed, KeyError::Exposed { .. }), "{exposed}");
}

#[test]
fn a_key_does_not_show_itself() {
    assert_eq!(format!("{:?}", key()), "Key(…)");
}
