// SPDX-License-Identifier: GPL-2.0-only
//! Panics over packets: the hook gets the program's default, which lets the packet pass.
use core::hint::black_box;

use rex::prelude::*;

use crate::count;

/// Access one byte past the packet's end.
fn beyond(packet: &impl Packet) -> usize {
    black_box(packet.bytes().len() + 1)
}

#[rex_xdp("lo")]
fn xdp_slice(packet: &Xdp) -> XdpAction {
    count(0);
    black_box(&packet.bytes()[..beyond(packet)]);
    count(1);
    XdpAction::Drop
}

#[rex_tc("lo/egress")]
fn tc_slice(packet: &Tc) -> TcAction {
    count(0);
    black_box(&packet.bytes()[..beyond(packet)]);
    count(1);
    TcAction::Shot
}

/// Panic at every fourth packet.
#[rex_xdp("lo")]
fn xdp_fourth(packet: &Xdp) -> XdpAction {
    count(0);
    let Some(counter) = crate::COUNTS.at(0) else { return XdpAction::Drop };
    if counter.load(Relaxed) % 4 == 0 {
        black_box(packet.bytes()[beyond(packet)]);
    }
    count(1);
    XdpAction::Pass
}
