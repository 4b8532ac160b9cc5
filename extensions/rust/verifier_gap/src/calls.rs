// SPDX-License-Identifier: GPL-2.0-only
//! Stack size, call depth, and calls under a lock.
use core::hint::black_box;

use rex::prelude::*;

use crate::answer;

/// 600 bytes of local data; BPF programs have 512, these 64 KiB.
#[rex_xdp]
fn large_stack(_packet: &Xdp) -> XdpAction {
    let mut scratch = black_box([0_u8; 600]);
    let index = kernel::random() as usize & 511;
    scratch[599] = 2;
    scratch[index] = 1;
    let sum = scratch.iter().map(|&byte| u64::from(byte)).sum();
    answer(0, sum);
    if scratch[index] + scratch[599] == 3 { XdpAction::Pass } else { XdpAction::Aborted }
}

#[inline(never)]
fn sum_to(number: u32) -> u32 {
    if number == 0 {
        return 0;
    }
    number + black_box(sum_to(number - 1)) // or the compiler would make it a loop
}

/// Recurse as often as the packet's first byte requests.
#[rex_xdp]
fn recursion(packet: &Xdp) -> XdpAction {
    answer(0, sum_to(packet.bytes()[0].into()).into());
    XdpAction::Pass
}

macro_rules! links {
    ($($name:ident calls $next:ident;)*) => { $(
        #[inline(never)]
        fn $name(number: u64) -> u64 {
            black_box($next(black_box(number) + 1)) + 1
        }
    )* };
}

#[inline(never)]
fn link10(number: u64) -> u64 {
    black_box(number)
}

links! {
    link9 calls link10;
    link8 calls link9;
    link7 calls link8;
    link6 calls link7;
    link5 calls link6;
    link4 calls link5;
    link3 calls link4;
    link2 calls link3;
    link1 calls link2;
}

/// Ten functions that call each other in a row.
#[rex_xdp]
fn call_chain(_packet: &Xdp) -> XdpAction {
    answer(0, link1(0));
    XdpAction::Pass
}

#[rex_map]
static STAMPS: Array<Locked<u64>> = Array::new(1);

/// Read the clock and a few other values while holding a spin lock.
#[rex_xdp]
fn helper_under_lock(_packet: &Xdp) -> XdpAction {
    let before = kernel::ktime_ns();
    let mut stamp = STAMPS.lock(0).unwrap();
    *stamp = kernel::ktime_ns();
    let task = Task::current().unwrap();
    answer(0, (*stamp >= before).into());
    answer(1, task.pid() as u64);
    answer(2, kernel::current_pid().into());
    XdpAction::Pass
}
