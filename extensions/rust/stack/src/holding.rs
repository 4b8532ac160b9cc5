// SPDX-License-Identifier: GPL-2.0-only
//! Overflows while a program holds kernel resources, which the kernel must then release.
use core::hint::black_box;
use core::net::{Ipv4Addr, SocketAddrV4};

use rex::prelude::*;

use crate::{COUNTS, count, depth, descend, wanted};

#[rex_map]
static HELD: Array<Locked<u32>> = Array::new(1);
#[rex_map]
static HELD_SAMPLES: RingBuf<u64> = RingBuf::new(4096);

/// Hold a lock, an RCU section, a reserved sample and two tasks.
#[rex_kprobe("__x64_sys_getpgid")]
fn holds(_context: &Kprobe) {
    let Some(deepest) = COUNTS.at(2) else { return };
    if !wanted() {
        return;
    }
    let (Ok(_section), Some(_sample)) = (Rcu::lock(), HELD_SAMPLES.reserve(0)) else { return };
    let (Some(_own), Some(_init)) = (Task::current(), Task::from_pid(1)) else { return };
    let Ok(mut guard) = HELD.lock(0) else { return };
    *guard += 1;
    black_box(descend(depth(), deepest));
    count(1);
}

const ANYONE: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 4100);
const DISCARD: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 9);

/// Find the socket of the receiver of the trigger's packets.
#[rex_tc("lo/ingress")]
fn holds_socket(packet: &Tc) -> TcAction {
    let (Some(deepest), Some(_receiver)) = (COUNTS.at(2), packet.udp_socket(ANYONE, DISCARD))
    else {
        return TcAction::Ok;
    };
    count(0);
    black_box(descend(depth(), deepest));
    count(1);
    TcAction::Shot
}
