// SPDX-License-Identifier: GPL-2.0-only
use core::marker::PhantomData;
use core::mem::MaybeUninit;

use super::{Shared, Value, from, map_type, snapshot, with_raw};
use crate::abi::{self, MapEntry};
use crate::error::{Error, Result};
use crate::lock::{LockGuard, Locked};
use crate::plain::Plain;

/// Put it there, whether there is one or not; only if there is none; only if there is one.
const ANY: u64 = 0;
const NEW: u64 = 1;
const OLD: u64 = 2;

/// BPF_F_ZERO_SEED.
const ZERO_SEED: u32 = 1 << 6;

macro_rules! hash_map {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        $(#[$doc])*
        #[repr(transparent)]
        pub struct $name<K: Plain, V: Value> {
            entry: MapEntry,
            kinds: PhantomData<fn(K) -> V>,
        }

        map_type!($name<K: Plain, V: Value>);

        impl<K: Plain, V: Value> $name<K, V> {
            /// A map with room for as many entries.
            pub const fn new(entries: u32) -> Self {
                let (key, value) = (size_of::<K>(), size_of::<V>());
                let entry = MapEntry::new($kind, key, value, entries, V::LOCK_OFFSET);
                $name { entry, kinds: PhantomData }
            }

            /// The same without a random seed: keys meet in the same buckets each time. For
            /// measurements; whoever chooses the keys can make them all meet in one.
            pub const fn unseeded(self) -> Self {
                $name { entry: self.entry.flagged(ZERO_SEED), kinds: PhantomData }
            }

            fn lookup(&self, key: &K) -> *mut core::ffi::c_void {
                // SAFETY: the kernel compared the sizes of the map with the types'.
                unsafe { abi::rex_map_lookup(self.entry.address(), from(key)) }
            }

            fn update(&self, key: &K, value: &V::Content, flags: u64) -> Result<()> {
                let map = self.entry.address();
                // SAFETY: as in `lookup`.
                Error::check(with_raw::<V, _>(value, |raw| unsafe {
                    abi::rex_map_update(map, from(key), raw, flags)
                }))
            }

            /// Put a value there, whether there is one or not.
            pub fn insert(&self, key: &K, value: &V::Content) -> Result<()> {
                self.update(key, value, ANY)
            }

            /// Put a value where none is; [`Error::EXISTS`] if there is one.
            pub fn insert_new(&self, key: &K, value: &V::Content) -> Result<()> {
                self.update(key, value, NEW)
            }

            /// Change a value that is there; [`Error::NOT_FOUND`] if there is none.
            pub fn replace(&self, key: &K, value: &V::Content) -> Result<()> {
                self.update(key, value, OLD)
            }

            /// Remove an entry; [`Error::NOT_FOUND`] if there is none.
            pub fn remove(&self, key: &K) -> Result<()> {
                // SAFETY: as in `lookup`.
                Error::check(unsafe { abi::rex_map_delete(self.entry.address(), from(key)) })
            }

            /// Whether there is such an entry.
            pub fn contains(&self, key: &K) -> bool {
                !self.lookup(key).is_null()
            }

            /// The keys, in no order. An entry that goes meanwhile may make it begin anew,
            /// so a loop over it wants a bound of its own.
            pub fn keys(&self) -> Keys<K> {
                Keys { map: self.entry.address(), last: None }
            }
        }

        impl<K: Plain, V: Plain> $name<K, V> {
            /// A copy of the value, if there is one.
            pub fn get(&self, key: &K) -> Option<V> {
                let place = self.lookup(key);
                // SAFETY: a value of this map, which holds V's.
                (!place.is_null()).then(|| unsafe { snapshot(place) })
            }
        }

        impl<K: Plain, V: Shared> $name<K, V> {
            /// The value in place, if there is one.
            pub fn at(&self, key: &K) -> Option<&V> {
                // SAFETY: a value of this map, whose memory stays a value of it while a
                // program runs: maps are allocated at once, and freed after a grace period.
                unsafe { self.lookup(key).cast::<V>().as_ref() }
            }
        }

        impl<K: Plain, T: Plain> $name<K, Locked<T>> {
            /// Take the lock of a value; [`Error::NOT_FOUND`] if there is none.
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
    HashMap, 1
}
hash_map! {
    /// A hash map that forgets what was not used for long when it is full.
    LruHashMap, 9
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
        // SAFETY: keys of this map are K's; there is room for one.
        if unsafe { abi::rex_map_next_key(self.map, last, next.as_mut_ptr().cast()) } < 0 {
            return None;
        }
        // SAFETY: the kernel wrote it.
        self.last = Some(unsafe { next.assume_init() });
        self.last
    }
}
