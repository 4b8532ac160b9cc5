// SPDX-License-Identifier: GPL-2.0-only
use core::ffi::c_void;
use core::marker::PhantomData;

use super::{Shared, Value, from, map_type, snapshot, with_raw};
use crate::abi::{self, MapEntry};
use crate::error::{Error, Result};
use crate::lock::{LockGuard, Locked};
use crate::plain::Plain;

/// An array; all its values exist from the start, as zeros.
#[repr(transparent)]
pub struct Array<V: Value> {
    entry: MapEntry,
    kinds: PhantomData<fn() -> V>,
}

map_type!(Array<V: Value>);

impl<V: Value> Array<V> {
    /// Create an array of `length` values.
    pub const fn new(length: u32) -> Self {
        let kind = abi::BPF_MAP_TYPE_ARRAY;
        let entry = MapEntry::new(kind, 4, size_of::<V>(), length, V::LOCK_OFFSET);
        Array { entry, kinds: PhantomData }
    }

    fn lookup(&self, index: u32) -> *mut c_void {
        // SAFETY: the kernel compared the map's sizes with the sizes of the types.
        unsafe { abi::rex_map_lookup(self.entry.address(), from(&index)) }
    }

    /// Set a value; fails with [`Error::TOO_BIG`] if the index is out of range.
    pub fn set(&self, index: u32, value: &V::Content) -> Result<()> {
        let map = self.entry.address();
        // SAFETY: as in `lookup`.
        Error::check(with_raw::<V, _>(value, |raw| unsafe {
            abi::rex_map_update(map, from(&index), raw, 0)
        }))
    }
}

impl<V: Plain> Array<V> {
    /// Return a copy of a value; None if the index is out of range.
    pub fn get(&self, index: u32) -> Option<V> {
        let place = self.lookup(index);
        // SAFETY: a value of this map, whose values have type V.
        (!place.is_null()).then(|| unsafe { snapshot(place) })
    }
}

impl<V: Shared> Array<V> {
    /// Return a reference to a value; None if the index is out of range.
    pub fn at(&self, index: u32) -> Option<&V> {
        // SAFETY: a value of this map, which exists as long as the program.
        unsafe { self.lookup(index).cast::<V>().as_ref() }
    }
}

impl<T: Plain> Array<Locked<T>> {
    /// Take the lock of a value; fails with [`Error::NOT_FOUND`] if the index is out of range.
    pub fn lock(&self, index: u32) -> Result<LockGuard<'_, T>> {
        // SAFETY: as in `at`.
        let value = unsafe { self.lookup(index).cast::<Locked<T>>().as_ref() };
        value.ok_or(Error::NOT_FOUND)?.lock()
    }
}

/// An array per CPU: a program accesses the values of its own CPU.
#[repr(transparent)]
pub struct PerCpuArray<V: Plain> {
    entry: MapEntry,
    kinds: PhantomData<fn() -> V>,
}

map_type!(PerCpuArray<V: Plain>);

impl<V: Plain> PerCpuArray<V> {
    /// Create arrays of `length` values.
    pub const fn new(length: u32) -> Self {
        // The kernel rounds a slot's size up to 8 bytes, but keeps the value's size.
        let kind = abi::BPF_MAP_TYPE_PERCPU_ARRAY;
        let entry = MapEntry::new(kind, 4, size_of::<V>(), length, -1);
        PerCpuArray { entry, kinds: PhantomData }
    }

    fn lookup(&self, index: u32) -> *mut c_void {
        // SAFETY: the kernel compared the map's sizes with the sizes of the types.
        unsafe { abi::rex_map_lookup(self.entry.address(), from(&index)) }
    }

    /// Return a copy of this CPU's value; None if the index is out of range.
    pub fn get(&self, index: u32) -> Option<V> {
        let place = self.lookup(index);
        // SAFETY: a value of this map, whose values have type V.
        (!place.is_null()).then(|| unsafe { snapshot(place) })
    }

    /// Set this CPU's value; fails with [`Error::TOO_BIG`] if the index is out of range.
    pub fn set(&self, index: u32, value: &V) -> Result<()> {
        let place = self.lookup(index);
        if place.is_null() {
            return Err(Error::TOO_BIG);
        }
        // SAFETY: a value of this map on this CPU, where the program stays.
        unsafe { place.cast::<V>().write_volatile(*value) };
        Ok(())
    }

    /// Replace this CPU's value by `change(value)`. A value that an interrupting program
    /// writes meanwhile is lost.
    pub fn update(&self, index: u32, change: impl FnOnce(V) -> V) -> Result<()> {
        let value = self.get(index).ok_or(Error::TOO_BIG)?;
        self.set(index, &change(value))
    }
}
