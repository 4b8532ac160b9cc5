// SPDX-License-Identifier: GPL-2.0-only
//! Spin locks in the values of maps.
use core::cell::UnsafeCell;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};

use crate::abi;
use crate::error::{Error, Result};
use crate::plain::Plain;

/// A value with a lock in front of it, in a map.
///
/// User space sees a `struct bpf_spin_lock` of 4 bytes and then the value, and
/// can take part with `BPF_F_LOCK`.
#[repr(C)]
pub struct Locked<T> {
    lock: UnsafeCell<u32>,
    value: UnsafeCell<T>,
}

impl<T: Plain> Locked<T> {
    /// Take the lock; it is released when the guard is dropped. Interrupts are off meanwhile.
    ///
    /// [`Error::BUSY`] if this CPU holds one already: one at a time.
    /// [`Error::DEADLOCK`] after a second of waiting: a program can interrupt the holder of
    /// the lock on its own CPU. [`Error::NO_ROOM`] if the ledger is full.
    pub fn lock(&self) -> Result<LockGuard<'_, T>> {
        // SAFETY: a lock in a map's value, as the map's BTF says.
        Error::check(unsafe { abi::rex_spin_lock(self.lock.get()) }.into())?;
        // SAFETY: the value of a map, which holds T's; once, whoever else writes to it.
        let value = unsafe { self.value.get().read_volatile() };
        Ok(LockGuard { locked: self, value, here: PhantomData })
    }
}

/// A lock that is held; gives access to the value.
///
/// It has a copy, which goes back when the guard is dropped: user space and updates of the
/// whole entry do not have to take the lock, and must not change what a reference sees.
/// A program that ends while it holds the lock leaves the value as it was.
#[must_use = "the lock is released when this is dropped"]
pub struct LockGuard<'a, T: Plain> {
    locked: &'a Locked<T>,
    value: T,
    here: PhantomData<*const ()>,
}

impl<T: Plain> Deref for LockGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: Plain> DerefMut for LockGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

impl<T: Plain> Drop for LockGuard<'_, T> {
    fn drop(&mut self) {
        // SAFETY: the value of a map, which holds T's.
        unsafe { self.locked.value.get().write_volatile(self.value) };
        // SAFETY: the lock is held, by us.
        unsafe { abi::rex_spin_unlock(self.locked.lock.get()) }
    }
}
