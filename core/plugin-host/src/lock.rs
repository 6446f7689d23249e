//! The lock file: which bytes each plug-in must have, and who must have signed them.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::inspected::Inspected;
use crate::refusal::Refusal;
use crate::signature::{PublicKey, Signature};
use crate::trust;

/// The version of the file's form.
const VERSION: u32 = 1;

/// What the operator has agreed to. Once there is one, a plug-in that is not in it is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    version: u32,
    /// Keys of publishers, by the operator's names for them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    publisher: BTreeMap<String, PublicKey>,
    /// By the plug-in's name.
    #[serde(default)]
    plugin: BTreeMap<String, Pin>,
}

/// What is agreed to of one plug-in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pin {
    /// For people; the hash counts.
    pub version: String,
    /// The hash that the file, or the folder of a program, must have, in hex.
    pub sha256: String,
    /// Whose signature it must have beside it; none if it needs none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publisher: Option<String>,
}

impl Default for Lock {
    fn default() -> Self {
        Self { version: VERSION, publisher: BTreeMap::new(), plugin: BTreeMap::new() }
    }
}

impl Lock {
    /// Reads a lock file; none if there is none.
    ///
    /// # Errors
    /// [`Refusal::LockFile`], with the line, or [`Refusal::WritableByOthers`].
    pub fn read(path: &Path) -> Result<Option<Self>, Refusal> {
        let refusal = |reason| Refusal::LockFile { path: path.to_owned(), reason };
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(refusal(error.to_string())),
        };
        trust::check(path)?;
        let lock: Self = toml::from_str(&text).map_err(|error| {
            let begin = error.span().map_or(0, |span| span.start);
            let line = text.as_bytes().iter().take(begin).filter(|byte| **byte == b'\n').count();
            refusal(format!("line {}: {}", line + 1, error.message()))
        })?;
        if lock.version != VERSION {
            let found = lock.version;
            return Err(refusal(format!("`version` is {found}, this program knows {VERSION}")));
        }
        for (name, pin) in &lock.plugin {
            let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
            if pin.sha256.len() != 64 || !pin.sha256.bytes().all(hex) {
                let reason = format!("`plugin.{name}.sha256`: not 64 digits 0 to 9 and a to f");
                return Err(refusal(reason));
            }
            if let Some(publisher) =
                pin.publisher.as_ref().filter(|name| !lock.publisher.contains_key(*name))
            {
                let reason =
                    format!("`plugin.{name}.publisher`: there is no `publisher.{publisher}`");
                return Err(refusal(reason));
            }
        }
        Ok(Some(lock))
    }

    /// Writes the file; whoever reads it meanwhile sees the old one or the new one.
    ///
    /// # Errors
    /// The system's.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = path.parent().unwrap_or(Path::new("."));
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        let body = toml::to_string(self).map_err(io::Error::other)?;
        write!(file, "# Plug-ins that may run here. `gantry plugin lock` writes this.\n{body}")?;
        file.as_file().set_permissions(fs::Permissions::from_mode(0o644))?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        fs::File::open(folder)?.sync_all()
    }

    /// What is agreed to of a plug-in, by its name.
    pub fn pin(&self, name: &str) -> Option<&Pin> {
        self.plugin.get(name)
    }

    /// The names of all plug-ins in it.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.plugin.keys().map(String::as_str)
    }

    /// The operator's name of a key.
    pub fn publisher_of(&self, key: &PublicKey) -> Option<&str> {
        self.publisher.iter().find(|(_, known)| *known == key).map(|(name, _)| name.as_str())
    }

    /// The key of a publisher, by the operator's name.
    pub fn publisher(&self, name: &str) -> Option<&PublicKey> {
        self.publisher.get(name)
    }

    /// Knows a publisher by this key from now on, instead of another that had the name.
    pub fn set_publisher(&mut self, name: &str, key: PublicKey) {
        self.publisher.insert(name.to_owned(), key);
    }

    /// Agrees to a plug-in as it is. It needs the signature of this publisher, who is known; if
    /// none is given, of the one that it needed before.
    ///
    /// # Errors
    /// If the signature is missing, wrong, or somebody else's; nothing is changed then.
    pub fn accept(&mut self, said: &Inspected, publisher: Option<&str>) -> Result<(), Refusal> {
        let name = &said.manifest.name;
        let before = self.pin(name).and_then(|pin| pin.publisher.as_deref());
        let publisher = publisher.or(before).map(str::to_owned);
        if let Some(publisher) = &publisher {
            self.signed_by(publisher, said)?;
        }
        let (version, sha256) = (said.manifest.version.clone(), said.sha256.clone());
        self.plugin.insert(name.clone(), Pin { version, sha256, publisher });
        Ok(())
    }

    /// Whether a plug-in is as agreed.
    ///
    /// # Errors
    /// [`Refusal`] if not.
    pub fn check(&self, said: &Inspected) -> Result<(), Refusal> {
        let (path, name) = (said.path.clone(), said.manifest.name.clone());
        let actual = said.sha256.clone();
        match self.pin(&name) {
            None => Err(Refusal::NotPinned { path, name, actual }),
            Some(pin) if pin.sha256 != actual => {
                Err(Refusal::PinMismatch { path, name, pinned: pin.sha256.clone(), actual })
            }
            Some(Pin { publisher: Some(publisher), .. }) => self.signed_by(publisher, said),
            Some(_) => Ok(()),
        }
    }

    /// Checks that a plug-in has a valid signature, and that it is this publisher's.
    fn signed_by(&self, publisher: &str, said: &Inspected) -> Result<(), Refusal> {
        let (path, name) = (said.path.clone(), publisher.to_owned());
        let Some(signature) = Signature::of(&said.path)? else {
            return Err(Refusal::Unsigned { path, publisher: name });
        };
        let signer = signature.signer(&said.path, &said.sha256)?;
        let Some(pinned) = self.publisher.get(publisher) else {
            return Err(Refusal::Unsigned { path, publisher: name });
        };
        if signer == pinned {
            return Ok(());
        }
        let (pinned, actual) = (pinned.to_string(), signer.to_string());
        Err(Refusal::OtherPublisher { path, publisher: name, pinned, actual })
    }
}
