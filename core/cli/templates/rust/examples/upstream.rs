//! `cargo run --example @name@_upstream`: the fake of the other system, until it is ended; for the
//! conformance suite it takes orders on its input.

#[path = "../src/upstream.rs"]
mod upstream;

use std::io;

use serde_json::{Value, json};

fn main() -> io::Result<()> {
    if std::env::var_os("GANTRY_TEST_FOLDER").is_some() {
        return obey();
    }
    let address = std::env::var("UPSTREAM").unwrap_or_else(|_| "127.0.0.1:7878".to_owned());
    println!("the fake upstream answers at {}", upstream::start(&address)?.0);
    loop {
        std::thread::park();
    }
}

/// What the conformance suite asks for, a line each way, until its end.
fn obey() -> io::Result<()> {
    let (endpoint, state) = upstream::start("127.0.0.1:0")?;
    println!("{}", json!({ "endpoint": endpoint }));
    for line in io::stdin().lines() {
        let asked: Value = serde_json::from_str(&line?)?;
        let mut state = state.lock().map_err(|_| io::Error::other("it broke down"))?;
        state.things += asked["put"].as_u64().unwrap_or(0) as usize;
        let told = json!({ "delivered": state.told });
        println!("{}", if asked["delivered"] == true { told } else { json!({}) });
    }
    Ok(())
}
