// SPDX-License-Identifier: GPL-2.0-only
//! Programs for places inside the kernel's own work: they loop there, or only count.
use rex::prelude::*;

use crate::{count, forever, value};

/// How many times to loop; on which CPU; 0, or the function of the timer to loop in.
#[rex_map]
static ARMED: Array<AtomicU64> = Array::new(3);

/// The offset of a timer's function in `struct hrtimer`.
const FUNCTION: usize = 40;

/// Return true if this CPU has loops left, and count one down.
fn armed() -> bool {
    if value(&ARMED, 1) != kernel::cpu().into() {
        return false;
    }
    let Some(times) = ARMED.at(0) else { return false };
    // Nothing else changes it on this CPU: the program does not interrupt itself.
    let left = times.load(Relaxed);
    if left == 0 {
        return false;
    }
    times.store(left - 1, Relaxed);
    true
}

/// Can be attached to any tracepoint.
#[rex_raw_tracepoint]
fn anywhere(_context: &RawTracepoint) {
    if armed() {
        count(50);
        forever();
        count(51);
    }
}

/// In the interrupt of a timer, before the timer's own function.
#[rex_raw_tracepoint("hrtimer_expire_entry")]
fn timer(context: &RawTracepoint<2>) {
    let function = value(&ARMED, 2);
    if kernel::read_kernel::<u64>(context.argument(0) as usize + FUNCTION) == Ok(function)
        && armed()
    {
        count(50);
        forever();
        count(51);
    }
}

/// A place where no program is run.
#[rex_raw_tracepoint("nmi_handler")]
fn nmi(_context: &RawTracepoint<3>) {
    count(50);
}

/// A program that runs alongside the others and must not be affected.
#[rex_kprobe("__x64_sys_getppid")]
fn beside(_context: &Kprobe) {
    if kernel::current_comm().text() == "kexttrigger" {
        count(52);
    }
}
