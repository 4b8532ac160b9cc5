// SPDX-License-Identifier: GPL-2.0-only
use core::ffi::c_void;
use core::marker::PhantomData;

use super::{Shared, Value, from, map_type, snapshot, with_raw};
use crate::abi::{self, MapEntry};
use crate::error::{Error, Result};
use crate::lock::{LockGuard, Locked};
use crate::plain::Plain;

/// An array; all its values are there from the start, as zeros.
#[repr(transparent)]
pub struct Array<V: Value> {
    entry: MapEntry,
    kinds: PhantomData<fn() -> V>,
}

map_type!(Array<V: Value>);

impl<V: Value> Array<V> {
    /// An array of a length.
    pub const fn new(length: u32) -> Self {
        let entry = MapEntry::new(2, 4, size_of::<V>(), length, V::LOCK_OFFSET);
        Array { entry, kinds: PhantomData }
    }

    fn lookup(&self, index: u32) -> *mut c_void {
        // SAFETY: the kernel compared the sizes of the map with the types'.
        unsafe { abi::rex_map_lookup(self.entry.address(), from(&index)) }
    }

    /// Put a value there; [`Error::TOO_BIG`] behind the end.
    pub fn set(&self, index: u32, value: &V::Content) -> Result<()> {
        let map = self.entry.address();
        // SAFETY: as in `lookup`.
        Error::check(with_raw::<V, _>(value, |raw| unsafe {
            abi::rex_map_update(map, from(&index), raw, 0)
        }))
    }
}

impl<V: Plain> Array<V> {
    /// A copy of a value; None behind the end.
    pub fn get(&self, index: u32) -> Option<V> {
        let place = self.lookup(index);
        // SAFETY: a value of this map, which holds V's.
        (!place.is_null()).then(|| unsafe { snapshot(place) })
    }
}

impl<V: Shared> Array<V> {
    /// A value in place; None behind the end.
    pub fn at(&self, index: u32) -> Option<&V> {
        // SAFETY: a value of this map, which stays as long as the program.
        unsafe { self.lookup(index).cast::<V>().as_ref() }
    }
}

impl<T: Plain> Array<Locked<T>> {
    /// Take the lock of a value; [`Error::NOT_FOUND`] behind the end.
    pub fn lock(&self, index: u32) -> Result<LockGuard<'_, T>> {
        // SAFETY: as in `at`.
        let value = unsafe { self.lookup(index).cast::<Locked<T>>().as_ref() };
        value.ok_or(Error::NOT_FOUND)?.lock()
    }
}

/// An array for each CPU: a program sees the values of the one that it runs on.
#[repr(transparent)]
pub struct PerCpuArray<V: Plain> {
    entry: MapEntry,
    kinds: PhantomData<fn() -> V>,
}

map_type!(PerCpuArray<V: Plain>);

impl<V: Plain> PerCpuArray<V> {
    /// Arrays of a length.
    pub const fn new(length: u32) -> Self {
        // The kernel rounds the size of a slot up to 8 bytes; the value's stays.
        let entry = MapEntry::new(6, 4, size_of::<V>(), length, -1);
        PerCpuArray { entry, kinds: PhantomData }
    }

    fn lookup(&self, index: u32) -> *mut c_void {
        // SAFETY: the kernel compared the sizes of the map with the types'.
        unsafe { abi::rex_map_lookup(self.entry.address(), from(&index)) }
    }

    /// A copy of this CPU's value; None behind the end.
    pub fn get(&self, index: u32) -> Option<V> {
        let place = self.lookup(index);
        // SAFETY: a value of this map, which holds V's.
        (!place.is_null()).then(|| unsafe { snapshot(place) })
    }

    /// Change this CPU's value; [`Error::TOO_BIG`] behind the end.
    pub fn set(&self, index: u32, value: &V) -> Result<()> {
        let place = self.lookup(index);
        if place.is_null() {
            return Err(Error::TOO_BIG);
        }
        // SAFETY: a value of this map, of this CPU, which the program does not leave.
        unsafe { place.cast::<V>().write_volatile(*value) };
        Ok(())
    }

    /// Change this CPU's value by what it is. What another program that interrupts this
    /// one writes meanwhile is lost.
    pub fn update(&self, index: u32, change: impl FnOnce(V) -> V) -> Result<()> {
        let value = self.get(index).ok_or(Error::TOO_BIG)?;
        self.set(index, &change(value))
    }
}
