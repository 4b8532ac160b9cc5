// SPDX-License-Identifier: GPL-2.0-only
//! Invalid accesses and invalid instructions, one program for each. Safe Rust can't cause
//! them, but a compiler bug could. They use the crate's feature `faults`.
//!
//! Each program has its own system call and handles only the trigger's calls. Its map's
//! entry 0 counts that it reached its fault, and entry 1 that it continued after it: that
//! must stay 0, or an access was silently allowed.
#![no_std]
use core::hint::black_box;

use rex::faults;
use rex::prelude::*;

/// The load address of programs that are not relocated, such as the trigger.
const TRIGGER_TEXT: usize = 0x40_0000;
/// An address in the user's half that no process has mapped.
const NOBODYS: usize = 0x10_0000;

/// Counts: reached the fault, continued after it, and found the trigger's text mapped.
#[rex_map]
static COUNTS: Array<AtomicU64> = Array::new(3);

fn count(index: u32) {
    if let Some(counter) = COUNTS.at(index) {
        counter.fetch_add(1, Relaxed);
    }
}

fn in_trigger() -> bool {
    kernel::current_comm().text() == "kexttrigger"
}

fn expect_fault<T>(fault: impl FnOnce() -> T) {
    if in_trigger() {
        count(0);
        black_box(fault());
        count(1);
    }
}

#[rex_kprobe("__x64_sys_getpgid")]
fn null(_context: &Kprobe) {
    expect_fault(|| faults::read(black_box(0)));
}

/// First check that the page is mapped and readable through the helper.
#[rex_kprobe("__x64_sys_getppid")]
fn user_mapped(_context: &Kprobe) {
    expect_fault(|| {
        if kernel::read_user::<u32>(TRIGGER_TEXT) == Ok(u32::from_le_bytes(*b"\x7fELF")) {
            count(2);
        }
        faults::read(TRIGGER_TEXT)
    });
}

#[rex_kprobe("__x64_sys_getcwd")]
fn user_unmapped(_context: &Kprobe) {
    expect_fault(|| {
        if kernel::read_user::<u32>(NOBODYS).is_ok() {
            count(2);
        }
        faults::read(NOBODYS)
    });
}

#[rex_kprobe("__x64_sys_newuname")]
fn user_written(_context: &Kprobe) {
    expect_fault(|| faults::write(TRIGGER_TEXT, black_box(0)));
}

#[rex_kprobe("__x64_sys_umask")]
fn kernel_unmapped(_context: &Kprobe) {
    expect_fault(|| faults::read(faults::UNMAPPED));
}

#[rex_kprobe("__x64_sys_getgid")]
fn non_canonical(_context: &Kprobe) {
    expect_fault(|| faults::read(faults::NON_CANONICAL));
}

#[rex_kprobe("__x64_sys_sched_yield")]
fn invalid_instruction(_context: &Kprobe) {
    expect_fault(faults::invalid_instruction);
}

#[rex_kprobe("__x64_sys_gettid")]
fn division(_context: &Kprobe) {
    expect_fault(faults::divide_by_zero);
}
