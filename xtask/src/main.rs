//! The project's only task runner.

fn main() {}
