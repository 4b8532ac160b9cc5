// SPDX-License-Identifier: GPL-2.0-only
//! One program for each level: in a system call, in page faults, in interrupts.
use rex::prelude::*;

use crate::{CAME, act, count, fault_is_for, stage, told_to_go};

const GETPGID: u64 = 121;

#[rex_raw_tracepoint("sys_enter")]
fn first(context: &RawTracepoint<2>) {
    if context.argument(1) == GETPGID && kernel::current_comm().text() == "kexttrigger" {
        act(1);
    }
}

#[rex_raw_tracepoint("page_fault_kernel")]
fn fault_2(context: &RawTracepoint<1>) {
    if fault_is_for(context.argument(0), 2) {
        act(2);
    }
}

#[rex_raw_tracepoint("page_fault_kernel")]
fn fault_3(context: &RawTracepoint<1>) {
    if fault_is_for(context.argument(0), 3) {
        act(3);
    }
}

#[rex_raw_tracepoint("page_fault_kernel")]
fn fault_4(context: &RawTracepoint<1>) {
    if fault_is_for(context.argument(0), 4) {
        act(4);
    }
}

/// A level too many: it is never run.
#[rex_raw_tracepoint("page_fault_kernel")]
fn fault_5(context: &RawTracepoint<1>) {
    if fault_is_for(context.argument(0), 5) {
        act(5);
    }
}

/// Any softirq is suitable. Those at the end of the system call come too late.
#[rex_raw_tracepoint("softirq_entry")]
fn softirq_2(_context: &RawTracepoint<1>) {
    if stage() == 1 {
        act(2);
    }
}

#[rex_raw_tracepoint("local_timer_entry")]
fn timer_3(_context: &RawTracepoint<1>) {
    if stage() == 2 {
        act(3);
    }
}

/// Runs at the tracepoint of the first level's panic, before that level is free.
#[rex_raw_tracepoint("rex_panic")]
fn told_2(_context: &RawTracepoint<1>) {
    if stage() == 1 {
        act(2);
    }
}

#[rex_raw_tracepoint("rex_panic")]
fn told_3(_context: &RawTracepoint<1>) {
    if stage() == 2 {
        act(3);
    }
}

#[rex_raw_tracepoint("rex_panic")]
fn told_4(_context: &RawTracepoint<1>) {
    if stage() == 3 {
        act(4);
    }
}

/// A level too many while the fourth waits: it is not run, so its default lets the packet pass.
#[rex_xdp(default = 2)]
fn packet_5(_packet: &Xdp) -> XdpAction {
    if stage() == 4 && !told_to_go() {
        count(CAME + 5);
        return XdpAction::Drop;
    }
    XdpAction::Pass
}
