// SPDX-License-Identifier: GPL-2.0-only
//! Calls of a given depth. `extensions/c/bench_depth.bpf.c` does the same by tail calls and
//! by calls of its own functions. docs/benchmarks.md explains the use of both.
#![no_std]
use core::hint::black_box;

use rex::prelude::*;

/// A function that needs its frame until the call below it has returned.
#[inline(never)]
fn deeper(left: u32) -> u32 {
    if left == 0 { 0 } else { black_box(deeper(black_box(left - 1))) }
}

macro_rules! levels {
    ($($name:ident: $depth:literal,)*) => {$(
        #[rex_tc]
        fn $name(_packet: &Tc) -> TcAction {
            if deeper($depth - 1) == 0 { TcAction::Ok } else { TcAction::Shot }
        }
    )*};
}

// The first level is the call of `deeper` itself.
levels! {
    level_1: 1,
    level_2: 2,
    level_4: 4,
    level_7: 7,
    level_8: 8,
    level_16: 16,
    level_32: 32,
    level_33: 33,
}
