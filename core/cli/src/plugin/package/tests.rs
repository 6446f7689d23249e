//! Packages that somebody has tampered with.

use std::fs::{self, File};

use super::*;

/// A package of these entries; gives why it is refused, and what lies outside of the folder then.
fn refused(entries: &[(&str, EntryType, &str)]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("package.tar.gz");
    let mut archive =
        Builder::new(GzEncoder::new(File::create(&file).unwrap(), Compression::default()));
    for (path, kind, content) in entries {
        let mut header = Header::new_gnu();
        header.set_entry_type(*kind);
        header.set_mode(0o644);
        // Written as they are: the builder itself would refuse some of them.
        header.as_gnu_mut().unwrap().name[..path.len()].copy_from_slice(path.as_bytes());
        let data = if *kind == EntryType::Symlink {
            header.set_link_name_literal(content).unwrap();
            ""
        } else {
            content
        };
        header.set_size(data.len() as u64);
        header.set_cksum();
        archive.append(&header, data.as_bytes()).unwrap();
    }
    archive.into_inner().unwrap().finish().unwrap();
    let inside = folder.path().join("inside");
    fs::create_dir(&inside).unwrap();
    let error = unpack(&file, &inside).err().expect("it was unpacked");
    let outside = fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(outside, 2, "something lies outside");
    format!("{error:#}")
}

const SHOP: &str = r#"{"form": 1, "name": "shop", "version": "1", "sha256": "0", "entry": "shop"}"#;

#[test]
fn nothing_is_unpacked_outside_of_the_plug_in() {
    use EntryType::{Directory, Link, Regular, Symlink};
    let about = (ABOUT, Regular, SHOP);
    let says = |entries: &[(&str, EntryType, &str)], text: &str| {
        let error = refused(&[&[about], entries].concat());
        assert!(error.contains(text), "{error}");
    };
    for path in ["../x", "shop/../../x", "/tmp/gantry-x", "other", "shop.so", "."] {
        says(&[(path, Regular, "x")], "does not belong in it");
    }
    let folder = ("shop", Directory, "");
    says(&[folder, ("shop/up", Symlink, "../.."), ("shop/up/x", Regular, "x")], "is no folder");
    says(&[folder, ("shop/etc", Symlink, "/etc")], "a link to `/etc`");
    says(&[folder, ("shop/x", Link, "/etc/passwd")], "neither file, folder nor link");
    says(&[folder, ("shop/x", Regular, "1"), ("shop/x", Regular, "2")], "unpacking `shop/x`");
    says(&[("shop/x", Regular, "x")], "`");
}

#[test]
fn what_is_no_package_says_so() {
    let regular = EntryType::Regular;
    assert!(refused(&[("other.json", regular, "{}")]).contains("begins without"));
    assert!(refused(&[]).contains("it is empty"));
    let later = SHOP.replace("\"form\": 1", "\"form\": 2");
    assert!(refused(&[(ABOUT, regular, &later)]).contains("its form is 2"));
    for entry in ["../shop", "a/b", ".", ".hidden"] {
        let about = SHOP.replace("\"entry\": \"shop\"", &format!("\"entry\": \"{entry}\""));
        let error = refused(&[(ABOUT, regular, &about), (entry, EntryType::Directory, "")]);
        assert!(error.contains("does not belong in it"), "{error}");
    }
}
