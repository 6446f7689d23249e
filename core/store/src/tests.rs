//! Laws of the small parts: lists of commits, mount points, spreads, addresses.

use std::path::Path;
use std::time::Duration;

use crate::sqlite::{file_system, push_seq, read_seqs};
use crate::timing::Timing;

#[test]
fn lists_of_commits_read_back_and_damaged_ones_do_not() {
    let seqs = [0, 1, 127, 128, 300, 1 << 20, u64::from(u32::MAX), u64::MAX];
    let mut list = Vec::new();
    for seq in seqs {
        push_seq(&mut list, seq);
    }
    assert_eq!(read_seqs(&list).as_deref(), Some(&seqs[..]));
    assert_eq!(read_seqs(&[]), Some(Vec::new()));
    assert_eq!(read_seqs(&[0x80]), None, "ends within a number");
    assert_eq!(read_seqs(&[0xff; 11]), None, "too large");
}

#[test]
fn the_longest_mount_point_decides_the_file_system() {
    let mounts = "22 1 254:0 / / rw - ext4 /dev/vda rw\n\
                  30 22 0:40 / /srv rw,relatime shared:1 - nfs4 host:/srv rw\n\
                  31 30 0:41 / /srv/local\\040disk rw - xfs /dev/vdb rw\n\
                  32 22 0:42 / /tmp rw - ext4 /dev/vdc rw\n\
                  33 32 0:43 / /tmp rw - tmpfs tmpfs rw\n";
    let of = |path| file_system(mounts, Path::new(path));
    assert_eq!(of("/var/lib"), Some("ext4"));
    assert_eq!(of("/srv/gantry"), Some("nfs4"));
    assert_eq!(of("/srvx"), Some("ext4"), "a mount point is a whole folder");
    assert_eq!(of("/srv/local disk/db"), Some("xfs"));
    assert_eq!(of("/tmp"), Some("tmpfs"), "the later mount hides the earlier");
    assert_eq!(file_system("nonsense", Path::new("/")), None);
}

#[test]
fn spreads_keep_the_latest_and_the_worst() {
    let timing = Timing::default();
    timing.note(Duration::from_millis(90));
    for micros in 1..=5_000 {
        timing.note(Duration::from_micros(micros));
    }
    let spread = timing.spread();
    assert_eq!((spread.count, spread.max_micros), (5_001, 90_000));
    assert!((2_900..3_000).contains(&spread.p50_micros), "{spread:?}");
    assert!((4_900..5_000).contains(&spread.p99_micros), "{spread:?}");
}

#[test]
fn only_known_addresses_are_taken() {
    assert_eq!(crate::path("sqlite:gantry.db").unwrap(), "gantry.db");
    assert_eq!(crate::path("sqlite:///var/gantry.db").unwrap(), "/var/gantry.db");
    for wrong in ["", "gantry.db", "sqlite:", "sqlite://", "mysql://host/db"] {
        let error = crate::path(wrong).unwrap_err();
        assert!(error.to_string().contains("sqlite:PATH"), "{error}");
    }
}
