//! The C ABI between the hub and a plug-in library, version 1. Not for authors: the export macro
//! uses it.
//!
//! One exported symbol, [`ENTRY_SYMBOL`], returns a static [`Descriptor`]. From its `init` the two
//! sides exchange a table of functions each. What holds for all of it:
//!
//! - Tables begin with their own size and only grow at the end; who reads one looks at the size
//!   first.
//! - Only integers, pointers and `repr(C)` structs cross. Enumerations are `u32`: a number of a
//!   later version is a number, not undefined behaviour.
//! - A [`Slice`] is borrowed for the call. A [`Buf`] is handed over with the function that frees
//!   it.
//! - No panic crosses: each side catches its own. Any function may be called on any thread, and
//!   concurrently; none of them blocks but [`PluginApi::shutdown`].
//! - An operation is started by [`PluginApi::op`] and ends by exactly one [`HostApi::complete`],
//!   which may come before `op` returns; also after [`PluginApi::cancel`]. Ids are numbers the
//!   host gives, so a late, double or unknown one is noticed and never followed.
#![allow(unsafe_code, reason = "this is the border itself; each block says why it holds")]

mod bytes;
mod layout;
mod version;

pub use bytes::{Buf, Slice};
pub use version::{ABI_MAX, ABI_MIN, Version, negotiate};

use std::ffi::c_void;

/// The one symbol a plug-in exports: `extern "C" fn() -> *const Descriptor`. The number in it is
/// the only hard break; everything else grows.
pub const ENTRY_SYMBOL: &str = "gantry_plugin_entry_v1";

/// The ELF section with [`Header`] and manifest.
pub const SECTION: &str = ".gantry_manifest";

/// Begins the header: so a section or descriptor of something else is noticed.
pub const MAGIC: [u8; 8] = *b"GANTRYP1";

/// Success; other statuses are [`crate::ErrorClass::code`].
pub const STATUS_OK: u32 = 0;

/// [`Header::flags`]: built with `panic=unwind`, so a panic can be caught.
pub const FLAG_PANIC_UNWIND: u32 = 1;

/// The features this version of the crate knows, as bits; there are none beyond version 1.0 yet.
pub const FEATURES: u64 = 0;

/// What the host must know before it runs any code of the library. The manifest follows it in
/// memory.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// [`MAGIC`].
    pub magic: [u8; 8],
    /// Size of this header in bytes: the manifest begins there.
    pub size: u32,
    /// Lowest ABI version the plug-in speaks.
    pub abi_min: Version,
    /// Highest ABI version the plug-in speaks.
    pub abi_max: Version,
    /// `FLAG_*`.
    pub flags: u32,
    /// Features without which the plug-in cannot work.
    pub features_required: u64,
    /// Features the plug-in can make use of.
    pub features_offered: u64,
    /// Length of the manifest in bytes.
    pub manifest_len: u64,
}

/// What stands in the ELF section: header and manifest, without a gap.
#[repr(C)]
#[derive(Debug)]
pub struct Section<const N: usize> {
    /// What to check first.
    pub header: Header,
    /// The manifest: JSON in UTF-8.
    pub manifest: [u8; N],
}

/// What the exported symbol returns: static, never written.
#[repr(C)]
#[derive(Debug)]
pub struct Descriptor {
    /// [`MAGIC`].
    pub magic: [u8; 8],
    /// Size of this struct in bytes.
    pub size: u32,
    /// Zero.
    pub reserved: u32,
    /// The section as it lies in memory: header, then manifest.
    pub header: *const Header,
    /// Takes the host's table and gives the plug-in's. Called once a library, first of all.
    pub init: InitFn,
}

// SAFETY: a descriptor is never written after it was built, and what it points to is static.
unsafe impl Sync for Descriptor {}

/// `init(host, version, out)`: `version` is the negotiated one. Puts the plug-in's table into
/// `out` and returns [`STATUS_OK`], or another status and leaves `out` alone.
pub type InitFn = unsafe extern "C" fn(*const HostApi, Version, *mut *const PluginApi) -> u32;

