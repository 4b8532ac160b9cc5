// SPDX-License-Identifier: GPL-2.0-only
//! Kernel calls that another program makes slow.
use rex::prelude::*;

use crate::{count, wanted};

const GETPGID: u64 = 121;

/// Get one random number, at a raw tracepoint: inside a kprobe the kernel would not run the
/// eBPF program that is attached to the called function.
#[rex_raw_tracepoint("sys_enter")]
fn draws(context: &RawTracepoint<2>) {
    if context.argument(1) == GETPGID && wanted() {
        core::hint::black_box(kernel::random());
        count(1);
    }
}
