// SPDX-License-Identifier: GPL-2.0-only
//! Loops at places of the kernel where little else can happen: in interrupts, with
//! interrupts off, under its locks. Each loops three times, and lets all else go by.
use rex::prelude::*;

use crate::{count, forever};

const SIGCONT: u64 = 18;

/// How often a program came to where it loops; each has a place of its own, or the compiler
/// would make one function of what is the same.
#[rex_map]
static COME: Array<AtomicU64> = Array::new(7);

/// Whether this is one of the first three that came to a place, which is then counted.
fn first_three(place: u32) -> bool {
    let first = COME.at(place).is_some_and(|come| come.fetch_add(1, Relaxed) < 3);
    if first {
        count(0);
    }
    first
}

/// In the hard interrupt of a CPU's own timer.
#[rex_raw_tracepoint("local_timer_entry")]
fn interrupt(_context: &RawTracepoint) {
    if kernel::cpu() == 1 && first_three(0) {
        forever();
    }
}

/// In a timer's function, with the locks of timers free.
#[rex_raw_tracepoint("hrtimer_expire_entry")]
fn timer(_context: &RawTracepoint) {
    if kernel::cpu() == 1 && first_three(1) {
        forever();
    }
}

/// In the hard interrupt that takes a sample.
#[rex_perf_event("software/cpu-clock@100")]
fn sample(_context: &PerfEvent) {
    if kernel::cpu() == 1 && first_three(5) {
        forever();
    }
}

/// At a function's begin, by ftrace: whoever sends a signal holds a lock of the task's
/// signals there, with interrupts off.
#[rex_kprobe("send_signal_locked")]
fn signal(context: &Kprobe) {
    if context.argument(0) == SIGCONT && first_three(2) {
        forever();
    }
}

/// Inside of a function, by a breakpoint: its handler has interrupts off.
#[rex_kprobe("__x64_sys_getpgid+0x5")]
fn breakpoint(_context: &Kprobe) {
    if kernel::current_comm().text() == "kexttrigger" && first_three(4) {
        forever();
    }
}

/// Under the lock of a run queue, that of CPU 1: whoever wakes a task there, or changes what
/// it is worth, waits for that lock with interrupts off.
#[rex_raw_tracepoint("sched_switch")]
fn run_queue(_context: &RawTracepoint<3>) {
    if kernel::cpu() == 1 && first_three(3) {
        forever();
    }
}

/// While the CPU leaves a task that goes to sleep: whoever wakes that up waits, with
/// interrupts off, until the CPU has left it.
#[rex_raw_tracepoint("sched_switch")]
fn goes_to_sleep(context: &RawTracepoint<4>) {
    let sleeps = context.argument(3) != 0;
    if sleeps && kernel::current_comm().text() == "cat" && first_three(6) {
        forever();
    }
}

/// In the softirq that receives packets, while more of them come: every hundredth.
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
