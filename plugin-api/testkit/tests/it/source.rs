//! A source system in memory, behind an address: what the plug-in under test asks before anything.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use gantry_plugin_testkit::{Driver, DriverError};

/// All that the source knows.
#[derive(Default)]
pub(crate) struct Books {
    /// Numbers of records; those that are deleted are gone.
    pub(crate) records: Vec<u64>,
    n_put: u64,
    /// How often each event took effect.
    pub(crate) effects: BTreeMap<String, usize>,
}

static BOOKS: Mutex<Option<Books>> = Mutex::new(None);

/// Looks into the books.
pub(crate) fn books<T>(work: impl FnOnce(&mut Books) -> T) -> T {
    let mut books: MutexGuard<'_, Option<Books>> =
        BOOKS.lock().unwrap_or_else(PoisonError::into_inner);
    work(books.get_or_insert_default())
}

/// The suite's way to the source.
pub(crate) struct Source {
    address: String,
}

impl Source {
    /// Opens it, with empty books; it is there as long as this program.
    pub(crate) fn open() -> Self {
        books(|books| *books = Books::default());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                thread::spawn(move || {
                    let (mut stream, mut byte) = (stream, [0]);
                    while stream
                        .read_exact(&mut byte)
                        .and_then(|()| stream.write_all(&byte))
                        .is_ok()
                    {}
                });
            }
        });
        Self { address }
    }
}

impl Driver for Source {
    fn values(&mut self) -> BTreeMap<String, String> {
        BTreeMap::from([("address".to_owned(), self.address.clone())])
    }

    fn put(&mut self, n: usize) -> Result<(), DriverError> {
        books(|books| {
            let begin = books.n_put;
            books.n_put += n as u64;
            books.records.extend(begin..books.n_put);
        });
        Ok(())
    }

    fn delivered(&mut self) -> Result<BTreeMap<String, usize>, DriverError> {
        Ok(books(|books| books.effects.clone()))
    }
}
