// SPDX-License-Identifier: GPL-2.0-only
//! Programs that end while they hold kernel resources: each acquires the resource in its
//! name, and the map `end` selects how it ends.
//!
//! No destructor runs when a program panics or faults, and safe Rust can skip a destructor
//! when it returns. The kernel must then release the resources.
#![no_std]
use core::hint::black_box;
use core::mem::{self, ManuallyDrop, MaybeUninit};

use rex::faults;
use rex::prelude::*;

mod sockets;

/// How programs end; see `end`.
#[rex_map]
static END: Array<AtomicU64> = Array::new(1);

/// Counts of runs: acquired the resource; were refused as expected; reached their end;
/// were refused unexpectedly.
#[rex_map]
static COUNTS: Array<AtomicU64> = Array::new(4);
const ACQUIRED: u32 = 0;
const TOLD_NO: u32 = 1;
const ENDED: u32 = 2;
const UNEXPECTED: u32 = 3;

/// User space sees each value as one number: the lock in its lower half, then the value.
#[rex_map]
static LOCKED: Array<Locked<u32>> = Array::new(2);

/// Space for 4096 samples, which no reader removes.
#[rex_map]
static SAMPLES: RingBuf<u64> = RingBuf::new(65536);

fn count(index: u32) {
    if let Some(counter) = COUNTS.at(index) {
        counter.fetch_add(1, Relaxed);
    }
}

/// End the program while it holds a resource, or make it forget the guard.
fn end<T>(held: T) {
    count(ACQUIRED);
    match END.at(0).map(|end| end.load(Relaxed)) {
        Some(1) => mem::forget(held),
        Some(2) => {
            black_box(&ManuallyDrop::new(held));
        }
        Some(3) => {
            black_box(&MaybeUninit::new(held));
        }
        Some(4) => {
            black_box(faults::read(faults::UNMAPPED));
        }
        Some(5) => panic!("a panic while something is held"),
        _ => drop(held),
    }
    count(ENDED);
}

#[rex_kprobe("__x64_sys_getpgid")]
fn lock(_context: &Kprobe) {
    let Ok(mut guard) = LOCKED.lock(0) else { return count(UNEXPECTED) };
    *guard += 1;
    end(guard);
}

#[rex_kprobe("__x64_sys_getpgid")]
fn rcu(_context: &Kprobe) {
    let Ok(section) = Rcu::lock() else { return count(UNEXPECTED) };
    end(section);
}

#[rex_kprobe("__x64_sys_getpgid")]
fn ringbuf(_context: &Kprobe) {
    let Some(reservation) = SAMPLES.reserve(kernel::ktime_ns()) else { return count(UNEXPECTED) };
    end(reservation);
}

#[rex_kprobe("__x64_sys_getpgid")]
fn task(_context: &Kprobe) {
    let Some(task) = Task::current() else { return count(UNEXPECTED) };
    end(task);
}

/// Hold one of each and two tasks. The kernel releases them in the opposite order.
#[rex_kprobe("__x64_sys_getpgid")]
fn several(_context: &Kprobe) {
    let own = Task::current();
    let (Ok(section), Some(reservation)) = (Rcu::lock(), SAMPLES.reserve(0)) else {
        return count(UNEXPECTED);
    };
    let (Some(first), Some(init)) = (own, Task::from_pid(1)) else { return count(UNEXPECTED) };
    let Ok(mut guard) = LOCKED.lock(1) else { return count(UNEXPECTED) };
    *guard += 1;
    end((first, section, reservation, init, guard));
}

/// Hold as many tasks as the kernel's ledger has entries. Further ones are refused.
#[rex_kprobe("__x64_sys_getpgid")]
fn full(_context: &Kprobe) {
    let tasks: [Option<Task>; 64] = core::array::from_fn(|_| Task::current());
    if tasks.iter().any(Option::is_none) {
        return count(UNEXPECTED);
    }
    if Task::current().is_none()
        && SAMPLES.reserve(0).is_none()
        && matches!(Rcu::lock(), Err(Error::NO_ROOM))
        && matches!(LOCKED.lock(0), Err(Error::NO_ROOM))
    {
        count(TOLD_NO);
    }
    end(tasks);
}

/// Try to take two locks. A program with two locks could deadlock.
#[rex_kprobe("__x64_sys_getpgid")]
fn two_locks(_context: &Kprobe) {
    let Ok(mut first) = LOCKED.lock(0) else { return count(UNEXPECTED) };
    *first += 1;
    match LOCKED.lock(1) {
        Err(Error::BUSY) => count(TOLD_NO),
        _ => count(UNEXPECTED),
    }
    // Try the same lock twice: waiting for it would hang this CPU.
    if LOCKED.lock(0).is_ok() {
        count(UNEXPECTED);
    }
    end(first);
}
