// SPDX-License-Identifier: GPL-2.0-only
use core::marker::PhantomData;
use core::mem::MaybeUninit;

use super::{Shared, Value, from, map_type, snapshot, with_raw};
use crate::abi::{self, MapEntry};
use crate::error::{Error, Result};
use crate::lock::{LockGuard, Locked};
use crate::plain::Plain;

macro_rules! hash_map {
    ($(#[$doc:meta])* $name:ident, $kind:expr) => {
        $(#[$doc])*
        #[repr(transparent)]
        pub struct $name<K: Plain, V: Value> {
            entry: MapEntry,
            kinds: PhantomData<fn(K) -> V>,
        }

        map_type!($name<K: Plain, V: Value>);

        impl<K: Plain, V: Value> $name<K, V> {
            /// Create a map for up to `entries` entries.
            pub const fn new(entries: u32) -> Self {
                let (key, value) = (size_of::<K>(), size_of::<V>());
                let entry = MapEntry::new($kind, key, value, entries, V::LOCK_OFFSET);
                $name { entry, kinds: PhantomData }
            }

            /// Do not use a random seed, so that a key always has the same bucket. This is for
            /// measurements; untrusted keys could all have the same bucket.
            pub const fn unseeded(self) -> Self {
                $name { entry: self.entry.flagged(abi::BPF_F_ZERO_SEED), kinds: PhantomData }
            }

            fn lookup(&self, key: &K) -> *mut core::ffi::c_void {
                // SAFETY: the kernel compared the map's sizes with the sizes of the types.
                unsafe { abi::rex_map_lookup(self.entry.address(), from(key)) }
            }

            fn update(&self, key: &K, value: &V::Content, flags: u64) -> Result<()> {
                let map = self.entry.address();
                // SAFETY: as in `lookup`.
                Error::check(with_raw::<V, _>(value, |raw| unsafe {
                    abi::rex_map_update(map, from(key), raw, flags)
                }))
            }

            /// Insert a value, or replace an existing one.
            pub fn insert(&self, key: &K, value: &V::Content) -> Result<()> {
                self.update(key, value, abi::BPF_ANY)
            }

            /// Insert a new value; fails with [`Error::EXISTS`] if there is one.
            pub fn insert_new(&self, key: &K, value: &V::Content) -> Result<()> {
                self.update(key, value, abi::BPF_NOEXIST)
            }

            /// Replace an existing value; fails with [`Error::NOT_FOUND`] if there is none.
            pub fn replace(&self, key: &K, value: &V::Content) -> Result<()> {
                self.update(key, value, abi::BPF_EXIST)
            }

            /// Remove an entry; fails with [`Error::NOT_FOUND`] if there is none.
            pub fn remove(&self, key: &K) -> Result<()> {
                // SAFETY: as in `lookup`.
                Error::check(unsafe { abi::rex_map_delete(self.entry.address(), from(key)) })
            }

            /// Return true if there is such an entry.
            pub fn contains(&self, key: &K) -> bool {
                !self.lookup(key).is_null()
            }

            /// Iterate over the keys, in no order. If an entry is removed meanwhile, the iterator
            /// may start over, so a loop over it should have its own bound.
            pub fn keys(&self) -> Keys<K> {
                Keys { map: self.entry.address(), last: None }
            }
        }

        impl<K: Plain, V: Plain> $name<K, V> {
            /// Return a copy of the value, if there is one.
            pub fn get(&self, key: &K) -> Option<V> {
                let place = self.lookup(key);
                // SAFETY: a value of this map, whose values have type V.
                (!place.is_null()).then(|| unsafe { snapshot(place) })
            }
        }

        impl<K: Plain, V: Shared> $name<K, V> {
            /// Return a reference to the value, if there is one.
            pub fn at(&self, key: &K) -> Option<&V> {
                // SAFETY: a value of this map. Its memory stays a value of this map while a
                // program runs: maps are preallocated, and freed after a grace period.
                unsafe { self.lookup(key).cast::<V>().as_ref() }
            }
        }

        impl<K: Plain, T: Plain> $name<K, Locked<T>> {
            /// Take the lock of a value; fails with [`Error::NOT_FOUND`] if there is none.
            pub fn lock(&self, key: &K) -> Result<LockGuard<'_, T>> {
                // SAFETY: as in `at`.
                let value = unsafe { self.lookup(key).cast::<Locked<T>>().as_ref() };
                value.ok_or(Error::NOT_FOUND)?.lock()
            }
        }
    };
}

hash_map! {
    /// A hash map.
    HashMap, abi::BPF_MAP_TYPE_HASH
}
hash_map! {
    /// A hash map that evicts the least recently used entries when it is full.
    LruHashMap, abi::BPF_MAP_TYPE_LRU_HASH
}

/// The keys of a map.
pub struct Keys<K> {
    map: usize,
    last: Option<K>,
}

impl<K: Plain> Iterator for Keys<K> {
    type Item = K;

    fn next(&mut self) -> Option<K> {
        let mut next = MaybeUninit::<K>::uninit();
        let last = self.last.as_ref().map_or(core::ptr::null(), from);
        // SAFETY: keys of this map have type K; `next` has the size of one.
        if unsafe { abi::rex_map_next_key(self.map, last, next.as_mut_ptr().cast()) } < 0 {
            return None;
        }
        // SAFETY: the kernel wrote it.
        self.last = Some(unsafe { next.assume_init() });
        self.last
    }
}
