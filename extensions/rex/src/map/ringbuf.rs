// SPDX-License-Identifier: GPL-2.0-only
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;

use super::{from, map_type};
use crate::abi::{self, MapEntry};
use crate::error::{Error, Result};
use crate::plain::Plain;

/// A ring buffer: samples for user space, in order.
#[repr(transparent)]
pub struct RingBuf<T: Plain> {
    entry: MapEntry,
    kinds: PhantomData<fn() -> T>,
}

map_type!(RingBuf<T: Plain>);

impl<T: Plain> RingBuf<T> {
    /// Create a buffer of `bytes` bytes: a power of two, and at least a page.
    pub const fn new(bytes: u32) -> Self {
        assert!(bytes.is_power_of_two() && bytes >= 4096, "a power of two from 4096 on");
        let entry = MapEntry::new(abi::BPF_MAP_TYPE_RINGBUF, 0, 0, bytes, -1);
        RingBuf { entry, kinds: PhantomData }
    }

    /// Add a sample; fails if the buffer is full.
    pub fn output(&self, sample: &T) -> Result<()> {
        let size = size_of::<T>() as u64;
        // SAFETY: the sample has `size` bytes.
        Error::check(unsafe {
            abi::rex_ringbuf_output(self.entry.address(), from(sample), size, 0)
        })
    }

    /// Reserve space for a sample with the initial value `first`; None if this buffer or the
    /// kernel's ledger is full. User space does not see the sample until it is submitted.
    pub fn reserve(&self, first: T) -> Option<Reservation<T>> {
        let size = size_of::<T>() as u64;
        // SAFETY: the address is this map's.
        let sample = unsafe { abi::rex_ringbuf_reserve(self.entry.address(), size) };
        let sample = NonNull::new(sample)?.cast::<T>();
        // SAFETY: `size` bytes were reserved for this program alone, aligned to 8.
        unsafe { sample.write(first) };
        Some(Reservation { sample })
    }
}

/// A reserved sample in a ring buffer. Dropping it without submitting discards it.
#[must_use = "it is discarded when this is dropped"]
pub struct Reservation<T: Plain> {
    sample: NonNull<T>,
}

impl<T: Plain> Reservation<T> {
    /// Make the sample visible to user space.
    pub fn submit(self) {
        let sample = ManuallyDrop::new(self).sample;
        // SAFETY: a reserved sample, given back once: `drop` does not run.
        unsafe { abi::rex_ringbuf_submit(sample.as_ptr().cast(), 0) }
    }
}

impl<T: Plain> Deref for Reservation<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: reserved for this program, and initialized by `reserve`.
        unsafe { self.sample.as_ref() }
    }
}

impl<T: Plain> DerefMut for Reservation<T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above.
        unsafe { self.sample.as_mut() }
    }
}

impl<T: Plain> Drop for Reservation<T> {
    fn drop(&mut self) {
        // SAFETY: a reserved sample, given back once.
        unsafe { abi::rex_ringbuf_discard(self.sample.as_ptr().cast(), 0) }
    }
}
