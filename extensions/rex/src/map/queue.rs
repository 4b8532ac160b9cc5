// SPDX-License-Identifier: GPL-2.0-only
use core::marker::PhantomData;
use core::mem::MaybeUninit;

use super::{from, map_type};
use crate::abi::{self, MapEntry};
use crate::error::{Error, Result};
use crate::plain::Plain;

macro_rules! sequence {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        $(#[$doc])*
        #[repr(transparent)]
        pub struct $name<V: Plain> {
            entry: MapEntry,
            kinds: PhantomData<fn() -> V>,
        }

        map_type!($name<V: Plain>);

        impl<V: Plain> $name<V> {
            /// One with room for as many values.
            pub const fn new(entries: u32) -> Self {
                let entry = MapEntry::new($kind, 0, size_of::<V>(), entries, -1);
                $name { entry, kinds: PhantomData }
            }

            /// Add a value; [`Error::TOO_BIG`] if it is full.
            pub fn push(&self, value: &V) -> Result<()> {
                // SAFETY: the kernel compared the size of the map's values with the type's.
                Error::check(unsafe { abi::rex_map_push(self.entry.address(), from(value), 0) })
            }

            /// Take the next value out.
            pub fn pop(&self) -> Option<V> {
                let mut value = MaybeUninit::<V>::uninit();
                // SAFETY: as in `push`; there is room for a value.
                let code =
                    unsafe { abi::rex_map_pop(self.entry.address(), value.as_mut_ptr().cast()) };
                // SAFETY: the kernel wrote it.
                (code >= 0).then(|| unsafe { value.assume_init() })
            }

            /// A copy of the next value, which stays.
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
    /// A queue: what came first goes first.
    Queue, 22
}
sequence! {
    /// A stack: what came last goes first.
    Stack, 23
}
