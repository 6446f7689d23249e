//! `cargo xtask fuzz`: the targets of `tests/fuzz` under libFuzzer, and the plug-in host under
//! AddressSanitizer and valgrind.
//!
//! Sanitizers are switched on with the tool chain that is installed, by `RUSTC_BOOTSTRAP`: nothing
//! of the product is ever built so.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use clap::Args;

use crate::build::{cargo, root, run as run_command, target_folder};

/// The targets, as `tests/fuzz` names them.
const TARGETS: [&str; 7] = ["frames", "greeting", "imap", "library", "mail", "messages", "program"];
/// Coverage that libFuzzer steers by. Source: the flags of cargo-fuzz.
const COVERAGE: &str = "--cfg fuzzing -Cpasses=sancov-module -Ccodegen-units=1 \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";
/// The libraries that are loaded find the sanitizer in the program that loads them.
const ADDRESS: &str = "-Zsanitizer=address -Clink-arg=-rdynamic";
/// Errors of memory that valgrind finds end the run with this.
const FOUND: &str = "--error-exitcode=9";

#[derive(Args)]
pub(crate) struct Options {
    /// Only this target.
    #[arg(value_parser = TARGETS)]
    target: Option<String>,
    /// How long each of them runs.
    #[arg(long, default_value_t = 60)]
    seconds: u32,
}

/// Fuzzes: what is found lies in `fuzz/artifacts`, and what is new goes into `target/fuzz-corpus`.
pub(crate) fn run(options: &Options) -> Result<()> {
    let chosen = |target: &&&str| options.target.as_deref().is_none_or(|only| only == **target);
    let targets: Vec<_> = TARGETS.iter().filter(chosen).collect();
    let folder = target_folder()?.join("fuzz");
    let triple = triple()?;
    let mut build = cargo();
    build.args(["build", "--release", "--manifest-path", "fuzz/Cargo.toml"]);
    build.args(["--target", &triple]).arg("--target-dir").arg(&folder);
    for target in &targets {
        build.args(["--bin", target]);
    }
    build.env("RUSTC_BOOTSTRAP", "1").env("RUSTFLAGS", format!("{COVERAGE} {ADDRESS}"));
    run_command(&mut build)?;
    let artifacts = root().join("fuzz/artifacts");
    std::fs::create_dir_all(&artifacts).context("making fuzz/artifacts")?;
    for target in targets {
        let found = target_folder()?.join("fuzz-corpus").join(target);
        std::fs::create_dir_all(&found).with_context(|| format!("making {}", found.display()))?;
        let mut fuzzer = Command::new(folder.join(&triple).join("release").join(target));
        fuzzer.arg(format!("-max_total_time={}", options.seconds));
        fuzzer.args(["-max_len=65536", "-timeout=10", "-print_final_stats=1"]);
        fuzzer.arg(format!("-artifact_prefix={}/{target}-", artifacts.display()));
        fuzzer.arg(&found).arg(root().join("fuzz/corpus").join(target));
        println!("== {target}");
        run_command(&mut fuzzer)?;
    }
    Ok(())
}

/// The tests of the plug-in host and of what crosses its boundary, and the libraries they load,
/// with AddressSanitizer.
pub(crate) fn address_sanitizer() -> Result<()> {
    let triple = triple()?;
    let folder = target_folder()?.join("asan");
    let mut tests = cargo();
    tests.args(["test", "--lib", "--package", "gantry-plugin-host"]);
    // By the environment: the tests build the libraries they load with another cargo.
    tests.env("CARGO_BUILD_TARGET", triple).env("CARGO_TARGET_DIR", folder);
    tests.env("RUSTC_BOOTSTRAP", "1").env("RUSTFLAGS", ADDRESS);
    // What a library leaves when the process ends is left on purpose: it is never unloaded.
    tests.env("ASAN_OPTIONS", "detect_leaks=0:handle_segv=0:handle_abort=0");
    tests.args(["--", "--test-threads=2"]);
    for test in SKIPPED {
        tests.args(["--skip", test]);
    }
    run_command(&mut tests)
}

/// Tests that cannot be under the sanitizer, which a plug-in's process has with its own settings:
/// it wants more address space than those limits leave, and it speaks up before the signal does
/// with which a plug-in ends itself on purpose.
const SKIPPED: [&str; 3] =
    ["memory", "whatever_ends_a_process_is_told", "who_fails_too_often_is_quarantined"];

/// The tests of the plug-in host that run in one process, under valgrind.
pub(crate) fn valgrind() -> Result<()> {
    let found = Command::new("valgrind").arg("--version").output();
    ensure!(found.is_ok(), "valgrind is not installed");
    let mut tests = cargo();
    // Those that call what was loaded; those that only read files would take very long.
    tests.args(["test", "--lib", "--package", "gantry-plugin-host", "--"]);
    tests.args(["calls", "inproc", "logs", "--test-threads=1"]);
    let runner = format!("valgrind --quiet {FOUND} --leak-check=no");
    let variable = triple()?.to_uppercase().replace('-', "_");
    tests.env(format!("CARGO_TARGET_{variable}_RUNNER"), runner);
    run_command(&mut tests)
}

/// What the tool chain builds for where nothing is said.
fn triple() -> Result<String> {
    let rustc = std::env::var_os("RUSTC").map_or_else(|| "rustc".into(), PathBuf::from);
    let output = Command::new(rustc).arg("-vV").output().context("starting rustc")?;
    let said = String::from_utf8(output.stdout).context("reading what rustc says of itself")?;
    let host = said.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(ToOwned::to_owned).context("rustc names no host")
}
