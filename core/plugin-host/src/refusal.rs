//! Why a library is not loaded: each reason says what the host has, what the plug-in has, what to
//! do.

use std::io;
use std::path::PathBuf;

use gantry_plugin_api::abi::Version;

use crate::signature::Signature;

/// A reason not to load a library. `Display` says what is wrong, [`Refusal::remedy`] what to do,
/// and [`Refusal::code`] is stable.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// GANTRY-P001
    #[error("cannot read plug-in folder `{path}`")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// GANTRY-P002
    #[error("cannot read library `{path}`")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// GANTRY-P003
    #[error("cannot trust `{path}`: mode {mode:03o} lets {} write to `{at}`", whom(*mode))]
    WritableByOthers {
        /// The plug-in, its folder, or the lock file.
        path: PathBuf,
        /// The same, or what lies in it or above it.
        at: PathBuf,
        /// The permission bits of that.
        mode: u32,
    },
    /// GANTRY-P004
    #[error("`{path}` is no plug-in: host loads ELF shared libraries, this is {what}")]
    NotLibrary {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        what: String,
    },
    /// GANTRY-P005
    #[error("library `{path}` is truncated: it says it has {expected} bytes, there are {len}")]
    Truncated {
        /// The file.
        path: PathBuf,
        /// The least it should have.
        expected: u64,
        /// What it has.
        len: u64,
    },
    /// GANTRY-P006
    #[error("library `{path}` is for another machine: host is {host}, plug-in is {plugin}")]
    Machine {
        /// The file.
        path: PathBuf,
        /// Ours.
        host: &'static str,
        /// Its own.
        plugin: String,
    },
    /// GANTRY-P007
    #[error("library `{path}` is no plug-in: it has no section `{section}`")]
    NoManifest {
        /// The file.
        path: PathBuf,
        /// The section.
        section: &'static str,
    },
    /// GANTRY-P008
    #[error(
        "library `{path}` is no Gantry plug-in: its section begins with `{found}`, not `{expected}`"
    )]
    Magic {
        /// The file.
        path: PathBuf,
        /// What should be there.
        expected: String,
        /// What is.
        found: String,
    },
    /// GANTRY-P009
    #[error("cannot read the manifest of `{path}`: {reason}")]
    BadManifest {
        /// The file.
        path: PathBuf,
        /// Where and why.
        reason: String,
    },
    /// GANTRY-P010
    #[error(
        "`{path}` speaks another ABI: host speaks {} to {}, plug-in speaks {} to {}",
        host.0, host.1, plugin.0, plugin.1
    )]
    Abi {
        /// The file.
        path: PathBuf,
        /// Lowest and highest of ours.
        host: (Version, Version),
        /// Lowest and highest of its own.
        plugin: (Version, Version),
    },
    /// GANTRY-P011
    #[error("`{path}` needs features of the ABI: host has {host:#x}, plug-in needs {plugin:#x}")]
    Features {
        /// The file.
        path: PathBuf,
        /// Ours, as bits.
        host: u64,
        /// Needed, as bits.
        plugin: u64,
    },
    /// GANTRY-P012
    #[error("`{path}` is built with panic=abort: a panic in it would end the hub")]
    PanicAbort {
        /// The file.
        path: PathBuf,
    },
    /// GANTRY-P013
    #[error("`{path}` needs a newer C library: host has glibc {host}, plug-in needs {plugin}")]
    Glibc {
        /// The file.
        path: PathBuf,
        /// Ours.
        host: String,
        /// Needed.
        plugin: String,
    },
    /// GANTRY-P014
    #[error(
        "`{path}` is not the `{name}` agreed to: plugins.lock has sha256 {pinned}, this has \
         {actual}"
    )]
    PinMismatch {
        /// The file.
        path: PathBuf,
        /// The plug-in's name.
        name: String,
        /// In the lock file.
        pinned: String,
        /// Of the file.
        actual: String,
    },
    /// GANTRY-P015
    #[error("nobody has agreed to `{path}`: there is a plugins.lock, and `{name}` is not in it")]
    NotPinned {
        /// The file.
        path: PathBuf,
        /// The plug-in's name.
        name: String,
        /// Of the file.
        actual: String,
    },
    /// GANTRY-P016
    #[error("plug-in `{name}` is there twice: `{first}` and `{second}`")]
    Duplicate {
        /// Name in both manifests.
        name: String,
        /// The file that counts.
        first: PathBuf,
        /// The file that is refused.
        second: PathBuf,
    },
    /// GANTRY-P017
    #[error("library `{path}` does not export `{symbol}`")]
    NoEntry {
        /// The file.
        path: PathBuf,
        /// The symbol.
        symbol: &'static str,
    },
    /// GANTRY-P018
    #[error("cannot open `{path}`: it needs the symbol `{symbol}`, which nothing here has")]
    UndefinedSymbol {
        /// The file.
        path: PathBuf,
        /// The symbol.
        symbol: String,
    },
    /// GANTRY-P019
    #[error("cannot open `{path}`: {reason}")]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system's loader said.
        reason: String,
    },
    /// GANTRY-P020
    #[error("descriptor of `{path}` is not to be trusted: {reason}")]
    Descriptor {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// GANTRY-P021
    #[error(
        "`{path}` says one thing in its file and another in memory: the manifests differ in {keys}"
    )]
    ManifestDiffers {
        /// The file.
        path: PathBuf,
        /// Keys that differ.
        keys: String,
    },
    /// GANTRY-P022
    #[error("`{path}` refused to start with status {status}")]
    Init {
        /// The file.
        path: PathBuf,
        /// What `init` returned.
        status: u32,
    },
    /// GANTRY-P023
    #[error("cannot copy `{path}` to the cache")]
    Cache {
        /// The folder or file in the cache.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// GANTRY-P024
    #[error("no plug-in `{name}`; there are: {known}")]
    Unknown {
        /// The name asked for.
        name: String,
        /// The names found.
        known: String,
    },
    /// GANTRY-P026
    #[error("cannot run `{path}` in a process of its own: {reason}")]
    Start {
        /// The file.
        path: PathBuf,
        /// How far it got, and what happened.
        reason: String,
    },
    /// GANTRY-P027
    #[error("cannot use the program of `{path}`: {reason}")]
    Program {
        /// Its manifest.
        path: PathBuf,
        /// Where and why.
        reason: String,
    },
    /// GANTRY-P028
    #[error("cannot run `{path}` in the hub's own process: it is a program, not a library")]
    InProcess {
        /// Its folder.
        path: PathBuf,
    },
    /// GANTRY-P029
    #[error("`{path}` is not signed: plugins.lock wants the signature of `{publisher}`")]
    Unsigned {
        /// The file.
        path: PathBuf,
        /// Who should have signed it.
        publisher: String,
    },
    /// GANTRY-P030
    #[error(
        "`{path}` is signed by somebody else: plugins.lock has the key {pinned} of `{publisher}`, \
         the signature is valid and by {actual}"
    )]
    OtherPublisher {
        /// The file.
        path: PathBuf,
        /// Who should have signed it.
        publisher: String,
        /// The key of that publisher.
        pinned: String,
        /// The key that signed it.
        actual: String,
    },
    /// GANTRY-P031
    #[error("the signature `{path}` is worth nothing: {reason}")]
    BadSignature {
        /// The file of the signature.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// GANTRY-P025
    #[error("cannot read lock file `{path}`: {reason}")]
    LockFile {
        /// The file.
        path: PathBuf,
        /// Where and why.
        reason: String,
    },
}

