//! libFuzzer over the target `imap`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gantry_fuzz_targets::run("imap", bytes));
