//! `cargo run --example upstream`: the fake of the other system, until it is ended.

#[path = "../src/upstream.rs"]
mod upstream;

fn main() -> std::io::Result<()> {
    let address = std::env::var("UPSTREAM").unwrap_or_else(|_| "127.0.0.1:7878".to_owned());
    println!("the fake upstream answers at {}", upstream::start(&address)?);
    loop {
        std::thread::park();
    }
}
