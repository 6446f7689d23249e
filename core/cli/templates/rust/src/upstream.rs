//! A fake of the other system, for the tests and for `gantry plugin dev`: it has 25 things and
//! their owners, and remembers what it was told.

use std::collections::BTreeSet;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::{Value, json};

const THINGS: usize = 25;
const BODY_MAX: u64 = 1 << 20;

/// Serves until the process ends; gives the endpoint.
pub(crate) fn start(address: &str) -> io::Result<String> {
    let listener = TcpListener::bind(address)?;
    let endpoint = format!("http://{}", listener.local_addr()?);
    let told = Arc::new(Mutex::new(BTreeSet::new()));
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let told = Arc::clone(&told);
            // Whoever hangs up gets no answer.
            thread::spawn(move || serve(stream, &told).ok());
        }
    });
    Ok(endpoint)
}

fn serve(stream: TcpStream, told: &Mutex<BTreeSet<String>>) -> io::Result<()> {
    let mut reader = BufReader::new(&stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let (mut token, mut key, mut length) = (None, String::new(), 0);
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        let Some((name, value)) = header.trim().split_once(": ") else { break };
        match name.to_ascii_lowercase().as_str() {
            "authorization" => token = Some(value.to_owned()),
            "idempotency-key" => key = value.to_owned(),
            "content-length" => length = value.parse().unwrap_or(0),
            _ => {}
        }
    }
    io::copy(&mut reader.take(length.min(BODY_MAX)), &mut io::sink())?;
    let wrong = token.is_some_and(|token| token != "Bearer let-me-in");
    let mut words = line.split(' ');
    let (method, target) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
    let (status, body) = match (method, target.split_once('?').unwrap_or((target, ""))) {
        _ if wrong => (401, Value::Null),
        ("GET", ("/", _)) => (200, json!({})),
        ("GET", ("/things", query)) => (200, things(query)),
        ("GET", (path, _)) => owner(path).map_or((404, Value::Null), |owner| (200, owner)),
        ("POST", ("/events", _)) => {
            let is_new = told.lock().is_ok_and(|mut told| told.insert(key));
            (if is_new { 201 } else { 409 }, Value::Null)
        }
        _ => (404, Value::Null),
    };
    let body = body.to_string();
    let head = format!("HTTP/1.1 {status} \r\ncontent-length: {}\r\nconnection: close", body.len());
    (&stream).write_all(format!("{head}\r\n\r\n{body}").as_bytes())
}

/// `after=3&limit=10`: things 4 to 13.
fn things(query: &str) -> Value {
    let number = |name: &str| {
        let values = query.split('&').filter_map(|pair| pair.split_once('='));
        values.filter(|(key, _)| *key == name).find_map(|(_, value)| value.parse::<usize>().ok())
    };
    let after = number("after").unwrap_or(0).min(THINGS);
    let end = after.saturating_add(number("limit").unwrap_or(THINGS)).min(THINGS);
    let thing = |id| json!({ "id": id, "name": format!("Thing {id}"), "owner": owner_of(id) });
    let list: Vec<Value> = (after + 1..=end).map(thing).collect();
    json!({ "things": list, "next": end.to_string(), "more": end < THINGS })
}

fn owner_of(id: usize) -> String {
    format!("C-{}", id % 3)
}

fn owner(path: &str) -> Option<Value> {
    let id = path.strip_prefix("/owners/C-")?.parse::<usize>().ok().filter(|id| *id < 3)?;
    Some(json!({ "id": format!("C-{id}"), "tier": if id == 0 { "gold" } else { "silver" } }))
}
