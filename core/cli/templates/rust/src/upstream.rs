//! A fake of the other system, for the tests, `gantry plugin dev` and `gantry plugin test`: it has
//! 25 things and their owners, and remembers what it was told.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::{Value, json};

const BODY_MAX: u64 = 1 << 20;

/// What it has and knows.
pub(crate) struct State {
    pub(crate) things: usize,
    /// How often each event took effect, by its key.
    pub(crate) told: BTreeMap<String, usize>,
}

/// Serves until the process ends; gives the endpoint.
pub(crate) fn start(address: &str) -> io::Result<(String, Arc<Mutex<State>>)> {
    let listener = TcpListener::bind(address)?;
    let endpoint = format!("http://{}", listener.local_addr()?);
    let state = Arc::new(Mutex::new(State { things: 25, told: BTreeMap::new() }));
    let shared = Arc::clone(&state);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let state = Arc::clone(&shared);
            // Whoever hangs up gets no answer.
            thread::spawn(move || serve(stream, &state).ok());
        }
    });
    Ok((endpoint, state))
}

fn serve(stream: TcpStream, state: &Mutex<State>) -> io::Result<()> {
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
    let mut state = state.lock().map_err(|_| io::Error::other("it broke down"))?;
    let (status, body) = match (method, target.split_once('?').unwrap_or((target, ""))) {
        _ if wrong => (401, Value::Null),
        ("GET", ("/", _)) => (200, json!({})),
        ("GET", ("/things", query)) => {
            things(state.things, query).map_or((410, Value::Null), |page| (200, page))
        }
        ("GET", (path, _)) => owner(path).map_or((404, Value::Null), |owner| (200, owner)),
        ("POST", ("/events", _)) => {
            let is_new = state.told.insert(key, 1).is_none();
            (if is_new { 201 } else { 409 }, Value::Null)
        }
        _ => (404, Value::Null),
    };
    drop(state);
    let body = body.to_string();
    let head = format!("HTTP/1.1 {status} \r\ncontent-length: {}\r\nconnection: close", body.len());
    (&stream).write_all(format!("{head}\r\n\r\n{body}").as_bytes())
}

/// `after=3&limit=10`: things 4 to 13. None if there is no such place.
fn things(count: usize, query: &str) -> Option<Value> {
    let value = |name: &str| {
        let mut values = query.split('&').filter_map(|pair| pair.split_once('='));
        values.find(|(key, value)| *key == name && !value.is_empty()).map(|(_, value)| value)
    };
    let number = |name: &str, absent: usize| match value(name) {
        Some(value) => value.parse::<usize>().ok(),
        None => Some(absent),
    };
    let after = number("after", 0).filter(|after| *after <= count)?;
    let end = after.saturating_add(number("limit", count)?).min(count);
    let thing = |id| json!({ "id": id, "name": format!("Thing {id}"), "owner": owner_of(id) });
    let list: Vec<Value> = (after + 1..=end).map(thing).collect();
    Some(json!({ "things": list, "next": end.to_string(), "more": end < count }))
}

fn owner_of(id: usize) -> String {
    format!("C-{}", id % 3)
}

fn owner(path: &str) -> Option<Value> {
    let id = path.strip_prefix("/owners/C-")?.parse::<usize>().ok().filter(|id| *id < 3)?;
    Some(json!({ "id": format!("C-{id}"), "tier": if id == 0 { "gold" } else { "silver" } }))
}
