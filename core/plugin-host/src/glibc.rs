//! Versions of the C library: what the host has and what a file needs.
#![allow(unsafe_code, reason = "asks the C library for its version")]

use std::fmt;

/// A version such as 2.36.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Glibc(pub(crate) u32, pub(crate) u32);

impl Glibc {
    /// Reads `2.36`, and `2.2.5` as 2.2.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        Some(Self(parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
    }

    /// Reads the name of a needed version (`GLIBC_2.34`); none if it names no number we know.
    pub(crate) fn from_need(name: &str) -> Option<Self> {
        match name.strip_prefix("GLIBC_")? {
            // Relative relocations in packed form; the loader knows them since 2.36.
            "ABI_DT_RELR" => Some(Self(2, 36)),
            version => Self::parse(version),
        }
    }

    /// The version running here; none where the C library is another.
    #[cfg(target_env = "gnu")]
    pub(crate) fn here() -> Option<Self> {
        // SAFETY: takes nothing and returns a static text that ends in zero.
        let text = unsafe { std::ffi::CStr::from_ptr(libc::gnu_get_libc_version()) };
        Self::parse(text.to_str().ok()?)
    }

    /// The version running here; none where the C library is another.
    #[cfg(not(target_env = "gnu"))]
    pub(crate) fn here() -> Option<Self> {
        None
    }
}

impl fmt::Display for Glibc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}
