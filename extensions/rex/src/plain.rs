// SPDX-License-Identifier: GPL-2.0-only
//! Types that are their bytes: what can be read out of a packet, a map or a record.

/// A type of which any bytes of its size are a value, and all bytes of a value are set.
///
/// `#[rex_plain]` makes it of a structure whose fields are plain and leave no gap.
///
/// # Safety
/// Any pattern of bits is a valid value; there is no padding, pointer or interior
/// mutability in it; its alignment is at most 8.
pub unsafe trait Plain: Copy + 'static {}

macro_rules! plain {
    ($($name:ty)*) => { $(
        // SAFETY: whole numbers have neither padding nor invalid values.
        unsafe impl Plain for $name {}
    )* };
}

// Not of 128 bits: maps and records are aligned to 8 bytes.
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
            /// The number in network order.
            pub const fn new(value: $number) -> Self {
                $name(value.to_be_bytes())
            }

            /// The number in the order of this CPU.
            pub const fn get(self) -> $number {
                <$number>::from_be_bytes(self.0)
            }

            /// Put another number there.
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
    /// A number of 16 bits in network order, wherever it stands.
    Be16 u16;
    /// A number of 32 bits in network order, wherever it stands.
    Be32 u32;
    /// A number of 64 bits in network order, wherever it stands.
    Be64 u64;
}

/// A type that can stand anywhere, since it has no alignment of its own.
const fn stands_anywhere<T: Plain>() {
    assert!(align_of::<T>() == 1, "a header is made of bytes: u8, [u8; N], Be16, Be32, Be64");
}

/// A reference to a header at the start of `bytes`; None if they are too few.
///
/// A header is a plain type that is made of bytes ([`Be16`] and the like are); another
/// is an error when the extension is built.
pub fn header<T: Plain>(bytes: &[u8]) -> Option<&T> {
    const { stands_anywhere::<T>() }
    let bytes = bytes.get(..size_of::<T>())?;
    // SAFETY: enough bytes, any of which make a T, with no demand on their place.
    Some(unsafe { &*bytes.as_ptr().cast() })
}

/// The same, to be changed in place.
pub fn header_mut<T: Plain>(bytes: &mut [u8]) -> Option<&mut T> {
    const { stands_anywhere::<T>() }
    let bytes = bytes.get_mut(..size_of::<T>())?;
    // SAFETY: as in `header`; all bytes of a T are initialised, whatever is written.
    Some(unsafe { &mut *bytes.as_mut_ptr().cast() })
}

/// A value from the start of `bytes`, in the order of this CPU; None if they are too few.
pub fn read<T: Plain>(bytes: &[u8]) -> Option<T> {
    let bytes = bytes.get(..size_of::<T>())?;
    // SAFETY: enough bytes, any of which make a T.
    Some(unsafe { bytes.as_ptr().cast::<T>().read_unaligned() })
}
