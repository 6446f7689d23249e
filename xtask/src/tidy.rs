//! `cargo xtask tidy`: the rules of the house that a machine can see.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::build::{metadata, root};

/// Who may import whom, beside crates of other people. A package that is not listed may import
/// nothing of ours.
const LAYERS: &[(&str, &[&str])] = &[
    ("gantry-rules", &["gantry-model"]),
    ("gantry-engine", &["gantry-model"]),
    ("gantry-simulation", &["gantry-model", "gantry-engine"]),
    ("gantry-store", &["gantry-model"]),
    ("gantry-config", &["gantry-model", "gantry-rules"]),
    ("gantry-plugin-host", &["gantry-plugin-api"]),
    ("gantry-plugin-http", &["gantry-plugin-api"]),
    ("gantry-plugin-sweep", &["gantry-plugin-api"]),
    ("gantry-plugin-testkit", &["gantry-plugin-api", "gantry-plugin-host"]),
    ("gantry-hub", &["gantry-model", "gantry-engine", "gantry-store"]),
    (
        "gantry-pipeline",
        &["gantry-model", "gantry-rules", "gantry-hub", "gantry-store", "gantry-plugin-host"],
    ),
    ("gantry-web", &["gantry-model", "gantry-hub", "gantry-store"]),
    ("gantry-server", ANY),
    ("gantry-cli", ANY),
    ("gantry-tests", ANY),
    (
        "gantry-fuzz-targets",
        &["gantry-imap", "gantry-mail", "gantry-plugin-api", "gantry-plugin-host"],
    ),
];

/// May import everything of ours.
const ANY: &[&str] = &["*"];

/// Packages outside `core/` that see [`FOR_AUTHORS`] and nothing else of ours.
const AUTHORS: [&str; 3] = ["connectors/", "examples/", "core/plugin-host/tests/plugins/"];

/// What authors of plug-ins import.
const FOR_AUTHORS: &[&str] = &["gantry-plugin-api", "gantry-plugin-http", "gantry-plugin-sweep"];

/// Libraries of one connector: they import nothing of ours, and beside it only those of [`ANY`] and
/// the fuzz targets import them.
const PARTS: &[(&str, &str)] =
    &[("gantry-imap", "gantry-connector-email"), ("gantry-mail", "gantry-connector-email")];

/// The two packages that may hold unsafe code, each block with its `// SAFETY:`.
const MAY_BE_UNSAFE: [&str; 2] = ["gantry-plugin-api", "gantry-plugin-host"];

const LINES_MAX: usize = 600;
const COLUMNS_MAX: usize = 100;

/// Files that may be longer, each with its reason.
const LONG_FILES: &[(&str, &str)] = &[];

/// Licences that go together with Apache-2.0 in one binary.
const LICENCES: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "BlueOak-1.0.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

pub(crate) fn run() -> Result<()> {
    let mut faults = Vec::new();
    check_layers(&mut faults)?;
    check_licences(&mut faults)?;
    let mut files = Vec::new();
    collect(&root(), &mut files)?;
    for file in &files {
        check_file(file, &mut faults)?;
    }
    check_error_pages(&files, &mut faults)?;
    if faults.is_empty() {
        return Ok(());
    }
    for fault in &faults {
        eprintln!("tidy: {fault}");
    }
    bail!("tidy found {} faults", faults.len());
}

/// Checks the imports between our packages, and `forbid(unsafe_code)` in each.
fn check_layers(faults: &mut Vec<String>) -> Result<()> {
    let metadata = metadata(&["--no-deps"])?;
    for package in metadata["packages"].as_array().context("no packages")? {
        let name = text(package, "name");
        let folder = PathBuf::from(text(package, "manifest_path"));
        let folder = folder.parent().context("a manifest lies in a folder")?;
        let is_author = folder
            .strip_prefix(root())
            .is_ok_and(|path| AUTHORS.iter().any(|author| path.starts_with(author)));
        let is_part = PARTS.iter().any(|(part, _)| *part == name);
        let allowed = if is_author && !is_part { FOR_AUTHORS } else { layer(name) };
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let import = text(dependency, "name");
            let ours = dependency["path"].is_string();
            // Tests may look at what lies above them: they ship nothing.
            let in_tests = dependency["kind"] == "dev";
            let may = allowed.contains(&import) || PARTS.contains(&(import, name));
            if ours && !in_tests && allowed != ANY && !may {
                faults.push(format!("{name} must not import {import}"));
            }
        }
        check_unsafe(name, folder, faults)?;
    }
    Ok(())
}

