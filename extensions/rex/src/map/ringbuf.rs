// SPDX-License-Identifier: GPL-2.0-only
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;

use super::{from, map_type};
use crate::abi::{self, MapEntry};
use crate::error::{Error, Result};
use crate::plain::Plain;

/// A ring buffer: samples for user space, in their order.
#[repr(transparent)]
pub struct RingBuf<T: Plain> {
    entry: MapEntry,
    kinds: PhantomData<fn() -> T>,
}

map_type!(RingBuf<T: Plain>);

impl<T: Plain> RingBuf<T> {
    /// A buffer of a size in bytes: a power of two, and at least a page.
    pub const fn new(bytes: u32) -> Self {
        assert!(bytes.is_power_of_two() && bytes >= 4096, "a power of two from 4096 on");
        RingBuf { entry: MapEntry::new(27, 0, 0, bytes, -1), kinds: PhantomData }
    }

    /// Add a sample; fails if there is no room.
    pub fn output(&self, sample: &T) -> Result<()> {
        let size = size_of::<T>() as u64;
        // SAFETY: as many bytes are there.
        Error::check(unsafe {
            abi::rex_ringbuf_output(self.entry.address(), from(sample), size, 0)
        })
    }

    /// Make room for a sample that begins as `first`; None if there is none, here or in
    /// the kernel's ledger. Nobody sees it before it is submitted.
    pub fn reserve(&self, first: T) -> Option<Reservation<T>> {
        let size = size_of::<T>() as u64;
        // SAFETY: the address is this map's.
        let room = unsafe { abi::rex_ringbuf_reserve(self.entry.address(), size) };
        let room = NonNull::new(room)?.cast::<T>();
        // SAFETY: as many bytes are there, aligned to 8, and they are ours.
        unsafe { room.write(first) };
        Some(Reservation { room })
    }
}

/// Room in a ring buffer. Dropped without being submitted, it is discarded.
#[must_use = "it is discarded when this is dropped"]
pub struct Reservation<T: Plain> {
    room: NonNull<T>,
}

impl<T: Plain> Reservation<T> {
    /// Let user space see it.
    pub fn submit(self) {
        let room = ManuallyDrop::new(self).room;
        // SAFETY: reserved, and given back once: `drop` does not come to it.
        unsafe { abi::rex_ringbuf_submit(room.as_ptr().cast(), 0) }
    }
}

impl<T: Plain> Deref for Reservation<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: ours until it is given back, and written when it was reserved.
        unsafe { self.room.as_ref() }
    }
}

impl<T: Plain> DerefMut for Reservation<T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above.
        unsafe { self.room.as_mut() }
    }
}

impl<T: Plain> Drop for Reservation<T> {
    fn drop(&mut self) {
        // SAFETY: reserved, and given back once.
        unsafe { abi::rex_ringbuf_discard(self.room.as_ptr().cast(), 0) }
    }
}
