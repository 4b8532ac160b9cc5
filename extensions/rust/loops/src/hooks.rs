// SPDX-License-Identifier: GPL-2.0-only
//! Loops at other kinds of hooks. A packet hook then uses its default: the packet passes.
use rex::prelude::*;

use crate::{count, forever, wanted};

const GETPGID: u64 = 121;

#[rex_raw_tracepoint("sys_enter")]
fn raw_tracepoint(context: &RawTracepoint<2>) {
    if context.argument(1) == GETPGID && wanted() {
        forever();
    }
}

#[rex_xdp("lo")]
fn xdp(_packet: &Xdp) -> XdpAction {
    count(0);
    forever();
    XdpAction::Drop
}

#[rex_tc("lo/egress")]
fn tc(_packet: &Tc) -> TcAction {
    count(0);
    forever();
    TcAction::Shot
}
