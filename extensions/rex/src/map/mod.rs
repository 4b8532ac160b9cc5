// SPDX-License-Identifier: GPL-2.0-only
//! Maps: what programs share with each other and with user space.
//!
//! A map is a static with `#[rex_map]`; its name there, in small letters, is its
//! name elsewhere. What a value is decides how it can be used:
//!
//! - plain values ([`Plain`]) are copied in and out: `get`, `insert`;
//! - atomic numbers ([`Shared`]) can be referred to in place: `at`;
//! - values with a lock ([`crate::lock::Locked`]) are referred to while it is held: `lock`.
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

/// A type that `#[rex_map]` may stand before.
///
/// # Safety
/// It is a [`crate::abi::MapEntry`] and nothing else.
pub unsafe trait Map {}

/// What can be the value of an array or a hash map.
///
/// # Safety
/// `Raw` has the size and the layout of `Self`, and `LOCK_OFFSET` is where its lock is, or -1.
pub unsafe trait Value: 'static {
    /// What it is without its lock and without being atomic.
    type Content: Plain;
    #[doc(hidden)]
    type Raw: Copy;
    #[doc(hidden)]
    const LOCK_OFFSET: i32;

    /// # Safety
    /// `place` is valid for a raw form, all zeros: what is not filled in stays so.
    #[doc(hidden)]
    unsafe fn fill(place: *mut Self::Raw, content: &Self::Content);
}

// SAFETY: it is its own raw form and has no lock.
unsafe impl<T: Plain> Value for T {
    type Content = T;
    type Raw = T;
    const LOCK_OFFSET: i32 = -1;

    unsafe fn fill(place: *mut T, content: &T) {
        // SAFETY: as the caller promises.
        unsafe { place.write(*content) }
    }
}

/// A value that may change while it is looked at: it can be referred to in place.
///
/// # Safety
/// Any bytes are a value, and it is only accessed by atomic operations.
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
        // SAFETY: it has no other operations.
        unsafe impl Shared for $atomic {}
    )* };
}

atomic!(AtomicI32: i32 AtomicI64: i64 AtomicU32: u32 AtomicU64: u64);

/// A [`Locked`] as bytes.
#[doc(hidden)]
#[repr(C)]
#[derive(Clone, Copy)]
pub struct LockedRaw<T> {
    _lock: u32,
    value: T,
}

// SAFETY: both are in C's order, and the lock is first.
unsafe impl<T: Plain> Value for Locked<T> {
    type Content = T;
    type Raw = LockedRaw<T>;
    const LOCK_OFFSET: i32 = 0;

    unsafe fn fill(place: *mut LockedRaw<T>, content: &T) {
        // The kernel leaves the lock of an entry that is there as it is.
        // SAFETY: as the caller promises.
        unsafe { (&raw mut (*place).value).write(*content) }
    }
}

/// The address of anything, for the kernel to read from.
fn from<T>(value: &T) -> *const c_void {
    (&raw const *value).cast()
}

/// Call with the raw form of a value, in which no byte is left from something else.
fn with_raw<V: Value, R>(content: &V::Content, use_it: impl FnOnce(*const c_void) -> R) -> R {
    let mut raw = MaybeUninit::<V::Raw>::zeroed();
    // SAFETY: zeros, and room for it.
    unsafe { V::fill(raw.as_mut_ptr(), content) };
    use_it(raw.as_ptr().cast())
}

/// Copies out of memory that others may write to meanwhile: it may mix two values.
///
/// # Safety
/// `place` is valid and aligned for a T.
unsafe fn snapshot<T: Plain>(place: *const c_void) -> T {
    // SAFETY: as the caller promises. Volatile, so that it is read once.
    unsafe { place.cast::<T>().read_volatile() }
}

macro_rules! map_type {
    ($name:ident<$($parameter:ident: $bound:path),*>) => {
        // SAFETY: transparent over the entry.
        unsafe impl<$($parameter: $bound),*> crate::map::Map for $name<$($parameter),*> {}
        // SAFETY: the kernel's maps can be used from every CPU; the entry is only read.
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
