// SPDX-License-Identifier: GPL-2.0-only
//! Maps: data shared between programs and with user space.
//!
//! A map is a static with `#[rex_map]`; the map's name is the static's name in lower case. The
//! type of its values decides how they are accessed:
//!
//! - plain values ([`Plain`]) are copied: `get`, `insert`;
//! - atomic numbers ([`Shared`]) are used by reference: `at`;
//! - values with a lock ([`crate::lock::Locked`]) are accessed while it is held: `lock`.
//!
//! Iteration is a loop over [`HashMap::keys`]: the kernel never calls back.
mod array;
mod hash;
mod queue;
mod ringbuf;

use core::ffi::c_void;
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicI32, AtomicI64, AtomicU32, AtomicU64};

pub use array::{Array, PerCpuArray};
pub use hash::{HashMap, Keys, LruHashMap};
pub use queue::{Queue, Stack};
pub use ringbuf::{Reservation, RingBuf};

use crate::lock::Locked;
use crate::plain::Plain;

/// A type of statics with `#[rex_map]`.
///
/// # Safety
/// It must have the layout of [`crate::abi::MapEntry`].
pub unsafe trait Map {}

/// A type of values in an array or a hash map.
///
/// # Safety
/// `Raw` must have the size and layout of `Self`, and `LOCK_OFFSET` must be the offset of its
/// lock, or -1.
pub unsafe trait Value: 'static {
    /// The value's type without its lock and without atomics.
    type Content: Plain;
    #[doc(hidden)]
    type Raw: Copy;
    #[doc(hidden)]
    const LOCK_OFFSET: i32;

    /// # Safety
    /// `place` must be valid for `Raw` and all zeros; bytes that are not filled in stay zero.
    #[doc(hidden)]
    unsafe fn fill(place: *mut Self::Raw, content: &Self::Content);
}

// SAFETY: it is its own `Raw` and has no lock.
unsafe impl<T: Plain> Value for T {
    type Content = T;
    type Raw = T;
    const LOCK_OFFSET: i32 = -1;

    unsafe fn fill(place: *mut T, content: &T) {
        // SAFETY: as the caller promises.
        unsafe { place.write(*content) }
    }
}

/// A value that may be referenced although others change it.
///
/// # Safety
/// Any bytes must be a valid value, and all accesses must be atomic operations.
pub unsafe trait Shared: Value + Sync {}

macro_rules! atomic {
    ($($atomic:ty: $number:ty)*) => { $(
        // SAFETY: an atomic number has the layout of the number.
        unsafe impl Value for $atomic {
            type Content = $number;
            type Raw = $number;
            const LOCK_OFFSET: i32 = -1;

            unsafe fn fill(place: *mut $number, content: &$number) {
                // SAFETY: as the caller promises.
                unsafe { place.write(*content) }
            }
        }
        // SAFETY: the type has only atomic operations.
        unsafe impl Shared for $atomic {}
    )* };
}

atomic!(AtomicI32: i32 AtomicI64: i64 AtomicU32: u32 AtomicU64: u64);

/// The raw form of a [`Locked`].
#[doc(hidden)]
#[repr(C)]
#[derive(Clone, Copy)]
pub struct LockedRaw<T> {
    _lock: u32,
    value: T,
}

// SAFETY: both types are `repr(C)`, and the lock is first.
unsafe impl<T: Plain> Value for Locked<T> {
    type Content = T;
    type Raw = LockedRaw<T>;
    const LOCK_OFFSET: i32 = 0;

    unsafe fn fill(place: *mut LockedRaw<T>, content: &T) {
        // The kernel does not overwrite the lock of an existing entry.
        // SAFETY: as the caller promises.
        unsafe { (&raw mut (*place).value).write(*content) }
    }
}

/// Return the address of a value, for the kernel to read from.
fn from<T>(value: &T) -> *const c_void {
    (&raw const *value).cast()
}

/// Call `use_it` with the raw form of a value, in which all unused bytes are zero.
fn with_raw<V: Value, R>(content: &V::Content, use_it: impl FnOnce(*const c_void) -> R) -> R {
    let mut raw = MaybeUninit::<V::Raw>::zeroed();
    // SAFETY: zeros of the right size.
    unsafe { V::fill(raw.as_mut_ptr(), content) };
    use_it(raw.as_ptr().cast())
}

/// Copy a value that others may write to meanwhile: the copy may mix two values.
///
/// # Safety
/// `place` must be valid and aligned for a T.
unsafe fn snapshot<T: Plain>(place: *const c_void) -> T {
    // SAFETY: as the caller promises. The volatile access reads the value once.
    unsafe { place.cast::<T>().read_volatile() }
}

macro_rules! map_type {
    ($name:ident<$($parameter:ident: $bound:path),*>) => {
        // SAFETY: `repr(transparent)` over the entry.
        unsafe impl<$($parameter: $bound),*> crate::map::Map for $name<$($parameter),*> {}
        // SAFETY: all CPUs can use the kernel's maps; the entry is only read.
        unsafe impl<$($parameter: $bound),*> Sync for $name<$($parameter),*> {}

        impl<$($parameter: $bound),*> $name<$($parameter),*> {
            #[doc(hidden)]
            pub const fn named(self, name: &str) -> Self {
                Self { entry: self.entry.named(name), kinds: core::marker::PhantomData }
            }
        }
    };
}
use map_type;
