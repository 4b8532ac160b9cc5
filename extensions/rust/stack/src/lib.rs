// SPDX-License-Identifier: GPL-2.0-only
//! Programs that need more of their stack than there is, each in a way of its own: the
//! kernel has to end them before they touch what is not theirs.
//!
//! Each looks only at the trigger's calls, or at packets, and counts that it began, in
//! place 0, and that it came to its end, in place 1. Place 2 has the calls that the
//! deepest run was in.
#![no_std]
use core::hint::black_box;

use rex::prelude::*;

mod calls;
mod format;
mod holding;
mod interrupted;

#[rex_map]
static COUNTS: Array<AtomicU64> = Array::new(3);

/// How many calls deep a program goes, in place 0: none, as deep as it gets. And how
/// large the frame is that it then needs: as `largest` has it.
#[rex_map]
static DEPTHS: Array<u32> = Array::new(2);

fn count(index: u32) {
    if let Some(counter) = COUNTS.at(index) {
        counter.fetch_add(1, Relaxed);
    }
}

/// Whether this is a call of the trigger's, which is then counted.
fn wanted() -> bool {
    let wanted = kernel::current_comm().text() == "kexttrigger";
    if wanted {
        count(0);
    }
    wanted
}

/// How deep to go.
fn depth() -> u32 {
    match DEPTHS.get(0) {
        None | Some(0) => u32::MAX,
        Some(depth) => depth,
    }
}

/// Calls itself so often, in small frames, and says how deep it came. It asks the kernel for
/// nothing on its way, so that only its own check of the stack can stop it.
#[inline(never)]
fn descend(left: u32, deepest: &AtomicU64) -> u64 {
    let here = black_box([u64::from(left); 2]);
    deepest.fetch_add(1, Relaxed);
    let below = if left > 1 { descend(left - 1, deepest) } else { 0 };
    below + here[0]
}

/// The same in frames of a kilobyte and a little: so many as 50 fit, 57 don't.
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

/// As deep as the map says.
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

/// A frame of so many bytes and a little, which is written to from its lower end on.
#[inline(never)]
fn take<const SIZE: usize>() -> u8 {
    let mut room = black_box([0_u8; SIZE]);
    room[0] = 7;
    black_box(&mut room);
    room[0] + room[SIZE - 1]
}

/// One frame that is larger than the stack: this is warned of.
#[rex_kprobe("__x64_sys_getpgid")]
fn huge(_context: &Kprobe) {
    if wanted() {
        black_box(take::<{ 80 << 10 }>());
        count(1);
    }
}

/// One frame that the stack had room for, were the kernel's reserve not in it. Warned of, too.
#[rex_kprobe("__x64_sys_getpgid")]
fn into_reserve(_context: &Kprobe) {
    if wanted() {
        black_box(take::<{ 56 << 10 }>());
        count(1);
    }
}

/// One large frame, for which there is room.
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
