// SPDX-License-Identifier: GPL-2.0-only
//! The programs of `lab bench kill`, which the kernel ends: all but one never return.
#![no_std]
use core::hint::black_box;

use rex::prelude::*;

/// Two keys that always exist.
#[rex_map]
static TABLE: HashMap<u32, u32> = HashMap::new(16);

#[rex_map]
static LOCKED: Array<Locked<u32>> = Array::new(1);

#[inline(never)]
fn forever() {
    while black_box(true) {}
}

#[rex_tc]
fn empty(_packet: &Tc) -> TcAction {
    TcAction::Ok
}

#[rex_tc]
fn plain(_packet: &Tc) -> TcAction {
    forever();
    TcAction::Shot
}

/// Loop in a read-side critical section of the program.
#[rex_tc]
fn rcu(_packet: &Tc) -> TcAction {
    let Ok(_section) = Rcu::lock() else { return TcAction::Shot };
    forever();
    TcAction::Shot
}

/// Loop over calls of the kernel, which take nearly all of the time.
#[rex_tc]
fn calls(_packet: &Tc) -> TcAction {
    while black_box(kernel::ktime_ns()) != 0 {}
    TcAction::Shot
}

/// Add a key for each key seen, which never ends.
#[rex_tc]
fn keys(_packet: &Tc) -> TcAction {
    let _ = TABLE.insert(&0, &0);
    while black_box(true) {
        for key in TABLE.keys() {
            black_box(key);
        }
    }
    TcAction::Shot
}

/// Loop with interrupts off, in every context.
#[rex_tc]
fn locked(_packet: &Tc) -> TcAction {
    let Ok(mut guard) = LOCKED.lock(0) else { return TcAction::Shot };
    *guard += 1;
    forever();
    TcAction::Shot
}
