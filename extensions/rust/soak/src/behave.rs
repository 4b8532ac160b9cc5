// SPDX-License-Identifier: GPL-2.0-only
//! The behaviors, by their numbers in the schedules.
use core::hint::black_box;
use core::mem;

use rex::faults;
use rex::lock::LockGuard;
use rex::prelude::*;

const RETURN: u8 = 0;
const PRINT: u8 = 1;
const MAPS: u8 = 2;
const PANIC: u8 = 3;
const PANIC_HOLDING: u8 = 4;
const PANIC_LOCKED: u8 = 5;
const FAULT_READ: u8 = 6;
const FAULT_NULL: u8 = 7;
const FAULT_INSTRUCTION: u8 = 8;
const FAULT_DIVISION: u8 = 9;
const LOOP: u8 = 10;
const LOOP_KEYS: u8 = 11;
const LOOP_CALLS: u8 = 12;
const LOOP_RCU: u8 = 13;
const LOOP_LOCKED: u8 = 14;
const RECURSE: u8 = 15;
const LEAK: u8 = 16;
const LEAK_LOCKED: u8 = 17;
const RECURSE_PLAIN: u8 = 18;

#[rex_map]
static TABLE: HashMap<u32, u64> = HashMap::new(64);
#[rex_map]
static RECENT: LruHashMap<u32, u64> = LruHashMap::new(64);
#[rex_map]
static LINE: Queue<u64> = Queue::new(16);
#[rex_map]
static SHARES: PerCpuArray<u64> = PerCpuArray::new(1);
#[rex_map]
static LOCKED: Array<Locked<u64>> = Array::new(2);

/// No reader removes samples, so it becomes full.
#[rex_map]
static SAMPLES: RingBuf<u64> = RingBuf::new(65536);

/// The time until which a CPU may loop with interrupts off, in ns of the clock: one entry
/// for each CPU that may do so at the same time. If all did, no CPU could end them.
#[rex_map]
static MASKED: Array<AtomicU64> = Array::new(16);

/// The number of entries, how long one is taken, and if behavior that the kernel can't end
/// is allowed as well.
#[rex_map]
static LIMITS: Array<u64> = Array::new(3);
const ENTRIES: u32 = 0;
const TIME: u32 = 1;
const BEYOND: u32 = 2;

/// The state of interrupts at a hook, which limits the possible behavior.
#[derive(Clone, Copy, PartialEq)]
pub enum Place {
    /// Interrupts are on.
    Open,
    /// They are off: only another CPU can end a loop.
    Masked,
}

fn beyond() -> bool {
    LIMITS.get(BEYOND).is_some_and(|beyond| beyond != 0)
}

/// Return true if this run may loop with interrupts off.
fn may_mask() -> bool {
    let (Some(entries), Some(time)) = (LIMITS.get(ENTRIES), LIMITS.get(TIME)) else {
        return false;
    };
    let now = kernel::ktime_ns();
    (0..entries as u32).filter_map(|entry| MASKED.at(entry)).any(|entry| {
        let until = entry.load(Relaxed);
        until < now && entry.compare_exchange(until, now + time, Relaxed, Relaxed).is_ok()
    })
}

/// Behave as `behaviour` requests; return false if that is not possible now.
pub fn behave(behaviour: u8, place: Place) -> bool {
    match behaviour {
        PRINT => rex_printk!("soak on CPU {}", kernel::cpu()),
        MAPS => maps(),
        PANIC => panic(),
        PANIC_HOLDING => return panic_holding(),
        PANIC_LOCKED => return with_lock(|_guard| panic!("with a lock held")),
        FAULT_READ => _ = black_box(faults::read(faults::UNMAPPED)),
        FAULT_NULL => _ = black_box(faults::read(black_box(0))),
        FAULT_INSTRUCTION => faults::invalid_instruction(),
        FAULT_DIVISION => _ = black_box(faults::divide_by_zero()),
        LOOP..=LOOP_RCU => {
            if place != Place::Open && !may_mask() {
                return false;
            }
            return run_on(behaviour);
        }
        LOOP_LOCKED => return may_mask() && with_lock(|_guard| forever()),
        RECURSE => _ = black_box(recurse(black_box(1))),
        RECURSE_PLAIN => _ = black_box(recurse_plain(black_box(1))),
        LEAK => return leak(),
        LEAK_LOCKED => return with_lock(|guard| mem::forget(guard)),
        RETURN | _ => {}
    }
    true
}

#[inline(never)]
fn panic() {
    if black_box(true) {
        panic!("number {} of CPU {}", kernel::random(), kernel::cpu());
    }
}

/// Hold resources and skip their destructors: the kernel must release all of them.
fn panic_holding() -> bool {
    let (Some(_task), Ok(_section)) = (Task::current(), Rcu::lock()) else { return false };
    let _sample = SAMPLES.reserve(0);
    let few = black_box([1, 2, 3]);
    black_box(few[black_box(4)]);
    true
}

fn with_lock(work: impl FnOnce(LockGuard<'_, u64>)) -> bool {
    let Ok(mut guard) = LOCKED.lock(kernel::random() % 2) else { return false };
    *guard = guard.wrapping_add(1);
    work(guard);
    true
}

fn run_on(behaviour: u8) -> bool {
    match behaviour {
        LOOP_KEYS => {
            while black_box(true) {
                for key in TABLE.keys() {
                    black_box(key);
                }
            }
        }
        LOOP_CALLS => while black_box(kernel::ktime_ns()) != 0 {},
        LOOP_RCU => {
            let Ok(_section) = Rcu::lock() else { return false };
            forever();
        }
        _ => forever(),
    }
    true
}

#[inline(never)]
fn forever() {
    while black_box(true) {}
}

/// Recurse endlessly and call the kernel at each depth.
#[inline(never)]
fn recurse(depth: u64) -> u64 {
    let mut frame = black_box([depth; 16]);
    frame[black_box(3)] = kernel::ktime_ns();
    if depth < black_box(u64::MAX) { recurse(depth + 1) + black_box(frame)[3] } else { 0 }
}

/// Recurse without kernel calls: only the check in each function can stop it.
#[inline(never)]
fn recurse_plain(depth: u64) -> u64 {
    let frame = black_box([depth; 8]);
    if depth < black_box(u64::MAX) { recurse_plain(depth + 1) + black_box(frame)[3] } else { 0 }
}

fn leak() -> bool {
    let (Some(task), Ok(section), Some(sample)) =
        (Task::current(), Rcu::lock(), SAMPLES.reserve(kernel::ktime_ns()))
    else {
        return false;
    };
    mem::forget((task, section, sample));
    true
}

/// Use a bit of everything; failures caused by other runs at the same time are no errors.
fn maps() {
    for turn in 0..8 {
        let key = kernel::random() % 96;
        let _ = TABLE.insert(&key, &kernel::ktime_ns());
        let _ = RECENT.insert(&kernel::random(), &u64::from(key));
        black_box(TABLE.get(&(key / 2)));
        let _ = TABLE.remove(&(kernel::random() % 96));
        let _ = LINE.push(&u64::from(key));
        black_box(LINE.pop());
        let _ = SHARES.update(0, |share| share.wrapping_add(1));
        let _ = SAMPLES.output(&u64::from(key));
        // Waiting for a lock can take a second, possibly with interrupts off.
        if turn == 0 || beyond() {
            with_lock(|guard| drop(guard));
        }
        if let Some(task) = Task::from_pid(kernel::random() as i32 % 200) {
            black_box(task.pid());
        }
    }
}
