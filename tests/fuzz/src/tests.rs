//! Each target over its corpus and a fixed number of mutations, the same at each run.

use std::fs;
use std::path::PathBuf;

use super::TARGETS;

/// Mutations a target; a few seconds for all of them together.
const MUTATIONS: usize = 4_000;
/// Longest input that a mutation makes, in bytes.
const LEN_MAX: usize = 8 << 10;

/// A generator of numbers that look random: xorshift64, as Marsaglia (2003) gives it.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }
}

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let entries = fs::read_dir(&folder).unwrap();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

/// Another input, made of one or two of the corpus.
fn mutated(corpus: &[Vec<u8>], numbers: &mut Numbers) -> Vec<u8> {
    let mut bytes = corpus[numbers.below(corpus.len())].clone();
    for _ in 0..=numbers.below(4) {
        let at = numbers.below(bytes.len() + 1);
        match numbers.below(6) {
            0 if at < bytes.len() => bytes[at] ^= 1 << numbers.below(8),
            1 if at < bytes.len() => bytes[at] = numbers.next() as u8,
            2 => bytes.truncate(at),
            3 => bytes.insert(at, numbers.next() as u8),
            4 => {
                let other = &corpus[numbers.below(corpus.len())];
                let from = numbers.below(other.len() + 1);
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from..]);
            }
            _ => {
                let until = at + numbers.below(bytes.len() + 1 - at);
                let piece = bytes[at..until].to_vec();
                bytes.splice(at..at, piece);
            }
        }
    }
    bytes.truncate(LEN_MAX);
    bytes
}

#[track_caller]
fn withstands(target: &str) {
    let corpus = corpus(target);
    assert!(!corpus.is_empty(), "{target} has no corpus");
    for bytes in &corpus {
        super::run(target, bytes);
    }
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    for n in 0..MUTATIONS {
        let bytes = mutated(&corpus, &mut numbers);
        let ran = std::panic::catch_unwind(|| super::run(target, &bytes));
        assert!(ran.is_ok(), "{target} breaks at mutation {n}: {bytes:02x?}");
    }
}

#[test]
fn frames() {
    withstands("frames");
}

#[test]
fn greeting() {
    withstands("greeting");
}

#[test]
fn imap() {
    withstands("imap");
}

#[test]
fn mail() {
    withstands("mail");
}

#[test]
fn messages() {
    withstands("messages");
}

#[test]
fn library() {
    withstands("library");
}

#[test]
fn program() {
    withstands("program");
}

#[test]
fn each_target_has_a_corpus_and_a_binary_for_the_fuzzer() {
    let fuzz = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fuzz");
    for (target, _) in TARGETS {
        assert!(!corpus(target).is_empty(), "{target} has no corpus");
        let binary = fuzz.join("fuzz_targets").join(format!("{target}.rs"));
        assert!(binary.is_file(), "{} is missing", binary.display());
    }
}

#[test]
fn the_corpus_reaches_what_is_behind_the_first_checks() {
    let least = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/library/least");
    let said = gantry_plugin_host::inspect(&least).unwrap();
    assert_eq!(said.manifest.name, "a");
    assert!(said.library.is_some_and(|library| library.panic_unwind));
}
