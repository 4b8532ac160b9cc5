// SPDX-License-Identifier: GPL-2.0-only
//! Programs that never end, each in a different place: the kernel must end them.
//!
//! Each handles only the trigger's calls, or packets. Entry 0 of its map counts that it
//! reached its loop, and entry 1 that it continued after it: that must stay 0.
#![no_std]
use core::hint::black_box;

use rex::prelude::*;

mod crowd;
mod helpers;
mod hooks;
mod places;

#[rex_map]
static COUNTS: Array<AtomicU64> = Array::new(2);

/// Two keys that always exist.
#[rex_map]
static TABLE: HashMap<u32, u32> = HashMap::new(16);

#[rex_map]
static LOCKED: Array<Locked<u32>> = Array::new(1);

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

#[inline(never)]
fn forever() {
    while black_box(true) {}
    count(1);
}

#[rex_kprobe("__x64_sys_getpgid")]
fn plain(_context: &Kprobe) {
    if wanted() {
        forever();
    }
}

/// Add a key for each key seen, which never ends.
#[rex_kprobe("__x64_sys_getpgid")]
fn keys(_context: &Kprobe) {
    if !wanted() {
        return;
    }
    let _ = TABLE.insert(&0, &0);
    while black_box(true) {
        for key in TABLE.keys() {
            black_box(key);
        }
    }
    count(1);
}

/// Loop over calls of the kernel, which take nearly all of the time.
#[rex_kprobe("__x64_sys_getpgid")]
fn calls(_context: &Kprobe) {
    if !wanted() {
        return;
    }
    while black_box(kernel::ktime_ns()) != 0 {}
    count(1);
}

/// Loop with interrupts off.
#[rex_kprobe("__x64_sys_getpgid")]
fn locked(_context: &Kprobe) {
    if !wanted() {
        return;
    }
    let Ok(mut guard) = LOCKED.lock(0) else { return };
    *guard += 1;
    forever();
}

#[rex_kprobe("__x64_sys_getpgid")]
fn rcu(_context: &Kprobe) {
    if !wanted() {
        return;
    }
    let Ok(_section) = Rcu::lock() else { return };
    forever();
}
