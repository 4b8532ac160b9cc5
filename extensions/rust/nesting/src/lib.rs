// SPDX-License-Identifier: GPL-2.0-only
//! Programs that interrupt each other on one CPU, up to the depth that the kernel allows.
//!
//! The first level is a system call of the trigger. Each level makes the next one run on top
//! of it, by a page fault or by waiting for an interrupt, as `how` selects. Then it ends as
//! `end` selects, while it holds the resources in `hold`. All three have entries by level from 1.
//!
//! A program can't interrupt itself at a raw tracepoint, so each level is its own program.
#![no_std]
use core::hint::black_box;

use rex::faults;
use rex::prelude::*;

mod levels;
mod places;

/// By level: 0 the next one runs on a page fault, 1 on an interrupt, 2 there is none, 3 on
/// a page fault after a quarter of a second.
#[rex_map]
static HOW: Array<AtomicU64> = Array::new(6);
const BY_FAULT: u64 = 0;
const BY_INTERRUPT: u64 = 1;
const BY_LATE_FAULT: u64 = 3;

/// By level: 0 it returns, 1 panics, 2 loops, 3 faults, 4 waits until `go` is 1.
#[rex_map]
static END: Array<AtomicU64> = Array::new(6);

/// By level, the sum of what it holds: 1 RCU, 2 a task, 4 a sample, 8 a lock.
#[rex_map]
static HOLD: Array<AtomicU64> = Array::new(6);

/// Counts in groups of ten: the level ran; the next one ended and it continued; it reached
/// its own end; it was on another stack than its first run on that CPU; it waited for an
/// interrupt that did not come.
#[rex_map]
static COUNTS: Array<AtomicU64> = Array::new(60);
const CAME: u32 = 0;
const WENT_ON: u32 = 10;
const ENDED: u32 = 20;
const ELSEWHERE: u32 = 30;
const IN_VAIN: u32 = 40;

/// Ends a wait.
#[rex_map]
static GO: Array<AtomicU64> = Array::new(1);

fn told_to_go() -> bool {
    value(&GO, 0) != 0
}

/// By CPU: the innermost level that ran since the first began.
#[rex_map]
static STAGE: Array<AtomicU64> = Array::new(16);

/// By CPU and level: the stack's address in its first run.
#[rex_map]
static STACKS: Array<AtomicU64> = Array::new(16 * 6);

#[rex_map]
static SAMPLES: RingBuf<u64> = RingBuf::new(4096);

#[rex_map]
static LOCKED: Array<Locked<u32>> = Array::new(1);

/// Longer than an interrupt takes to arrive, and shorter than the budget of a waiting run.
const PATIENCE_NS: u64 = 1_500_000_000;

const LATE_NS: u64 = 250_000_000;

/// An unmapped address: a read there is a page fault that shows the level's number.
const HOLE: usize = 0xffff_ffff_0000_0000;

fn value(map: &'static Array<AtomicU64>, index: u32) -> u64 {
    map.at(index).map_or(0, |value| value.load(Relaxed))
}

fn count(index: u32) {
    if let Some(counter) = COUNTS.at(index) {
        counter.fetch_add(1, Relaxed);
    }
}

/// Return the level that ran last on this CPU.
fn stage() -> u32 {
    value(&STAGE, kernel::cpu()) as u32
}

/// Check that the stack is the one of the level's first run: that of the same depth.
#[inline(always)]
fn note_stack(level: u32) {
    let here = 0u64;
    let address = black_box(&raw const here) as u64;
    let Some(first) = STACKS.at(kernel::cpu() * 6 + level) else { return };
    if first.load(Relaxed) == 0 {
        first.store(address, Relaxed);
    } else if first.load(Relaxed) != address {
        count(ELSEWHERE + level);
    }
}

fn fault(level: u32) {
    let _ = kernel::read_kernel::<u64>(HOLE + 4096 * (level as usize + 1));
}

/// Use CPU time; time that the host takes away from the CPU does not count.
fn spend(nanoseconds: u64) {
    let mut last = kernel::ktime_ns();
    let mut spent = 0;
    while spent < nanoseconds {
        let now = kernel::ktime_ns();
        spent += (now - last).min(5_000_000);
        last = now;
    }
}

/// Make the next level run, if there is one.
fn next(level: u32) {
    let start = kernel::ktime_ns();
    match value(&HOW, level) {
        BY_FAULT => fault(level),
        BY_LATE_FAULT => {
            spend(LATE_NS);
            fault(level);
        }
        BY_INTERRUPT => {
            while stage() == level && kernel::ktime_ns() < start + PATIENCE_NS {}
            // Check again: an interrupt may have arrived just at the end of the wait.
            if stage() == level {
                count(IN_VAIN + level);
            }
        }
        _ => return,
    }
    if stage() > level {
        count(WENT_ON + level);
    }
}

#[inline(never)]
fn forever() {
    while black_box(true) {}
}

/// Run a level.
#[inline(never)]
fn act(level: u32) {
    note_stack(level);
    count(CAME + level);
    let Some(stage) = STAGE.at(kernel::cpu()) else { return };
    stage.store(level.into(), Relaxed);
    let hold = value(&HOLD, level);
    let _lock = if hold & 8 != 0 { LOCKED.lock(0).ok() } else { None };
    let _sample = if hold & 4 != 0 { SAMPLES.reserve(1) } else { None };
    let _task = if hold & 2 != 0 { Task::current() } else { None };
    let _section = if hold & 1 != 0 { Rcu::lock().ok() } else { None };
    next(level);
    match value(&END, level) {
        1 => panic!("level {level} panics"),
        2 => forever(),
        3 => _ = black_box(faults::read(faults::UNMAPPED)),
        4 => while !told_to_go() {},
        _ => {}
    }
    count(ENDED + level);
}

/// Return true if a page fault is for this level, and the level below has run.
fn fault_is_for(address: u64, level: u32) -> bool {
    address as usize == HOLE + 4096 * level as usize && stage() == level - 1
}
