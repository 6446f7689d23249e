//! libFuzzer over the target `library`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gantry_fuzz_targets::run("library", bytes));
