// SPDX-License-Identifier: GPL-2.0-only
//! What `lab bench kill` has the kernel end: programs that never return, and one that does.
#![no_std]
use core::hint::black_box;

use rex::prelude::*;

/// Two keys that are always there.
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

/// In a read-side critical section of its own.
#[rex_tc]
fn rcu(_packet: &Tc) -> TcAction {
    let Ok(_section) = Rcu::lock() else { return TcAction::Shot };
    forever();
    TcAction::Shot
}

/// Nearly all of its time is the kernel's.
#[rex_tc]
fn calls(_packet: &Tc) -> TcAction {
    while black_box(kernel::ktime_ns()) != 0 {}
    TcAction::Shot
}

/// Whoever adds a key for each that it sees is never through.
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

/// With interrupts off, whoever calls it.
#[rex_tc]
fn locked(_packet: &Tc) -> TcAction {
    let Ok(mut guard) = LOCKED.lock(0) else { return TcAction::Shot };
    *guard += 1;
    forever();
    TcAction::Shot
}
