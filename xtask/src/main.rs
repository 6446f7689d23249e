//! The project's only task runner: `cargo xtask demo | test | bench | soak | fuzz | tidy`.
//!
//! It is small on purpose: it must be built before it can say anything. What takes a database or
//! a web client lives in the packages that it builds and starts.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a task runner talks to people")]

mod bench;
mod build;
mod clients;
mod demo;
mod fuzz;
mod packages;
mod peers;
mod sdk;
mod soak;
mod test;
mod tidy;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Builds, shows, tests and measures Gantry.
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Build everything and start a hub with plug-ins, agents and real-looking work.
    ///
    /// Example: `cargo xtask demo` and open the page it prints;
    /// `cargo xtask demo --once --json` plays all the work through and ends.
    Demo(demo::Options),
    /// Install what the tests need, then run them all.
    Test(test::Options),
    /// Measure, beside a peer or the machine's own limit in the same run.
    ///
    /// Example: `cargo xtask bench plugin --json`
    Bench(bench::Options),
    /// Play random worlds through the engine and compare every decision with brute force.
    ///
    /// Example: `cargo xtask soak oracle --decisions 1000000 --seed 7`. What they disagree about
    /// is printed as a case file, as small as it goes.
    Soak(soak::Options),
    /// Feed the readers of foreign bytes with what nobody thought of, by libFuzzer.
    ///
    /// Example: `cargo xtask fuzz frames --seconds 600`. What breaks one lies in `fuzz/artifacts`.
    Fuzz(fuzz::Options),
    /// Run the plug-in host's tests, libraries and all, with AddressSanitizer.
    Asan,
    /// Run those of them that stay in one process under valgrind.
    Valgrind,
    /// Check the rules that a machine can see: layers, file sizes, module docs, error pages.
    Tidy,
}

fn main() -> ExitCode {
    let result = match Args::parse().task {
        Task::Demo(options) => demo::run(&options),
        Task::Test(options) => test::run(&options),
        Task::Bench(options) => bench::run(&options),
        Task::Soak(options) => soak::run(&options),
        Task::Fuzz(options) => fuzz::run(&options),
        Task::Asan => fuzz::address_sanitizer(),
        Task::Valgrind => fuzz::valgrind(),
        Task::Tidy => tidy::run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
