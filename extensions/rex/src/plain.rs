// SPDX-License-Identifier: GPL-2.0-only
//! Plain types: types that can be read from the bytes of a packet, a map or a record.

/// A type for which any bytes are a valid value, and which has no uninitialized bytes.
///
/// `#[rex_plain]` implements it for a structure whose fields are plain and leave no gaps.
///
/// # Safety
/// Any bit pattern must be a valid value; the type must have no padding, pointers or interior
/// mutability; its alignment must be at most 8.
pub unsafe trait Plain: Copy + 'static {}

macro_rules! plain {
    ($($name:ty)*) => { $(
        // SAFETY: integers have neither padding nor invalid values.
        unsafe impl Plain for $name {}
    )* };
}

// No 128-bit types: maps and records are aligned to 8 bytes.
plain!(u8 u16 u32 u64 usize i8 i16 i32 i64 isize);

// SAFETY: an array has no padding between its elements, which are plain.
unsafe impl<T: Plain, const N: usize> Plain for [T; N] {}

macro_rules! big_endian {
    ($($(#[$doc:meta])* $name:ident $number:ty;)*) => { $(
        $(#[$doc])*
        #[repr(transparent)]
        #[derive(Clone, Copy, PartialEq, Eq, Hash)]
        pub struct $name([u8; size_of::<$number>()]);

        // SAFETY: an array of bytes.
        unsafe impl Plain for $name {}

        impl $name {
            /// Convert a number to network byte order.
            pub const fn new(value: $number) -> Self {
                $name(value.to_be_bytes())
            }

            /// Return the number in the CPU's byte order.
            pub const fn get(self) -> $number {
                <$number>::from_be_bytes(self.0)
            }

            /// Set the number.
            pub const fn set(&mut self, value: $number) {
                self.0 = value.to_be_bytes();
            }
        }

        impl core::fmt::Debug for $name {
            fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                self.get().fmt(out)
            }
        }
    )* };
}

big_endian! {
    /// A 16-bit number in network byte order, without alignment.
    Be16 u16;
    /// A 32-bit number in network byte order, without alignment.
    Be32 u32;
    /// A 64-bit number in network byte order, without alignment.
    Be64 u64;
}

/// Require at compile time that a type may have any address.
const fn assert_unaligned<T: Plain>() {
    assert!(align_of::<T>() == 1, "a header is made of bytes: u8, [u8; N], Be16, Be32, Be64");
}

/// Return a reference to a header at the start of `bytes`; None if they are too few.
///
/// A header is a plain type without alignment, made of `u8`, [`Be16`] and similar types;
/// other types are a compile error.
pub fn header<T: Plain>(bytes: &[u8]) -> Option<&T> {
    const { assert_unaligned::<T>() }
    let bytes = bytes.get(..size_of::<T>())?;
    // SAFETY: enough bytes; any bytes are a valid T, at any address.
    Some(unsafe { &*bytes.as_ptr().cast() })
}

/// Return a mutable reference to a header at the start of `bytes`; None if they are too few.
pub fn header_mut<T: Plain>(bytes: &mut [u8]) -> Option<&mut T> {
    const { assert_unaligned::<T>() }
    let bytes = bytes.get_mut(..size_of::<T>())?;
    // SAFETY: as in `header`; all bytes of a T stay initialized, whatever is written.
    Some(unsafe { &mut *bytes.as_mut_ptr().cast() })
}

/// Read a value in the CPU's byte order from the start of `bytes`; None if they are too few.
pub fn read<T: Plain>(bytes: &[u8]) -> Option<T> {
    let bytes = bytes.get(..size_of::<T>())?;
    // SAFETY: enough bytes; any bytes are a valid T.
    Some(unsafe { bytes.as_ptr().cast::<T>().read_unaligned() })
}
