// SPDX-License-Identifier: GPL-2.0-only
//! The operations that `lab bench rex` measures for Rex. `extensions/c/bench_ops.bpf.c` does
//! the same steps under the same names; docs/benchmarks.md explains the use.
#![no_std]
use core::hint::black_box;

use rex::prelude::*;

const ENTRIES: u32 = 5000;
const AT_A_TIME: u64 = 100;
/// Repetitions of the measured operation, so that the entry takes little of the time.
const STEPS: u32 = 16;
/// Values are keys + 1.
const EXPECTED_SUM: u64 = (STEPS * 8 + 311 * (STEPS * (STEPS - 1) / 2)) as u64;
/// The depth limit of eBPF's tail calls.
const DEPTH: u32 = 33;

#[rex_map]
static ARRAY_MAP: Array<u64> = Array::new(ENTRIES);
/// Without a random seed: each key has the same bucket in each run.
#[rex_map]
static HASH_MAP: HashMap<u32, u64> = HashMap::new(ENTRIES).unseeded();
#[rex_map]
static LOCK_MAP: Array<Locked<u64>> = Array::new(ENTRIES);
#[rex_map]
static CURSOR: Array<AtomicU64> = Array::new(1);

const fn step_key(step: u32) -> u32 {
    7 + 311 * step
}

fn verdict(good: bool) -> TcAction {
    if good { TcAction::Ok } else { TcAction::Shot }
}

/// Insert the next entries into the maps; run it until all are there.
#[rex_tc]
fn fill(_packet: &Tc) -> TcAction {
    let start = CURSOR.at(0).unwrap().fetch_add(AT_A_TIME, Relaxed);
    for key in start..start + AT_A_TIME {
        let _ = ARRAY_MAP.set(key as u32, &(key + 1));
        let _ = HASH_MAP.insert(&(key as u32), &(key + 1));
    }
    TcAction::Ok
}

#[rex_tc]
fn empty(_packet: &Tc) -> TcAction {
    TcAction::Ok
}

#[rex_tc]
fn array(_packet: &Tc) -> TcAction {
    let mut sum = 0;
    for step in 0..STEPS {
        let Some(value) = ARRAY_MAP.get(step_key(step)) else {
            return TcAction::Shot;
        };
        sum += value;
    }
    verdict(sum == EXPECTED_SUM)
}

#[rex_tc]
fn hash(_packet: &Tc) -> TcAction {
    let mut sum = 0;
    for step in 0..STEPS {
        let Some(value) = HASH_MAP.get(&step_key(step)) else {
            return TcAction::Shot;
        };
        sum += value;
    }
    verdict(sum == EXPECTED_SUM)
}

/// Look up a value as `array` does, and change it under its lock.
#[rex_tc]
fn spin(_packet: &Tc) -> TcAction {
    for step in 0..STEPS {
        let Ok(mut value) = LOCK_MAP.lock(step_key(step)) else {
            return TcAction::Shot;
        };
        *value += 1;
    }
    TcAction::Ok
}

/// A function that needs its frame until the call below it has returned.
#[inline(never)]
fn deeper(left: u32) -> u32 {
    if left == 0 { 0 } else { black_box(deeper(black_box(left - 1))) }
}

/// Recurse as deep as eBPF's tail calls go.
#[rex_tc]
fn calls(_packet: &Tc) -> TcAction {
    verdict(deeper(DEPTH) == 0)
}

/// Panic, so that the kernel ends each run.
#[rex_tc]
fn panics(_packet: &Tc) -> TcAction {
    panic!("enough")
}
