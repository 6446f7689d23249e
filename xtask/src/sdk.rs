//! The tests of the packages for authors in other languages, by each language's own means.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Result;

use crate::build::{root, run as run_command, target_folder};

/// The type checkers, of which each package needs only the check.
const MYPY: &str = "mypy==2.*";
const TYPESCRIPT: [&str; 2] = ["typescript@5", "@types/node@20"];

/// Runs all checks whose programs can be had, and says loudly which cannot.
pub(crate) fn run() -> Result<()> {
    let tools = target_folder()?.join("sdk-tools");
    let folder = root().join("plugin-api/python");
    if starts(Path::new("python3")) {
        run_in(&folder, Path::new("python3"), &["-m", "unittest", "discover", "-t", ".", "tests"])?;
        match mypy(&tools) {
            Some(mypy) => {
                let example = "../../examples/python-plugin/plug.py";
                run_in(&folder, &mypy, &["--strict", "gantry_plugin", "tests", example])?;
            }
            None => skipped("the types of the Python package", MYPY),
        }
    } else {
        skipped("the Python package", "python3");
    }
    let folder = root().join("plugin-api/node");
    if starts(Path::new("node")) {
        let reporter = "--test-reporter=dot";
        let tests = ["--test", reporter, "test/config.test.js", "test/process.test.js"];
        run_in(&folder, Path::new("node"), &tests)?;
        match tsc(&tools) {
            Some(tsc) => check_types(&folder.join("test"), &tsc, &tools)?,
            None => skipped("the types of the JavaScript package", TYPESCRIPT[0]),
        }
    } else {
        skipped("the JavaScript package", "node");
    }
    Ok(())
}

fn check_types(folder: &Path, tsc: &Path, tools: &Path) -> Result<()> {
    let types = tools.join("node_modules/@types");
    let mut command = Command::new(tsc);
    command.args(["--noEmit", "--strict", "--target", "es2022", "--module", "nodenext"]);
    command.arg("--typeRoots").arg(types).args(["--types", "node", "types.ts"]);
    run_command(command.current_dir(folder))
}

/// Mypy, installed into a folder of its own where it is missing; none if it cannot be had.
fn mypy(tools: &Path) -> Option<PathBuf> {
    let program = tools.join("python/bin/mypy");
    if !starts(&program) {
        let folder = tools.join("python");
        let made = quiet(Command::new("python3").args(["-m", "venv"]).arg(&folder));
        let pip = folder.join("bin/pip");
        let _installed = made && quiet(Command::new(pip).args(["install", "--quiet", MYPY]));
    }
    starts(&program).then_some(program)
}

/// The TypeScript compiler, likewise.
fn tsc(tools: &Path) -> Option<PathBuf> {
    let program = tools.join("node_modules/.bin/tsc");
    if !starts(&program) {
        let mut npm = Command::new("npm");
        npm.args(["install", "--silent", "--no-save", "--prefix"]).arg(tools).args(TYPESCRIPT);
        let _installed = quiet(&mut npm);
    }
    starts(&program).then_some(program)
}

fn run_in(folder: &Path, program: &Path, arguments: &[&str]) -> Result<()> {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder);
    // The tree stays as it is.
    command.env("PYTHONDONTWRITEBYTECODE", "1").env("MYPY_CACHE_DIR", "/dev/null");
    // The examples find the package where it stands.
    command.env("MYPYPATH", root().join("plugin-api/python"));
    run_command(&mut command)
}

fn starts(program: &Path) -> bool {
    quiet(Command::new(program).arg("--version"))
}

fn quiet(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|end| end.success())
}

fn skipped(what: &str, missing: &str) {
    eprintln!("SKIPPED {what}: {missing} cannot be had");
}
