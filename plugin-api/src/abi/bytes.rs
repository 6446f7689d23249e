//! Bytes that cross the border: borrowed ([`Slice`]) or handed over with their own `free`
//! ([`Buf`]).
#![allow(unsafe_code, reason = "see the module above")]

use std::fmt;

/// Bytes borrowed for the duration of a call.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Slice {
    /// The first byte; may be anything, null too, if there is none.
    pub ptr: *const u8,
    /// How many.
    pub len: usize,
}

/// Bytes handed over: who receives them frees them, by the function of the one who made them.
#[repr(C)]
pub struct Buf {
    /// The first byte.
    pub ptr: *mut u8,
    /// How many are valid.
    pub len: usize,
    /// For `free`.
    pub cap: usize,
    /// `free(ptr, len, cap)`; none if there is nothing to free.
    pub free: Option<unsafe extern "C" fn(*mut u8, usize, usize)>,
}

impl Slice {
    /// Lends bytes to a call.
    pub const fn new(bytes: &[u8]) -> Self {
        Self { ptr: bytes.as_ptr(), len: bytes.len() }
    }

    /// The bytes.
    ///
    /// # Safety
    /// `ptr` and `len` must describe readable memory that nobody writes for as long as `'a`; an
    /// empty slice may have any pointer.
    pub const unsafe fn as_bytes<'a>(self) -> &'a [u8] {
        if self.len == 0 || self.ptr.is_null() {
            return &[];
        }
        // SAFETY: the caller vouches for the memory; null was excluded.
        unsafe { std::slice::from_raw_parts(self.ptr, self.len) }
    }
}

impl Buf {
    /// No bytes.
    pub const EMPTY: Self = Self { ptr: std::ptr::null_mut(), len: 0, cap: 0, free: None };

    /// Hands a vector over; it comes back to this side's allocator by `free`.
    pub fn from_vec(bytes: Vec<u8>) -> Self {
        let mut bytes = std::mem::ManuallyDrop::new(bytes);
        let (ptr, len, cap) = (bytes.as_mut_ptr(), bytes.len(), bytes.capacity());
        Self { ptr, len, cap, free: Some(free_vec) }
    }

    /// The bytes.
    ///
    /// # Safety
    /// The buffer must come from the other side or from [`Buf::from_vec`] as it is: `ptr` and `len`
    /// describe readable memory that lives until `free`.
    pub const unsafe fn as_bytes(&self) -> &[u8] {
        // SAFETY: the caller vouches for the memory, which `self` keeps from being freed.
        unsafe { Slice { ptr: self.ptr, len: self.len }.as_bytes() }
    }
}

/// # Safety
/// The arguments must be those of a vector given up in [`Buf::from_vec`], and given only once.
unsafe extern "C" fn free_vec(ptr: *mut u8, len: usize, cap: usize) {
    // SAFETY: as above; the vector was made by this very copy of the standard library.
    drop(unsafe { Vec::from_raw_parts(ptr, len, cap) });
}

impl Drop for Buf {
    fn drop(&mut self) {
        if let Some(free) = self.free.take() {
            // SAFETY: the maker gave `free` for exactly these three, and `take` makes it the only
            // call.
            unsafe { free(self.ptr, self.len, self.cap) }
        }
    }
}

// SAFETY: owned bytes; the contract of `free` is that any thread may call it.
unsafe impl Send for Buf {}
// SAFETY: through a shared reference the bytes are only read.
unsafe impl Sync for Buf {}

impl fmt::Debug for Slice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Slice({} bytes)", self.len)
    }
}

impl fmt::Debug for Buf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Buf({} bytes)", self.len)
    }
}