impl Refusal {
    /// The stable code: `GANTRY-P001` and up. Codes are never reused.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Folder { .. } => "GANTRY-P001",
            Self::Read { .. } => "GANTRY-P002",
            Self::WritableByOthers { .. } => "GANTRY-P003",
            Self::NotLibrary { .. } => "GANTRY-P004",
            Self::Truncated { .. } => "GANTRY-P005",
            Self::Machine { .. } => "GANTRY-P006",
            Self::NoManifest { .. } => "GANTRY-P007",
            Self::Magic { .. } => "GANTRY-P008",
            Self::BadManifest { .. } => "GANTRY-P009",
            Self::Abi { .. } => "GANTRY-P010",
            Self::Features { .. } => "GANTRY-P011",
            Self::PanicAbort { .. } => "GANTRY-P012",
            Self::Glibc { .. } => "GANTRY-P013",
            Self::PinMismatch { .. } => "GANTRY-P014",
            Self::NotPinned { .. } => "GANTRY-P015",
            Self::Duplicate { .. } => "GANTRY-P016",
            Self::NoEntry { .. } => "GANTRY-P017",
            Self::UndefinedSymbol { .. } => "GANTRY-P018",
            Self::Open { .. } => "GANTRY-P019",
            Self::Descriptor { .. } => "GANTRY-P020",
            Self::ManifestDiffers { .. } => "GANTRY-P021",
            Self::Init { .. } => "GANTRY-P022",
            Self::Cache { .. } => "GANTRY-P023",
            Self::Unknown { .. } => "GANTRY-P024",
            Self::LockFile { .. } => "GANTRY-P025",
            Self::Start { .. } => "GANTRY-P026",
            Self::Program { .. } => "GANTRY-P027",
            Self::InProcess { .. } => "GANTRY-P028",
            Self::Unsigned { .. } => "GANTRY-P029",
            Self::OtherPublisher { .. } => "GANTRY-P030",
            Self::BadSignature { .. } => "GANTRY-P031",
        }
    }

    /// What to do about it: a sentence for the operator.
    pub fn remedy(&self) -> String {
        match self {
            Self::Folder { path, .. } => {
                format!("create `{}` or correct `plugins` in the configuration", path.display())
            }
            Self::Read { .. } => "let the hub's user read the file".to_owned(),
            Self::NotLibrary { .. } => "build the plug-in with crate-type = [\"cdylib\"], or move \
                                        the file out of the plug-in folder"
                .to_owned(),
            Self::Truncated { .. } => {
                "copy the file again: the last copy did not finish".to_owned()
            }
            Self::Machine { host, .. } => format!("build the plug-in for {host}"),
            Self::NoManifest { .. } => "export it with gantry_plugin_api::export_plugin!, or move \
                                        the file out of the plug-in folder"
                .to_owned(),
            Self::Magic { .. } | Self::Descriptor { .. } => {
                "build the plug-in again with the current gantry-plugin-api".to_owned()
            }
            Self::BadManifest { .. } | Self::ManifestDiffers { .. } => {
                "write the manifest with gantry_plugin_api::build in the plug-in's build.rs and \
                 build it again"
                    .to_owned()
            }
            Self::Abi { host, plugin, .. } if plugin.0 > host.1 => {
                "update the hub, or build the plug-in with an older gantry-plugin-api".to_owned()
            }
            Self::Abi { .. } => "build the plug-in with a newer gantry-plugin-api".to_owned(),
            Self::Features { .. } => "update the hub".to_owned(),
            Self::PanicAbort { .. } => {
                "remove panic = \"abort\" from the plug-in's build profile".to_owned()
            }
            Self::Glibc { host, .. } => {
                format!("build the plug-in on a system with glibc {host} or older")
            }
            Self::Duplicate { second, .. } => format!("remove `{}`", second.display()),
            Self::NoEntry { .. } => {
                "export the plug-in with gantry_plugin_api::export_plugin!".to_owned()
            }
            Self::UndefinedSymbol { .. } => {
                "link the library that has the symbol into the plug-in".to_owned()
            }
            Self::Open { .. } => "install what the loader misses".to_owned(),
            Self::Init { .. } => "restart the hub; if it stays, build the plug-in again".to_owned(),
            Self::Cache { path, .. } => {
                format!(
                    "let the hub's user write to `{}`, and see that it has room",
                    path.display()
                )
            }
            Self::Unknown { .. } => {
                "correct `plugin` in the configuration, or put the library into a plug-in folder; \
                 `gantry plugin list` shows what was refused"
                    .to_owned()
            }
            Self::Start { .. } => "see what the hub logged of it; a trusted library may also run \
                                   in the hub, by `isolation = \"in-process\"`"
                .to_owned(),
            Self::Program { .. } => {
                "let the program write it anew (`--manifest`), or see docs/plugins".to_owned()
            }
            Self::InProcess { .. } => "leave out `isolation` of the source".to_owned(),
            Self::WritableByOthers { .. }
            | Self::LockFile { .. }
            | Self::PinMismatch { .. }
            | Self::NotPinned { .. }
            | Self::Unsigned { .. }
            | Self::OtherPublisher { .. }
            | Self::BadSignature { .. } => self.trust_remedy(),
        }
    }

    /// The same, where the operator has to agree to something, or take a right away.
    fn trust_remedy(&self) -> String {
        match self {
            Self::WritableByOthers { at, .. } => format!("run `chmod go-w {}`", at.display()),
            Self::LockFile { .. } => "correct it, or delete it and write it anew by \
                                      `gantry plugin lock`"
                .to_owned(),
            Self::PinMismatch { name, .. } => format!(
                "find out who changed it; if it was you, agree to it by `gantry plugin lock {name}`"
            ),
            Self::NotPinned { name, .. } => {
                format!("if you trust it, agree to it by `gantry plugin lock {name}`")
            }
            Self::Unsigned { path, publisher } => format!(
                "get the signature from `{publisher}` and put it into `{}`",
                Signature::file(path).display()
            ),
            Self::OtherPublisher { publisher, actual, .. } => format!(
                "ask `{publisher}` whether {actual} is theirs, too; if so, agree to it by \
                 `gantry plugin lock --publisher {publisher}={actual} NAME`"
            ),
            Self::BadSignature { .. } => {
                "get the plug-in and its signature anew, from its publisher".to_owned()
            }
            _ => unreachable!("invariant: `remedy` asks for those above only"),
        }
    }
}

/// Who may write, by the bits of a mode.
fn whom(mode: u32) -> &'static str {
    const EVERYBODY: u32 = 0o002;
    if mode & EVERYBODY == 0 { "its group" } else { "everybody" }
}
