//! The ABI's own version, independent of the product's and of this crate's.

use std::fmt;

/// Lowest version this crate speaks.
pub const ABI_MIN: Version = Version::new(1, 0);

/// Highest version this crate speaks.
pub const ABI_MAX: Version = Version::new(1, 0);

/// `major << 16 | minor`: another major cannot be spoken, a higher minor only adds.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(u32);

impl Version {
    /// A version from its parts.
    pub const fn new(major: u16, minor: u16) -> Self {
        Self((major as u32) << 16 | minor as u32)
    }

    /// The number as it crosses the border.
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// What must be equal.
    pub const fn major(self) -> u16 {
        (self.0 >> 16) as u16
    }

    /// What may differ.
    pub const fn minor(self) -> u16 {
        self.0 as u16
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major(), self.minor())
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The highest version that both ranges (lowest, highest) contain; none if they do not meet. A
/// range that spans majors is taken at its word: whoever states it speaks both.
pub fn negotiate(host: (Version, Version), plugin: (Version, Version)) -> Option<Version> {
    let highest = host.1.min(plugin.1);
    let lowest = host.0.max(plugin.0);
    (lowest <= highest).then_some(highest)
}
