//! Credentials that sources replaced, in a file beside the store that only the hub may read. One
//! counts as long as the operator's own stays what it was when it was replaced.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use gantry_pipeline::VaultError;
use gantry_plugin_api::Secret;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

#[cfg(test)]
mod tests;

/// By source and key.
type Kept = BTreeMap<String, BTreeMap<String, Entry>>;

/// What stands at a key of a source's config.
#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    #[serde(serialize_with = "exposed")]
    value: Secret<String>,
    /// SHA-256 of what the operator gave, in hexadecimal.
    replaces: String,
}

/// The file.
#[derive(Debug)]
pub(crate) struct Vault {
    path: PathBuf,
    /// One writer at a time.
    writing: Mutex<()>,
}

impl Vault {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, writing: Mutex::default() }
    }

    /// Puts what the source replaced in place of what the operator gave, at the keys in `rotates`.
    /// Gives the hash of what the operator gave at each, and the secrets that now stand there.
    ///
    /// # Errors
    /// If the file is there and cannot be read: going on with the operator's own would lock the
    /// hub out of a source that has replaced it.
    pub(crate) fn apply(
        &self,
        source: &str,
        rotates: &[String],
        config: &mut Value,
    ) -> Result<(BTreeMap<String, String>, Vec<String>), VaultError> {
        let (mut replaces, mut secrets) = (BTreeMap::new(), Vec::new());
        if rotates.is_empty() {
            return Ok((replaces, secrets));
        }
        let mut kept = self.read().map_err(|source| self.failed(source))?;
        let mut kept = kept.remove(source).unwrap_or_default();
        for field in rotates {
            let pointer = format!("/{}", field.replace('.', "/"));
            let Some(place) = config.pointer_mut(&pointer) else { continue };
            let Some(given) = place.as_str() else { continue };
            let hash = hash(given);
            if let Some(entry) = kept.remove(field).filter(|entry| entry.replaces == hash) {
                let value = entry.value.expose().clone();
                secrets.push(value.clone());
                *place = Value::from(value);
            }
            replaces.insert(field.clone(), hash);
        }
        Ok((replaces, secrets))
    }

    fn read(&self) -> io::Result<Kept> {
        match fs::read(&self.path) {
            Ok(bytes) => Ok(serde_json::from_slice(&bytes)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Kept::new()),
            Err(error) => Err(error),
        }
    }

    fn write(&self, source: &str, field: &str, entry: Entry) -> io::Result<()> {
        let _one = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut kept = self.read()?;
        kept.entry(source.to_owned()).or_default().insert(field.to_owned(), entry);
        let new = self.path.with_extension("credentials.new");
        // What an interrupted attempt left.
        if let Err(error) = fs::remove_file(&new)
            && error.kind() != io::ErrorKind::NotFound
        {
            return Err(error);
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
        file.write_all(&serde_json::to_vec_pretty(&kept)?)?;
        file.sync_all()?;
        fs::rename(&new, &self.path)?;
        File::open(self.path.parent().unwrap_or(Path::new(".")))?.sync_all()
    }

    fn failed(&self, source: io::Error) -> VaultError {
        VaultError { place: self.path.display().to_string(), source }
    }
}

#[async_trait]
impl gantry_pipeline::Vault for Vault {
    async fn keep(
        &self,
        source: &str,
        field: &str,
        replaces: &str,
        value: &Secret<String>,
    ) -> Result<(), VaultError> {
        // A small file, seldom: it may hold a thread for a moment.
        let value = Secret::new(value.expose().clone());
        let entry = Entry { value, replaces: replaces.to_owned() };
        tokio::task::block_in_place(|| self.write(source, field, entry))
            .map_err(|source| self.failed(source))
    }
}

/// The file is the one place where the value itself has to stand.
fn exposed<S: Serializer>(value: &Secret<String>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(value.expose())
}

fn hash(value: &str) -> String {
    let hex =
        |hash: &[u8]| hash.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    hex(&Sha256::digest(value))
}
