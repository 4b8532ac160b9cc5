// SPDX-License-Identifier: GPL-2.0-only
//! Loops in critical places of the kernel: in interrupts, with interrupts off, under its
//! locks. Each program loops in its first three runs and ignores all later ones.
use rex::prelude::*;

use crate::{count, forever};

const SIGCONT: u64 = 18;

/// How often a program reached its loop. Each has its own entry, or the compiler would merge
/// the identical functions.
#[rex_map]
static COME: Array<AtomicU64> = Array::new(7);

/// Return true for the first three runs at a place, and count them.
fn first_three(place: u32) -> bool {
    let first = COME.at(place).is_some_and(|come| come.fetch_add(1, Relaxed) < 3);
    if first {
        count(0);
    }
    first
}

/// Loop in the hard interrupt of a CPU's local timer.
#[rex_raw_tracepoint("local_timer_entry")]
fn interrupt(_context: &RawTracepoint) {
    if kernel::cpu() == 1 && first_three(0) {
        forever();
    }
}

/// Loop in a timer's function, where no timer lock is held.
#[rex_raw_tracepoint("hrtimer_expire_entry")]
fn timer(_context: &RawTracepoint) {
    if kernel::cpu() == 1 && first_three(1) {
        forever();
    }
}

/// Loop in the hard interrupt that takes a sample.
#[rex_perf_event("software/cpu-clock@100")]
fn sample(_context: &PerfEvent) {
    if kernel::cpu() == 1 && first_three(5) {
        forever();
    }
}

/// Loop at a function's entry, by ftrace: the sender of a signal holds a lock of the task's
/// signals there, with interrupts off.
#[rex_kprobe("send_signal_locked")]
fn signal(context: &Kprobe) {
    if context.argument(0) == SIGCONT && first_three(2) {
        forever();
    }
}

/// Loop inside a function, by a breakpoint: its handler has interrupts off.
#[rex_kprobe("__x64_sys_getpgid+0x5")]
fn breakpoint(_context: &Kprobe) {
    if kernel::current_comm().text() == "kexttrigger" && first_three(4) {
        forever();
    }
}

/// Loop under the run queue lock of CPU 1: to wake a task there, or to change its priority,
/// another CPU waits for that lock with interrupts off.
#[rex_raw_tracepoint("sched_switch")]
fn run_queue(_context: &RawTracepoint<3>) {
    if kernel::cpu() == 1 && first_three(3) {
        forever();
    }
}

/// Loop while the CPU switches from a task that goes to sleep: a CPU that wakes this task
/// waits, with interrupts off, until the switch is done.
#[rex_raw_tracepoint("sched_switch")]
fn goes_to_sleep(context: &RawTracepoint<4>) {
    let sleeps = context.argument(3) != 0;
    if sleeps && kernel::current_comm().text() == "cat" && first_three(6) {
        forever();
    }
}

/// Loop in the softirq that receives packets, while more arrive: at every hundredth.
#[rex_xdp("lo")]
fn flood_xdp(_packet: &Xdp) -> XdpAction {
    if hundredth(0) {
        forever();
    }
    XdpAction::Pass
}

#[rex_tc("lo/ingress")]
fn flood_tc(_packet: &Tc) -> TcAction {
    if hundredth(1) {
        forever();
    }
    TcAction::Ok
}

fn hundredth(place: u32) -> bool {
    let hundredth = COME.at(place).is_some_and(|come| come.fetch_add(1, Relaxed) % 100 == 99);
    if hundredth {
        count(0);
    }
    hundredth
}
