// SPDX-License-Identifier: GPL-2.0-only
//! One program for each kind of map: it reads what user space wrote, changes it with all
//! operations of the kind, and writes what user space reads.
//!
//! The result of a step is in `found` under the step's number: a value, or an errno.
#![no_std]
use rex::prelude::*;

mod guarded;
mod sequences;

#[rex_map]
static FOUND: Array<AtomicU64> = Array::new(16);

fn found(step: u32, value: impl Into<u64>) {
    FOUND.at(step).unwrap().store(value.into(), Relaxed);
}

/// Return 0 or the errno.
fn code(result: Result<()>) -> u64 {
    result.map_or_else(|error| error.errno() as u64, |()| 0)
}

#[rex_map]
static LIMITS: Array<u32> = Array::new(2);
#[rex_map]
static SQUARES: Array<u64> = Array::new(8);

/// User space requests a number of squares.
#[rex_kprobe("__x64_sys_getpgid")]
fn array(_context: &Kprobe) {
    let limit = LIMITS.get(0).unwrap();
    let mut last = Ok(());
    for number in 0..limit {
        last = SQUARES.set(number, &u64::from(number * number));
    }
    found(0, code(last));
    found(1, LIMITS.get(2).is_none());
    found(2, FOUND.at(16).is_none());
}

#[rex_map]
static SHARES: PerCpuArray<u64> = PerCpuArray::new(2);

/// Each CPU counts up from its value from user space.
#[rex_kprobe("__x64_sys_getpgid")]
fn per_cpu(_context: &Kprobe) {
    SHARES.update(0, |count| count + 1).unwrap();
    found(kernel::cpu(), SHARES.get(0).unwrap());
    SHARES.set(1, &u64::from(kernel::cpu() + 1)).unwrap();
    found(8, code(SHARES.set(2, &0)));
    found(9, SHARES.get(2).is_none());
}

#[rex_map]
static AGES: HashMap<u32, u64> = HashMap::new(4);

/// User space inserted 7 and 8.
#[rex_kprobe("__x64_sys_getpgid")]
fn hash(_context: &Kprobe) {
    found(0, AGES.get(&7).unwrap());
    found(1, AGES.contains(&8));
    found(2, AGES.contains(&9) || AGES.get(&9).is_some());
    found(3, code(AGES.insert(&9, &90)));
    found(4, code(AGES.insert_new(&9, &91)));
    found(5, code(AGES.replace(&9, &92)));
    found(6, code(AGES.replace(&10, &100)));
    found(7, code(AGES.insert_new(&10, &100)));
    found(8, code(AGES.insert(&11, &110)));
    found(9, code(AGES.insert(&7, &71)));
    found(10, AGES.keys().map(u64::from).sum::<u64>());
    found(11, code(AGES.remove(&8)));
    found(12, code(AGES.remove(&8)));
    found(13, AGES.keys().count() as u64);
}

#[rex_map]
static RECENT: LruHashMap<u32, u32> = LruHashMap::new(64);

/// User space inserted 5000; of a thousand more entries the last evict the first.
#[rex_kprobe("__x64_sys_getpgid")]
fn lru(_context: &Kprobe) {
    found(0, RECENT.get(&5000).unwrap());
    let refused = (0..1000).filter(|key| RECENT.insert(key, &(key * 2)).is_err()).count();
    found(1, refused as u64);
    found(2, RECENT.keys().take(1000).count() as u64);
    found(3, RECENT.get(&999).unwrap());
    found(4, (0..100).filter(|key| RECENT.contains(key)).count() as u64);
}
