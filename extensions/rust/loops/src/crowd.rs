// SPDX-License-Identifier: GPL-2.0-only
//! Loops on several CPUs at once. Each run increments a pulse and watches the others' pulses:
//! all run at once if a run has seen three others advance.
use core::hint::black_box;

use rex::prelude::*;

use crate::{count, wanted};

const CPUS: u32 = 4;

#[rex_map]
static PULSE: Array<AtomicU64> = Array::new(CPUS);

#[rex_map]
static LOCKS: Array<Locked<u32>> = Array::new(CPUS);

/// Entry 0: how many runs have seen others loop at the same time.
#[rex_map]
static TOGETHER: Array<AtomicU64> = Array::new(1);

#[inline(never)]
fn loop_together() {
    let own = kernel::cpu() as usize;
    let pulses: [Option<&AtomicU64>; CPUS as usize] =
        core::array::from_fn(|cpu| PULSE.at(cpu as u32));
    let pulse = |cpu: usize| pulses[cpu].map_or(0, |pulse| pulse.load(Relaxed));
    let before: [u64; CPUS as usize] = core::array::from_fn(pulse);
    let mut told = false;
    while black_box(true) {
        if let Some(pulse) = pulses[own] {
            pulse.fetch_add(1, Relaxed);
        }
        if !told && (0..CPUS as usize).all(|cpu| cpu == own || pulse(cpu) != before[cpu]) {
            told = true;
            if let Some(together) = TOGETHER.at(0) {
                together.fetch_add(1, Relaxed);
            }
        }
    }
    count(1);
}

#[rex_kprobe("__x64_sys_getpgid")]
fn everywhere(_context: &Kprobe) {
    if wanted() {
        loop_together();
    }
}

/// Loop with interrupts off on all CPUs but the first.
#[rex_kprobe("__x64_sys_getpgid")]
fn all_but_first_locked(_context: &Kprobe) {
    if !wanted() {
        return;
    }
    let own = kernel::cpu();
    if own == 0 {
        loop_together();
    } else if let Ok(_guard) = LOCKS.lock(own) {
        loop_together();
    }
}

/// Loop with interrupts off on every CPU.
#[rex_kprobe("__x64_sys_getpgid")]
fn all_locked(_context: &Kprobe) {
    if !wanted() {
        return;
    }
    if let Ok(_guard) = LOCKS.lock(kernel::cpu()) {
        loop_together();
    }
}

/// Loop with interrupts off on CPU 1. On other CPUs return at once, and count if CPU 1
/// advanced since the last run there.
#[rex_kprobe("__x64_sys_getpgid")]
fn beside_others(_context: &Kprobe) {
    if kernel::current_comm().text() != "kexttrigger" {
        return;
    }
    let own = kernel::cpu();
    let (Some(loops), Some(seen)) = (PULSE.at(1), PULSE.at(own)) else { return };
    if own == 1 {
        let Ok(_guard) = LOCKS.lock(own) else { return };
        while black_box(true) {
            loops.fetch_add(1, Relaxed);
        }
        count(1);
    }
    let now = loops.load(Relaxed);
    if seen.swap(now, Relaxed) != now {
        if let Some(beside) = TOGETHER.at(0) {
            beside.fetch_add(1, Relaxed);
        }
    }
}
