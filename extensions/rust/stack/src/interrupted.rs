// SPDX-License-Identifier: GPL-2.0-only
//! Interrupts near the end of the stack: in softirq context they stay on it.
use core::hint::{black_box, spin_loop};

use rex::prelude::*;

use crate::{count, depth};

/// How often a clock interrupted each CPU.
#[rex_map]
static TICKS: Array<AtomicU64> = Array::new(8);

/// Runs one level deeper, on its own stack; the interrupt that calls it does not.
#[rex_perf_event]
fn tick(_context: &PerfEvent) {
    if let Some(ticks) = TICKS.at(kernel::cpu()) {
        ticks.fetch_add(1, Relaxed);
    }
}

/// Wait at each depth until an interrupt arrives there, then recurse.
#[inline(never)]
fn wait_deeper(left: u32, ticks: &AtomicU64) -> u64 {
    let here = black_box([ticks.load(Relaxed); 8]);
    while ticks.load(Relaxed) == here[0] {
        spin_loop();
    }
    let below = if left > 1 { wait_deeper(left - 1, ticks) } else { 0 };
    below + here[left as usize % 8]
}

#[rex_xdp("lo")]
fn waits_for_ticks(_packet: &Xdp) -> XdpAction {
    let Some(ticks) = TICKS.at(kernel::cpu()) else { return XdpAction::Pass };
    count(0);
    black_box(wait_deeper(depth(), ticks));
    count(1);
    XdpAction::Drop
}
