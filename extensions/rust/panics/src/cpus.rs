// SPDX-License-Identifier: GPL-2.0-only
//! Panics on four CPUs at the same time.
use rex::prelude::*;

const CPUS: u64 = 4;
const PATIENCE_NS: u64 = 4_000_000_000;

/// How many runs began, and how many of them met all others.
#[rex_map]
static MEETING: Array<AtomicU64> = Array::new(2);

/// Wait for the other CPUs for a limited time, and panic together with them.
#[rex_kprobe("__x64_sys_getpgid")]
fn together(_context: &Kprobe) {
    let (Some(came), Some(met)) = (MEETING.at(0), MEETING.at(1)) else { return };
    let number = came.fetch_add(1, Relaxed);
    let all = number - number % CPUS + CPUS;
    let end = kernel::ktime_ns() + PATIENCE_NS;
    while came.load(Relaxed) < all && kernel::ktime_ns() < end {
        core::hint::spin_loop();
    }
    if came.load(Relaxed) >= all {
        met.fetch_add(1, Relaxed);
    }
    panic!("number {number} panics");
}
