//! The layout of version 1, checked when the crate is compiled: whoever moves a field does not
//! build.
//!
//! Offsets are those of a 64-bit target; no other is supported.

use std::mem::offset_of;

use super::{Buf, Descriptor, Header, HostApi, PluginApi, Section, Slice};

macro_rules! layout {
    ($type:ty, size $size:literal, align $align:literal, {
        $($field:ident at $offset:literal),* $(,)?
    }) => {
        const _: () = {
            assert!(size_of::<$type>() == $size, concat!("size of ", stringify!($type)));
            assert!(align_of::<$type>() == $align, concat!("alignment of ", stringify!($type)));
            $(assert!(
                offset_of!($type, $field) == $offset,
                concat!("offset of ", stringify!($type), "::", stringify!($field))
            );)*
        };
    };
}

layout!(Slice, size 16, align 8, { ptr at 0, len at 8 });
layout!(Buf, size 32, align 8, { ptr at 0, len at 8, cap at 16, free at 24 });
layout!(Header, size 48, align 8, {
    magic at 0, size at 8, abi_min at 12, abi_max at 16, flags at 20, features_required at 24,
    features_offered at 32, manifest_len at 40,
});
// The manifest follows the header at once, whatever its length.
layout!(Section<0>, size 48, align 8, { header at 0, manifest at 48 });
layout!(Section<1>, size 56, align 8, { header at 0, manifest at 48 });
layout!(Descriptor, size 32, align 8, {
    magic at 0, size at 8, reserved at 12, header at 16, init at 24,
});
layout!(PluginApi, size 40, align 8, {
    size at 0, reserved at 4, op at 8, cancel at 16, credit at 24, shutdown at 32,
});
layout!(HostApi, size 56, align 8, {
    size at 0, n_workers at 4, ctx at 8, complete at 16, emit at 24, log at 32, now_ms at 40,
    log_level at 48,
});