/// What the plug-in offers the host.
#[repr(C)]
#[derive(Debug)]
pub struct PluginApi {
    /// Size of this struct in bytes.
    pub size: u32,
    /// Zero.
    pub reserved: u32,
    /// `op(op_id, target, opcode, request)`: starts an operation. Returns [`STATUS_OK`] if
    /// `complete` was or will be called for it; another status if it will never be.
    pub op: unsafe extern "C" fn(u64, u64, u32, Slice) -> u32,
    /// `cancel(op_id)`: calls an operation off; its completion still comes.
    pub cancel: unsafe extern "C" fn(u64),
    /// `credit(op_id, n)`: a running stream may send `n` records more.
    pub credit: unsafe extern "C" fn(u64, u32),
    /// `shutdown(timeout_ms)`: ends all operations and the plug-in's threads. Blocks up to that
    /// long; afterwards each `op` is refused.
    pub shutdown: unsafe extern "C" fn(u64) -> u32,
}

/// What the host offers the plug-in; lives as long as the library, which is for ever.
#[repr(C)]
#[derive(Debug)]
pub struct HostApi {
    /// Size of this struct in bytes.
    pub size: u32,
    /// Worker threads the plug-in's runtime may have, at least 1.
    pub n_workers: u32,
    /// First argument of each function.
    pub ctx: *const c_void,
    /// `complete(ctx, op_id, status, reply)`: ends an operation. The reply is that of the opcode,
    /// or with a status other than [`STATUS_OK`] an encoded [`crate::Error`].
    pub complete: unsafe extern "C" fn(*const c_void, u64, u32, Buf),
    /// `emit(ctx, op_id, n_credit, batch)`: sends an encoded batch of a stream and spends credit.
    /// Another status than [`STATUS_OK`] means that nobody listens any more.
    pub emit: unsafe extern "C" fn(*const c_void, u64, u32, Buf) -> u32,
    /// `log(ctx, level, instance, target, message, fields)`: level 1 (error) to 5 (trace),
    /// instance 0 if none, fields a JSON object or empty.
    pub log: unsafe extern "C" fn(*const c_void, u32, u64, Slice, Slice, Slice),
    /// `now_ms(ctx)`: the hub's time in Unix milliseconds.
    pub now_ms: unsafe extern "C" fn(*const c_void) -> i64,
    /// One byte, read atomically before formatting anything: the highest level the host wants, 0
    /// (nothing) to 5 (trace).
    pub log_level: *const u8,
}

// SAFETY: the table is never written after it was built; `ctx` is for the host's functions only,
// which take it from any thread; `log_level` is only read atomically.
unsafe impl Sync for HostApi {}
// SAFETY: as for `Sync`.
unsafe impl Send for HostApi {}

impl Header {
    /// The header of a library with a manifest of this length.
    pub const fn new(manifest_len: usize, panic_unwind: bool) -> Self {
        Self {
            magic: MAGIC,
            size: size_of::<Self>() as u32,
            abi_min: ABI_MIN,
            abi_max: ABI_MAX,
            flags: if panic_unwind { FLAG_PANIC_UNWIND } else { 0 },
            features_required: 0,
            features_offered: FEATURES,
            manifest_len: manifest_len as u64,
        }
    }

    /// Reads a header from the bytes of a section; none if they are too few.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let word =
            |at: usize| bytes.get(at..at + 4)?.first_chunk().copied().map(u32::from_ne_bytes);
        let long =
            |at: usize| bytes.get(at..at + 8)?.first_chunk().copied().map(u64::from_ne_bytes);
        Some(Self {
            magic: *bytes.first_chunk()?,
            size: word(8)?,
            abi_min: Version::from_bits(word(12)?),
            abi_max: Version::from_bits(word(16)?),
            flags: word(20)?,
            features_required: long(24)?,
            features_offered: long(32)?,
            manifest_len: long(40)?,
        })
    }
}

impl<const N: usize> Section<N> {
    /// Puts header and manifest together.
    ///
    /// # Panics
    /// At compile time, if `manifest` has not `N` bytes.
    pub const fn new(manifest: &str, panic_unwind: bool) -> Self {
        let manifest = manifest.as_bytes();
        assert!(manifest.len() == N, "N is the length of the manifest");
        let manifest = *manifest.first_chunk().expect("invariant: the length was just compared");
        Self { header: Header::new(N, panic_unwind), manifest }
    }
}

impl Descriptor {
    /// A descriptor of a library whose section is `section`.
    pub const fn new<const N: usize>(section: &'static Section<N>, init: InitFn) -> Self {
        // The pointer is made from the whole section, so that reading on into the manifest is
        // allowed.
        let header = std::ptr::from_ref(section).cast();
        Self { magic: MAGIC, size: size_of::<Self>() as u32, reserved: 0, header, init }
    }
}
