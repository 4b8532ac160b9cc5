// SPDX-License-Identifier: GPL-2.0-only
//! The hooks. Each program has the number of its schedule.
use core::net::{Ipv4Addr, SocketAddrV4};

use rex::prelude::*;

use crate::act;
use crate::behave::Place::{Masked, Open};

#[rex_kprobe("__x64_sys_getpgid")]
fn kprobe(_context: &Kprobe) {
    act(0, Open);
}

#[rex_kretprobe("__x64_sys_getppid")]
fn kretprobe(_context: &Kprobe) {
    act(1, Open);
}

#[rex_tracepoint("syscalls/sys_enter_getuid")]
fn tracepoint(_context: &Tracepoint<u64>) {
    act(2, Open);
}

/// At each system call of all processes.
#[rex_raw_tracepoint("sys_enter")]
fn task(_context: &RawTracepoint<2>) {
    act(3, Open);
}

#[rex_raw_tracepoint("softirq_entry")]
fn softirq(_context: &RawTracepoint<1>) {
    act(4, Open);
}

/// In the clock's interrupt, which also calls the kernel's own watchdog.
#[rex_raw_tracepoint("hrtimer_expire_entry")]
fn hardirq(_context: &RawTracepoint<2>) {
    act(5, Masked);
}

/// With the lock of the CPU's run queue held.
#[rex_raw_tracepoint("sched_switch")]
fn switch(_context: &RawTracepoint<3>) {
    act(6, Masked);
}

#[rex_perf_event("software/cpu-clock@200")]
fn perf_event(_context: &PerfEvent) {
    act(7, Masked);
}

const ANYBODY: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 4100);
const DISCARD: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 9);

/// Programs that see packets also hold a reference to the receiver's socket.
fn act_with_socket(packet: &impl Packet, program: u32) {
    let _receiver = packet.udp_socket(ANYBODY, DISCARD);
    act(program, Open);
}

#[rex_xdp("lo")]
fn xdp(packet: &Xdp) -> XdpAction {
    act_with_socket(packet, 8);
    XdpAction::Pass
}

#[rex_tc("lo/ingress")]
fn ingress(packet: &Tc) -> TcAction {
    act_with_socket(packet, 9);
    TcAction::Ok
}

#[rex_tc("lo/egress")]
fn egress(packet: &Tc) -> TcAction {
    act_with_socket(packet, 10);
    TcAction::Ok
}
