//! libFuzzer over the target `mail`. The parser it stands on breaks over some mail, and that is
//! caught: only what unwinds out of the target counts, so the hook that ends at once is taken out.
#![no_main]

libfuzzer_sys::fuzz_target!(
    init: std::panic::set_hook(Box::new(|_| ())),
    |bytes: &[u8]| gantry_fuzz_targets::run("mail", bytes)
);
