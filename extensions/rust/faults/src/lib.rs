// SPDX-License-Identifier: GPL-2.0-only
//! What safe Rust can't do, but a bug of the compiler could: invalid accesses and invalid
//! instructions, one program for each. They are the crate's feature `faults`.
//!
//! Each sits at a system call of its own and looks only at the trigger's calls. It
//! counts that it came to its fault, in place 0, and that it went on behind it, in place
//! 1: that stays 0, or an access was silently allowed.
#![no_std]
use core::hint::black_box;

use rex::faults;
use rex::prelude::*;

/// Where programs that are not relocated begin in memory: the trigger is one.
const TRIGGER_TEXT: usize = 0x40_0000;
/// In the user's half, and of no process.
const NOBODYS: usize = 0x10_0000;

/// Came to the fault, went on behind it, and found the trigger's text mapped.
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

/// That the page is there, and can be read by who may, is asked first.
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
