//! Case files of routing: `tests/cases/routing/*.toml`, each a story that a business user can
//! read and write. `README.md` beside them lists the sentences.
//!
//! A case goes through the real config, the real rules and the real engine, on a clock of its
//! own; no hub runs and nothing is stored.

mod case;
mod moment;
mod say;
mod world;

use std::path::{Path, PathBuf};

use case::Case;
use world::World;

/// Rows of the domain that have at least one case.
const ROWS: &[&str] = &[
    "C1", "C2", "C3", "C4", "C5", "D1", "D2", "D3", "D4", "D5", "D6", "D7", "D8", "E1", "E2", "E3",
    "E4", "E5", "E6", "E7", "E8", "E9", "E10", "E11", "E12", "E13", "F1", "F2", "F4",
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("cases/routing")
}

fn files() -> Vec<PathBuf> {
    let files = std::fs::read_dir(folder()).expect("the folder is there");
    let files = files.map(|file| file.expect("the folder can be read").path());
    let mut files: Vec<_> =
        files.filter(|file| file.extension().is_some_and(|e| e == "toml")).collect();
    files.sort();
    files
}

#[test]
fn routing_cases_come_true() {
    let mut failures = Vec::new();
    let mut told = 0;
    for file in files() {
        let played = |case: Case| World::new(&case, &folder())?.play(&case, &folder());
        match Case::read(&file).and_then(played) {
            Ok(sentences) => told += sentences,
            Err(failure) => {
                let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
                failures.push(format!("{name}: {failure}"));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
    println!("{told} expectations of the routing cases came true");
}

#[test]
fn every_row_has_a_case() {
    let cases = files().into_iter().map(|file| Case::read(&file).unwrap());
    let rows: Vec<String> = cases.flat_map(|case| case.rows).collect();
    let missing: Vec<_> = ROWS.iter().filter(|row| !rows.iter().any(|has| has == *row)).collect();
    assert!(missing.is_empty(), "no case for {missing:?}");
}
