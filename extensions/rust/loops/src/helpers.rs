// SPDX-License-Identifier: GPL-2.0-only
//! Calls of the kernel that take as long as something makes them.
use rex::prelude::*;

use crate::{count, wanted};

const GETPGID: u64 = 121;

/// Asks for one random number. At a raw tracepoint: from within a kprobe the kernel would
/// run no eBPF program that is attached to what this calls.
#[rex_raw_tracepoint("sys_enter")]
fn draws(context: &RawTracepoint<2>) {
    if context.argument(1) == GETPGID && wanted() {
        core::hint::black_box(kernel::random());
        count(1);
    }
}
