//! The library in this process: opens it and calls its functions.
#![allow(unsafe_code, reason = "the border to the library; each block says why it holds")]

use std::ffi::c_void;
use std::fmt;
use std::mem::ManuallyDrop;
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::ptr;
use std::sync::Arc;
use std::time::Duration;

use gantry_plugin_api::abi::{
    ABI_MAX, ABI_MIN, Buf, Descriptor, ENTRY_SYMBOL, Header, HostApi, MAGIC, PluginApi, STATUS_OK,
    Slice, negotiate,
};
use gantry_plugin_api::message::Opcode;
use gantry_plugin_api::{ErrorClass, Manifest};
use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW, Symbol};
use tracing::subscriber::NoSubscriber;

use super::{Body, Listener, Transport};
use crate::elf;
use crate::inspected::Inspected;
use crate::refusal::Refusal;

/// A library that was opened and has met its host; stays for ever.
pub(crate) struct Opened {
    api: &'static PluginApi,
}

/// Opens the copy of a library and introduces it to its host. The listener lives as long as the
/// library, which is for ever.
pub(crate) fn open(
    copy: &Path,
    said: &Inspected,
    n_workers: u32,
    listener: Arc<dyn Listener>,
) -> Result<Opened, Refusal> {
    let path = &said.path;
    let flags = RTLD_NOW | RTLD_LOCAL | libc::RTLD_NODELETE;
    // SAFETY: this runs the library's constructors. That it may run code here is what loading a
    // plug-in means; it comes from a trusted folder and has passed all checks that need none.
    let library = unsafe { Library::open(Some(copy), flags) };
    // Never closed: its threads, thread-locals and functions handed out would outlive it.
    let library = ManuallyDrop::new(library.map_err(|error| not_opened(path, copy, &error))?);
    // SAFETY: the symbol's name has its type in it; another type under this name is the author's
    // lie.
    let entry: Symbol<unsafe extern "C" fn() -> *const Descriptor> =
        unsafe { library.get(ENTRY_SYMBOL.as_bytes()) }
            .map_err(|_| Refusal::NoEntry { path: path.clone(), symbol: ENTRY_SYMBOL })?;
    // SAFETY: takes nothing and returns a pointer.
    let descriptor = unsafe { entry() };
    introduce(descriptor, said, n_workers, listener)
}

/// Introduces a plug-in that is linked into this program to its host. What it logs goes to this
/// program's own subscriber, and a panic of it to this program's own hook.
pub(crate) fn open_linked(
    descriptor: &'static Descriptor,
    said: &Inspected,
    n_workers: u32,
    listener: Arc<dyn Listener>,
) -> Result<Opened, Refusal> {
    // A plug-in points the globals of its library at the host. Here they are this program's, and
    // the host's own lines would come back to it.
    if !tracing::dispatcher::has_been_set() {
        // Somebody who sets one at this moment is as welcome.
        let _ = tracing::subscriber::set_global_default(NoSubscriber::default());
    }
    let hook = panic::take_hook();
    let opened = introduce(descriptor, said, n_workers, listener);
    panic::set_hook(hook);
    opened
}

/// What a plug-in that is linked into this program says of itself.
pub(crate) fn said_by(path: &Path, descriptor: &'static Descriptor) -> Result<Inspected, Refusal> {
    elf::inspect_section(path, section(path, descriptor)?)
}

fn introduce(
    descriptor: *const Descriptor,
    said: &Inspected,
    n_workers: u32,
    listener: Arc<dyn Listener>,
) -> Result<Opened, Refusal> {
    let path = &said.path;
    let bad = |reason: String| Refusal::Descriptor { path: path.clone(), reason };
    if descriptor.is_null() {
        return Err(bad("it is null".to_owned()));
    }
    // SAFETY: each version of the descriptor begins with magic and size.
    let (magic, size) = unsafe {
        (ptr::read(&raw const (*descriptor).magic), ptr::read(&raw const (*descriptor).size))
    };
    if magic != MAGIC || (size as usize) < size_of::<Descriptor>() {
        return Err(bad(format!("it begins with {} and has {size} bytes", magic.escape_ascii())));
    }
    // SAFETY: it is at least as large as the descriptor we know, static and never written.
    let descriptor: &'static Descriptor = unsafe { &*descriptor };
    same_manifest(said, descriptor)?;
    // Both refusals below repeat what the file said; the header in memory was just compared with
    // it.
    let version = said
        .library
        .as_ref()
        .and_then(|library| negotiate((ABI_MIN, ABI_MAX), library.abi))
        .ok_or_else(|| bad("it has no version in common with the host".to_owned()))?;
    let listener: &'static Arc<dyn Listener> = Box::leak(Box::new(listener));
    let host: &'static HostApi = Box::leak(Box::new(HostApi {
        size: size_of::<HostApi>() as u32,
        n_workers,
        ctx: ptr::from_ref(listener).cast(),
        complete,
        emit,
        log,
        now_ms,
        log_level: listener.log_level().as_ptr(),
    }));
    let mut api: *const PluginApi = ptr::null();
    // SAFETY: the host's table lives for ever, `api` may be written.
    let status = unsafe { (descriptor.init)(host, version, &raw mut api) };
    if status != STATUS_OK {
        return Err(Refusal::Init { path: path.clone(), status });
    }
    // SAFETY: each version of the table begins with its size; null was excluded first.
    if api.is_null() || (unsafe { api.cast::<u32>().read() } as usize) < size_of::<PluginApi>() {
        return Err(bad("its table of functions is absent or too small".to_owned()));
    }
    // SAFETY: at least as large as the table we know, static and never written.
    Ok(Opened { api: unsafe { &*api } })
}

