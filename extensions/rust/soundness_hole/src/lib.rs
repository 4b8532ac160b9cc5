// SPDX-License-Identifier: GPL-2.0-only
//! Unsound safe Rust: it makes a reference from a number, through a hole in the compiler
//! that has long been known (rust-lang/rust issue 25860).
//!
//! A function that takes a `&'a &'b ()` may rely on `'b` outliving `'a`, since no such
//! reference could exist otherwise. When the function is used as a function pointer, the
//! compiler forgets to check this: with a short `'b` and a static `'a`, it turns a short
//! borrow into a static one. The borrowed value can then be overwritten.
//!
//! The language does not keep this program from invalid accesses. The kernel ends it.
#![no_std]
use core::hint::black_box;

use rex::prelude::*;

/// An address in the kernel's half that is never mapped.
const NOWHERE: usize = 0xffff_8000_dead_0000;

/// Counts: reached the access, continued after it.
#[rex_map]
static COUNTS: Array<AtomicU64> = Array::new(2);

static ALWAYS: &&() = &&();

/// Sound alone: the first parameter guarantees that `'short` outlives `'long`.
fn shorten<'long, 'short, T>(_reason: &'long &'short (), borrowed: &'short T) -> &'long T {
    borrowed
}

/// Unsound: as a pointer, the function accepts an argument that does not depend on `'short`.
fn for_ever<T>(borrowed: &T) -> &'static T {
    let translate: for<'short> fn(&'static &'static (), &'short T) -> &'static T = shorten;
    translate(ALWAYS, borrowed)
}

/// Both variants are eight bytes after a tag.
#[repr(u64)]
enum Slot {
    Reference(&'static u64),
    #[expect(dead_code, reason = "it is read as what it is not")]
    Number(usize),
}

/// Return a reference to the address `number`.
fn reference(number: usize) -> &'static u64 {
    static PLACE: u64 = 0;
    let mut slot = black_box(Slot::Reference(&PLACE));
    let inside: &'static &'static u64 = match &slot {
        Slot::Reference(inside) => for_ever(inside),
        Slot::Number(_) => return &PLACE,
    };
    slot = Slot::Number(number);
    black_box(&slot);
    *black_box(inside)
}

#[rex_kprobe("__x64_sys_getpgid")]
fn reads_a_number(_context: &Kprobe) {
    let (Some(came), Some(went_on)) = (COUNTS.at(0), COUNTS.at(1)) else { return };
    came.fetch_add(1, Relaxed);
    black_box(*reference(black_box(NOWHERE)));
    went_on.fetch_add(1, Relaxed);
}
