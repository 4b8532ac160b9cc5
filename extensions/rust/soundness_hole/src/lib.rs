// SPDX-License-Identifier: GPL-2.0-only
//! Safe Rust that is not: a reference made out of a number, through a hole in the compiler
//! that has long been known (rust-lang/rust issue 25860).
//!
//! A function that takes a `&'a &'b ()` may rely on `'b` outliving `'a`, since no such
//! reference could exist otherwise. When it is used as a function pointer, the compiler
//! forgets to ask for that reason: with `'b` chosen short and `'a` static, it turns a
//! short borrow into one for ever. What is borrowed can then be overwritten.
//!
//! The language does not keep this program from invalid accesses. The kernel ends it.
#![no_std]
use core::hint::black_box;

use rex::prelude::*;

/// In the kernel's half of the address space, and never mapped.
const NOWHERE: usize = 0xffff_8000_dead_0000;

/// Came to the access, went on behind it.
#[rex_map]
static COUNTS: Array<AtomicU64> = Array::new(2);

static ALWAYS: &&() = &&();

/// Sound by itself: that `'short` outlives `'long` is what the first parameter says.
fn shorten<'long, 'short, T>(_reason: &'long &'short (), borrowed: &'short T) -> &'long T {
    borrowed
}

/// Not sound: as a pointer, the function takes a reason that says nothing of `'short`.
fn for_ever<T>(borrowed: &T) -> &'static T {
    let translate: for<'short> fn(&'static &'static (), &'short T) -> &'static T = shorten;
    translate(ALWAYS, borrowed)
}

/// Either way it is eight bytes behind a mark.
#[repr(u64)]
enum Slot {
    Reference(&'static u64),
    #[expect(dead_code, reason = "it is read as what it is not")]
    Number(usize),
}

/// A reference to wherever the number says.
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