/// Compares header and manifest in memory with what the file said.
fn same_manifest(said: &Inspected, descriptor: &Descriptor) -> Result<(), Refusal> {
    let path = &said.path;
    let (_, manifest) = elf::split(path, section(path, descriptor)?)?;
    let bad = |error: serde_json::Error| Refusal::BadManifest {
        path: path.clone(),
        reason: error.to_string(),
    };
    let in_memory: Manifest = serde_json::from_slice(manifest).map_err(bad)?;
    if in_memory == said.manifest {
        return Ok(());
    }
    let in_file = serde_json::to_value(&said.manifest).map_err(bad)?;
    let in_memory = serde_json::to_value(&in_memory).map_err(bad)?;
    let keys = in_file.as_object().into_iter().flatten();
    let keys = keys.filter(|(key, value)| in_memory.get(key) != Some(value));
    let keys = keys.map(|(key, _)| format!("`{key}`")).collect::<Vec<_>>().join(", ");
    Err(Refusal::ManifestDiffers { path: path.clone(), keys })
}

/// Header and manifest as they lie in memory.
fn section(path: &Path, descriptor: &Descriptor) -> Result<&'static [u8], Refusal> {
    if descriptor.header.is_null() {
        let reason = "it points to no header".to_owned();
        return Err(Refusal::Descriptor { path: path.to_owned(), reason });
    }
    // SAFETY: a descriptor points to its section, which begins with a header.
    let header: Header = unsafe { descriptor.header.read() };
    let len = (header.size as usize).saturating_add(header.manifest_len as usize);
    // SAFETY: the section goes on with the manifest: that many bytes are there, static.
    Ok(unsafe { std::slice::from_raw_parts(descriptor.header.cast::<u8>(), len) })
}

fn not_opened(path: &Path, copy: &Path, error: &libloading::Error) -> Refusal {
    let mut reason = error.to_string();
    if let Some(source) = std::error::Error::source(error) {
        reason = source.to_string();
    }
    // The loader names the copy; the operator knows the file.
    let reason = reason.replace(&*copy.to_string_lossy(), &path.to_string_lossy());
    match reason.rsplit_once("undefined symbol: ") {
        Some((_, symbol)) => {
            let symbol = symbol.trim_end_matches([')', '"']).to_owned();
            Refusal::UndefinedSymbol { path: path.to_owned(), symbol }
        }
        None => Refusal::Open { path: path.to_owned(), reason },
    }
}

impl Transport for Opened {
    fn op(&self, op_id: u64, target: u64, opcode: Opcode, request: &[u8]) -> bool {
        self.probe(op_id, target, opcode as u32, request)
    }

    fn probe(&self, op_id: u64, target: u64, code: u32, request: &[u8]) -> bool {
        // SAFETY: a function of the plug-in's table; the request lives until it returns.
        unsafe { (self.api.op)(op_id, target, code, Slice::new(request)) == STATUS_OK }
    }

    fn cancel(&self, op_id: u64) {
        // SAFETY: as above; takes a number.
        unsafe { (self.api.cancel)(op_id) }
    }

    fn credit(&self, op_id: u64, n: u32) {
        // SAFETY: as above; takes numbers.
        unsafe { (self.api.credit)(op_id, n) }
    }

    fn shutdown(&self, timeout: Duration) {
        // SAFETY: as above; takes a number.
        unsafe { (self.api.shutdown)(timeout.as_millis() as u64) };
    }
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Opened")
    }
}

/// Runs a function the plug-in called; a panic of ours must not unwind into it.
fn caught<T>(otherwise: T, code: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(code)).unwrap_or(otherwise)
}

/// # Safety
/// `ctx` must be the host's table's own: the listener leaked by [`open`], which lives for ever.
unsafe fn listener(ctx: *const c_void) -> &'static dyn Listener {
    // SAFETY: as above.
    unsafe { &**ctx.cast::<Arc<dyn Listener>>() }
}

/// # Safety
/// As [`HostApi::complete`] says.
unsafe extern "C" fn complete(ctx: *const c_void, op_id: u64, status: u32, reply: Buf) {
    caught((), || {
        // SAFETY: the plug-in passes the context of the table.
        unsafe { listener(ctx) }.complete(op_id, status, Body(reply));
    });
}

/// # Safety
/// As [`HostApi::emit`] says.
unsafe extern "C" fn emit(ctx: *const c_void, op_id: u64, n_credit: u32, batch: Buf) -> u32 {
    caught(ErrorClass::Protocol.code(), || {
        // SAFETY: the plug-in passes the context of the table.
        let taken = unsafe { listener(ctx) }.emit(op_id, n_credit, Body(batch));
        if taken { STATUS_OK } else { ErrorClass::Canceled.code() }
    })
}

/// # Safety
/// As [`HostApi::log`] says.
unsafe extern "C" fn log(
    ctx: *const c_void,
    level: u32,
    instance: u64,
    target: Slice,
    message: Slice,
    fields: Slice,
) {
    caught((), || {
        // SAFETY: the plug-in passes the context of the table; the slices live until we return.
        let (listener, target, message, fields) =
            unsafe { (listener(ctx), target.as_bytes(), message.as_bytes(), fields.as_bytes()) };
        let text = String::from_utf8_lossy;
        listener.log(level, instance, &text(target), &text(message), &text(fields));
    });
}

/// # Safety
/// As [`HostApi::now_ms`] says.
unsafe extern "C" fn now_ms(ctx: *const c_void) -> i64 {
    // SAFETY: the plug-in passes the context of the table.
    caught(0, || unsafe { listener(ctx) }.now_ms())
}

#[cfg(test)]
mod tests;
