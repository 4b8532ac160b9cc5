// SPDX-License-Identifier: GPL-2.0-only
//! Kernel calls near the end of the stack: they use the reserve.
use core::hint::black_box;
use core::net::{Ipv4Addr, SocketAddrV4};

use rex::prelude::*;

use crate::{count, depth, wanted};

#[rex_map]
static TABLE: HashMap<u32, u64> = HashMap::new(16);
#[rex_map]
static SAMPLES: RingBuf<u64> = RingBuf::new(4096);
#[rex_map]
static LOCKED: Array<Locked<u32>> = Array::new(1);

/// Recurse, and call the kernel before each recursion.
#[inline(never)]
fn asking(left: u32) -> u64 {
    let now = black_box(kernel::ktime_ns());
    if left > 1 { black_box(asking(left - 1)) ^ now } else { now }
}

#[rex_kprobe("__x64_sys_getpgid")]
fn asks_clock(_context: &Kprobe) {
    if wanted() {
        black_box(asking(depth()));
        count(1);
    }
}

/// Make one kernel call of each kind in a separate frame, with only kernel frames below it.
#[inline(never)]
fn use_kernel(key: u32) {
    let _ = TABLE.insert(&(key % 16), &1);
    let _ = TABLE.remove(&(key % 16));
    let _ = SAMPLES.output(&7); // no reader removes samples, so it is soon full
    if let Some(task) = Task::from_pid(1) {
        black_box(task.comm());
    }
    if let Ok(mut guard) = LOCKED.lock(0) {
        *guard += 1;
    }
    let _ = kernel::read_user::<u64>(0x40_0000);
    black_box(kernel::random());
}

#[inline(never)]
fn using(left: u32) -> u32 {
    let here = black_box([left; 4]);
    use_kernel(left);
    let below = if left > 1 { using(left - 1) } else { 0 };
    below ^ here[0]
}

#[rex_kprobe("__x64_sys_getpgid")]
fn uses_kernel(_context: &Kprobe) {
    if wanted() {
        black_box(using(depth()));
        count(1);
    }
}

const SERVER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 22);
const DISCARD: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 9);

#[inline(never)]
fn looking_up(packet: &Tc, left: u32) -> u32 {
    let here = black_box([left; 4]);
    black_box(packet.udp_socket(SERVER, DISCARD));
    black_box(packet.tcp_socket(SERVER, DISCARD));
    let below = if left > 1 { looking_up(packet, left - 1) } else { 0 };
    below ^ here[0]
}

/// The network's functions need the most stack.
#[rex_tc("lo/ingress")]
fn looks_up_sockets(packet: &Tc) -> TcAction {
    count(0);
    black_box(looking_up(packet, depth()));
    count(1);
    TcAction::Shot
}
