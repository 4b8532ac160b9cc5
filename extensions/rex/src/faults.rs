// SPDX-License-Identifier: GPL-2.0-only
//! Deliberate invalid accesses, as a bug in the compiler or in this crate could cause them.
//!
//! Only extensions whose manifest enables the feature `faults` have this module. They test
//! that the kernel survives.
use core::arch::asm;

/// An address in the kernel's half that is never mapped.
pub const UNMAPPED: usize = 0xffff_8000_0000_0000;
/// An address that no page table can hold.
pub const NON_CANONICAL: usize = 0xdead_0000_0000_0000;

/// Allow only addresses that must fault: the user's half, and the two addresses above.
fn check(address: usize) {
    let user = address < 1 << 47;
    assert!(user || address == UNMAPPED || address == NON_CANONICAL, "the address may be mapped");
}

/// Read from an address that must fault, as through a bad pointer.
#[inline(always)]
pub fn read(address: usize) -> u64 {
    check(address);
    load(address)
}

/// Write to an address that must fault, as through a bad pointer.
#[inline(always)]
pub fn write(address: usize, value: u64) {
    check(address);
    store(address, value);
}

// Not inlined, so that these functions have their own frames in a backtrace.
#[inline(never)]
fn load(address: usize) -> u64 {
    // SAFETY: none; this is the purpose of the function.
    unsafe { (address as *const u64).read_volatile() }
}

#[inline(never)]
fn store(address: usize, value: u64) {
    // SAFETY: none; this is the purpose of the function.
    unsafe { (address as *mut u64).write_volatile(value) }
}

/// Run an instruction that does not exist.
#[inline(never)]
pub fn invalid_instruction() {
    // SAFETY: none; this is the purpose of the function.
    unsafe { asm!("ud2") }
}

/// Divide by zero without Rust's check.
#[inline(never)]
pub fn divide_by_zero() -> u64 {
    let quotient: u64;
    // SAFETY: none; this is the purpose of the function.
    unsafe {
        asm!("div {zero}", zero = in(reg) 0_u64,
             inout("rax") 1_u64 => quotient, inout("rdx") 0_u64 => _);
    }
    quotient
}
