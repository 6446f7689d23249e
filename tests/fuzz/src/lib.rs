//! What is fuzzed: whatever reads bytes that a plug-in, its author, a mail server or anybody who
//! sends mail wrote, before any of it is trusted. Each target takes any bytes, must not panic, and
//! checks what can be said of what was read; mostly, that the same is written again.
//!
//! `fuzz/` runs them under libFuzzer (`cargo xtask fuzz`); the tests here run them over the kept
//! corpus and a fixed number of its mutations, so that CI needs no fuzzer.
#![forbid(unsafe_code)]

mod files;
mod frames;
mod mail;
mod messages;

#[cfg(test)]
mod tests;

/// A name, and what is done with the bytes.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: [Target; 7] = [
    ("frames", frames::run),
    ("greeting", frames::greeting),
    ("imap", mail::imap),
    ("mail", mail::mail),
    ("messages", messages::run),
    ("library", files::library),
    ("program", files::program),
];

/// Runs the target of that name.
///
/// # Panics
/// If there is none, or it finds something.
pub fn run(name: &str, bytes: &[u8]) {
    let target = TARGETS.iter().find(|(known, _)| *known == name);
    let (_, run) = target.expect("invariant: whoever asks names one of the targets");
    run(bytes);
}
