// SPDX-License-Identifier: GPL-2.0-only
use core::marker::PhantomData;
use core::mem::MaybeUninit;

use super::{from, map_type};
use crate::abi::{self, MapEntry};
use crate::error::{Error, Result};
use crate::plain::Plain;

macro_rules! sequence {
    ($(#[$doc:meta])* $name:ident, $kind:expr) => {
        $(#[$doc])*
        #[repr(transparent)]
        pub struct $name<V: Plain> {
            entry: MapEntry,
            kinds: PhantomData<fn() -> V>,
        }

        map_type!($name<V: Plain>);

        impl<V: Plain> $name<V> {
            /// Create one for up to `entries` values.
            pub const fn new(entries: u32) -> Self {
                let entry = MapEntry::new($kind, 0, size_of::<V>(), entries, -1);
                $name { entry, kinds: PhantomData }
            }

            /// Add a value; fails with [`Error::TOO_BIG`] if it is full.
            pub fn push(&self, value: &V) -> Result<()> {
                // SAFETY: the kernel compared the map's value size with the type's size.
                Error::check(unsafe { abi::rex_map_push(self.entry.address(), from(value), 0) })
            }

            /// Remove and return the next value.
            pub fn pop(&self) -> Option<V> {
                let mut value = MaybeUninit::<V>::uninit();
                // SAFETY: as in `push`; `value` has the size of a value.
                let code =
                    unsafe { abi::rex_map_pop(self.entry.address(), value.as_mut_ptr().cast()) };
                // SAFETY: the kernel wrote it.
                (code >= 0).then(|| unsafe { value.assume_init() })
            }

            /// Return a copy of the next value without removing it.
            pub fn peek(&self) -> Option<V> {
                let mut value = MaybeUninit::<V>::uninit();
                // SAFETY: as in `pop`.
                let code =
                    unsafe { abi::rex_map_peek(self.entry.address(), value.as_mut_ptr().cast()) };
                // SAFETY: the kernel wrote it.
                (code >= 0).then(|| unsafe { value.assume_init() })
            }
        }
    };
}

sequence! {
    /// A queue: first in, first out.
    Queue, abi::BPF_MAP_TYPE_QUEUE
}
sequence! {
    /// A stack: last in, first out.
    Stack, abi::BPF_MAP_TYPE_STACK
}
