// SPDX-License-Identifier: GPL-2.0-only
//! Spin locks in values of maps.
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
    /// Take the lock; dropping the guard releases it. Interrupts are off meanwhile.
    ///
    /// Fails with [`Error::BUSY`] if this CPU already holds a lock, with [`Error::DEADLOCK`]
    /// after waiting for a second (the program may have interrupted the lock's holder on this
    /// CPU), and with [`Error::NO_ROOM`] if the ledger is full.
    pub fn lock(&self) -> Result<LockGuard<'_, T>> {
        // SAFETY: a lock in a map's value, as the map's BTF says.
        Error::check(unsafe { abi::rex_spin_lock(self.lock.get()) }.into())?;
        // SAFETY: a map's value of type T. It is read once, as others may write to it.
        let value = unsafe { self.value.get().read_volatile() };
        Ok(LockGuard { locked: self, value, here: PhantomData })
    }
}

/// A held lock, which gives access to the value.
///
/// The guard has a copy of the value and writes it back when it is dropped: user space and
/// updates of the whole entry need not take the lock, and must not change data behind a
/// reference. If a program ends while it holds the lock, the value stays unchanged.
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
        // SAFETY: a map's value of type T.
        unsafe { self.locked.value.get().write_volatile(self.value) };
        // SAFETY: this guard holds the lock.
        unsafe { abi::rex_spin_unlock(self.locked.lock.get()) }
    }
}