fn layer(package: &str) -> &'static [&'static str] {
    LAYERS.iter().find(|(name, _)| *name == package).map_or(&[], |(_, allowed)| allowed)
}

fn check_unsafe(name: &str, folder: &Path, faults: &mut Vec<String>) -> Result<()> {
    if MAY_BE_UNSAFE.contains(&name)
        || folder.components().any(|part| part.as_os_str() == "plugins")
    {
        return Ok(());
    }
    for root_file in ["src/lib.rs", "src/main.rs"] {
        let path = folder.join(root_file);
        if path.exists() && !fs::read_to_string(&path)?.contains("#![forbid(unsafe_code)]") {
            faults.push(format!("{}: wants #![forbid(unsafe_code)]", shown(&path)));
        }
    }
    Ok(())
}

fn check_licences(faults: &mut Vec<String>) -> Result<()> {
    let metadata = metadata(&[])?;
    for package in metadata["packages"].as_array().context("no packages")? {
        let licence = text(package, "license").replace('/', " OR ");
        let acceptable = licence.split(" OR ").any(|choice| {
            choice
                .trim_matches(['(', ')', ' '])
                .split(" AND ")
                .all(|part| LICENCES.contains(&part.trim_matches(['(', ')', ' '])))
        });
        if !acceptable {
            faults.push(format!("{}: licence {licence:?} is not listed", text(package, "name")));
        }
    }
    Ok(())
}

/// Checks one source file: its doc, its length, its columns, and that no test sleeps.
fn check_file(file: &Path, faults: &mut Vec<String>) -> Result<()> {
    if !is_rust(file) {
        return Ok(());
    }
    let (path, content) = (shown(file), fs::read_to_string(file)?);
    if !content.starts_with("//!") {
        faults.push(format!("{path}: starts without a //! that says what it is for"));
    }
    let lines = content.lines().count();
    if lines > LINES_MAX && !LONG_FILES.iter().any(|(long, _)| *long == path) {
        faults.push(format!("{path}: {lines} lines, at most {LINES_MAX}"));
    }
    for (number, line) in content.lines().enumerate() {
        // Text that people read is not torn apart for the sake of a column.
        let holds_text = line.contains('"');
        if line.chars().count() > COLUMNS_MAX && !holds_text {
            faults.push(format!("{path}:{}: over {COLUMNS_MAX} columns", number + 1));
        }
    }
    Ok(())
}

/// Every code that a user can see has a section in `docs/errors.md`, and every section a code.
fn check_error_pages(files: &[PathBuf], faults: &mut Vec<String>) -> Result<()> {
    let page = root().join("docs/errors.md");
    let documented: BTreeSet<String> = fs::read_to_string(&page)
        .with_context(|| format!("reading {}", shown(&page)))?
        .lines()
        .filter_map(|line| line.strip_prefix("### "))
        .map(|heading| heading.split_whitespace().next().unwrap_or_default().to_owned())
        .collect();
    let mut used = BTreeSet::new();
    for file in files.iter().filter(|file| in_product(file)) {
        used.extend(codes(&fs::read_to_string(file)?));
    }
    for code in used.difference(&documented) {
        faults.push(format!("docs/errors.md: has no section \"### {code}\""));
    }
    for code in documented.difference(&used) {
        faults.push(format!("docs/errors.md: {code} is not used any more"));
    }
    Ok(())
}

/// Error codes in a text: `GANTRY-`, a letter, three digits.
fn codes(content: &str) -> impl Iterator<Item = String> + '_ {
    const PREFIX: &str = "GANTRY-";
    content.match_indices(PREFIX).filter_map(|(at, _)| {
        let code = content.get(at..at + PREFIX.len() + 4)?;
        let mut tail = code[PREFIX.len()..].chars();
        let is_code = tail.next()?.is_ascii_uppercase() && tail.all(|c| c.is_ascii_digit());
        is_code.then(|| code.to_owned())
    })
}

fn is_rust(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension == "rs")
}

fn in_product(file: &Path) -> bool {
    let path = shown(file);
    let is_source = path.contains("/src/") && is_rust(file) && !path.ends_with("tests.rs");
    is_source && !path.contains("/tests/") && !path.starts_with("xtask")
}

/// All files of the tree that cargo or people wrote, without build products.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with('.') || name == "target" || name == "node_modules" {
            continue;
        }
        if path.is_dir() {
            collect(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}
