// SPDX-License-Identifier: GPL-2.0-only
//! Samples of a clock: the CPU's instruction pointer, and the time that each represents.
use rex::prelude::*;

use crate::{count, is_trigger, seen};

/// Take 100 samples per second of CPU time.
#[rex_perf_event("software/cpu-clock@100")]
fn sample(context: &PerfEvent) {
    let sample = context.sample();
    if !is_trigger() {
        return;
    }
    count(0);
    seen(1, sample.period / 1_000_000);
    seen(2, kernel::cpu());
    // The trigger's loop is in user space, in the lower half of the addresses.
    if sample.ip != 0 && sample.ip >> 47 == 0 {
        count(3);
    }
    seen(4, sample.address);
}
