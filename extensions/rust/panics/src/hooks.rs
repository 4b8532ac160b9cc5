// SPDX-License-Identifier: GPL-2.0-only
//! A panic at each other kind of hook: each calls programs in a different way.
use core::hint::black_box;

use rex::prelude::*;

use crate::{count, wanted};

const GETPGID: u64 = 121;

/// The tracepoint's record, as its `format` in tracefs describes it.
#[rex_plain]
struct Enter {
    common: u64,
    number: u64,
}

#[rex_kretprobe("__x64_sys_getpgid")]
fn kretprobe(context: &Kprobe) {
    if wanted() {
        panic!("a kretprobe, where {} is returned", context.returned() as i64);
    }
}

#[rex_tracepoint("syscalls/sys_enter_getpgid")]
fn tracepoint(context: &Tracepoint<Enter>) {
    if wanted() {
        panic!("a tracepoint of system call {}", context.number);
    }
}

#[rex_raw_tracepoint("sys_enter")]
fn raw_tracepoint(context: &RawTracepoint<2>) {
    if context.argument(1) == GETPGID && wanted() {
        panic!("a raw tracepoint of system call {}", context.argument(1));
    }
}

/// Panic in an interrupt, at each sample.
#[rex_perf_event("software/cpu-clock@100")]
fn perf_event(context: &PerfEvent) {
    count(0);
    if black_box(context.sample().period) > 0 {
        panic!("a sample");
    }
    count(1);
}
