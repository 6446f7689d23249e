//! The export macro and the functions behind the ABI; each catches every panic.
#![allow(unsafe_code, reason = "functions of the ABI; each block says why it holds")]

use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use super::guard::panicked;
use super::host::Host;
use super::library::Library;
use crate::abi::{ABI_MAX, ABI_MIN};
use crate::abi::{Descriptor, HostApi, PluginApi, STATUS_OK, Section, Slice, Version, negotiate};
use crate::error::ErrorClass;

/// Makes a type a plug-in library.
///
/// `plugin` is the type, `roles` names the traits it implements (`capture`, `lookup`, `callback`),
/// and `manifest` is what the build script wrote. Use it once a crate, in a crate of type
/// `cdylib`: it exports the one symbol of the ABI, so two plug-ins never link into one binary.
#[macro_export]
macro_rules! export_plugin {
    (
        plugin: $plugin:ty,
        roles: [$($role:ident),* $(,)?],
        manifest: $manifest:expr $(,)?
    ) => {
        const _: () = {
            use $crate::abi::{Descriptor, Section};
            use $crate::runtime::{Endpoint, Exported, Library, descriptor};

            const MANIFEST: &str = $manifest;
            static ENDPOINT: Endpoint<$plugin> = Endpoint::new()$(.$role())*;
            static LIBRARY: Library = Library::new(&ENDPOINT);

            impl Exported for $plugin {
                fn library() -> &'static Library {
                    &LIBRARY
                }

                fn descriptor() -> &'static Descriptor {
                    &DESCRIPTOR
                }
            }

            #[used]
            #[unsafe(link_section = ".gantry_manifest")]
            static SECTION: Section<{ MANIFEST.len() }> =
                Section::new(MANIFEST, cfg!(panic = "unwind"));
            static DESCRIPTOR: Descriptor = descriptor::<$plugin, _>(&SECTION);

            #[unsafe(no_mangle)]
            extern "C" fn gantry_plugin_entry_v1() -> *const Descriptor {
                &DESCRIPTOR
            }
        };
    };
}

/// A plug-in that was exported: the library behind the functions of the ABI.
pub trait Exported: 'static {
    /// The one library of this crate.
    fn library() -> &'static Library;

    /// What the library's symbol returns, for those who link the plug-in into a program of theirs.
    fn descriptor() -> &'static Descriptor;
}

/// The descriptor of an exported library.
pub const fn descriptor<E: Exported, const N: usize>(section: &'static Section<N>) -> Descriptor {
    Descriptor::new(section, init::<E>)
}

struct Table<E>(PhantomData<E>);

impl<E: Exported> Table<E> {
    const API: &'static PluginApi = &PluginApi {
        size: size_of::<PluginApi>() as u32,
        reserved: 0,
        op: op::<E>,
        cancel: cancel::<E>,
        credit: credit::<E>,
        shutdown: shutdown::<E>,
    };
}

/// Runs a function of the ABI; a panic in it, which is one of ours and not the author's, ends here.
fn caught(code: impl FnOnce() -> u32) -> u32 {
    catch_unwind(AssertUnwindSafe(code)).unwrap_or_else(|payload| panicked(payload).class().code())
}

/// # Safety
/// As [`crate::abi::InitFn`] says: `host` points to a table that lives for ever, `out` may be
/// written.
unsafe extern "C" fn init<E: Exported>(
    host: *const HostApi,
    version: Version,
    out: *mut *const PluginApi,
) -> u32 {
    caught(|| {
        // SAFETY: the caller vouches for the table.
        let host = unsafe { Host::new(host) };
        let spoken = negotiate((version, version), (ABI_MIN, ABI_MAX)).is_some();
        match host {
            Some(host) if spoken && !out.is_null() && E::library().meet(host) => {
                // SAFETY: the caller vouches for `out`, and it is not null.
                unsafe { out.write(Table::<E>::API) };
                STATUS_OK
            }
            _ => ErrorClass::Protocol.code(),
        }
    })
}

/// # Safety
/// `request` must be readable until the call returns.
unsafe extern "C" fn op<E: Exported>(op_id: u64, target: u64, opcode: u32, request: Slice) -> u32 {
    caught(|| {
        // SAFETY: the caller vouches for the request, which is read before `op` returns.
        let request = unsafe { request.as_bytes() };
        E::library().op(op_id, target, opcode, request)
    })
}

extern "C" fn cancel<E: Exported>(op_id: u64) {
    caught(|| {
        E::library().cancel(op_id);
        STATUS_OK
    });
}

extern "C" fn credit<E: Exported>(op_id: u64, n: u32) {
    caught(|| {
        E::library().credit(op_id, n);
        STATUS_OK
    });
}

extern "C" fn shutdown<E: Exported>(timeout_ms: u64) -> u32 {
    caught(|| {
        E::library().shutdown(Duration::from_millis(timeout_ms));
        STATUS_OK
    })
}
