// SPDX-License-Identifier: GPL-2.0-only
//! One program of each type; each counts its runs in its own entry.
#![no_std]
use rex::prelude::*;

#[rex_map]
static COUNTS: Array<AtomicU64> = Array::new(6);

fn count(index: u32) {
    COUNTS.at(index).unwrap().fetch_add(1, Relaxed);
}

#[rex_kprobe("__x64_sys_getpgid")]
fn kprobe(_context: &Kprobe) {
    count(0);
    rex_printk!("hello from CPU {}", kernel::cpu());
}

/// The tracepoint's record, as its `format` in tracefs describes it.
#[rex_plain]
struct Getpgid {
    common: u64,
    number: i64,
    pid: u64,
}

#[rex_tracepoint("syscalls/sys_enter_getpgid")]
fn tracepoint(context: &Tracepoint<Getpgid>) {
    if context.number == 121 {
        count(1);
    }
}

#[rex_raw_tracepoint("sys_enter")]
fn raw_tracepoint(context: &RawTracepoint<2>) {
    if context.argument(1) == 121 {
        count(2);
    }
}

#[rex_perf_event("software/cpu-clock@100")]
fn perf_event(context: &PerfEvent) {
    if context.sample().period > 0 {
        count(3);
    }
}

#[rex_xdp("lo")]
fn xdp(_packet: &Xdp) -> XdpAction {
    count(4);
    XdpAction::Pass
}

#[rex_tc("lo/ingress")]
fn tc(_packet: &Tc) -> TcAction {
    count(5);
    TcAction::Ok
}
