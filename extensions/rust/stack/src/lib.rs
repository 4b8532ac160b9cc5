// SPDX-License-Identifier: GPL-2.0-only
//! Programs that overflow their stack, each in a different way: the kernel must end them
//! before they touch memory outside it.
//!
//! Each handles only the trigger's calls, or packets. Entry 0 of its map counts that it
//! began, and entry 1 that it reached its end. Entry 2 is the number of nested calls of the
//! deepest run.
#![no_std]
use core::hint::black_box;

use rex::prelude::*;

mod calls;
mod format;
mod holding;
mod interrupted;

#[rex_map]
static COUNTS: Array<AtomicU64> = Array::new(3);

/// Entry 0: how many calls a program nests; 0 means without limit. Entry 1: the size of the
/// frame that it then needs; see `largest`.
#[rex_map]
static DEPTHS: Array<u32> = Array::new(2);

fn count(index: u32) {
    if let Some(counter) = COUNTS.at(index) {
        counter.fetch_add(1, Relaxed);
    }
}

/// Return true for a call of the trigger, and count it.
fn wanted() -> bool {
    let wanted = kernel::current_comm().text() == "kexttrigger";
    if wanted {
        count(0);
    }
    wanted
}

/// Return how deep to recurse.
fn depth() -> u32 {
    match DEPTHS.get(0) {
        None | Some(0) => u32::MAX,
        Some(depth) => depth,
    }
}

/// Recurse in small frames and record the depth. It makes no kernel calls meanwhile, so only
/// its own stack check can stop it.
#[inline(never)]
fn descend(left: u32, deepest: &AtomicU64) -> u64 {
    let here = black_box([u64::from(left); 2]);
    deepest.fetch_add(1, Relaxed);
    let below = if left > 1 { descend(left - 1, deepest) } else { 0 };
    below + here[0]
}

/// Recurse in frames of a little over a kilobyte: 50 of them fit, 57 do not.
#[inline(never)]
fn descend_in_kilobytes(left: u32, then: &mut dyn FnMut()) -> u8 {
    let here = black_box([left as u8; 1016]);
    let below = if left > 1 {
        descend_in_kilobytes(left - 1, then)
    } else {
        then();
        0
    };
    below.wrapping_add(here[left as usize % here.len()])
}

#[rex_kprobe("__x64_sys_getpgid")]
fn deep(_context: &Kprobe) {
    let Some(deepest) = COUNTS.at(2) else { return };
    if wanted() {
        deepest.store(0, Relaxed);
        black_box(descend(depth(), deepest));
        count(1);
    }
}

/// Recurse as deep as the map requests.
#[rex_kprobe("__x64_sys_getpgid")]
fn kilobytes(_context: &Kprobe) {
    if wanted() {
        black_box(descend_in_kilobytes(depth(), &mut || ()));
        count(1);
    }
}

#[inline(never)]
fn even(left: u32) -> bool {
    let here = black_box([left; 12]);
    (left == 0 || odd(left - 1)) && here[0] == left
}

#[inline(never)]
fn odd(left: u32) -> bool {
    let here = black_box([left; 40]);
    left != 0 && even(left - 1) && here[7] == left
}

/// Two functions that call each other.
#[rex_kprobe("__x64_sys_getpgid")]
fn mutual(_context: &Kprobe) {
    if wanted() {
        black_box(even(depth()));
        count(1);
    }
}

/// Use a frame of a little over N bytes, writing to it from its low end.
#[inline(never)]
fn take<const SIZE: usize>() -> u8 {
    let mut room = black_box([0_u8; SIZE]);
    room[0] = 7;
    black_box(&mut room);
    room[0] + room[SIZE - 1]
}

/// One frame that is larger than the stack; the build warns about it.
#[rex_kprobe("__x64_sys_getpgid")]
fn huge(_context: &Kprobe) {
    if wanted() {
        black_box(take::<{ 80 << 10 }>());
        count(1);
    }
}

/// One frame that would fit into the stack without the kernel's reserve. The build warns, too.
#[rex_kprobe("__x64_sys_getpgid")]
fn into_reserve(_context: &Kprobe) {
    if wanted() {
        black_box(take::<{ 56 << 10 }>());
        count(1);
    }
}

/// One large frame that fits.
#[rex_kprobe("__x64_sys_getpgid")]
fn large(_context: &Kprobe) {
    if wanted() {
        black_box(take::<{ 55 << 10 }>());
        count(1);
    }
}

/// Small frames first, then a large one near the end.
#[rex_kprobe("__x64_sys_getpgid")]
fn large_near_end(_context: &Kprobe) {
    let size = DEPTHS.get(1);
    if wanted() {
        let mut largest = || match size {
            Some(8) => _ = black_box(take::<{ 8 << 10 }>()),
            Some(16) => _ = black_box(take::<{ 16 << 10 }>()),
            _ => (),
        };
        black_box(descend_in_kilobytes(depth(), &mut largest));
        count(1);
    }
}
